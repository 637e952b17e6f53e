//! Where MQTT 3.1, 3.1.1 and 5 differ.

use broker_core::{BrokerOptions, CloseCause, Violation};
use mqtt_codec::{QoS, ReasonCode, SubscriptionOptions};

use crate::harness::*;

#[test]
fn all_versions_talk_to_each_other_at_every_quality() {
    let net = Net::new();
    let dials = [net.dial("v31").v31(), net.dial("v311"), net.dial("v5").v5()];
    let clients: Vec<Client> = dials.iter().map(|dial| dial.connect()).collect();
    for client in &clients {
        client.subscribe("a", 2);
    }
    for publisher in &clients {
        for publish in [qos0("a", "x"), qos1("a", "x"), qos2("a", "x")] {
            assert_eq!(publisher.publish(publish), ReasonCode::Success);
            for subscriber in &clients {
                subscriber.expect(publish.qos.as_u8(), "a", "x");
            }
        }
    }
}

#[test]
fn mqtt_3_1_has_no_session_present_and_no_refusal_in_suback() {
    let net = Net::new();
    let lasting = net.dial("old").v31().resuming();
    lasting.connect().lose();
    let client = lasting.connect();
    assert!(!client.connack.session_present, "the bit is reserved");
    let packet_id = client.take_id();
    client.send_subscribe(
        packet_id,
        &"/".repeat(201),
        SubscriptionOptions::new(QoS::AtMostOnce),
        None,
    );
    client.expect_closed(CloseCause::Protocol(Violation::SubscriptionRefused));
}

#[test]
fn mqtt_3_1_1_is_refused_a_filter_in_suback() {
    let net = Net::new();
    let client = net.connect("client");
    let options = SubscriptionOptions::new(QoS::AtMostOnce);
    let refused = client.subscribe_with(&"/".repeat(201), options, None);
    assert_eq!(refused, ReasonCode::UnspecifiedError, "0x80");
    client.ping();
}

/// MQTT 3.1, section "CONNECT": the client identifier has between 1 and 23 characters.
#[test]
fn mqtt_3_1_takes_client_identifiers_of_23_characters() {
    let net = Net::new();
    let (longest, longer) = ("é".repeat(23), "é".repeat(24));
    net.dial(&longest).v31().connect().ping();
    let (told, _) = net.dial(&longer).v31().refused();
    assert_eq!(told, Some(ReasonCode::ClientIdentifierNotValid));
    let (told, _) = net.dial("").v31().refused();
    assert_eq!(told, Some(ReasonCode::ClientIdentifierNotValid));
    net.dial(&longer).connect().ping();

    let lenient = Net::with(BrokerOptions {
        max_client_id_chars_v31: usize::MAX,
        ..BrokerOptions::default()
    });
    lenient.dial(&longer).v31().connect().ping();
}

#[test]
fn clean_start_without_expiry_is_what_a_clean_session_was() {
    let net = Net::new();
    let v5 = net.dial("client").v5();
    v5.connect().lose();
    assert_eq!(net.broker().sizes().sessions, 0);
    // And clean start 0 without an interval finds nothing either.
    v5.clone().resuming().connect().lose();
    assert!(!v5.resuming().connect().connack.session_present);
}

#[test]
fn mqtt_3_clients_get_no_disconnect() {
    let net = Net::new();
    let client = net.connect("client");
    client.send_raw(b"\x00\x00");
    assert_eq!(client.try_next(), None);
    assert!(matches!(client.closed(), Some(CloseCause::Malformed(_))));
}
