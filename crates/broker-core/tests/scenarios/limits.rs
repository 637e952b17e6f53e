//! Each limit of `BrokerOptions`: what the client sees when it reaches it.
//!
//! Those of queues and windows are in `window`, of retained messages in `retained`, of outboxes in
//! `backpressure`, of time in `connect`, `keep_alive` and `disconnect`.

use broker_core::BrokerOptions;
use mqtt_codec::{QoS, ReasonCode, SubscriptionOptions};
use std::sync::Arc;

use crate::harness::*;

#[test]
fn a_packet_may_be_as_large_as_the_limit_and_no_larger() {
    let net = Net::with(BrokerOptions {
        max_packet_size_bytes: 40,
        ..Default::default()
    });
    let publisher = net.connect_v5("publisher");
    // Fixed header 2, topic 3, property length 1.
    publisher.publish(qos0("a", &"x".repeat(34)));
    publisher.ping();
    publisher.send_publish(qos0("a", &"x".repeat(35)));
    publisher.expect_disconnected(ReasonCode::PacketTooLarge);
    let publisher = net.connect("publisher");
    publisher.send_publish(qos0("a", &"x".repeat(36)));
    assert!(publisher.closed().is_some());
    assert_eq!(net.broker().counters().protocol_errors.get(), 2);
}

#[test]
fn a_packet_that_is_announced_too_large_is_not_waited_for() {
    let net = Net::with(BrokerOptions {
        max_packet_size_bytes: 40,
        ..Default::default()
    });
    let client = net.connect_v5("client");
    client.send_raw(b"\x30\xFF\xFF\xFF\x7F");
    client.expect_disconnected(ReasonCode::PacketTooLarge);
    let line = net.open();
    net.send_raw(line, b"\x10\xFF\xFF\x7F");
    assert_eq!(net.next(line), None);
    assert!(net.closed(line).is_some());
}

#[test]
fn a_connect_has_a_lower_limit_than_what_comes_after_it() {
    let net = Net::with(BrokerOptions {
        max_connect_size_bytes: 20,
        ..Default::default()
    });
    // Fixed header 2, protocol name 6, level, flags, keep alive 2, length of the identifier 2.
    let client = net.connect("123456");
    client.publish(qos0("a", &"x".repeat(100)));
    client.ping();
    assert!(net.dial("1234567").refused().0.is_none());
    assert_eq!(net.broker().counters().protocol_errors.get(), 1);
}

#[test]
fn a_client_identifier_may_be_as_long_as_the_limit_and_no_longer() {
    let net = Net::with(BrokerOptions {
        max_client_id_bytes: 5,
        ..Default::default()
    });
    net.connect("12345").ping();
    let reason = ReasonCode::ClientIdentifierNotValid;
    assert_eq!(net.dial("123456").refused().0, Some(reason));
    assert_eq!(net.dial("123456").v5().refused().0, Some(reason));
    assert_eq!(net.dial("123456").v31().refused().0, Some(reason));
    assert_eq!(net.broker().counters().refused_connects.get(), 3);
    assert_eq!(net.broker().counters().protocol_errors.get(), 0);
}

#[test]
fn only_so_many_sessions_are_known() {
    let net = Net::with(BrokerOptions {
        max_sessions: 2,
        ..Default::default()
    });
    let first = net.dial("first").resuming().connect();
    net.connect("second");
    let reason = ReasonCode::QuotaExceeded;
    assert_eq!(net.dial("third").v5().refused().0, Some(reason));
    let told = net.dial("third").refused().0;
    assert_eq!(
        told,
        Some(ReasonCode::ServerUnavailable),
        "the word that 3.1.1 has for it"
    );
    assert_eq!(net.broker().counters().refused_sessions.get(), 2);
    // Those that are known may come back, and those that go make room.
    let first_again = net.dial("first").resuming().connect();
    assert!(first_again.connack.session_present);
    drop(first);
    net.connect("second").disconnect();
    net.connect("third").ping();
}

#[test]
fn a_topic_may_be_as_long_and_deep_as_the_limits() {
    let net = Net::with(BrokerOptions {
        max_topic_bytes: 8,
        max_topic_levels: 3,
        ..Default::default()
    });
    let client = net.connect_v5("client");
    client.subscribe("a/b/c", 0);
    client.subscribe("12345678", 0);
    let invalid = ReasonCode::TopicFilterInvalid;
    let options = SubscriptionOptions::new(QoS::AtMostOnce);
    assert_eq!(client.subscribe_with("a/b/c/d", options, None), invalid);
    assert_eq!(client.subscribe_with("123456789", options, None), invalid);
    let old = net.connect("old");
    let failure = ReasonCode::UnspecifiedError;
    assert_eq!(
        old.subscribe_with("a/b/c/d", options, None),
        failure,
        "0x80, all that 3.1.1 has"
    );
    client.publish(qos1("a/b/c", "x"));
    client.expect(0, "a/b/c", "x");
    client.send_publish(qos1("a/b/c/d", "x"));
    client.expect_disconnected(ReasonCode::TopicNameInvalid);
    old.send_publish(qos1("123456789", "x"));
    assert!(old.closed().is_some());
    let dial = net.dial("with-a-will").v5().will(qos0("a/b/c/d", "x"));
    assert_eq!(dial.refused().0, Some(ReasonCode::TopicNameInvalid));
    let broker = net.broker();
    let counters = broker.counters();
    assert_eq!(counters.refused_subscriptions.get(), 3);
    assert_eq!(counters.protocol_errors.get(), 2);
    assert_eq!(counters.refused_connects.get(), 1);
}

#[test]
fn a_session_may_hold_only_so_many_subscriptions() {
    let options = BrokerOptions {
        max_subscriptions_per_session: 2,
        ..Default::default()
    };
    let net = Net::with(options);
    let options = SubscriptionOptions::new(QoS::AtMostOnce);
    let client = net.connect_v5("client");
    client.subscribe("a", 0);
    client.subscribe("b", 0);
    let refused = client.subscribe_with("c", options, None);
    assert_eq!(refused, ReasonCode::QuotaExceeded);
    client.subscribe("b", 1);
    client.unsubscribe("a");
    client.subscribe("c", 0);
    let old = net.connect("old");
    old.subscribe("a", 0);
    old.subscribe("b", 0);
    assert_eq!(
        old.subscribe_with("c", options, None),
        ReasonCode::UnspecifiedError
    );
    assert_eq!(net.broker().counters().refused_subscriptions.get(), 2);
}

/// [MQTT-3.2.2-10] [MQTT-3.2.2-11]
#[test]
fn a_maximum_qos_caps_subscriptions_and_refuses_messages() {
    let net = Net::with(BrokerOptions {
        max_qos: QoS::AtLeastOnce,
        ..Default::default()
    });
    let client = net.connect_v5("client");
    let options = SubscriptionOptions::new(QoS::ExactlyOnce);
    let granted = client.subscribe_with("a", options, None);
    assert_eq!(granted, ReasonCode::GrantedQos1);
    client.publish(qos1("a", "x"));
    client.expect(1, "a", "x");
    client.send_publish(qos2("a", "x"));
    client.expect_disconnected(ReasonCode::QosNotSupported);
    let old = net.connect("old");
    old.send_publish(qos2("a", "x"));
    assert!(old.closed().is_some());
}

#[test]
fn topics_need_not_be_remembered() {
    let net = Net::with(BrokerOptions {
        topic_cache_entries: 0,
        ..Default::default()
    });
    let client = net.connect("client");
    client.subscribe("a", 0);
    for _ in 0..5 {
        client.publish(qos0("a", "x"));
        client.expect(0, "a", "x");
    }
    client.unsubscribe("a");
    client.publish(qos0("a", "x"));
    client.expect_nothing();
}

#[test]
fn the_owner_makes_the_client_identifiers_that_are_assigned() {
    let net = Net::with(BrokerOptions {
        assign_client_id: Arc::new(|| "from-the-owner".to_owned()),
        ..Default::default()
    });
    let client = net.connect_v5("");
    let told = client
        .connack
        .properties
        .as_properties()
        .assigned_client_identifier();
    assert_eq!(told, Some("from-the-owner"));
}

#[test]
fn a_session_lasts_no_longer_than_the_owner_grants() {
    let net = Net::with(BrokerOptions {
        max_session_expiry_secs: 10,
        ..Default::default()
    });
    let client = net.dial("client").expiry(u32::MAX).connect();
    let told = client
        .connack
        .properties
        .as_properties()
        .session_expiry_interval();
    assert_eq!(told, Some(10));
    client.lose();
    net.advance(std::time::Duration::from_secs(10));
    assert_eq!(net.broker().sizes().sessions, 0);
}
