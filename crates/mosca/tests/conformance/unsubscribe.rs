//! Sections 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK.

use mosca::{Server, ServerBuilder};
use mqtt_codec::{Packet, Property, QoS, ReasonCode, Version};

use crate::harness::{Client, Hello, Message, NUMBERED, each, each_with, id, options};

/// Formed as a filter should be, with more levels than [`with_few_levels`] takes.
const REFUSED: &str = "1/2/3/4/5/6";

fn with_few_levels() -> ServerBuilder {
    Server::builder().broker(|options| options.max_topic_levels = 5)
}

/// Table 3-9 of MQTT 5.0.
const CODES: [u8; 7] = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];

async fn subscribe_all(client: &mut Client, filters: &[&str], qos: QoS) {
    let wanted: Vec<_> = filters.iter().map(|one| (*one, options(qos))).collect();
    let suback = client.subscribe_to(1, &wanted, &[]).await;
    let granted = vec![ReasonCode::granted(qos); filters.len()];
    assert_eq!(suback.reason_codes, granted);
}

/// MQTT 3.1.1: [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.3.1-7]
/// MQTT 5.0: [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT-2.2.1-6]
#[tokio::test]
async fn unsuback_has_the_packet_identifier_and_in_mqtt_5_a_code_for_each_filter_in_order() {
    each_with(&NUMBERED, with_few_levels, async |server, version| {
        // Without words in MQTT 5, so that the bytes are known.
        let mut hello = Hello::new(version, "client");
        if version.is_v5() {
            hello = hello.property(Property::RequestProblemInformation(false));
        }
        let mut client = hello.connect(server).await;
        subscribe_all(&mut client, &["a", "b/+", "c/#", "d"], QoS::AtMostOnce).await;
        const REMOVED: u8 = 0x00;
        const ABSENT: u8 = 0x11;
        const INVALID: u8 = 0x8F;
        let requests: [(u16, &[(&str, u8)]); 5] = [
            (65_535, &[("x", ABSENT)]),
            (0x0102, &[("a", REMOVED), ("x", ABSENT), (REFUSED, INVALID)]),
            // They are gone, or have never been there.
            (3, &[("a", ABSENT), ("b/x", ABSENT), ("c/+", ABSENT)]),
            (4, &[(REFUSED, INVALID), ("c/#", REMOVED), ("b/+", REMOVED)]),
            (3, &[("d", REMOVED)]),
        ];
        for (packet_id, filters) in requests {
            let names: Vec<_> = filters.iter().map(|(filter, _)| *filter).collect();
            client.send_unsubscribe(packet_id, &names, &[]).await;
            let mut unsuback = vec![0xB0, 2];
            unsuback.extend(packet_id.to_be_bytes());
            if version.is_v5() {
                unsuback[1] += 1 + u8::try_from(filters.len()).unwrap();
                unsuback.push(0);
                assert!(filters.iter().all(|(_, code)| CODES.contains(code)));
                unsuback.extend(filters.iter().map(|(_, code)| code));
            }
            client.expect_bytes(&unsuback).await;
            client.nothing_comes().await;
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.10.4-1]
/// MQTT 5.0: [MQTT-3.10.4-1]
#[tokio::test]
async fn only_a_filter_of_the_same_characters_is_removed() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        // Each with a topic that matches it and none of the others.
        let held = [
            ("a/b", "a/b"),
            ("+/c", "x/c"),
            ("d/#", "d/e/f"),
            ("/g", "/g"),
            ("caf\u{e9}", "caf\u{e9}"),
            ("H", "H"),
        ];
        let filters = held.map(|(filter, _)| filter);
        subscribe_all(&mut client, &filters, QoS::AtMostOnce).await;
        // All of these match what some of those match, or look or mean the same.
        let others = [
            "#",
            "+/b",
            "a/+",
            "a/#",
            "+",
            "+/+",
            "x/c",
            "d",
            "d/e/f",
            "d/+",
            "g",
            "/+",
            "/g/",
            "//g",
            "cafe\u{301}",
            "caf\u{c9}",
            "h",
            "A/B",
            "a/b/",
            "a/b/#",
            " a/b",
            "a",
            "\u{feff}H",
            "H\u{200d}",
        ];
        for other in others {
            let unsuback = client.unsubscribe_from(2, &[other]).await;
            if version.is_v5() {
                assert_eq!(
                    unsuback.reason_codes,
                    [ReasonCode::NoSubscriptionExisted],
                    "{other}"
                );
            }
        }
        for (filter, _) in held {
            for (_, topic) in held {
                publisher.send_message(&Message::new(topic, b"")).await;
            }
            publisher.ping().await;
            let from = held.iter().position(|one| one.0 == filter).unwrap();
            // Those that are left, each once.
            let left: Vec<_> = held.iter().skip(from).map(|one| one.1).collect();
            let came = client.all_that_comes().await;
            let topics: Vec<_> = came.iter().map(|one| &*one.topic).collect();
            assert_eq!(topics, left);
            let unsuback = client.unsubscribe_from(3, &[filter]).await;
            if version.is_v5() {
                assert_eq!(unsuback.reason_codes, [ReasonCode::Success], "{filter}");
            }
        }
        for (_, topic) in held {
            publisher.publish_whole(&Message::new(topic, b"")).await;
        }
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.10.4-2]
/// MQTT 5.0: [MQTT-3.10.4-2]
#[tokio::test]
async fn nothing_is_added_for_a_filter_after_its_unsuback() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let kept = Message::new("a/kept", b"retained").qos1(1).retain();
        publisher.publish_whole(&kept).await;
        let hello = Hello::new(version, "client").persistent(100);
        let mut client = hello.connect(server).await;
        subscribe_all(&mut client, &["a/+", "b"], QoS::ExactlyOnce).await;
        let retained = client
            .take_publish("a/kept", b"retained", QoS::AtLeastOnce)
            .await;
        assert!(retained.retain);
        // The publisher's connection has used the topics before.
        for topic in ["a/1", "b"] {
            publisher
                .publish_whole(&Message::new(topic, b"").qos2(2))
                .await;
            client.take_publish(topic, b"", QoS::ExactlyOnce).await;
        }
        client.unsubscribe_from(2, &["a/+"]).await;
        let publish_to_all = async |publisher: &mut Client| {
            for topic in ["a/1", "a/kept", "b", "a/2"] {
                let messages = [
                    Message::new(topic, b"after"),
                    Message::new(topic, b"after").qos1(3),
                    Message::new(topic, b"after").qos2(4),
                ];
                for message in messages {
                    publisher.publish_whole(&message).await;
                }
            }
        };
        publish_to_all(&mut publisher).await;
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.expect_publish("b", b"after", qos).await;
        }
        client.nothing_comes().await;
        // Nor while the client is away.
        client.disconnect().await;
        let mut client = hello.connect(server).await;
        let mut pending = Vec::new();
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            // Not acknowledged above.
            let publish = client.expect_publish("b", b"after", qos).await;
            assert!(publish.dup);
            pending.push(publish);
        }
        for publish in &pending {
            client.complete(publish).await;
        }
        client.unsubscribe_from(2, &["b"]).await;
        client.disconnect().await;
        publish_to_all(&mut publisher).await;
        let mut client = hello.connect(server).await;
        client.nothing_comes().await;
        // Subscribed anew, it is a new subscription.
        client.subscribe("a/+", QoS::AtMostOnce).await;
        let retained = client
            .take_publish("a/kept", b"retained", QoS::AtMostOnce)
            .await;
        assert!(retained.retain);
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.10.4-3]
/// MQTT 5.0: [MQTT-3.10.4-3]
#[tokio::test]
async fn deliveries_begun_before_an_unsubscribe_are_finished() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let hello = Hello::new(version, "client").persistent(100);
        let mut client = hello.connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        for message in [
            Message::new("a", b"1").qos1(1),
            Message::new("a", b"2").qos2(2),
            Message::new("a", b"3").qos2(3),
            Message::new("a", b"4").qos1(4),
            Message::new("a", b"5").qos2(5),
        ] {
            publisher.publish_whole(&message).await;
        }
        let mut ids = Vec::new();
        for (payload, qos) in (b'1'..).zip([
            QoS::AtLeastOnce,
            QoS::ExactlyOnce,
            QoS::ExactlyOnce,
            QoS::AtLeastOnce,
            QoS::ExactlyOnce,
        ]) {
            let publish = client.expect_publish("a", &[payload], qos).await;
            ids.push(publish.packet_id.unwrap());
        }
        // The third is half done when the subscription goes.
        client.send_pubrec(ids[2]).await;
        client.expect_pubrel(ids[2]).await;
        client.unsubscribe_from(9, &["a"]).await;
        publisher
            .publish_whole(&Message::new("a", b"after").qos1(6))
            .await;
        // On the same connection…
        client.send_puback(ids[0]).await;
        client.send_pubrec(ids[1]).await;
        client.expect_pubrel(ids[1]).await;
        client.send_pubcomp(ids[1]).await;
        client.nothing_comes().await;
        client.disconnect().await;
        // … and on the next one: what has not been acknowledged comes again.
        let (mut client, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
        client.expect_pubrel(ids[2]).await;
        client.send_pubcomp(ids[2]).await;
        for (index, payload, qos) in [(3, b"4", QoS::AtLeastOnce), (4, b"5", QoS::ExactlyOnce)] {
            let publish = client.expect_publish("a", payload, qos).await;
            assert!(publish.dup);
            assert_eq!(publish.packet_id, Some(ids[index]));
        }
        client.send_puback(ids[3]).await;
        client.send_pubrec(ids[4]).await;
        client.expect_pubrel(ids[4]).await;
        client.send_pubcomp(ids[4]).await;
        client.nothing_comes().await;
        client.disconnect().await;
        // Then all of them are done.
        hello.connect(server).await.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.10.4-6]
/// MQTT 5.0: [MQTT-3.10.4-6]
#[tokio::test]
async fn many_filters_in_one_unsubscribe_are_handled_one_after_the_other() {
    each_with(&NUMBERED, with_few_levels, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let filters = ["a", "b", "c", "d", "e/#"];
        subscribe_all(&mut client, &filters, QoS::AtMostOnce).await;
        let unsuback = client
            .unsubscribe_from(7, &["c", "a", "c", "x", "e/+", "e/#", REFUSED, "b"])
            .await;
        if version.is_v5() {
            let (removed, absent) = (ReasonCode::Success, ReasonCode::NoSubscriptionExisted);
            let invalid = ReasonCode::TopicFilterInvalid;
            // The second "c" finds nothing any more.
            let codes = [
                removed, removed, absent, absent, absent, removed, invalid, removed,
            ];
            assert_eq!(unsuback.reason_codes, codes);
        }
        // One answer to all of them.
        client.nothing_comes().await;
        for topic in ["a", "b", "c", "d", "e", "e/f", "x"] {
            publisher.publish_whole(&Message::new(topic, b"")).await;
        }
        client.expect_publish("d", b"", QoS::AtMostOnce).await;
        client.nothing_comes().await;
    })
    .await;
}

/// The window is full of a message that nobody acknowledges.
///
/// MQTT 3.1.1: [MQTT-3.10.4-4]
/// MQTT 5.0: [MQTT-3.10.4-4]
#[tokio::test]
async fn unsuback_does_not_wait_for_acknowledgements() {
    let narrow = || Server::builder().broker(|options| options.max_inflight = 1);
    each_with(&NUMBERED, narrow, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        for number in 1..=3 {
            let message = Message::new("a", b"").qos1(number);
            publisher.publish_whole(&message).await;
        }
        client.expect_publish("a", b"", QoS::AtLeastOnce).await;
        client.unsubscribe_from(8, &["a"]).await;
        client.nothing_comes().await;
    })
    .await;
}

/// UNSUBACK comes with its words where the client has room for them, to the byte, and without them
/// where it has not. It never has a user property.
///
/// MQTT 5.0: [MQTT-3.11.2-1] [MQTT-3.11.2-2]
#[tokio::test]
async fn what_explains_an_unsuback_is_left_out_where_it_does_not_fit() {
    each_with(&[Version::V5], with_few_levels, async |server, version| {
        let filters = ["x", REFUSED];
        let mut client = Client::connect(server, version, "roomy").await;
        let explained = client.unsubscribe_from(1, &filters).await;
        let words = explained.properties.as_properties().reason_string();
        assert!(words.is_some_and(|words| !words.is_empty()));
        let mut bytes = Vec::new();
        let size = Packet::UnsubAck(explained.as_unsuback())
            .encode(version, &mut bytes)
            .unwrap();
        let size = u32::try_from(size).unwrap();
        for (maximum, is_explained) in [(size, true), (size - 1, false), (20, false)] {
            let hello = Hello::new(version, "narrow");
            let hello = hello.property(Property::MaximumPacketSize(maximum));
            let mut client = hello.connect(server).await;
            let unsuback = client.unsubscribe_from(1, &filters).await;
            assert_eq!(unsuback.packet_id, id(1));
            assert_eq!(unsuback.reason_codes, explained.reason_codes);
            let properties = unsuback.properties.as_properties();
            assert_eq!(properties.reason_string().is_some(), is_explained);
            assert_eq!(properties.user_properties().count(), 0);
            client.nothing_comes().await;
        }
    })
    .await;
}
