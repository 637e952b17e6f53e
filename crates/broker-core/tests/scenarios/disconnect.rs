//! How connections end, and what their sessions make of it.

use broker_core::CloseCause;
use mqtt_codec::{Disconnect, PropertiesBuf, Property, ReasonCode};
use std::time::Duration;

use crate::harness::*;

fn with_expiry(secs: u32) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::SessionExpiryInterval(secs))
        .expect("in range");
    properties
}

#[test]
fn a_clean_session_ends_with_its_connection() {
    let net = Net::new();
    for version in ["3.1.1", "5"] {
        let dial = net.dial("client");
        let client = if version == "5" { dial.v5() } else { dial }.connect();
        client.subscribe("a/+", 1);
        assert_eq!(net.broker().sizes().subscriptions, 1);
        client.disconnect();
        assert_eq!(
            client.closed(),
            Some(CloseCause::Disconnected(ReasonCode::Success))
        );
        let sizes = net.broker().sizes();
        assert_eq!(
            (sizes.sessions, sizes.subscriptions, sizes.deadlines),
            (0, 0, 0)
        );
    }
}

/// MQTT 5.0: [MQTT-4.1.0-1] [MQTT-4.1.0-2]
#[test]
fn a_session_ends_when_its_expiry_interval_is_over() {
    let net = Net::new();
    let client = net.dial("client").expiry(100).connect();
    client.subscribe("a", 1);
    net.advance(Duration::from_secs(1_000));
    client.ping();
    client.lose();
    net.advance(Duration::from_millis(99_999));
    assert_eq!(net.broker().sizes().sessions, 1);
    net.advance(Duration::from_millis(1));
    let sizes = net.broker().sizes();
    assert_eq!(
        (sizes.sessions, sizes.subscriptions, sizes.deadlines),
        (0, 0, 0)
    );
}

#[test]
fn a_session_of_mqtt_3_lasts_for_as_long_as_the_owner_says() {
    let net = Net::with(broker_core::BrokerOptions {
        legacy_session_expiry_secs: 50,
        ..broker_core::BrokerOptions::default()
    });
    net.dial("client").resuming().connect().lose();
    net.advance(Duration::from_secs(49));
    let client = net.dial("client").resuming().connect();
    assert!(client.connack.session_present);
    client.lose();
    net.advance(Duration::from_secs(50));
    assert_eq!(net.broker().sizes().sessions, 0);
}

#[test]
fn a_client_may_change_at_disconnect_how_long_its_session_lasts() {
    let net = Net::new();
    let client = net.dial("client").expiry(100).connect();
    let properties = with_expiry(10);
    client.disconnect_with(Disconnect {
        properties: properties.as_properties(),
        ..Disconnect::new(ReasonCode::Success)
    });
    net.advance(Duration::from_secs(10));
    assert_eq!(net.broker().sizes().sessions, 0);

    let client = net.dial("client").expiry(100).connect();
    let properties = with_expiry(0);
    client.disconnect_with(Disconnect {
        properties: properties.as_properties(),
        ..Disconnect::new(ReasonCode::Success)
    });
    assert_eq!(net.broker().sizes().sessions, 0);
}

#[test]
fn a_client_may_not_turn_a_session_without_expiry_into_one_with_it() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let properties = with_expiry(10);
    client.disconnect_with(Disconnect {
        properties: properties.as_properties(),
        ..Disconnect::new(ReasonCode::Success)
    });
    client.expect_disconnected(ReasonCode::ProtocolError);
    assert_eq!(net.broker().sizes().sessions, 0);
}

#[test]
fn a_session_that_returns_without_expiry_ends_with_that_connection() {
    let net = Net::new();
    let client = net.dial("client").expiry(100).connect();
    client.subscribe("a", 1);
    client.lose();
    let client = net.dial("client").v5().resuming().connect();
    assert!(client.connack.session_present);
    net.connect("publisher").publish(qos1("a", "x"));
    client.expect(1, "a", "x");
    client.lose();
    assert_eq!(net.broker().sizes().sessions, 1, "the publisher's");
}

#[test]
fn a_session_whose_time_is_over_is_not_found_again_even_if_nobody_looked() {
    let net = Net::new();
    net.dial("client").expiry(100).connect().lose();
    net.sleep(Duration::from_secs(100));
    let client = net.dial("client").expiry(100).resuming().connect();
    assert!(!client.connack.session_present);
}

#[test]
fn a_driver_that_is_cancelled_leaves_nothing_behind() {
    let net = Net::new();
    let watcher = net.connect("watcher");
    watcher.subscribe("gone", 0);
    let client = net.dial("client").will(qos0("gone", "client")).connect();
    client.subscribe("a", 1);
    client.cancel();
    watcher.expect(0, "gone", "client");
    assert_eq!(net.broker().sizes().sessions, 1, "the watcher's");
}
