//! Reason strings: who gets them, in which packets, and when they are left out.

use broker_core::{BrokerOptions, CloseCause, Violation};
use mqtt_codec::{
    Connect, OwnedPacket, Packet, PacketId, Properties, Property, PubRel, ReasonCode, Subscribe,
    SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf, Version,
};

use crate::harness::*;

/// The packets that a client gets for errors of every kind, each with its reason string.
fn words_for_errors(client: &Client) -> Vec<(&'static str, Option<String>)> {
    client.send_publish(qos1("$SYS/x", "x"));
    client.send_publish(qos2("$SYS/x", "x"));
    client.send(Packet::PubRel(PubRel::new(id(99))));
    client.send(Packet::PubRec(mqtt_codec::PubRec::new(id(98))));
    let mut filters = SubscribeFiltersBuf::new();
    let too_deep = "/".repeat(201);
    for filter in ["a", &too_deep] {
        filters
            .push(
                filter,
                SubscriptionOptions::new(mqtt_codec::QoS::AtMostOnce),
            )
            .expect("a string");
    }
    client.send(Packet::Subscribe(Subscribe {
        packet_id: id(97),
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    }));
    let mut filters = UnsubscribeFiltersBuf::new();
    filters.push(&too_deep).expect("a string");
    client.send(Packet::Unsubscribe(Unsubscribe {
        packet_id: id(96),
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    }));
    let words = |properties: Properties<'_>| properties.reason_string().map(str::to_owned);
    std::iter::from_fn(|| client.try_next())
        .map(|packet| match packet {
            OwnedPacket::PubAck(ack) => ("PUBACK", words(ack.properties.as_properties())),
            OwnedPacket::PubRec(ack) => ("PUBREC", words(ack.properties.as_properties())),
            OwnedPacket::PubRel(ack) => ("PUBREL", words(ack.properties.as_properties())),
            OwnedPacket::PubComp(ack) => ("PUBCOMP", words(ack.properties.as_properties())),
            OwnedPacket::SubAck(ack) => ("SUBACK", words(ack.properties.as_properties())),
            OwnedPacket::UnsubAck(ack) => ("UNSUBACK", words(ack.properties.as_properties())),
            other => panic!("not an acknowledgement: {other:?}"),
        })
        .collect()
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

const KINDS: [&str; 6] = [
    "PUBACK", "PUBREC", "PUBCOMP", "PUBREL", "SUBACK", "UNSUBACK",
];

#[test]
fn an_error_is_explained_in_every_acknowledgement() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let words = words_for_errors(&client);
    let kinds: Vec<_> = words.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, KINDS);
    for (kind, words) in words {
        assert!(words.is_some_and(|words| !words.is_empty()), "{kind}");
    }
}

/// MQTT 5.0: [MQTT-3.1.2-29]
#[test]
fn a_client_that_wants_no_problem_information_hears_reasons_only_when_it_is_disconnected() {
    let net = Net::new();
    let client = net
        .dial("client")
        .v5()
        .property(Property::RequestProblemInformation(false))
        .connect();
    let words = words_for_errors(&client);
    assert_eq!(words, KINDS.map(|kind| (kind, None)));
    client.send(Packet::Connect(Connect::new(Version::V5, "client")));
    let OwnedPacket::Disconnect(disconnect) = client.next() else {
        panic!("DISCONNECT comes");
    };
    assert_eq!(disconnect.reason_code, ReasonCode::ProtocolError);
    let words = disconnect.properties.as_properties().reason_string();
    assert_eq!(words, Some("protocol error: second CONNECT"));
    client.expect_closed(CloseCause::Protocol(Violation::SecondConnect));
}

#[test]
fn success_needs_no_words() {
    let net = Net::new();
    let client = net.connect_v5("client");
    client.subscribe("a", 2);
    client.send_publish(qos1("b", "nobody hears it"));
    let OwnedPacket::PubAck(puback) = client.next() else {
        panic!("PUBACK comes");
    };
    assert_eq!(puback.reason_code, ReasonCode::NoMatchingSubscribers);
    assert!(puback.properties.is_empty());
}

/// MQTT 5.0: [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.6.2-2] [MQTT-3.7.2-2] [MQTT-3.9.2-1] [MQTT-3.11.2-1]
#[test]
fn reasons_that_do_not_fit_are_left_out_and_the_packets_come() {
    let net = Net::new();
    // The CONNACK takes 8 bytes.
    let client = net
        .dial("client")
        .v5()
        .property(Property::MaximumPacketSize(20))
        .connect();
    let words = words_for_errors(&client);
    assert_eq!(words, KINDS.map(|kind| (kind, None)));
}

/// MQTT 5.0: [MQTT-3.14.2-3]
#[test]
fn the_reason_of_a_disconnect_is_left_out_where_it_does_not_fit() {
    // With its words the packet takes 37 bytes.
    for (maximum, explained) in [(37, true), (36, false)] {
        let net = Net::new();
        let client = net
            .dial("client")
            .v5()
            .property(Property::MaximumPacketSize(maximum))
            .connect();
        client.send(Packet::Connect(Connect::new(Version::V5, "client")));
        let OwnedPacket::Disconnect(disconnect) = client.next() else {
            panic!("DISCONNECT comes");
        };
        assert_eq!(disconnect.reason_code, ReasonCode::ProtocolError);
        assert_eq!(!disconnect.properties.is_empty(), explained, "{maximum}");
    }
}

/// MQTT 5.0: [MQTT-3.2.2-19]
#[test]
fn a_refusal_is_explained_where_the_explanation_fits() {
    for (maximum, told, explained) in [(1_000, true, true), (10, true, false), (4, false, false)] {
        let net = Net::with(BrokerOptions {
            max_client_id_bytes: 5,
            ..BrokerOptions::default()
        });
        let line = net
            .dial("too long")
            .v5()
            .property(Property::MaximumPacketSize(maximum))
            .send();
        match line.try_next() {
            Some(OwnedPacket::ConnAck(connack)) => {
                assert!(told);
                let words = connack.properties.as_properties().reason_string();
                assert_eq!(words.is_some(), explained, "{maximum}: {words:?}");
            }
            other => assert!(other.is_none() && !told, "{maximum}: {other:?}"),
        }
        let reason = ReasonCode::ClientIdentifierNotValid;
        line.expect_closed(CloseCause::Refused(reason));
    }
}

/// A SUBACK or UNSUBACK that is not sent is waited for in vain, so what asks for one is answered with
/// DISCONNECT, and changes nothing.
/// MQTT 5.0: [MQTT-3.1.2-24]
#[test]
fn a_client_that_has_no_room_for_the_acknowledgement_is_disconnected() {
    let net = Net::new();
    let dial = net.dial("client").expiry(100).resuming();
    // The fixed header, the packet identifier and the length of no properties take 5 bytes.
    let dial = dial.property(Property::MaximumPacketSize(20));
    let filters: Vec<_> = (0..16).map(|number| number.to_string()).collect();
    let subscribe = |client: &Client, filters: &[String]| {
        let mut buf = SubscribeFiltersBuf::new();
        for filter in filters {
            let options = SubscriptionOptions::new(mqtt_codec::QoS::AtMostOnce);
            buf.push(filter, options).expect("a string");
        }
        client.send(Packet::Subscribe(Subscribe {
            packet_id: id(1),
            properties: Properties::EMPTY,
            filters: buf.as_filters(),
        }));
    };
    let unsubscribe = |client: &Client, filters: &[String]| {
        let mut buf = UnsubscribeFiltersBuf::new();
        for filter in filters {
            buf.push(filter).expect("a string");
        }
        client.send(Packet::Unsubscribe(Unsubscribe {
            packet_id: id(2),
            properties: Properties::EMPTY,
            filters: buf.as_filters(),
        }));
    };
    let client = dial.connect();
    subscribe(&client, &filters);
    client.expect_disconnected(ReasonCode::PacketTooLarge);
    assert_eq!(client.closed(), Some(CloseCause::ReplyTooLarge));
    assert_eq!(net.broker().sizes().subscriptions, 0);

    let client = dial.connect();
    subscribe(&client, &filters[1..]);
    assert!(matches!(client.next(), OwnedPacket::SubAck(_)));
    assert_eq!(net.broker().sizes().subscriptions, 15);
    unsubscribe(&client, &filters);
    client.expect_disconnected(ReasonCode::PacketTooLarge);
    assert_eq!(client.closed(), Some(CloseCause::ReplyTooLarge));
    assert_eq!(net.broker().sizes().subscriptions, 15);

    let client = dial.connect();
    unsubscribe(&client, &filters[1..]);
    assert!(matches!(client.next(), OwnedPacket::UnsubAck(_)));
    assert_eq!(net.broker().sizes().subscriptions, 0);
    client.expect_nothing();
}
