//! Messages that expire.

use broker_core::BrokerOptions;
use mqtt_codec::{PropertiesBuf, Property, Publish};
use std::time::Duration;

use crate::harness::*;

fn expiring(client: &Client, secs: u32, publish: Publish<'_>) {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::MessageExpiryInterval(secs))
        .expect("in range");
    client.publish(Publish {
        properties: properties.as_properties(),
        ..publish
    });
}

fn remaining(publish: &mqtt_codec::OwnedPublish) -> Option<u32> {
    publish.properties.as_properties().message_expiry_interval()
}

/// [MQTT-3.3.2-6]
#[test]
fn the_interval_that_is_passed_on_is_what_remains() {
    let net = Net::new();
    let lasting = net.dial("client").expiry(1_000).resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    let publisher = net.connect_v5("publisher");
    expiring(&publisher, 100, qos1("a", "at once"));
    assert_eq!(remaining(&client.expect(1, "a", "at once")), Some(100));
    expiring(&publisher, 100, qos0("a", "at once"));
    assert_eq!(remaining(&client.expect(0, "a", "at once")), Some(100));
    client.lose();
    expiring(&publisher, 100, qos1("a", "later"));
    net.advance(Duration::from_secs(30));
    assert_eq!(
        remaining(&lasting.connect().expect(1, "a", "later")),
        Some(70)
    );
}

/// [MQTT-3.3.2-5]
#[test]
fn a_message_that_expired_while_it_waited_is_not_sent() {
    let net = Net::new();
    let lasting = net.dial("client").expiry(1_000).resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    client.lose();
    let publisher = net.connect_v5("publisher");
    expiring(&publisher, 10, qos1("a", "short"));
    expiring(&publisher, 100, qos2("a", "long"));
    expiring(&publisher, 10, qos2("a", "short"));
    publisher.publish(qos1("a", "for ever"));
    net.advance(Duration::from_secs(10));
    let client = lasting.connect();
    assert_eq!(remaining(&client.expect(2, "a", "long")), Some(90));
    assert_eq!(remaining(&client.expect(1, "a", "for ever")), None);
    client.expect_nothing();
    assert_eq!(net.broker().counters().dropped_expired.get(), 2);
}

#[test]
fn expired_messages_in_the_queue_do_not_hold_up_those_behind_them() {
    for lasting in [false, true] {
        let net = Net::with(BrokerOptions {
            max_inflight: 1,
            ..Default::default()
        });
        let dial = net.dial("client").v5();
        let client = if lasting { dial.expiry(100) } else { dial }.connect();
        client.subscribe("a", 1);
        let publisher = net.connect_v5("publisher");
        publisher.publish(qos1("a", "1"));
        for _ in 0..3 {
            expiring(&publisher, 10, qos1("a", "short"));
        }
        publisher.publish(qos1("a", "2"));
        let first = client.expect_unacknowledged(1, "a", "1");
        net.advance(Duration::from_secs(10));
        client.acknowledge(&first);
        client.expect(1, "a", "2");
        client.expect_nothing();
        assert_eq!(net.broker().counters().dropped_expired.get(), 3);
    }
}

/// [MQTT-4.3.3-7] [MQTT-4.3.3-13]
#[test]
fn a_message_that_was_sent_once_is_seen_through() {
    let net = Net::new();
    let lasting = net.dial("client").expiry(1_000).resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    let publisher = net.connect_v5("publisher");
    expiring(&publisher, 10, qos2("a", "x"));
    client.expect_unacknowledged(2, "a", "x");
    client.lose();
    net.advance(Duration::from_secs(20));
    let client = lasting.connect();
    assert!(client.expect(2, "a", "x").dup);
    client.expect_nothing();
}

#[test]
fn a_full_queue_makes_room_by_dropping_what_has_expired() {
    let net = Net::with(BrokerOptions {
        max_queued_messages: 2,
        ..Default::default()
    });
    let lasting = net.dial("client").expiry(1_000).resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    client.lose();
    let publisher = net.connect_v5("publisher");
    expiring(&publisher, 10, qos1("a", "short"));
    expiring(&publisher, 10, qos1("a", "short"));
    net.advance(Duration::from_secs(10));
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    let client = lasting.connect();
    client.expect(1, "a", "1");
    client.expect(1, "a", "2");
    client.expect_nothing();
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 0);
}

#[test]
fn mqtt_3_receivers_are_not_told_and_yet_spared() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    client.lose();
    let publisher = net.connect_v5("publisher");
    expiring(&publisher, 10, qos1("a", "short"));
    expiring(&publisher, 100, qos1("a", "long"));
    net.advance(Duration::from_secs(10));
    let client = lasting.connect();
    assert!(client.expect(1, "a", "long").properties.is_empty());
    client.expect_nothing();
}
