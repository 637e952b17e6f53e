//! Sections 3.8 and 3.9: SUBSCRIBE and SUBACK.

use mosca::{Server, ServerBuilder};
use mqtt_codec::{OwnedPublish, Packet, Property, QoS, ReasonCode, SubscriptionOptions, Version};

use crate::harness::{Client, Hello, Message, NUMBERED, each, each_with, id, options};

pub(crate) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Filters that no session may have: they are formed as they should, and have too many levels.
const REFUSED: [&str; 2] = ["1/2/3/4/5/6", "+/2/3/4/5/6/#"];

/// A server that refuses [`REFUSED`].
fn with_few_levels() -> ServerBuilder {
    Server::builder().broker(|options| options.max_topic_levels = 5)
}

/// Every code that table 3-8 of MQTT 5.0 and section 3.9.3 of 3.1.1 have.
fn is_defined(code: u8, version: Version) -> bool {
    if version.is_v5() {
        [
            0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
        ]
        .contains(&code)
    } else {
        [0x00, 0x01, 0x02, 0x80].contains(&code)
    }
}

fn payloads(publishes: &[OwnedPublish]) -> Vec<(&str, &[u8], QoS, bool)> {
    let parts = publishes.iter().map(|publish| {
        let OwnedPublish { topic, payload, .. } = publish;
        (&**topic, &payload[..], publish.qos, publish.retain)
    });
    parts.collect()
}

/// MQTT 3.1.1: [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-2.3.1-7]
/// MQTT 5.0: [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1]
/// MQTT 5.0: [MQTT-2.2.1-6]
#[tokio::test]
async fn suback_has_the_packet_identifier_and_a_code_for_each_filter_in_order() {
    each_with(&NUMBERED, with_few_levels, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let requests = [
            // None is the same backwards.
            (1, vec![("a", Some(2)), ("b", Some(0)), ("c", Some(1))]),
            (65_535, vec![(REFUSED[0], None), ("d", Some(0))]),
            (
                256,
                vec![("e", Some(1)), (REFUSED[1], None), (REFUSED[0], None)],
            ),
            (255, vec![("g", Some(2))]),
            (2, vec![(REFUSED[0], None)]),
        ];
        for (packet_id, filters) in requests {
            let wanted: Vec<_> = filters
                .iter()
                .map(|&(filter, granted)| (filter, options(QOS[granted.unwrap_or(2)])))
                .collect();
            let suback = client.subscribe_to(packet_id, &wanted, &[]).await;
            let codes = &suback.reason_codes;
            assert_eq!(codes.len(), filters.len(), "{filters:?}: {codes:?}");
            for (&(filter, granted), code) in filters.iter().zip(codes) {
                match granted {
                    Some(qos) => assert_eq!(*code, ReasonCode::granted(QOS[qos]), "{filter}"),
                    None => assert!(code.is_error(), "{filter}: {code}"),
                }
            }
            client.nothing_comes().await;
        }
        // What the codes say is so.
        for (topic, granted) in [("a", 2), ("b", 0), ("c", 1), ("d", 0), ("e", 1), ("g", 2)] {
            publisher
                .publish_whole(&Message::new(topic, b"").qos2(1))
                .await;
            client.take_publish(topic, b"", QOS[granted]).await;
        }
        for topic in ["1/2/3/4/5", "a/b"] {
            publisher.publish_whole(&Message::new(topic, b"")).await;
        }
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2]
/// MQTT 5.0: [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2]
#[tokio::test]
async fn every_refusal_has_a_code_that_suback_knows_and_a_lower_grant_is_told() {
    let strict = || {
        mosca::Server::builder().broker(|options| {
            options.max_subscriptions_per_session = 3;
            options.max_topic_bytes = 9;
            options.max_topic_levels = 3;
            options.max_qos = QoS::AtLeastOnce;
        })
    };
    each_with(&NUMBERED, strict, async |server, version| {
        // Without words in MQTT 5, so that the bytes are known.
        let mut hello = Hello::new(version, "client");
        if version.is_v5() {
            hello = hello.property(Property::RequestProblemInformation(false));
        }
        let mut client = hello.connect(server).await;
        let granted = |qos: u8| (qos, qos);
        let refused = |code| (0x80, code);
        let table = [
            ("a", QOS[2], granted(1)),
            ("nine/byte", QOS[0], granted(0)),
            ("ten//bytes", QOS[0], refused(0x8F)),
            ("a/b/c/d", QOS[0], refused(0x8F)),
            ("+/b/c/#", QOS[2], refused(0x8F)),
            ("////", QOS[0], refused(0x8F)),
            ("b", QOS[1], granted(1)),
            ("fourth", QOS[2], refused(0x97)),
            // It is there already.
            ("a", QOS[2], granted(1)),
        ];
        let filters = table.map(|(filter, qos, _)| (filter, options(qos)));
        client.send_subscribe(0x1234, &filters, &[]).await;
        let codes = table.map(|(_, _, (v3, v5))| if version.is_v5() { v5 } else { v3 });
        assert!(codes.iter().all(|code| is_defined(*code, version)));
        let mut suback = vec![0x90, 2 + 9, 0x12, 0x34];
        if version.is_v5() {
            // No properties.
            suback[1] += 1;
            suback.push(0);
        }
        suback.extend(codes);
        client.expect_bytes(&suback).await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.8.3-2]
#[tokio::test]
async fn a_server_without_wildcards_refuses_them_and_grants_the_rest() {
    let without = || Server::builder().broker(|options| options.wildcard_subscriptions = false);
    each_with(&[Version::V311], without, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let filters = ["a/#", "a/b", "+/b", "#", "a/+/b", "+"];
        let wanted = filters.map(|filter| (filter, options(QoS::ExactlyOnce)));
        let suback = client.subscribe_to(7, &wanted, &[]).await;
        let refused = ReasonCode::UnspecifiedError;
        let granted = ReasonCode::GrantedQos2;
        let expected = [refused, granted, refused, refused, refused, refused];
        assert_eq!(suback.reason_codes, expected);
        let mut publisher = Client::connect(server, version, "publisher").await;
        for topic in ["a/b", "a/c", "a", "b", "a/c/b"] {
            publisher.publish_whole(&Message::new(topic, b"")).await;
        }
        client.expect_publish("a/b", b"", QoS::AtMostOnce).await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.8.4-6]
/// MQTT 5.0: [MQTT-3.8.4-8]
#[tokio::test]
async fn messages_come_with_the_lower_of_their_qos_and_the_granted_one() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for (published, granted) in QOS.iter().flat_map(|a| QOS.map(|b| (*a, b))) {
            let name = format!("{}-{}", published.as_u8(), granted.as_u8());
            let message = |payload| {
                let message = Message::new(&name, payload);
                match published {
                    QoS::AtMostOnce => message,
                    QoS::AtLeastOnce => message.qos1(1),
                    QoS::ExactlyOnce => message.qos2(1),
                }
            };
            // One that is retained, one that comes by, and one that waits for the client.
            let kept = message(b"retained").retain();
            publisher.publish_whole(&kept).await;
            let hello = Hello::new(version, &name).persistent(100);
            let mut client = hello.connect(server).await;
            client.subscribe(&name, granted).await;
            let lower = published.min(granted);
            client.take_publish(&name, b"retained", lower).await;
            publisher.publish_whole(&message(b"at once")).await;
            client.take_publish(&name, b"at once", lower).await;
            client.disconnect().await;
            publisher.publish_whole(&message(b"later")).await;
            let mut client = hello.connect(server).await;
            // At QoS 0 there is no promise to those who are away.
            if lower > QoS::AtMostOnce {
                client.take_publish(&name, b"later", lower).await;
            }
            client.nothing_comes().await;
        }
    })
    .await;
}

/// One client asks for everything in one packet, the other in one packet after the other: both are
/// told the same, and get the same.
///
/// MQTT 3.1.1: [MQTT-3.8.4-4]
/// MQTT 5.0: [MQTT-3.8.4-5]
#[tokio::test]
async fn many_filters_in_one_packet_are_the_same_as_many_packets() {
    let small = || with_few_levels().broker(|options| options.max_subscriptions_per_session = 5);
    each_with(&NUMBERED, small, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for topic in ["a/1", "a/2", "b", "c/d"] {
            let message = Message::new(topic, b"retained").retain();
            publisher.publish_whole(&message).await;
        }
        let filters = [
            ("a/#", options(QoS::AtMostOnce)),
            ("b", options(QoS::AtMostOnce)),
            (REFUSED[0], options(QoS::AtMostOnce)),
            // Again, at another QoS, and overlapping.
            ("b", options(QoS::AtLeastOnce)),
            ("a/1", options(QoS::AtLeastOnce)),
            ("c/+", options(QoS::ExactlyOnce)),
            ("+", options(QoS::AtMostOnce)),
            // One more than the session may have.
            ("c/d", options(QoS::AtMostOnce)),
            ("a/1", options(QoS::AtMostOnce)),
        ];
        let mut together = Client::connect(server, version, "together").await;
        let mut single = Client::connect(server, version, "single").await;

        let all = together.subscribe_to(5, &filters, &[]).await;
        let came = together.all_that_comes().await;
        let mut codes = Vec::new();
        let mut came_single = Vec::new();
        for filter in filters {
            let suback = single.subscribe_to(5, &[filter], &[]).await;
            codes.extend(suback.reason_codes);
            came_single.extend(single.all_that_comes().await);
        }
        assert_eq!(all.reason_codes, codes);
        assert_eq!(codes.iter().filter(|code| code.is_error()).count(), 2);
        // A filter that comes again before its retained messages have gone out begins anew, so of
        // those that come twice to the one the other may get one copy.
        let topics = |publishes: &[OwnedPublish]| {
            let mut topics: Vec<_> = publishes.iter().map(|one| one.topic.clone()).collect();
            topics.sort_unstable();
            topics.dedup();
            topics
        };
        assert_eq!(topics(&came), ["a/1", "a/2", "b", "c/d"]);
        assert_eq!(topics(&came), topics(&came_single));

        for topic in ["a/1", "a/2", "a", "b", "c/d", "c", "c/d/e", "d"] {
            let message = Message::new(topic, topic.as_bytes()).qos2(1);
            publisher.publish_whole(&message).await;
        }
        let (came, came_single) = (
            together.all_that_comes().await,
            single.all_that_comes().await,
        );
        assert_eq!(payloads(&came), payloads(&came_single));
        let qos: Vec<_> = came.iter().map(|one| (&*one.topic, one.qos)).collect();
        let expected = [
            ("a/1", QOS[0]),
            ("a/2", QOS[0]),
            ("a", QOS[0]),
            ("b", QOS[1]),
            ("c/d", QOS[2]),
            ("c", QOS[0]),
            ("d", QOS[0]),
        ];
        assert_eq!(qos, expected);
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.8.3-3]
#[tokio::test]
async fn with_no_local_a_clients_own_messages_stay_away_and_no_others() {
    each(&[Version::V5], async |server, version| {
        let no_local = SubscriptionOptions {
            no_local: true,
            ..options(QoS::ExactlyOnce)
        };
        let hello = Hello::new(version, "client").persistent(100);
        let mut client = hello.connect(server).await;
        let mut other = Client::connect(server, version, "other").await;
        client.subscribe_to(1, &[("a/#", no_local)], &[]).await;
        other.subscribe_to(1, &[("a/#", no_local)], &[]).await;
        for (number, qos) in (1..).zip(QOS) {
            let message = match qos {
                QoS::AtMostOnce => Message::new("a/b", b"of the client"),
                QoS::AtLeastOnce => Message::new("a/b", b"of the client").qos1(number),
                QoS::ExactlyOnce => Message::new("a/b", b"of the client").qos2(number),
            };
            client.publish_whole(&message).await;
            other.take_publish("a/b", b"of the client", qos).await;
        }
        client.nothing_comes().await;
        other.publish_whole(&Message::new("a/b", b"of other")).await;
        client
            .expect_publish("a/b", b"of other", QoS::AtMostOnce)
            .await;
        other.nothing_comes().await;

        // The client is its client identifier, whatever connection it uses.
        client.disconnect().await;
        let mut client = hello.connect(server).await;
        client
            .publish_whole(&Message::new("a/b", b"").qos1(9))
            .await;
        other.take_publish("a/b", b"", QoS::AtLeastOnce).await;
        client.nothing_comes().await;

        // Another subscription of the same client has options of its own.
        let own = Property::SubscriptionIdentifier(5);
        let filters = [("a/+", options(QoS::AtMostOnce))];
        client.subscribe_to(2, &filters, &[own]).await;
        let message = Message::new("a/b", b"own").qos1(10);
        client.send_message(&message).await;
        let publish = client.expect_publish("a/b", b"own", QoS::AtMostOnce).await;
        let properties = publish.properties.as_properties();
        assert!(properties.subscription_identifiers().eq([5]));
        client.expect_puback(id(10)).await;
        client.nothing_comes().await;
    })
    .await;
}

/// SUBACK comes with its words where the client has room for them, to the byte, and without them
/// where it has not. It never has a user property.
///
/// MQTT 5.0: [MQTT-3.9.2-1] [MQTT-3.9.2-2]
#[tokio::test]
async fn what_explains_a_suback_is_left_out_where_it_does_not_fit() {
    each_with(&[Version::V5], with_few_levels, async |server, version| {
        let filters = [
            ("a", options(QoS::AtMostOnce)),
            (REFUSED[0], options(QOS[1])),
        ];
        let mut client = Client::connect(server, version, "roomy").await;
        let explained = client.subscribe_to(1, &filters, &[]).await;
        let words = explained.properties.as_properties().reason_string();
        assert!(words.is_some_and(|words| !words.is_empty()));
        let mut bytes = Vec::new();
        let size = Packet::SubAck(explained.as_suback())
            .encode(version, &mut bytes)
            .unwrap();
        let size = u32::try_from(size).unwrap();
        for (maximum, is_explained) in [(size, true), (size - 1, false), (20, false)] {
            let hello = Hello::new(version, "narrow");
            let hello = hello.property(Property::MaximumPacketSize(maximum));
            let mut client = hello.connect(server).await;
            let suback = client.subscribe_to(1, &filters, &[]).await;
            assert_eq!(suback.reason_codes, explained.reason_codes);
            let properties = suback.properties.as_properties();
            assert_eq!(properties.reason_string().is_some(), is_explained);
            assert_eq!(properties.user_properties().count(), 0);
            client.nothing_comes().await;
        }
    })
    .await;
}
