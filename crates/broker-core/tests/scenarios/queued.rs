//! What waits for a client that is away, where the owner of the broker has a say in it: QoS 0, and
//! for how long.

use broker_core::BrokerOptions;
use mqtt_codec::{PropertiesBuf, Property, Publish};
use std::time::Duration;

use crate::harness::*;

fn with_qos_0() -> BrokerOptions {
    BrokerOptions {
        queue_qos_0: true,
        ..Default::default()
    }
}

#[test]
fn qos_0_is_lost_for_a_client_that_is_away_unless_it_is_asked_for() {
    for queue_qos_0 in [false, true] {
        let net = Net::with(BrokerOptions {
            queue_qos_0,
            ..Default::default()
        });
        let lasting = net.dial("client").resuming();
        let client = lasting.connect();
        client.subscribe("a/#", 1);
        client.lose();
        let publisher = net.connect("publisher");
        publisher.publish(qos0("a", "x"));
        // Retained or not: what is retained is found by a new subscription, and does not wait.
        publisher.publish(retained(qos0("a/b", "y")));
        let client = lasting.connect();
        if queue_qos_0 {
            client.expect(0, "a", "x");
            assert!(!client.expect(0, "a/b", "y").retain);
        }
        client.expect_nothing();
        client.subscribe("a/b", 1);
        assert!(client.expect(0, "a/b", "y").retain);
    }
}

/// What was queued and what comes meanwhile.
#[test]
fn queued_qos_0_comes_in_order_and_once() {
    for max_inflight in [1, 2, 100] {
        let (net, store) = Net::with_store(BrokerOptions {
            max_inflight,
            ..with_qos_0()
        });
        let lasting = net.dial("client").resuming();
        let client = lasting.connect();
        client.subscribe("a", 1);
        client.lose();
        let publisher = net.connect("publisher");
        publisher.publish(qos0("a", "1"));
        publisher.publish(qos0("a", "2"));
        publisher.publish(qos1("a", "3"));
        publisher.publish(qos0("a", "4"));
        assert_eq!(store.queue("client").len(), 4);
        let client = lasting.connect();
        client.expect(0, "a", "1");
        client.expect(0, "a", "2");
        let third = client.expect_unacknowledged(1, "a", "3");
        if max_inflight == 1 {
            // It waits behind what waits.
            publisher.publish(qos0("a", "5"));
            client.expect_nothing();
        }
        client.acknowledge(&third);
        client.expect(0, "a", "4");
        if max_inflight > 1 {
            publisher.publish(qos0("a", "5"));
        }
        client.expect(0, "a", "5");
        client.expect_nothing();
        assert_eq!(store.queue("client"), []);
        client.lose();
        let client = lasting.connect();
        client.expect_nothing();
        publisher.publish(qos1("a", "6"));
        client.expect(1, "a", "6");
    }
}

#[test]
fn a_message_at_a_higher_qos_waits_for_a_subscription_at_qos_0() {
    let net = Net::with(with_qos_0());
    let lasting = net.dial("client").expiry(100).resuming();
    let client = lasting.connect();
    client.subscribe("a", 0);
    client.lose();
    let publisher = net.connect("publisher");
    publisher.publish(qos2("a", "x"));
    lasting.connect().expect(0, "a", "x");
}

#[test]
fn queued_qos_0_survives_a_restart_and_is_not_sent_twice() {
    let (net, store) = Net::with_store(with_qos_0());
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    client.lose();
    let publisher = net.connect("publisher");
    publisher.publish(qos0("a", "1"));
    publisher.publish(qos1("a", "2"));
    net.crash_and_restart();
    let client = lasting.connect();
    client.expect(0, "a", "1");
    let second = client.expect_unacknowledged(1, "a", "2");
    assert!(!second.dup);
    assert_eq!(store.queue("client").len(), 1);
}

/// The broker ends after it has sent a message and before the store knows: at most once is not twice.
#[test]
fn queued_qos_0_that_may_have_been_sent_is_not_sent_after_a_crash() {
    let (net, store) = Net::with_store(BrokerOptions {
        max_inflight: 1,
        ..with_qos_0()
    });
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    publisher.publish(qos0("a", "3"));
    client.expect(1, "a", "1");
    let second = client.expect_unacknowledged(1, "a", "2");
    store.set_mood(Mood::Holding);
    client.acknowledge(&second);
    // The store has to know first that it may have been sent.
    client.expect_nothing();
    store.let_go(0);
    net.run();
    client.expect(0, "a", "3");
    assert_eq!(
        store.queue("client").len(),
        1,
        "the store does not know yet"
    );
    net.crash_and_restart();
    store.set_mood(Mood::Willing);
    let client = lasting.connect();
    client.expect_nothing();
    assert_eq!(net.broker().counters().dropped_too_large.get(), 0);
    net.connect("publisher").publish(qos1("a", "4"));
    client.expect(1, "a", "4");
    assert_eq!(store.queue("client"), []);
}

#[test]
fn qos_0_does_not_wait_where_it_would_be_for_nobody() {
    let (net, store) = Net::with_store(with_qos_0());
    // A session that ends with its connection, a share, and what the broker says of itself.
    let passing = net.connect("passing");
    passing.subscribe("a", 0);
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("$share/g/a", 0);
    client.subscribe("$SYS/#", 0);
    passing.lose();
    client.lose();
    net.connect("publisher").publish(qos0("a", "x"));
    net.broker_publishes(broker_core::MessageParts {
        topic: "$SYS/a",
        properties: &[],
        payload: b"x",
        qos: mqtt_codec::QoS::AtMostOnce,
        retain: false,
        expires: broker_core::Timestamp::MAX,
    });
    assert_eq!(store.queue("client"), []);
    lasting.connect().expect_nothing();
}

#[test]
fn qos_0_counts_for_the_limits_of_the_queue() {
    let net = Net::with(BrokerOptions {
        max_queued_messages: 2,
        ..with_qos_0()
    });
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    client.lose();
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos0("a", payload));
    }
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 1);
    let client = lasting.connect();
    client.expect(0, "a", "1");
    client.expect(0, "a", "2");
    client.expect_nothing();
}

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

#[test]
fn a_message_waits_no_longer_than_the_broker_lets_it() {
    let (net, store) = Net::with_store(BrokerOptions {
        queued_message_expiry_secs: 60,
        ..with_qos_0()
    });
    let (old, new) = (
        net.dial("old").resuming(),
        net.dial("new").expiry(1_000).resuming(),
    );
    for dial in [&old, &new] {
        let client = dial.connect();
        client.subscribe("a", 2);
        client.lose();
    }
    let publisher = net.connect("publisher");
    let modern = net.connect_v5("modern");
    publisher.publish(qos1("a", "early"));
    publisher.publish(retained(qos2("a", "early and retained")));
    publisher.publish(qos0("a", "early"));
    expiring(&modern, 10, qos1("a", "of its own, shorter"));
    expiring(&modern, 1_000, qos1("a", "of its own, longer"));
    net.advance(Duration::from_secs(30));
    publisher.publish(qos1("a", "late"));
    net.advance(Duration::from_secs(30));
    for dial in [&old, &new] {
        let client = dial.connect();
        let found = client.expect(1, "a", "late");
        let remaining = found.properties.as_properties().message_expiry_interval();
        assert!(matches!(remaining, None | Some(30)));
        client.expect_nothing();
    }
    assert_eq!((store.queue("old"), store.queue("new")), (vec![], vec![]));
    assert_eq!(net.broker().counters().dropped_expired.get(), 10);
    // What is retained does not wait: it stays, and was published without an end.
    net.advance(Duration::from_secs(1_000));
    let found = {
        let client = net.connect_v5("third");
        client.subscribe("a", 1);
        client.expect(1, "a", "early and retained")
    };
    assert_eq!(
        found.properties.as_properties().message_expiry_interval(),
        None
    );
}

#[test]
fn who_is_there_gets_a_message_without_an_end_of_the_brokers() {
    let net = Net::with(BrokerOptions {
        queued_message_expiry_secs: 60,
        ..Default::default()
    });
    let client = net.connect_v5("client");
    client.subscribe("a", 1);
    net.connect("publisher").publish(qos1("a", "x"));
    let found = client.expect(1, "a", "x");
    assert_eq!(
        found.properties.as_properties().message_expiry_interval(),
        None
    );
}

/// The interval of a session counts from the end of its connection, however long that was and however
/// long ago it subscribed.
#[test]
fn the_session_of_a_3_client_lasts_from_the_end_of_its_connection() {
    let (net, store) = Net::with_store(BrokerOptions {
        legacy_session_expiry_secs: 60,
        ..Default::default()
    });
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 1);
    net.advance(Duration::from_secs(600));
    net.connect("publisher")
        .publish(qos1("a", "while connected"));
    client.expect(1, "a", "while connected");
    client.lose();
    net.advance(Duration::from_secs(59));
    net.connect("publisher").publish(qos1("a", "while away"));
    let client = lasting.connect();
    assert!(client.connack.session_present);
    client.expect(1, "a", "while away");
    client.lose();
    net.advance(Duration::from_secs(61));
    assert!(!store.knows("client"), "nothing of it is left");
    net.connect("publisher").publish(qos1("a", "too late"));
    let client = lasting.connect();
    assert!(!client.connack.session_present);
    client.expect_nothing();
}
