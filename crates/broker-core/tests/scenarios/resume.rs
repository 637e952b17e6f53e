//! Sessions that outlive their connections: what waits, what is sent again, and in which order.

use std::time::Duration;

use broker_core::BrokerOptions;
use mqtt_codec::{OwnedPublish, Property, ReasonCode};

use crate::harness::*;

#[test]
fn messages_wait_for_a_client_that_is_away() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a/#", 2);
    client.lose();
    let publisher = net.connect("publisher");
    publisher.publish(qos0("a/0", "not kept"));
    publisher.publish(qos1("a/1", "one"));
    publisher.publish(qos2("a/2", "two"));
    let client = lasting.connect();
    assert!(client.connack.session_present);
    assert!(
        !client.expect(1, "a/1", "one").dup,
        "it was never sent before"
    );
    assert!(!client.expect(2, "a/2", "two").dup);
    client.expect_nothing();
    client.lose();
    lasting.connect().expect_nothing();
}

/// [MQTT-4.4.0-1] [MQTT-3.3.1-1]
#[test]
fn what_was_not_acknowledged_is_sent_again_with_dup_and_its_identifier() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "one"));
    publisher.publish(qos2("a", "two"));
    let first = [
        client.expect_unacknowledged(1, "a", "one"),
        client.expect_unacknowledged(2, "a", "two"),
    ];
    for _ in 0..3 {
        client.lose();
        let client = lasting.connect();
        let again = [
            client.expect_unacknowledged(1, "a", "one"),
            client.expect_unacknowledged(2, "a", "two"),
        ];
        for (first, again) in first.iter().zip(&again) {
            assert!(again.dup);
            assert_eq!(first.packet_id, again.packet_id);
        }
        client.expect_nothing();
    }
    let client = lasting.connect();
    client.expect(1, "a", "one");
    client.expect(2, "a", "two");
    client.lose();
    lasting.connect().expect_nothing();
}

/// MQTT 5.0: [MQTT-4.4.0-1]
#[test]
fn nothing_is_sent_again_for_as_long_as_the_connection_lasts() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "one"));
    publisher.publish(qos2("a", "two"));
    client.expect_unacknowledged(1, "a", "one");
    client.expect_unacknowledged(2, "a", "two");
    for secs in [1, 60, 3_600, 86_400] {
        net.advance(Duration::from_secs(secs));
        client.ping();
        client.expect_nothing();
    }
}

/// [MQTT-4.3.3-5] [MQTT-4.3.3-6]
#[test]
fn once_a_message_at_qos_2_was_received_only_pubrel_is_sent_again() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    net.connect("publisher").publish(qos2("a", "x"));
    let id = client
        .expect_unacknowledged(2, "a", "x")
        .packet_id
        .expect("it has one");
    client.pubrec(id);
    client.expect_pubrel(id);
    client.lose();
    let client = lasting.connect();
    client.expect_pubrel(id);
    client.expect_nothing();
    client.pubcomp(id);
    client.lose();
    lasting.connect().expect_nothing();
}

/// [MQTT-4.6.0-1]
#[test]
fn what_is_sent_again_comes_first_and_in_the_order_of_the_first_time() {
    let net = Net::with(BrokerOptions {
        max_inflight: 3,
        ..Default::default()
    });
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    let publisher = net.connect("publisher");
    for number in 0..6 {
        publisher.publish(qos1("a", &number.to_string()));
    }
    let open: Vec<OwnedPublish> = (0..3)
        .map(|number| client.expect_unacknowledged(1, "a", &number.to_string()))
        .collect();
    client.acknowledge(&open[1]);
    client.expect_unacknowledged(1, "a", "3");
    client.lose();
    publisher.publish(qos1("a", "6"));
    let client = lasting.connect();
    for (number, dup) in [
        (0, true),
        (2, true),
        (3, true),
        (4, false),
        (5, false),
        (6, false),
    ] {
        assert_eq!(
            client.expect(1, "a", &number.to_string()).dup,
            dup,
            "message {number}"
        );
    }
    client.expect_nothing();
}

/// [MQTT-4.3.3-10]
#[test]
fn a_publisher_may_complete_at_qos_2_on_another_connection() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let lasting = net.dial("publisher").resuming();
    let publisher = lasting.connect();
    let id = publisher.send_publish(qos2("a", "x")).expect("it has one");
    publisher.expect_pubrec(id);
    publisher.lose();
    let publisher = lasting.connect();
    publisher.send(mqtt_codec::Packet::Publish(mqtt_codec::Publish {
        packet_id: Some(id),
        dup: true,
        ..qos2("a", "x")
    }));
    assert_eq!(publisher.expect_pubrec(id), ReasonCode::Success);
    publisher.pubrel(id);
    publisher.expect_pubcomp(id);
    subscriber.expect(2, "a", "x");
    subscriber.expect_nothing();
}

#[test]
fn a_client_may_return_with_another_version() {
    let net = Net::new();
    let client = net.dial("client").expiry(1_000).connect();
    client.subscribe_with(
        "a",
        mqtt_codec::SubscriptionOptions::new(mqtt_codec::QoS::AtLeastOnce),
        Some(7),
    );
    net.connect("publisher").publish(qos1("a", "x"));
    client.expect_unacknowledged(1, "a", "x");
    client.lose();
    let client = net.dial("client").resuming().connect();
    assert!(client.connack.session_present);
    assert!(
        client
            .expect_unacknowledged(1, "a", "x")
            .properties
            .is_empty()
    );
    client.lose();
    let client = net.dial("client").expiry(1_000).resuming().connect();
    let publish = client.expect(1, "a", "x");
    let ids: Vec<u32> = publish
        .properties
        .as_properties()
        .subscription_identifiers()
        .collect();
    assert_eq!(ids, [7]);
}

#[test]
fn a_client_may_return_with_a_narrower_window() {
    let net = Net::new();
    let lasting = net.dial("client").expiry(1_000).resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos1("a", payload));
        client.expect_unacknowledged(1, "a", payload);
    }
    client.lose();
    let client = lasting
        .clone()
        .property(Property::ReceiveMaximum(1))
        .connect();
    for payload in ["1", "2", "3"] {
        let publish = client.expect_unacknowledged(1, "a", payload);
        assert!(publish.dup);
        client.expect_nothing();
        client.acknowledge(&publish);
    }
    client.expect_nothing();
}

#[test]
fn an_acknowledgement_from_before_the_break_is_still_good() {
    let net = Net::with(BrokerOptions {
        max_inflight: 2,
        ..Default::default()
    });
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos1("a", payload));
    }
    let first = client.expect_unacknowledged(1, "a", "1");
    client.expect_unacknowledged(1, "a", "2");
    client.lose();
    let client = lasting.connect();
    client.acknowledge(&first);
    client.expect_unacknowledged(1, "a", "1");
    client.expect(1, "a", "2");
    client.expect(1, "a", "3");
    client.expect_nothing();
}

#[test]
fn subscriptions_of_a_session_go_on_without_being_asked_for_again() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 0);
    client.lose();
    let client = lasting.connect();
    net.connect("publisher").publish(qos0("a", "x"));
    client.expect(0, "a", "x");
}
