//! Payloads that are said to be text and are not (MQTT 5.0, section 3.3.2.3.2).

use broker_core::{BrokerOptions, CloseCause, Violation};
use mqtt_codec::{PayloadFormat, PropertiesBuf, Property, Publish, QoS, ReasonCode};

use crate::harness::*;

const NOT_TEXT: [&[u8]; 3] = [
    b"\xFF",
    b"a\xC3",
    // A surrogate, encoded as if it were a character.
    b"\xED\xA0\x80",
];

const TEXT: [&str; 3] = ["", "plain", "\u{0}\u{1F980} \u{10FFFF}"];

fn checking() -> BrokerOptions {
    BrokerOptions {
        check_payload_format: true,
        ..BrokerOptions::default()
    }
}

fn of(format: PayloadFormat) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::PayloadFormatIndicator(format))
        .expect("once");
    properties
}

#[test]
fn a_message_that_is_not_what_it_says_is_refused_at_qos_1_and_2_and_goes_nowhere() {
    let net = Net::with(checking());
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect_v5("publisher");
    let text = of(PayloadFormat::Utf8);
    for (number, payload) in NOT_TEXT.into_iter().enumerate() {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let reason = publisher.publish(retained(Publish {
                qos,
                properties: text.as_properties(),
                ..Publish::new("a", payload)
            }));
            assert_eq!(reason, ReasonCode::PayloadFormatInvalid);
        }
        let refused = net.broker().counters().refused_payload_format.get();
        assert_eq!(refused, 2 * (number as u64 + 1));
    }
    subscriber.expect_nothing();
    assert_eq!(net.broker().sizes().retained_messages, 0);
    publisher.ping();
}

/// The identifier of a QoS 2 flow that was refused is free for the next one.
#[test]
fn a_refusal_ends_the_flow_of_qos_2() {
    let net = Net::with(BrokerOptions {
        receive_maximum: 1,
        ..checking()
    });
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect_v5("publisher");
    let text = of(PayloadFormat::Utf8);
    for payload in [NOT_TEXT[0], b"text"] {
        publisher.send(mqtt_codec::Packet::Publish(Publish {
            qos: QoS::ExactlyOnce,
            packet_id: Some(id(7)),
            properties: text.as_properties(),
            ..Publish::new("a", payload)
        }));
    }
    let refused = publisher.expect_pubrec(id(7));
    assert_eq!(refused, ReasonCode::PayloadFormatInvalid);
    assert_eq!(publisher.expect_pubrec(id(7)), ReasonCode::Success);
    subscriber.expect(2, "a", "text");
    subscriber.expect_nothing();
}

#[test]
fn a_message_at_qos_0_that_is_not_what_it_says_closes_the_connection() {
    let net = Net::with(checking());
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 0);
    let text = of(PayloadFormat::Utf8);
    for payload in NOT_TEXT {
        let publisher = net.connect_v5("publisher");
        publisher.send_publish(Publish {
            properties: text.as_properties(),
            ..Publish::new("a", payload)
        });
        publisher.expect_disconnected(ReasonCode::PayloadFormatInvalid);
        let cause = CloseCause::Protocol(Violation::PayloadFormat);
        assert_eq!(publisher.closed(), Some(cause));
    }
    subscriber.expect_nothing();
    assert_eq!(net.broker().counters().refused_payload_format.get(), 3);
}

/// MQTT 5.0: [MQTT-3.3.2-4]
#[test]
fn text_passes_the_check_and_so_does_what_is_not_said_to_be_text() {
    let net = Net::with(checking());
    let subscriber = net.connect_v5("subscriber");
    subscriber.subscribe("a", 2);
    let publisher = net.connect_v5("publisher");
    let (text, bytes) = (of(PayloadFormat::Utf8), of(PayloadFormat::Bytes));
    for publish in [qos0, qos1, qos2] {
        for payload in TEXT {
            publisher.publish(Publish {
                properties: text.as_properties(),
                ..publish("a", payload)
            });
            let received = subscriber.expect(publish("a", "").qos.as_u8(), "a", payload);
            let format = received.properties.as_properties().payload_format();
            assert_eq!(format, Some(PayloadFormat::Utf8));
        }
        for (properties, told) in [
            (bytes.as_properties(), Some(PayloadFormat::Bytes)),
            (mqtt_codec::Properties::EMPTY, None),
        ] {
            publisher.publish(Publish {
                properties,
                payload: NOT_TEXT[0],
                ..publish("a", "")
            });
            let mqtt_codec::OwnedPacket::Publish(received) = subscriber.next() else {
                panic!("a PUBLISH")
            };
            subscriber.acknowledge(&received);
            assert_eq!(received.payload, NOT_TEXT[0]);
            assert_eq!(received.properties.as_properties().payload_format(), told);
        }
    }
    assert_eq!(net.broker().counters().refused_payload_format.get(), 0);
}

/// MQTT 5.0: [MQTT-3.3.2-4]
#[test]
fn without_the_option_nothing_is_checked() {
    let net = Net::new();
    let subscriber = net.connect_v5("subscriber");
    subscriber.subscribe("#", 2);
    let text = of(PayloadFormat::Utf8);
    let willing = Publish::new("will", NOT_TEXT[0]);
    let publisher = net
        .dial("publisher")
        .v5()
        .will(willing)
        .will_property(Property::PayloadFormatIndicator(PayloadFormat::Utf8))
        .connect();
    publisher.publish(Publish {
        properties: text.as_properties(),
        ..Publish::new("a", NOT_TEXT[0])
    });
    publisher.lose();
    for topic in ["a", "will"] {
        let mqtt_codec::OwnedPacket::Publish(received) = subscriber.next() else {
            panic!("a PUBLISH")
        };
        assert_eq!(received.topic, topic);
        assert_eq!(received.payload, NOT_TEXT[0]);
        let format = received.properties.as_properties().payload_format();
        assert_eq!(format, Some(PayloadFormat::Utf8));
    }
}

#[test]
fn a_will_that_is_not_what_it_says_is_refused() {
    let net = Net::with(checking());
    let dial = |payload| {
        net.dial("client")
            .v5()
            .will(Publish::new("a", payload))
            .will_property(Property::PayloadFormatIndicator(PayloadFormat::Utf8))
    };
    for payload in NOT_TEXT {
        let refused = dial(payload).refused().0;
        assert_eq!(refused, Some(ReasonCode::PayloadFormatInvalid));
    }
    for payload in TEXT {
        dial(payload.as_bytes()).connect().disconnect();
    }
    net.dial("client")
        .will(Publish::new("a", NOT_TEXT[0]))
        .connect();
    assert_eq!(net.broker().counters().refused_payload_format.get(), 3);
}
