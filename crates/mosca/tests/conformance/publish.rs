//! Section 3.3: PUBLISH, its properties and what answers it. Of its flags RETAIN has a file of its own.

use std::time::Duration;

use mqtt_codec::{OwnedPublish, PayloadFormat, Property, QoS};

use crate::harness::{Client, Hello, Message, NUMBERED, each, each_with, id, options, silent};
use crate::retain::{V5, retained};
use mqtt_codec::Version;

/// The publisher's flag says nothing about the server's delivery, in either direction.
///
/// MQTT 3.1.1: [MQTT-3.3.1-1] [MQTT-3.3.1-2] [MQTT-3.3.1-3]
/// MQTT 5.0: [MQTT-3.3.1-1] [MQTT-3.3.1-2] [MQTT-3.3.1-3]
#[tokio::test]
async fn dup_tells_whether_the_server_sends_again_and_nothing_else() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "subscriber").persistent(100);
        let mut subscriber = hello.connect(server).await;
        subscriber.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let sent = [
            (Message::new("a", b"1").qos1(1).dup(), QoS::AtLeastOnce),
            (Message::new("a", b"2").qos1(2), QoS::AtLeastOnce),
            (Message::new("a", b"3").qos2(3).dup(), QoS::ExactlyOnce),
            (Message::new("a", b"4").qos2(4), QoS::ExactlyOnce),
        ];
        for (message, _) in &sent {
            publisher.publish_whole(message).await;
        }
        publisher.publish_whole(&Message::new("a", b"0")).await;
        let first = subscriber.all_that_comes().await;
        assert_eq!(first.len(), 5);
        assert!(first.iter().all(|publish| !publish.dup), "{first:?}");
        drop(subscriber);
        let mut subscriber = hello.connect(server).await;
        for (number, (_, qos)) in (b'1'..).zip(&sent) {
            let publish = subscriber.expect_publish("a", &[number], *qos).await;
            assert!(publish.dup, "{publish:?}");
        }
        subscriber.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.3.2-3]
/// MQTT 5.0: [MQTT-3.3.2-3]
#[tokio::test]
async fn what_is_delivered_has_the_topic_that_was_published_and_matches_the_filter() {
    const TOPICS: [&str; 10] = [
        "a",
        "a/",
        "a/b",
        "a/b/c",
        "A/b",
        "/a",
        "a//c",
        "b/b",
        "a /b",
        "\u{e9}/\u{1f980}",
    ];
    let matching: [(&str, &[&str]); 8] = [
        ("a", &["a"]),
        ("a/+", &["a/", "a/b"]),
        ("a/#", &["a", "a/", "a/b", "a/b/c", "a//c"]),
        ("+/b", &["a/b", "A/b", "b/b", "a /b"]),
        ("a/+/c", &["a/b/c", "a//c"]),
        ("+", &["a"]),
        ("/+", &["/a"]),
        ("\u{e9}/+", &["\u{e9}/\u{1f980}"]),
    ];
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for (filter, expected) in &matching {
            let mut client = Client::connect(server, version, "client").await;
            client.subscribe(filter, QoS::AtMostOnce).await;
            for topic in TOPICS {
                publisher.publish(topic, topic.as_bytes()).await;
            }
            publisher.ping().await;
            let publishes = client.all_that_comes().await;
            let topics: Vec<&str> = publishes.iter().map(|publish| &*publish.topic).collect();
            assert_eq!(topics, *expected, "{filter}");
            let payload = |publish: &OwnedPublish| publish.topic.as_bytes() == &publish.payload[..];
            assert!(publishes.iter().all(payload), "{publishes:?}");
        }
    })
    .await;
}

/// At each QoS, to a client that is there, to one that comes back, and from what is retained.
///
/// MQTT 5.0: [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18]
/// MQTT 5.0: [MQTT-3.3.2-20]
#[tokio::test]
async fn properties_of_a_message_reach_every_subscriber_unaltered() {
    let sets: [&[Property<'_>]; 4] = [
        &[],
        &[
            Property::PayloadFormatIndicator(PayloadFormat::Utf8),
            Property::ContentType("text/\u{fc}ber"),
            Property::ResponseTopic("answers/\u{1f980}/here"),
            Property::CorrelationData(&[0, 1, 0xFF, 0xC3, 0x28, 0]),
            Property::UserProperty("b", "2"),
            Property::UserProperty("a", "1"),
            Property::UserProperty("b", "2"),
            Property::UserProperty("", ""),
            Property::UserProperty("b", "1"),
        ],
        &[
            Property::PayloadFormatIndicator(PayloadFormat::Bytes),
            Property::ContentType(""),
            Property::CorrelationData(&[]),
        ],
        &[Property::UserProperty("only", "one")],
    ];
    each(&V5, async |server, version| {
        let away = Hello::new(version, "away").persistent(100);
        let mut client = away.connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        client.disconnect().await;
        let mut there = Client::connect(server, version, "there").await;
        there.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for set in sets {
            let messages = [
                (Message::new("a", b"text"), QoS::AtMostOnce),
                (Message::new("a", b"text").qos1(1), QoS::AtLeastOnce),
                (Message::new("a", b"text").qos2(1), QoS::ExactlyOnce),
            ];
            for (message, qos) in messages {
                let with = |message: Message, &property| message.property(property);
                let message = set.iter().fold(message.retain(), with);
                publisher.publish_whole(&message).await;
                let publish = there.take_publish("a", b"text", qos).await;
                assert_unaltered(&publish, set);
                let mut late = Client::connect(server, version, "late").await;
                late.subscribe("a", QoS::ExactlyOnce).await;
                assert_unaltered(&late.take_publish("a", b"text", qos).await, set);
            }
        }
        let mut client = away.connect(server).await;
        for set in sets {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let publish = client.expect_publish("a", b"text", qos).await;
                assert_unaltered(&publish, set);
            }
        }
        client.nothing_comes().await;
    })
    .await;
}

/// The publisher's properties and no other; those of one name in their order.
#[track_caller]
fn assert_unaltered(publish: &OwnedPublish, sent: &[Property<'_>]) {
    let properties = publish.properties.as_properties();
    let received: Vec<_> = properties.iter().collect();
    assert_eq!(received.len(), sent.len(), "{received:?}");
    for property in sent {
        assert!(received.contains(property), "{received:?}");
    }
    let users = |property: &&Property<'_>| matches!(property, Property::UserProperty(..));
    assert!(received.iter().filter(users).eq(sent.iter().filter(users)));
}

/// MQTT 5.0: [MQTT-3.3.2-5] [MQTT-3.3.2-6]
#[tokio::test]
async fn a_message_expires_while_it_waits_and_what_is_left_of_its_interval_is_passed_on() {
    fn interval(publish: &OwnedPublish) -> Option<u32> {
        publish.properties.as_properties().message_expiry_interval()
    }
    each(&V5, async |server, version| {
        let away = Hello::new(version, "away").persistent(100);
        let mut client = away.connect(server).await;
        client.subscribe("a/#", QoS::ExactlyOnce).await;
        client.disconnect().await;
        let mut there = Client::connect(server, version, "there").await;
        there.subscribe("a/#", QoS::AtMostOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let secs = Property::MessageExpiryInterval;
        for message in [
            Message::new("a/1", b"short").qos1(1).property(secs(1)),
            Message::new("a/2", b"long").qos1(2).property(secs(100)),
            Message::new("a/3", b"short").qos2(3).property(secs(1)),
            Message::new("a/4", b"for ever").qos2(4),
            Message::new("b/1", b"short").property(secs(1)).retain(),
            Message::new("b/2", b"long").property(secs(100)).retain(),
        ] {
            publisher.publish_whole(&message).await;
        }
        // Who is there gets all of them, with intervals that have hardly been used.
        let live = there.all_that_comes().await;
        let intervals: Vec<_> = live.iter().map(interval).collect();
        let [Some(0..=1), Some(99..=100), Some(0..=1), None] = intervals[..] else {
            panic!("{intervals:?}");
        };
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let mut client = away.connect(server).await;
        let publish = client.take_publish("a/2", b"long", QoS::AtLeastOnce).await;
        let left = interval(&publish);
        assert!(matches!(left, Some(80..=99)), "{left:?}");
        let publish = client
            .take_publish("a/4", b"for ever", QoS::ExactlyOnce)
            .await;
        assert_eq!(interval(&publish), None);
        client.nothing_comes().await;
        let mut late = Client::connect(server, version, "late").await;
        late.subscribe("b/#", QoS::ExactlyOnce).await;
        let publish = late.expect_publish("b/2", b"long", QoS::AtMostOnce).await;
        let left = interval(&publish);
        assert!(matches!(left, Some(80..=99)), "{left:?}");
        late.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.3.4-1]
/// MQTT 5.0: [MQTT-3.3.4-1]
#[tokio::test]
async fn each_qos_has_its_answer() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        client.publish("nobody/hears/it", b"x").await;
        client.nothing_comes().await;
        for (topic, filter) in [("nobody/hears/it", None), ("a", Some("a"))] {
            let mut subscriber = Client::connect(server, version, "subscriber").await;
            if let Some(filter) = filter {
                subscriber.subscribe(filter, QoS::ExactlyOnce).await;
            }
            for number in [1, 0x100, 65_535] {
                let message = Message::new(topic, b"x").qos1(number);
                client.send_message(&message).await;
                client.expect_puback(id(number)).await;
                client.nothing_comes().await;
                let message = Message::new(topic, b"x").qos2(number);
                client.send_message(&message).await;
                client.expect_pubrec(id(number)).await;
                client.nothing_comes().await;
                client.send_pubrel(id(number)).await;
                client.expect_pubcomp(id(number)).await;
            }
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.3.5-1]
/// MQTT 5.0: [MQTT-3.3.4-2]
#[tokio::test]
async fn overlapping_subscriptions_deliver_at_their_highest_qos() {
    use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    let cases: [&[(&str, QoS)]; 4] = [
        &[
            ("a/#", AtMostOnce),
            ("a/+", ExactlyOnce),
            ("a/b", AtLeastOnce),
        ],
        &[("a/b", ExactlyOnce), ("#", AtMostOnce)],
        &[("+/b", AtMostOnce), ("a/b", AtLeastOnce)],
        // One that does not match does not count.
        &[("a/b", AtLeastOnce), ("a/c", ExactlyOnce)],
    ];
    each(&NUMBERED, async |server, version| {
        for filters in cases {
            let matching = filters.iter().filter(|(filter, _)| *filter != "a/c");
            let highest = matching.map(|(_, qos)| *qos).max().unwrap();
            let mut client = Client::connect(server, version, "client").await;
            for (filter, qos) in filters {
                client.subscribe(filter, *qos).await;
            }
            let mut publisher = Client::connect(server, version, "publisher").await;
            for (message, qos) in [
                (Message::new("a/b", b"x"), AtMostOnce),
                (Message::new("a/b", b"x").qos1(1), AtLeastOnce),
                (Message::new("a/b", b"x").qos2(1), ExactlyOnce),
            ] {
                publisher.publish_whole(&message).await;
                client.take_publish("a/b", b"x", qos.min(highest)).await;
                client.nothing_comes().await;
            }
        }
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.3.4-3] [MQTT-3.3.4-4]
#[tokio::test]
async fn a_message_names_the_subscriptions_that_brought_it() {
    each(&V5, async |server, version| {
        let hello = Hello::new(version, "client").persistent(100);
        let mut client = hello.connect(server).await;
        let identifier = |number| [Property::SubscriptionIdentifier(number)];
        let at = |filter| [(filter, options(QoS::ExactlyOnce))];
        client.subscribe_to(1, &at("a/#"), &identifier(7)).await;
        client
            .subscribe_to(2, &at("a/b"), &identifier(268_435_455))
            .await;
        client.subscribe_to(3, &at("+/b"), &[]).await;
        client.subscribe_to(4, &at("a/c"), &identifier(200)).await;
        client.subscribe_to(5, &at("none"), &[]).await;
        // The same identifier for two subscriptions is allowed.
        let both = [
            ("twice/+", options(QoS::AtMostOnce)),
            ("twice/x", options(QoS::AtMostOnce)),
        ];
        client.subscribe_to(6, &both, &identifier(9)).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let cases: [(&str, &[u32]); 5] = [
            ("a/b", &[7, 268_435_455]),
            ("a/c", &[7, 200]),
            ("a/d", &[7]),
            ("x/b", &[]),
            ("none", &[]),
        ];
        for (topic, expected) in cases {
            let messages = [
                (Message::new(topic, b"x"), QoS::AtMostOnce),
                (Message::new(topic, b"x").qos1(1), QoS::AtLeastOnce),
                (Message::new(topic, b"x").qos2(1), QoS::ExactlyOnce),
            ];
            for (message, qos) in messages {
                publisher.publish_whole(&message).await;
                let publish = client.take_publish(topic, b"x", qos).await;
                assert_eq!(identifiers(&publish), expected, "{topic}");
            }
        }
        publisher
            .publish_whole(&Message::new("twice/x", b"x"))
            .await;
        let publish = client.expect_publish("twice/x", b"x", QoS::AtMostOnce);
        let mut found = identifiers(&publish.await);
        found.dedup();
        assert_eq!(found, [9]);
        // A new identifier takes the place of the old one; without one there is none any more.
        client.subscribe_to(7, &at("a/b"), &identifier(1)).await;
        client.subscribe_to(8, &at("a/c"), &[]).await;
        for (topic, expected) in [("a/b", &[1, 7][..]), ("a/c", &[7])] {
            publisher.publish_whole(&Message::new(topic, b"y")).await;
            let publish = client.expect_publish(topic, b"y", QoS::AtMostOnce);
            assert_eq!(identifiers(&publish.await), expected, "{topic}");
        }
        // What waits for the client has them too.
        client.disconnect().await;
        let message = Message::new("a/b", b"z").qos1(1);
        publisher.publish_whole(&message).await;
        let mut client = hello.connect(server).await;
        let publish = client.take_publish("a/b", b"z", QoS::AtLeastOnce).await;
        assert_eq!(identifiers(&publish), [1, 7]);
    })
    .await;
}

/// A retained message is sent once for each subscription.
///
/// MQTT 5.0: [MQTT-3.3.4-3] [MQTT-3.3.4-5]
#[tokio::test]
async fn copies_for_different_subscriptions_name_one_subscription_each() {
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let kept = Message::new("a/b", b"kept").retain();
        publisher.publish_whole(&kept).await;
        let mut client = Client::connect(server, version, "client").await;
        let cases: [(&str, &[u32]); 3] = [("a/#", &[1]), ("a/b", &[2]), ("+/b", &[])];
        for (filter, expected) in cases {
            let properties: Vec<_> = expected
                .iter()
                .map(|&number| Property::SubscriptionIdentifier(number))
                .collect();
            let filters = [(filter, options(QoS::AtMostOnce))];
            client.subscribe_to(1, &filters, &properties).await;
            let publish = client.expect_publish("a/b", b"kept", QoS::AtMostOnce);
            assert_eq!(identifiers(&publish.await), expected, "{filter}");
        }
        client.nothing_comes().await;
    })
    .await;
}

/// The subscription identifiers in ascending order.
fn identifiers(publish: &OwnedPublish) -> Vec<u32> {
    let properties = publish.properties.as_properties();
    let mut identifiers: Vec<u32> = properties.subscription_identifiers().collect();
    identifiers.sort_unstable();
    identifiers
}

/// A topic that only the server may publish to: acknowledged as if it were not, and delivered to
/// nobody.
///
/// MQTT 3.1.1: [MQTT-3.3.5-2]
#[tokio::test]
async fn a_message_that_is_not_allowed_is_acknowledged_all_the_same() {
    each_with(&[Version::V311], silent, async |server, version| {
        let mut subscriber = Client::connect(server, version, "subscriber").await;
        subscriber.subscribe("$SYS/x", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for message in [
            Message::new("$SYS/x", b"x"),
            Message::new("$SYS/x", b"x").qos1(1),
            Message::new("$SYS/x", b"x").qos2(2),
        ] {
            publisher.publish_whole(&message).await;
            publisher.publish_whole(&message.retain()).await;
        }
        publisher.nothing_comes().await;
        subscriber.nothing_comes().await;
        assert_eq!(retained(server, version, "$SYS/#").await, []);
    })
    .await;
}
