//! Sending clients to another server, and telling them where to hear replies.

use std::sync::Arc;

use broker_core::{BrokerOptions, CloseCause, Redirect};
use mqtt_codec::{OwnedPacket, Property, ReasonCode};

use crate::harness::*;

const ELSEWHERE: &str = "other.example.org:1883";

#[test]
fn a_client_that_connects_is_sent_to_the_other_server() {
    for (redirect, reason) in [
        (Redirect::temporary(ELSEWHERE), ReasonCode::UseAnotherServer),
        (Redirect::permanent(ELSEWHERE), ReasonCode::ServerMoved),
    ] {
        let net = Net::with(BrokerOptions {
            redirect: Some(redirect),
            ..BrokerOptions::default()
        });
        let client = net.dial("client").v5().send();
        let OwnedPacket::ConnAck(connack) = client.next() else {
            panic!("CONNACK comes");
        };
        assert_eq!(connack.reason_code, reason);
        let reference = connack.properties.as_properties().server_reference();
        assert_eq!(reference, Some(ELSEWHERE));
        client.expect_closed(CloseCause::Refused(reason));

        let (told, _) = net.dial("older").refused();
        assert_eq!(told, Some(ReasonCode::ServerUnavailable), "return code 3");
        assert_eq!(net.broker().counters().redirected.get(), 2);
        assert_eq!(net.broker().sizes().sessions, 0);
    }
}

#[test]
fn connected_clients_stay_until_the_end_and_are_sent_on_then() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let older = net.connect("older");
    net.broker().redirect(Some(Redirect::permanent(ELSEWHERE)));
    client.ping();
    net.shut_down();
    let OwnedPacket::Disconnect(disconnect) = client.next() else {
        panic!("DISCONNECT comes");
    };
    assert_eq!(disconnect.reason_code, ReasonCode::ServerMoved);
    let reference = disconnect.properties.as_properties().server_reference();
    assert_eq!(reference, Some(ELSEWHERE));
    let cause = CloseCause::Redirected(ReasonCode::ServerMoved);
    client.expect_closed(cause);
    older.expect_closed(cause);
}

#[test]
fn a_server_takes_clients_again_when_the_redirect_is_lifted() {
    let net = Net::new();
    net.broker().redirect(Some(Redirect::temporary(ELSEWHERE)));
    net.dial("client").v5().refused();
    net.broker().redirect(None);
    net.connect_v5("client").ping();
}

/// A null character cannot be sent. The reason is nevertheless.
#[test]
fn a_reference_that_cannot_be_sent_is_left_out() {
    let net = Net::new();
    net.broker().redirect(Some(Redirect::temporary("a\0b")));
    let (told, _) = net.dial("client").v5().refused();
    assert_eq!(told, Some(ReasonCode::UseAnotherServer));
}

/// MQTT 5.0: [MQTT-3.1.2-28]
#[test]
fn response_information_comes_to_those_who_ask_for_it() {
    let net = Net::with(BrokerOptions {
        response_information: Some(Arc::new(|client: &str| format!("replies/{client}/"))),
        ..BrokerOptions::default()
    });
    let told = |client: &Client| {
        let properties = client.connack.properties.as_properties();
        properties.response_information().map(str::to_owned)
    };
    for (asked, expected) in [
        (Some(true), Some("replies/client/")),
        (Some(false), None),
        (None, None),
    ] {
        let mut dial = net.dial("client").v5();
        if let Some(asked) = asked {
            dial = dial.property(Property::RequestResponseInformation(asked));
        }
        assert_eq!(told(&dial.connect()).as_deref(), expected, "{asked:?}");
    }
    let plain = Net::new();
    let asked = plain
        .dial("client")
        .v5()
        .property(Property::RequestResponseInformation(true));
    assert_eq!(told(&asked.connect()), None, "there is none to tell");
}
