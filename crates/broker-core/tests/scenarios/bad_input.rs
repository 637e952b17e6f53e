//! Input that no client should send: its connection gets what its version asks for and is closed,
//! and others notice nothing.

use broker_core::{CloseCause, Violation};
use mqtt_codec::{
    Auth, ConnAck, Connect, DecodeError, Packet, PropertiesBuf, Property, Publish, ReasonCode,
    SubAck, UnsubAck, Version,
};
use std::time::Duration;

use crate::harness::*;

/// Sends the bytes on a connection of either kind, and checks that it alone is closed.
fn closes(bytes: &[u8], reason: ReasonCode) {
    let net = Net::new();
    let witness = net.connect("witness");
    witness.subscribe("#", 1);
    let new = net.connect_v5("new");
    new.send_raw(bytes);
    new.expect_disconnected(reason);
    assert_eq!(net.broker().counters().protocol_errors.get(), 1);
    witness.expect_nothing();
    net.connect("publisher").publish(qos1("a", "x"));
    witness.expect(1, "a", "x");
}

/// The same for MQTT 3.1.1, which has no words to close with.
fn closes_v3(bytes: &[u8]) {
    let net = Net::new();
    let witness = net.connect("witness");
    witness.subscribe("#", 1);
    for dial in [net.dial("old"), net.dial("older").v31()] {
        let old = dial.connect();
        old.send_raw(bytes);
        assert_eq!(old.try_next(), None);
        assert!(old.closed().is_some());
    }
    assert_eq!(net.broker().counters().protocol_errors.get(), 2);
    witness.expect_nothing();
    net.connect("publisher").publish(qos1("a", "x"));
    witness.expect(1, "a", "x");
}

fn closes_both(bytes: &[u8], reason: ReasonCode) {
    closes(bytes, reason);
    closes_v3(bytes);
}

/// [MQTT-3.1.0-1]
#[test]
fn anything_before_connect_closes_without_a_word() {
    let garbage: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03",
        b"\xC0\x00",
        b"\x30\x04\x00\x01ax",
        b"\x00\x00",
        b"\xFF\xFF\xFF\xFF\xFF\xFF",
        b"\x20\x02\x00\x00",
        b"\x10\x02\x00\x00",
    ];
    let net = Net::new();
    let witness = net.connect("witness");
    witness.subscribe("#", 0);
    for bytes in garbage {
        let line = net.open();
        net.send_raw(line, bytes);
        // What looks like the start of something is waited for, but not for ever.
        net.advance(Duration::from_secs(10));
        assert_eq!(net.next(line), None, "{bytes:?}");
        assert!(net.closed(line).is_some(), "{bytes:?}");
    }
    assert_eq!(net.broker().sizes().sessions, 1);
    witness.expect_nothing();
}

#[test]
fn a_first_packet_other_than_connect_is_a_protocol_error() {
    let net = Net::new();
    let line = net.open();
    net.send_raw(line, b"\xC0\x00");
    assert_eq!(
        net.closed(line),
        Some(CloseCause::Protocol(Violation::NotConnected))
    );
}

/// [MQTT-3.1.0-2]
#[test]
fn a_second_connect_closes() {
    let mut bytes = Vec::new();
    Connect::new(Version::V5, "new")
        .encode(Version::V5, &mut bytes)
        .expect("it can be encoded");
    closes(&bytes, ReasonCode::ProtocolError);
    bytes.clear();
    Connect::new(Version::V311, "x")
        .encode(Version::V311, &mut bytes)
        .expect("it can be encoded");
    closes_v3(&bytes);
}

#[test]
fn a_second_connect_of_an_unknown_level_closes_with_a_word_that_disconnect_may_say() {
    closes(
        b"\x10\x0D\x00\x04MQTT\x06\x02\x00\x00\x00\x01a",
        ReasonCode::ProtocolError,
    );
}

#[test]
fn packets_that_only_a_server_sends_close() {
    let id = crate::harness::client::id(1);
    for packet in [
        Packet::ConnAck(ConnAck::new(false, ReasonCode::Success)),
        Packet::SubAck(SubAck::new(id, &[ReasonCode::Success])),
        Packet::UnsubAck(UnsubAck::new(id, &[ReasonCode::Success])),
        Packet::PingResp,
    ] {
        let mut bytes = Vec::new();
        packet
            .encode(Version::V5, &mut bytes)
            .expect("it can be encoded");
        closes(&bytes, ReasonCode::ProtocolError);
        bytes.clear();
        packet
            .encode(Version::V311, &mut bytes)
            .expect("it can be encoded");
        closes_v3(&bytes);
    }
}

/// [MQTT-4.12.0-7]
#[test]
fn auth_without_an_authentication_method_closes() {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod("x"))
        .expect("a string");
    let auth = Auth {
        reason_code: ReasonCode::ReAuthenticate,
        properties: properties.as_properties(),
    };
    let mut bytes = Vec::new();
    auth.encode(Version::V5, &mut bytes)
        .expect("it can be encoded");
    closes(&bytes, ReasonCode::ProtocolError);
    closes_v3(&bytes);
}

/// [MQTT-3.3.2-2]
#[test]
fn wildcards_in_a_topic_name_close() {
    for topic in ["a/#", "+", "a+b"] {
        let mut bytes = Vec::new();
        qos0(topic, "x")
            .encode(Version::V5, &mut bytes)
            .expect("it can be encoded");
        closes(&bytes, ReasonCode::MalformedPacket);
        bytes.clear();
        qos0(topic, "x")
            .encode(Version::V311, &mut bytes)
            .expect("it can be encoded");
        closes_v3(&bytes);
    }
}

/// [MQTT-3.3.2-14]
#[test]
fn wildcards_in_a_response_topic_close() {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::ResponseTopic("a/+"))
        .expect("a string");
    let publish = Publish {
        properties: properties.as_properties(),
        ..qos0("a", "x")
    };
    let mut bytes = Vec::new();
    publish
        .encode(Version::V5, &mut bytes)
        .expect("it can be encoded");
    closes(&bytes, ReasonCode::ProtocolError);
}

/// [MQTT-3.3.4-6]
#[test]
fn a_subscription_identifier_from_a_client_closes() {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::SubscriptionIdentifier(1))
        .expect("in range");
    let publish = Publish {
        properties: properties.as_properties(),
        ..qos0("a", "x")
    };
    let mut bytes = Vec::new();
    publish
        .encode(Version::V5, &mut bytes)
        .expect("it can be encoded");
    closes(&bytes, ReasonCode::ProtocolError);
}

/// [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-2.1.3-1] [MQTT-3.3.1-4] [MQTT-2.2.1-3]
#[test]
fn malformed_packets_close() {
    let malformed = ReasonCode::MalformedPacket;
    closes_both(b"\x30\x05\x00\x01\xFFxx", malformed);
    closes_both(b"\x30\x05\x00\x01\x00xx", malformed);
    closes_both(b"\x36\x07\x00\x01a\x00\x01\x00x", malformed);
    closes_both(b"\x80\x06\x00\x01\x00\x01a\x00", malformed);
    closes_both(b"\x82\x06\x00\x01\x00\x05a\x00", malformed);
    closes_both(b"\xC1\x00", malformed);
    closes_both(b"\x30\xFF\xFF\xFF\xFF\x01", malformed);
    closes_both(b"\x00\x00", malformed);
    // Packet identifier 0.
    closes_both(b"\x32\x06\x00\x01a\x00\x00\x00", ReasonCode::ProtocolError);
    closes_both(b"\x40\x02\x00\x00", ReasonCode::ProtocolError);
}

/// [MQTT-3.8.3-2] [MQTT-3.10.3-2]
#[test]
fn a_request_without_filters_closes() {
    closes(b"\x82\x03\x00\x01\x00", ReasonCode::ProtocolError);
    closes(b"\xA2\x03\x00\x01\x00", ReasonCode::ProtocolError);
    closes_v3(b"\x82\x02\x00\x01");
    closes_v3(b"\xA2\x02\x00\x01");
}

/// [MQTT-3.1.2-3] [MQTT-3.1.2-12] [MQTT-3.1.4-1]
#[test]
fn a_connect_that_breaks_the_format_closes_without_a_session() {
    let net = Net::new();
    let connects: [&[u8]; 6] = [
        // Reserved flag, will QoS 3, will retain without will, no client identifier.
        b"\x10\x0D\x00\x04MQTT\x04\x03\x00\x00\x00\x01a",
        b"\x10\x0D\x00\x04MQTT\x04\x1E\x00\x00\x00\x01a",
        b"\x10\x0D\x00\x04MQTT\x04\x22\x00\x00\x00\x01a",
        b"\x10\x0A\x00\x04MQTT\x04\x02\x00\x00",
        // Another protocol's name, and MQTT 5 with a property that CONNECT has not.
        b"\x10\x0D\x00\x04MQTX\x04\x02\x00\x00\x00\x01a",
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x02\x24\x01\x00\x01a",
    ];
    for bytes in connects {
        let line = net.open();
        net.send_raw(line, bytes);
        assert_eq!(net.next(line), None, "{bytes:?}");
        assert!(
            matches!(net.closed(line), Some(CloseCause::Malformed(_))),
            "{bytes:?}"
        );
    }
    assert_eq!(net.broker().sizes().sessions, 0);
}

#[test]
fn half_a_packet_holds_its_connection_only_until_keep_alive() {
    let net = Net::new();
    let client = net.dial("client").keep_alive(10).connect();
    client.send_raw(b"\x30\xFF\xFF\x40\x00\x01a");
    net.advance(Duration::from_secs(15));
    client.expect_closed(CloseCause::KeepAliveTimeout);
}

#[test]
fn replies_to_what_came_before_the_bad_packet_are_still_sent() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 1);
    let client = net.connect_v5("client");
    client.send_raw(b"\x32\x07\x00\x01a\x00\x07\x00x\x00\x00");
    client.expect_puback(crate::harness::client::id(7));
    client.expect_disconnected(ReasonCode::MalformedPacket);
    subscriber.expect(1, "a", "x");
}

#[test]
fn a_flood_of_bad_connections_leaves_nothing() {
    let net = Net::new();
    let before = net.broker().sizes();
    for round in 0..500_u32 {
        let line = net.open();
        net.send_raw(line, &round.to_be_bytes());
        net.lose(line);
    }
    assert_eq!(net.broker().sizes(), before);
}

/// The reason code of every way to close, so that a new one is not forgotten.
#[test]
fn every_cause_has_its_reason_code() {
    for error in DecodeError::ALL {
        let told = CloseCause::Malformed(*error).disconnect_reason();
        assert!(told.is_some_and(ReasonCode::is_error), "{error}");
    }
}
