//! The inflight window and the queue behind it.

use broker_core::BrokerOptions;
use mqtt_codec::{OwnedPublish, PacketId, Property, ReasonCode};
use std::collections::HashSet;

use crate::harness::*;

fn with_window(max_inflight: u16) -> BrokerOptions {
    BrokerOptions {
        max_inflight,
        ..BrokerOptions::default()
    }
}

fn ids(publishes: &[OwnedPublish]) -> HashSet<PacketId> {
    publishes
        .iter()
        .map(|publish| publish.packet_id.expect("it has one"))
        .collect()
}

/// [MQTT-4.9.0-2]
#[test]
fn what_the_window_has_no_room_for_waits_and_nobody_is_disconnected() {
    for session in ["clean", "lasting"] {
        let net = Net::with(with_window(3));
        let dial = net.dial("subscriber");
        let subscriber = if session == "clean" {
            dial
        } else {
            dial.resuming()
        }
        .connect();
        subscriber.subscribe("a", 1);
        let publisher = net.connect("publisher");
        for number in 0..10 {
            publisher.publish(qos1("a", &number.to_string()));
        }
        let mut open = Vec::new();
        for number in 0..3 {
            open.push(subscriber.expect_unacknowledged(1, "a", &number.to_string()));
        }
        subscriber.expect_nothing();
        assert_eq!(ids(&open).len(), 3, "[MQTT-2.2.1-4]");
        for number in 3..10 {
            subscriber.acknowledge(&open.remove(0));
            open.push(subscriber.expect_unacknowledged(1, "a", &number.to_string()));
            subscriber.expect_nothing();
            assert_eq!(ids(&open).len(), 3, "no identifier is used twice");
        }
    }
}

/// [MQTT-3.3.4-9]
#[test]
fn a_clients_receive_maximum_narrows_the_window() {
    let net = Net::new();
    let subscriber = net
        .dial("subscriber")
        .v5()
        .property(Property::ReceiveMaximum(2))
        .connect();
    subscriber.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos2("a", payload));
    }
    let first = subscriber
        .expect_unacknowledged(2, "a", "1")
        .packet_id
        .expect("it has one");
    subscriber.expect_unacknowledged(2, "a", "2");
    subscriber.expect_nothing();
    // Only PUBCOMP gives room: until then the identifier is in use.
    subscriber.pubrec(first);
    subscriber.expect_pubrel(first);
    subscriber.expect_nothing();
    subscriber.pubcomp(first);
    subscriber.expect_unacknowledged(2, "a", "3");
    subscriber.expect_nothing();
}

/// [MQTT-4.9.0-3]
#[test]
fn a_full_window_holds_up_nothing_but_messages_at_qos_1_and_2() {
    let net = Net::with(with_window(1));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    let first = subscriber.expect_unacknowledged(1, "a", "1");
    subscriber.expect_nothing();
    publisher.publish(qos0("a", "quick"));
    subscriber.expect(0, "a", "quick");
    subscriber.ping();
    subscriber.subscribe("b", 1);
    assert_eq!(subscriber.publish(qos2("c", "x")), ReasonCode::Success);
    subscriber.acknowledge(&first);
    subscriber.expect(1, "a", "2");
}

#[test]
fn messages_may_be_acknowledged_in_any_order() {
    let net = Net::with(with_window(4));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 1);
    let publisher = net.connect("publisher");
    for number in 0..12 {
        publisher.publish(qos1("a", &number.to_string()));
    }
    let mut open: Vec<OwnedPublish> = (0..4)
        .map(|number| subscriber.expect_unacknowledged(1, "a", &number.to_string()))
        .collect();
    for (place, number) in [3, 1, 2, 0, 3, 2, 1, 0].into_iter().zip(4..12) {
        let acknowledged = open.remove(place);
        subscriber.acknowledge(&acknowledged);
        open.push(subscriber.expect_unacknowledged(1, "a", &number.to_string()));
        assert_eq!(ids(&open).len(), 4);
    }
    subscriber.expect_nothing();
}

#[test]
fn identifiers_come_round_past_one_that_is_never_acknowledged() {
    let net = Net::with(with_window(2));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "laggard"));
    let laggard = subscriber
        .expect_unacknowledged(1, "a", "laggard")
        .packet_id;
    let mut seen = HashSet::new();
    for number in 0..65_540_u32 {
        publisher.send(mqtt_codec::Packet::Publish(mqtt_codec::Publish {
            packet_id: Some(crate::harness::client::id(1)),
            ..qos1("a", "next")
        }));
        publisher.expect_puback(crate::harness::client::id(1));
        let publish = subscriber.expect(1, "a", "next");
        assert_ne!(
            publish.packet_id, laggard,
            "still in use at message {number}"
        );
        seen.insert(publish.packet_id);
    }
    assert_eq!(
        seen.len(),
        65_534,
        "all identifiers but the laggard's are used"
    );
}

#[test]
fn a_queue_that_is_full_drops_for_its_own_session_alone_and_counts() {
    let options = BrokerOptions {
        max_inflight: 1,
        max_queued_messages: 3,
        ..Default::default()
    };
    let net = Net::with(options);
    let slow = net.connect("slow");
    slow.subscribe("a", 1);
    let quick = net.connect("quick");
    quick.subscribe("a", 1);
    let publisher = net.connect("publisher");
    for number in 0..5 {
        let payload = number.to_string();
        assert_eq!(publisher.publish(qos1("a", &payload)), ReasonCode::Success);
        quick.expect(1, "a", &payload);
    }
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 2);
    for number in 0..3 {
        slow.expect(1, "a", &number.to_string());
    }
    slow.expect_nothing();
    publisher.publish(qos1("a", "after"));
    slow.expect(1, "a", "after");
}

#[test]
fn a_queue_is_limited_in_bytes_too() {
    let options = BrokerOptions {
        max_queued_bytes: 21,
        ..Default::default()
    };
    let net = Net::with(options);
    let client = net.dial("client").resuming().connect();
    client.subscribe("a", 1);
    client.lose();
    let publisher = net.connect("publisher");
    // One byte of topic each.
    for payload in ["0123456789", "012345678", "x", ""] {
        publisher.publish(qos1("a", payload));
    }
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 2);
    let client = net.dial("client").resuming().connect();
    client.expect(1, "a", "0123456789");
    client.expect(1, "a", "012345678");
    client.expect_nothing();
}

#[test]
fn a_single_message_larger_than_the_whole_queue_may_wait_alone() {
    let options = BrokerOptions {
        max_queued_bytes: 5,
        ..Default::default()
    };
    let net = Net::with(options);
    let client = net.dial("client").resuming().connect();
    client.subscribe("a", 1);
    client.lose();
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "0123456789"));
    publisher.publish(qos1("a", ""));
    let client = net.dial("client").resuming().connect();
    client.expect(1, "a", "0123456789");
    client.expect_nothing();
}

/// [MQTT-3.1.2-25]
#[test]
fn a_message_too_large_for_the_client_does_not_hold_up_those_behind_it() {
    for session in ["clean", "lasting"] {
        let net = Net::with(with_window(1));
        let mut dial = net
            .dial("client")
            .v5()
            .property(Property::MaximumPacketSize(40));
        if session == "lasting" {
            dial = dial.expiry(100);
        }
        let client = dial.connect();
        client.subscribe("a", 1);
        let publisher = net.connect("publisher");
        let large = "x".repeat(40);
        for payload in ["1", &large, &large, "2", &large, "3"] {
            assert_eq!(publisher.publish(qos1("a", payload)), ReasonCode::Success);
        }
        for payload in ["1", "2", "3"] {
            client.expect(1, "a", payload);
        }
        client.expect_nothing();
        assert_eq!(net.broker().counters().dropped_too_large.get(), 3);
        publisher.publish(qos1("a", "4"));
        client.expect(1, "a", "4");
    }
}

/// [MQTT-3.1.2-24]
#[test]
fn a_message_of_exactly_the_clients_packet_size_arrives() {
    let net = Net::new();
    // Fixed header 2, topic 3, packet identifier 2, property length 1.
    let client = net
        .dial("client")
        .v5()
        .property(Property::MaximumPacketSize(18))
        .connect();
    client.subscribe("a", 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "0123456789"));
    client.expect(1, "a", "0123456789");
    publisher.publish(qos1("a", "0123456789+"));
    publisher.publish(qos0("a", "0123456789++"));
    publisher.publish(qos0("a", "0123456789+++"));
    client.expect(0, "a", "0123456789++");
    client.expect_nothing();
    assert_eq!(net.broker().counters().dropped_too_large.get(), 2);
}

/// [MQTT-3.3.4-7]
#[test]
fn a_publisher_that_exceeds_the_receive_maximum_is_disconnected() {
    let net = Net::with(BrokerOptions {
        receive_maximum: 2,
        ..Default::default()
    });
    let publisher = net.connect_v5("publisher");
    for payload in ["1", "2"] {
        let id = publisher
            .send_publish(qos2("a", payload))
            .expect("it has one");
        publisher.expect_pubrec(id);
    }
    publisher.send_publish(qos2("a", "3"));
    publisher.expect_disconnected(ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn a_publisher_of_mqtt_3_has_never_been_told_of_a_receive_maximum() {
    let net = Net::with(BrokerOptions {
        receive_maximum: 2,
        ..Default::default()
    });
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3", "4"] {
        let id = publisher
            .send_publish(qos2("a", payload))
            .expect("it has one");
        publisher.expect_pubrec(id);
    }
    publisher.ping();
}

/// Without what is announced of topic aliases and packets CONNACK has ten bytes.
fn with_short_connack() -> BrokerOptions {
    BrokerOptions {
        topic_alias_maximum: 0,
        max_packet_size_bytes: u32::MAX,
        ..BrokerOptions::default()
    }
}

#[test]
fn a_client_that_takes_no_packet_as_large_as_connack_is_refused() {
    let net = Net::with(with_short_connack());
    let dial = |bytes| {
        net.dial("client")
            .v5()
            .property(Property::MaximumPacketSize(bytes))
    };
    assert_eq!(dial(5).refused().0, Some(ReasonCode::PacketTooLarge));
    assert_eq!(dial(4).refused().0, None);
    dial(10).connect().ping();
}

/// PUBREL needs no quota, so more of them may be under way than the receive maximum of the new
/// connection allows; messages wait until they are completed.
/// MQTT 5.0: [MQTT-3.3.4-10]
#[test]
fn more_pubrels_than_the_receive_maximum_go_out_on_a_new_connection() {
    let net = Net::new();
    let dial = net.dial("subscriber").expiry(100).resuming();
    let subscriber = dial.connect();
    subscriber.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos2("a", payload));
        let publish = subscriber.expect_unacknowledged(2, "a", payload);
        let id = publish.packet_id.expect("it has one");
        subscriber.pubrec(id);
        subscriber.expect_pubrel(id);
    }
    subscriber.lose();
    publisher.publish(qos1("a", "4"));
    let subscriber = dial.property(Property::ReceiveMaximum(1)).connect();
    for value in 1..=3 {
        subscriber.expect_pubrel(id(value));
    }
    for value in 1..=3 {
        subscriber.expect_nothing();
        subscriber.pubcomp(id(value));
    }
    subscriber.expect(1, "a", "4");
    subscriber.expect_nothing();
}
