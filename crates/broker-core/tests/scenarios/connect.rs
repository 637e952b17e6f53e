//! CONNECT: who is let in, and what each is told.

use broker_core::{BrokerOptions, CloseCause};
use mqtt_codec::{Connect, QoS, ReasonCode, Version};
use std::time::Duration;

use crate::harness::*;

/// [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-3.1.2-6]
#[test]
fn session_present_tells_whether_there_was_a_session() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    assert!(!client.connack.session_present);
    client.lose();
    let client = lasting.connect();
    assert!(client.connack.session_present);
    client.lose();
    let client = net.connect("client");
    assert!(!client.connack.session_present);
    client.lose();
    let client = lasting.connect();
    assert!(
        !client.connack.session_present,
        "the clean session is gone with its connection"
    );
}

/// [MQTT-3.1.2-4]
#[test]
fn a_clean_start_throws_the_old_session_away() {
    let net = Net::new();
    let client = net.dial("client").expiry(100).connect();
    client.subscribe("a", 1);
    client.lose();
    net.connect("publisher").publish(qos1("a", "queued"));
    let client = net.dial("client").expiry(100).clean().connect();
    assert!(!client.connack.session_present);
    net.connect("publisher").publish(qos1("a", "later"));
    client.expect_nothing();
    client.lose();
    let client = net.dial("client").expiry(100).resuming().connect();
    assert!(client.connack.session_present);
    client.expect_nothing();
}

/// [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
#[test]
fn a_client_without_an_identifier_gets_one_of_its_own() {
    let net = Net::new();
    let assigned = |client: &Client| {
        let properties = client.connack.properties.as_properties();
        properties
            .assigned_client_identifier()
            .expect("it was assigned one")
            .to_owned()
    };
    let one = net.dial("").expiry(100).connect();
    let two = net.dial("").v5().connect();
    assert_ne!(assigned(&one), assigned(&two));
    one.subscribe("a", 0);
    one.lose();
    let again = net.dial(&assigned(&one)).expiry(100).resuming().connect();
    assert!(again.connack.session_present);
    // MQTT 3.1.1 has no way to tell it, but two such clients do not meet either.
    let three = net.connect("");
    let four = net.connect("");
    three.ping();
    four.ping();
}

/// MQTT 3.1.1: [MQTT-3.1.3-8]
#[test]
fn a_session_to_be_found_again_needs_an_identifier_before_mqtt_5() {
    let net = Net::new();
    let refused = net.dial("").resuming().refused();
    let reason = ReasonCode::ClientIdentifierNotValid;
    assert_eq!(refused, (Some(reason), CloseCause::Refused(reason)));
    assert_eq!(
        net.dial("").v31().refused(),
        (Some(reason), CloseCause::Refused(reason))
    );
}

#[test]
fn connack_tells_what_the_server_does_not_grant() {
    let options = BrokerOptions {
        receive_maximum: 7,
        max_qos: QoS::AtLeastOnce,
        retain_available: false,
        wildcard_subscriptions: false,
        subscription_identifiers: false,
        shared_subscriptions: false,
        max_packet_size_bytes: 1_000,
        max_session_expiry_secs: 60,
        max_keep_alive_secs: 30,
        ..BrokerOptions::default()
    };
    let net = Net::with(options);
    let client = net.dial("client").expiry(61).keep_alive(31).connect();
    let told = client.connack.properties.as_properties();
    assert_eq!(told.receive_maximum(), Some(7));
    assert_eq!(told.maximum_qos(), Some(QoS::AtLeastOnce), "[MQTT-3.2.2-9]");
    assert_eq!(told.retain_available(), Some(false));
    assert_eq!(told.wildcard_subscription_available(), Some(false));
    assert_eq!(told.subscription_identifiers_available(), Some(false));
    assert_eq!(told.shared_subscription_available(), Some(false));
    assert_eq!(told.maximum_packet_size(), Some(1_000));
    assert_eq!(told.session_expiry_interval(), Some(60));
    assert_eq!(told.server_keep_alive(), Some(30));
}

#[test]
fn connack_is_silent_about_what_is_granted_as_asked() {
    let options = BrokerOptions {
        max_packet_size_bytes: 268_435_460,
        ..BrokerOptions::default()
    };
    let net = Net::with(options);
    let client = net.dial("client").expiry(61).keep_alive(31).connect();
    let told = client.connack.properties.as_properties();
    assert_eq!(told.maximum_qos(), None);
    assert_eq!(told.retain_available(), None);
    assert_eq!(told.wildcard_subscription_available(), None);
    assert_eq!(told.subscription_identifiers_available(), None);
    assert_eq!(told.shared_subscription_available(), None);
    assert_eq!(told.maximum_packet_size(), None);
    assert_eq!(told.session_expiry_interval(), None);
    assert_eq!(told.server_keep_alive(), None);
    assert_eq!(told.assigned_client_identifier(), None);
}

/// [MQTT-3.1.2-1] [MQTT-3.1.2-2]
#[test]
fn an_unknown_protocol_level_is_answered_and_closed() {
    let net = Net::new();
    let line = net.open();
    net.send_raw(line, b"\x10\x0D\x00\x04MQTT\x06\x02\x00\x00\x00\x01a");
    let answer = net.next(line).expect("3.1.1 has a return code for it");
    let mqtt_codec::OwnedPacket::ConnAck(connack) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(connack.reason_code, ReasonCode::UnsupportedProtocolVersion);
    assert!(matches!(net.closed(line), Some(CloseCause::Malformed(_))));
}

#[test]
fn a_connection_without_connect_is_closed_when_its_time_is_over() {
    let net = Net::new();
    let line = net.open();
    // An incomplete CONNECT does not count.
    net.send_raw(line, b"\x10\x0D\x00\x04MQTT");
    net.advance(Duration::from_millis(9_999));
    assert_eq!(net.closed(line), None);
    net.advance(Duration::from_millis(1));
    assert_eq!(net.next(line), None);
    assert_eq!(net.closed(line), Some(CloseCause::ConnectTimeout));
}

#[test]
fn a_connection_with_connect_is_not_closed_by_the_time_for_it() {
    let net = Net::new();
    let client = net.connect("client");
    net.advance(Duration::from_secs(1_000));
    client.ping();
}

/// [MQTT-3.1.4-6]
#[test]
fn what_comes_behind_a_refused_connect_is_ignored() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 0);
    let mut bytes = Vec::new();
    let refused = Connect {
        clean_start: false,
        ..Connect::new(Version::V311, "")
    };
    refused
        .encode(Version::V311, &mut bytes)
        .expect("it can be encoded");
    bytes.extend_from_slice(b"\x30\x04\x00\x01ax");
    let line = net.open();
    net.send_raw(line, &bytes);
    assert!(net.closed(line).is_some());
    subscriber.expect_nothing();
}

#[test]
fn packets_behind_connect_in_the_same_segment_are_handled() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 0);
    let line = net.open();
    net.send_raw(
        line,
        b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01c\x30\x04\x00\x01ax\xE0\x00",
    );
    assert_eq!(
        net.closed(line),
        Some(CloseCause::Disconnected(ReasonCode::Success))
    );
    subscriber.expect(0, "a", "x");
}

#[test]
fn while_the_broker_shuts_down_nobody_is_let_in() {
    let net = Net::new();
    let client = net.connect("client");
    let client_v5 = net.connect_v5("client-v5");
    let cause = CloseCause::ServerShutdown;
    net.shut_down();
    client.expect_closed(cause);
    client_v5.expect_disconnected(ReasonCode::ServerShuttingDown);
    assert_eq!(
        net.dial("late").refused().0,
        Some(ReasonCode::ServerUnavailable)
    );
    assert_eq!(net.broker().sizes().sessions, 0);
}
