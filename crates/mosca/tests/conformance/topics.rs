//! Section 4.7: topic names and topic filters.

use mosca::Server;
use mqtt_codec::{QoS, ReasonCode, Version};

use crate::harness::{Client, Hello, Message, NUMBERED, WillMessage, each, each_with, options};

/// A filter, and what it matches of the topic names that stand with it. The rest it does not match.
type Row<'a> = (&'a str, &'a [&'a str]);

/// Checks for each filter which of `names` come through it.
async fn check(names: &[&str], rows: &[Row<'_>]) {
    // More levels than the default allows are among them.
    let deep = || Server::builder().broker(|options| options.max_topic_levels = 70_000);
    each_with(&NUMBERED, deep, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for &(filter, matched) in rows {
            client.subscribe(filter, QoS::AtMostOnce).await;
            for name in names {
                publisher.send_message(&Message::new(name, b"")).await;
            }
            publisher.ping().await;
            let came = client.all_that_comes().await;
            let came: Vec<_> = came.iter().map(|publish| &*publish.topic).collect();
            assert_eq!(came, matched, "filter {filter:?}");
            client.unsubscribe_from(1, &[filter]).await;
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.7.1-2] [MQTT-4.7.1-3]
/// MQTT 5.0: [MQTT-4.7.1-1] [MQTT-4.7.1-2]
#[tokio::test]
async fn wildcards_fill_whole_levels_from_the_first_to_the_last() {
    let names = [
        "sport",
        "sport/",
        "sport/tennis",
        "sport/tennis/player1",
        "sport/tennis/player1/ranking",
        "sport//player1",
        "sports",
        "/sport",
        "/",
        "//",
        "tennis/sport",
        " ",
    ];
    check(
        &names,
        &[
            ("#", &names),
            (
                "sport/#",
                &[
                    // The parent, too.
                    "sport",
                    "sport/",
                    "sport/tennis",
                    "sport/tennis/player1",
                    "sport/tennis/player1/ranking",
                    "sport//player1",
                ],
            ),
            (
                "sport/tennis/player1/#",
                &["sport/tennis/player1", "sport/tennis/player1/ranking"],
            ),
            ("sport/+", &["sport/", "sport/tennis"]),
            (
                "sport/+/player1",
                &["sport/tennis/player1", "sport//player1"],
            ),
            ("sport//player1", &["sport//player1"]),
            ("sport/+/+", &["sport/tennis/player1", "sport//player1"]),
            ("+", &["sport", "sports", " "]),
            (
                "+/+",
                &["sport/", "sport/tennis", "/sport", "/", "tennis/sport"],
            ),
            ("/+", &["/sport", "/"]),
            ("+/", &["sport/", "/"]),
            ("/", &["/"]),
            ("//", &["//"]),
            ("/#", &["/sport", "/", "//"]),
            ("//#", &["/", "//"]),
            ("+/sport", &["/sport", "tennis/sport"]),
            (
                "+/tennis/#",
                &[
                    "sport/tennis",
                    "sport/tennis/player1",
                    "sport/tennis/player1/ranking",
                ],
            ),
            (
                "+/+/#",
                &[
                    "sport/",
                    "sport/tennis",
                    "sport/tennis/player1",
                    "sport/tennis/player1/ranking",
                    "sport//player1",
                    "/sport",
                    "/",
                    "//",
                    "tennis/sport",
                ],
            ),
            ("sport", &["sport"]),
            ("sport/", &["sport/"]),
            (" ", &[" "]),
            ("+/+/+/+/+", &[]),
        ],
    )
    .await;
}

/// MQTT 3.1.1: [MQTT-4.7.2-1]
/// MQTT 5.0: [MQTT-4.7.2-1]
#[tokio::test]
async fn wildcards_at_the_start_of_a_filter_do_not_match_a_dollar_at_the_start_of_a_topic() {
    let names = [
        "$own", "$own/a", "$own/a/b", "$", "a", "a/$own", "a/$", "/$own",
    ];
    check(
        &names,
        &[
            ("#", &["a", "a/$own", "a/$", "/$own"]),
            ("+", &["a"]),
            ("+/#", &["a", "a/$own", "a/$", "/$own"]),
            ("+/a", &[]),
            ("+/a/#", &[]),
            ("+/+", &["a/$own", "a/$", "/$own"]),
            ("+/$own", &["a/$own", "/$own"]),
            // Further behind wildcards match what they always match.
            ("$own/#", &["$own", "$own/a", "$own/a/b"]),
            ("$own/+", &["$own/a"]),
            ("$own/+/b", &["$own/a/b"]),
            ("$own/a", &["$own/a"]),
            ("$", &["$"]),
            ("$/#", &["$"]),
            ("a/#", &["a", "a/$own", "a/$"]),
            ("a/+", &["a/$own", "a/$"]),
        ],
    )
    .await;
}

/// MQTT 3.1.1: [MQTT-4.7.2-1]
/// MQTT 5.0: [MQTT-4.7.2-1]
#[tokio::test]
async fn retained_messages_of_dollar_topics_are_kept_from_the_same_filters() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for topic in ["$own/a", "own/a"] {
            let message = Message::new(topic, b"retained").retain();
            publisher.publish_whole(&message).await;
        }
        let mut client = Client::connect(server, version, "client").await;
        for (filter, topic) in [
            ("#", "own/a"),
            ("+/a", "own/a"),
            ("+/#", "own/a"),
            ("$own/#", "$own/a"),
            ("$own/+", "$own/a"),
        ] {
            client.subscribe(filter, QoS::AtMostOnce).await;
            client
                .expect_publish(topic, b"retained", QoS::AtMostOnce)
                .await;
            client.nothing_comes().await;
        }
    })
    .await;
}

/// Texts that mean or look the same are different filters and topics, and arrive as they were sent.
///
/// MQTT 3.1.1: [MQTT-4.7.3-4]
/// MQTT 5.0: [MQTT-4.7.3-4]
#[tokio::test]
async fn matching_compares_characters_and_changes_none() {
    const NAMES: [&str; 18] = [
        "caf\u{e9}",
        "cafe\u{301}",
        "CAFE",
        "cafe",
        // Ligature fi, and its letters; Angstrom, and A with ring.
        "\u{fb01}",
        "fi",
        "\u{212b}",
        "\u{c5}",
        // Invisible ones, at either end.
        "\u{feff}a",
        "a\u{feff}",
        "a",
        "a\u{200b}",
        "a ",
        // Noncharacters, a control character and one of private use, a replacement character.
        "a\u{e000}",
        "a\u{fffd}",
        "a\u{10ffff}",
        "a\u{7f}",
        // Not a separator.
        "a\\b",
    ];
    let rows = NAMES
        .each_ref()
        .map(|name| (*name, core::slice::from_ref(name)));
    check(&NAMES, &rows).await;
    let nested: [&str; 4] = [
        "\u{feff}/caf\u{e9}",
        "/caf\u{e9}",
        "\u{feff}/cafe\u{301}",
        "a/cafe",
    ];
    check(
        &nested,
        &[
            ("+/caf\u{e9}", &["\u{feff}/caf\u{e9}", "/caf\u{e9}"]),
            ("+/cafe\u{301}", &["\u{feff}/cafe\u{301}"]),
            (
                "\u{feff}/#",
                &["\u{feff}/caf\u{e9}", "\u{feff}/cafe\u{301}"],
            ),
            ("/#", &["/caf\u{e9}"]),
        ],
    )
    .await;
}

/// MQTT 3.1.1: [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1]
/// MQTT 5.0: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]
#[tokio::test]
async fn filters_with_wildcards_in_the_wrong_place_and_empty_ones_end_the_connection() {
    let invalid = [
        "",
        "sport#",
        "#sport",
        "sport/#/ranking",
        "#/",
        "#/#",
        "##",
        "+#",
        "#+",
        "sport/tennis#",
        "sport+",
        "+sport",
        "sport/+tennis",
        "sport/tennis+/a",
        "++",
        "+/#/+",
        "a/#b",
        "sport/##",
    ];
    each(&NUMBERED, async |server, version| {
        for filter in invalid {
            let lasting = Hello::new(version, "client").persistent(100);
            let mut client = lasting.connect(server).await;
            let filters = [
                ("good", options(QoS::AtMostOnce)),
                (filter, options(QoS::AtMostOnce)),
            ];
            client.send_subscribe(1, &filters, &[]).await;
            client
                .assert_disconnected(ReasonCode::MalformedPacket)
                .await;
            // Not even the good one was granted.
            assert_eq!(server.sizes().subscriptions, 0, "{filter:?}");
            let mut client = lasting.resume().connect(server).await;
            client.send_unsubscribe(1, &["good", filter], &[]).await;
            client
                .assert_disconnected(ReasonCode::MalformedPacket)
                .await;
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.7.1-1]
/// MQTT 5.0: [MQTT-4.7.0-1]
#[tokio::test]
async fn a_topic_name_with_a_wildcard_ends_the_connection_and_reaches_nobody() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let filters = ["#", "a/#", "+", "a/+"].map(|filter| (filter, options(QoS::AtMostOnce)));
        client.subscribe_to(1, &filters, &[]).await;
        for name in [
            "#", "+", "a/#", "a/+", "a/+/b", "a#", "a+", "+a", "#/a", "$a/#",
        ] {
            let messages = [
                Message::new(name, b""),
                Message::new(name, b"").qos1(1),
                Message::new(name, b"kept").qos2(1).retain(),
            ];
            for message in messages {
                let mut publisher = Client::connect(server, version, "publisher").await;
                publisher.send_message(&message).await;
                publisher
                    .assert_disconnected(ReasonCode::MalformedPacket)
                    .await;
            }
            // In a will it is one, too.
            let will = WillMessage::new(name, b"will");
            let hello = Hello::new(version, "publisher").will(will);
            if version.is_v5() {
                let connack = hello.refused(server).await;
                assert_eq!(connack.reason_code, ReasonCode::MalformedPacket);
            } else {
                let mut publisher = Client::open(server, version).await;
                publisher.send(hello.packet()).await;
                publisher.assert_closed().await;
            }
        }
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.7.3-3]
/// MQTT 5.0: [MQTT-4.7.3-3]
#[tokio::test]
async fn names_and_filters_of_65535_bytes_are_whole() {
    // Of three bytes each, so that a limit in characters would show.
    let flat = "\u{20ac}".repeat(21_845);
    assert_eq!(flat.len(), 65_535);
    let nearly = format!("{}x", &flat[..65_532]);
    // As many levels as there can be: all empty.
    let deep = "/".repeat(65_535);
    let long = format!("a/{}", "b".repeat(65_533));
    let wild = format!("{}/+", "c".repeat(65_533));
    let longest = [&*flat, &*deep, &*long, &*wild].map(str::len);
    assert_eq!(longest, [65_535; 4]);
    let allow = || {
        Server::builder().broker(|options| {
            options.max_topic_bytes = 65_535;
            options.max_topic_levels = 65_536;
        })
    };
    each_with(&NUMBERED, allow, async |server, version: Version| {
        let mut client = Client::connect(server, version, "client").await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let names = [&*flat, &*nearly, &*deep, &*long];
        for (filter, matched) in [
            (&*flat, vec![&*flat]),
            ("+", vec![&*flat, &*nearly]),
            (&*deep, vec![&*deep]),
            ("/#", vec![&*deep]),
            (&*long, vec![&*long]),
            ("a/+", vec![&*long]),
            (&*wild, vec![]),
        ] {
            client.subscribe(filter, QoS::AtMostOnce).await;
            for name in names {
                publisher.send_message(&Message::new(name, b"")).await;
            }
            publisher.ping().await;
            let came = client.all_that_comes().await;
            assert!(came.iter().map(|one| &*one.topic).eq(matched));
            let unsuback = client.unsubscribe_from(1, &[filter]).await;
            if version.is_v5() {
                assert_eq!(unsuback.reason_codes, [ReasonCode::Success]);
            }
        }
    })
    .await;
}
