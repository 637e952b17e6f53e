//! A message from its publisher to its subscribers, at each quality of service.

use broker_core::{CloseCause, Violation};
use mqtt_codec::{
    OwnedPacket, Packet, PacketId, PropertiesBuf, Property, PubRec, Publish, ReasonCode,
};

use crate::harness::*;

#[test]
fn a_message_at_qos_0_reaches_who_subscribed_and_nobody_else() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a/+", 0);
    let other = net.connect("other");
    other.subscribe("b/+", 2);
    net.connect("publisher").publish(qos0("a/b", "hello"));
    let publish = subscriber.expect(0, "a/b", "hello");
    assert!(!publish.dup, "[MQTT-3.3.1-2]");
    assert!(!publish.retain, "[MQTT-3.3.1-12]");
    subscriber.expect_nothing();
    other.expect_nothing();
}

/// [MQTT-4.3.2-2] [MQTT-4.3.2-4]
#[test]
fn a_message_at_qos_1_is_acknowledged_on_either_side() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 1);
    let publisher = net.connect("publisher");
    assert_eq!(publisher.publish(qos1("a", "hello")), ReasonCode::Success);
    let publish = subscriber.expect(1, "a", "hello");
    assert!(!publish.dup);
    subscriber.expect_nothing();
}

/// [MQTT-4.3.3-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11]
#[test]
fn a_message_at_qos_2_takes_four_packets_on_either_side() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect("publisher");

    let id = publisher
        .send_publish(qos2("a", "hello"))
        .expect("it has one");
    assert_eq!(publisher.expect_pubrec(id), ReasonCode::Success);
    // The broker owns the message by then and delivers it.
    let delivery = subscriber.expect_unacknowledged(2, "a", "hello");
    publisher.pubrel(id);
    assert_eq!(publisher.expect_pubcomp(id), ReasonCode::Success);

    let id = delivery.packet_id.expect("it has one");
    subscriber.expect_nothing();
    subscriber.pubrec(id);
    subscriber.expect_pubrel(id);
    subscriber.pubcomp(id);
    subscriber.expect_nothing();
}

/// [MQTT-4.3.3-10]
#[test]
fn a_message_at_qos_2_that_is_sent_again_is_delivered_once() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect("publisher");
    let id = publisher
        .send_publish(qos2("a", "hello"))
        .expect("it has one");
    publisher.expect_pubrec(id);
    let again = Publish {
        packet_id: Some(id),
        dup: true,
        ..qos2("a", "hello")
    };
    publisher.send(Packet::Publish(again));
    publisher.expect_pubrec(id);
    subscriber.expect(2, "a", "hello");
    subscriber.expect_nothing();
    publisher.pubrel(id);
    publisher.expect_pubcomp(id);
}

/// [MQTT-4.3.3-12]
#[test]
fn after_pubrel_the_same_identifier_means_a_new_message() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for payload in ["first", "second"] {
        let id = harness_id(7);
        let publish = Publish {
            packet_id: Some(id),
            ..qos2("a", payload)
        };
        publisher.send(Packet::Publish(publish));
        publisher.expect_pubrec(id);
        publisher.pubrel(id);
        publisher.expect_pubcomp(id);
        subscriber.expect(2, "a", payload);
    }
}

#[test]
fn pubrel_for_an_unknown_identifier_is_answered_with_its_reason() {
    let net = Net::new();
    let client = net.connect_v5("client");
    client.pubrel(harness_id(9));
    let reason = client.expect_pubcomp(harness_id(9));
    assert_eq!(reason, ReasonCode::PacketIdentifierNotFound);
    client.expect_nothing();
}

#[test]
fn pubrec_for_an_unknown_identifier_is_answered_with_its_reason() {
    let net = Net::new();
    let client = net.connect_v5("client");
    client.pubrec(harness_id(9));
    let reason = client.expect_pubrel(harness_id(9));
    assert_eq!(reason, ReasonCode::PacketIdentifierNotFound);
    // One that refuses what we do not know needs no answer.
    let refusal = PubRec {
        reason_code: ReasonCode::PacketIdentifierInUse,
        ..PubRec::new(harness_id(9))
    };
    client.send(Packet::PubRec(refusal));
    client.expect_nothing();
}

/// [MQTT-4.4.0-2]
#[test]
fn a_receiver_that_refuses_a_message_at_qos_2_is_done_with_it() {
    let net = Net::new();
    let subscriber = net.dial("subscriber").expiry(100).connect();
    subscriber.subscribe("a", 2);
    net.connect("publisher").publish(qos2("a", "hello"));
    let id = subscriber
        .expect_unacknowledged(2, "a", "hello")
        .packet_id
        .expect("it has one");
    let refusal = PubRec {
        reason_code: ReasonCode::QuotaExceeded,
        ..PubRec::new(id)
    };
    subscriber.send(Packet::PubRec(refusal));
    subscriber.expect_nothing();
    subscriber.lose();
    let subscriber = net.dial("subscriber").expiry(100).resuming().connect();
    subscriber.expect_nothing();
}

#[test]
fn acknowledgements_for_nothing_change_nothing() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    net.connect("publisher").publish(qos2("a", "hello"));
    let id = subscriber
        .expect_unacknowledged(2, "a", "hello")
        .packet_id
        .expect("it has one");
    subscriber.puback(harness_id(400));
    subscriber.pubcomp(harness_id(400));
    subscriber.expect_nothing();
    subscriber.pubrec(id);
    subscriber.expect_pubrel(id);
    // Twice the same PUBREC: twice the same PUBREL.
    subscriber.pubrec(id);
    subscriber.expect_pubrel(id);
    subscriber.pubcomp(id);
    subscriber.pubcomp(id);
    subscriber.expect_nothing();
}

/// Section 4.8 of MQTT 3.1.1, 4.13 of MQTT 5.0. Without it the message would wait for ever for what it
/// lacks, and the place that it has in the window would be lost.
#[test]
fn an_acknowledgement_that_does_not_belong_to_its_message_closes_the_connection() {
    type Acknowledge = fn(&Client, PacketId);
    let wrong: [(u8, Acknowledge); 5] = [
        (1, |client, id| client.pubrec(id)),
        (1, |client, id| client.pubcomp(id)),
        (2, |client, id| client.puback(id)),
        (2, |client, id| client.pubcomp(id)),
        (2, |client, id| {
            client.pubrec(id);
            client.expect_pubrel(id);
            client.puback(id);
        }),
    ];
    type With = fn(Dial) -> Dial;
    let versions: [With; 3] = [
        |dial| dial.v31().resuming(),
        |dial| dial.resuming(),
        |dial| dial.expiry(100).resuming(),
    ];
    for (case, (qos, acknowledge)) in wrong.into_iter().enumerate() {
        for with in versions {
            let net = Net::new();
            let subscriber = with(net.dial("subscriber")).connect();
            subscriber.subscribe("a", qos);
            let publish = if qos == 1 { qos1 } else { qos2 };
            net.connect("publisher").publish(publish("a", "hello"));
            let first = subscriber.expect_unacknowledged(qos, "a", "hello");
            let id = first.packet_id.expect("it has one");
            acknowledge(&subscriber, id);
            if let Some(packet) = subscriber.try_next() {
                let OwnedPacket::Disconnect(disconnect) = packet else {
                    panic!("DISCONNECT comes, not {packet:?}");
                };
                assert_eq!(disconnect.reason_code, ReasonCode::ProtocolError);
            }
            subscriber.expect_closed(CloseCause::Protocol(Violation::OutOfOrder));
            // Nothing was completed by it.
            let subscriber = with(net.dial("subscriber")).connect();
            if case == 4 {
                subscriber.expect_pubrel(id);
                subscriber.pubcomp(id);
            } else {
                assert!(subscriber.expect(qos, "a", "hello").dup);
            }
            subscriber.expect_nothing();
        }
    }
}

/// [MQTT-3.8.4-8]
#[test]
fn a_delivery_has_the_lower_of_the_two_qualities() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    let publisher = net.connect("publisher");
    for granted in 0..=2 {
        subscriber.subscribe("a", granted);
        for (published, publish) in [
            (0, qos0("a", "x")),
            (1, qos1("a", "x")),
            (2, qos2("a", "x")),
        ] {
            publisher.publish(publish);
            subscriber.expect(granted.min(published), "a", "x");
        }
    }
}

/// [MQTT-4.6.0-5]
#[test]
fn messages_of_one_publisher_on_one_topic_arrive_in_order() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 2);
    let publisher = net.connect("publisher");
    let payloads: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for payload in &payloads {
        publisher.publish(qos1("a", payload));
    }
    for payload in &payloads {
        subscriber.expect(1, "a", payload);
    }
}

/// [MQTT-3.3.1-3]
#[test]
fn a_publishers_dup_flag_is_not_passed_on() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 1);
    let publisher = net.connect("publisher");
    publisher.publish(Publish {
        dup: true,
        ..qos1("a", "hello")
    });
    assert!(!subscriber.expect(1, "a", "hello").dup);
}

#[test]
fn a_client_gets_what_it_published_itself() {
    let net = Net::new();
    let client = net.connect("client");
    client.subscribe("a", 1);
    client.publish(qos1("a", "hello"));
    client.expect(1, "a", "hello");
    client.expect_nothing();
}

/// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18]
/// [MQTT-3.3.2-20]
#[test]
fn properties_travel_to_mqtt_5_subscribers_and_stay_behind_for_others() {
    let net = Net::new();
    let new = net.connect_v5("new");
    new.subscribe("a", 1);
    let old = net.connect("old");
    old.subscribe("a", 1);
    let mut properties = PropertiesBuf::new();
    for property in [
        Property::PayloadFormatIndicator(mqtt_codec::PayloadFormat::Utf8),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answers"),
        Property::CorrelationData(b"\x00\x01"),
        Property::UserProperty("k", "2"),
        Property::UserProperty("k", "1"),
    ] {
        properties.push(property).expect("a property of PUBLISH");
    }
    let publish = Publish {
        properties: properties.as_properties(),
        ..qos1("a", "hello")
    };
    net.connect_v5("publisher").publish(publish);
    let received = new.expect(1, "a", "hello");
    assert_eq!(received.properties, properties);
    assert!(old.expect(1, "a", "hello").properties.is_empty());
}

#[test]
fn a_large_payload_arrives_whole_at_every_quality() {
    let net = Net::new();
    let large = "0123456789abcdef".repeat(10_000);
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let other = net.dial("other").expiry(10).connect();
    other.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for (qos, publish) in [
        (0, qos0("a", &large)),
        (1, qos1("a", &large)),
        (2, qos2("a", &large)),
    ] {
        publisher.publish(publish);
        publisher.publish(qos0("a", "between"));
        for receiver in [&subscriber, &other] {
            receiver.expect_unacknowledged(qos, "a", &large);
            receiver.expect(0, "a", "between");
        }
    }
}

#[test]
fn a_publisher_with_mqtt_5_is_told_that_nobody_listens() {
    let net = Net::new();
    let publisher = net.connect_v5("publisher");
    assert_eq!(
        publisher.publish(qos1("a", "x")),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(
        publisher.publish(qos2("a", "x")),
        ReasonCode::NoMatchingSubscribers
    );
    net.connect("subscriber").subscribe("a", 0);
    assert_eq!(publisher.publish(qos1("a", "x")), ReasonCode::Success);
}

#[test]
fn clients_cannot_publish_in_the_brokers_own_topics() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("$SYS/#", 1);
    let publisher = net.connect_v5("publisher");
    assert_eq!(
        publisher.publish(qos1("$SYS/x", "x")),
        ReasonCode::NotAuthorized
    );
    assert_eq!(
        publisher.publish(qos2("$SYS/x", "x")),
        ReasonCode::NotAuthorized
    );
    // The refusal has freed the identifier: the next message under it is a new one.
    publisher.publish(qos0("$SYS", "x"));
    net.connect("old").publish(retained(qos2("$SYS/x", "x")));
    subscriber.expect_nothing();
    assert_eq!(net.broker().sizes().retained_messages, 0);
}

#[test]
fn the_broker_itself_can_publish_anything() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("$SYS/#", 1);
    net.broker_publishes(broker_core::MessageParts {
        topic: "$SYS/uptime",
        properties: &[],
        payload: b"1",
        qos: mqtt_codec::QoS::AtLeastOnce,
        retain: true,
        expires: broker_core::Timestamp::MAX,
    });
    subscriber.expect(0, "$SYS/uptime", "1");
    let late = net.connect("late");
    late.subscribe("$SYS/uptime", 0);
    late.expect(0, "$SYS/uptime", "1");
}

#[test]
fn a_topic_that_is_published_to_again_and_again_follows_its_subscriptions() {
    let net = Net::new();
    let first = net.connect("first");
    let second = net.connect("second");
    first.subscribe("a/b", 0);
    let publisher = net.connect("publisher");
    let publish = |payload: &str| {
        // More often than it takes for the receivers to be remembered.
        for _ in 0..4 {
            publisher.publish(qos0("a/b", payload));
        }
    };
    let expect = |client: &Client, payload: &str| {
        (0..4).for_each(|_| drop(client.expect(0, "a/b", payload)));
        client.expect_nothing();
    };
    publish("1");
    expect(&first, "1");
    second.subscribe("a/#", 0);
    publish("2");
    expect(&first, "2");
    expect(&second, "2");
    first.unsubscribe("a/b");
    publish("3");
    first.expect_nothing();
    expect(&second, "3");
    second.lose();
    publish("4");
    let third = net.connect("third");
    third.subscribe("+/+", 0);
    publish("5");
    expect(&third, "5");
    third.subscribe("#", 0);
    third.unsubscribe("+/+");
    publish("6");
    expect(&third, "6");
}

#[test]
fn what_a_client_sends_behind_its_own_disconnect_is_ignored() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 0);
    let publisher = net.connect("publisher");
    publisher.send_raw(b"\xE0\x00\x30\x04\x00\x01ax");
    assert!(publisher.closed().is_some());
    assert_eq!(publisher.try_next(), None::<OwnedPacket>);
    subscriber.expect_nothing();
}

fn harness_id(value: u16) -> mqtt_codec::PacketId {
    crate::harness::client::id(value)
}
