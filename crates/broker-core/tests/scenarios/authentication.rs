//! Enhanced authentication: AUTH between CONNECT and CONNACK (MQTT 5.0, section 4.12).

mod re_authentication;
mod script;

use std::time::Duration;

use broker_core::{CloseCause, Connection, Redirect, Timestamp, Violation};
use mqtt_codec::{
    Connect, DecodeError, Disconnect, OwnedAuth, OwnedConnAck, OwnedPacket, Packet, PropertiesBuf,
    Property, ReasonCode, Version,
};

use crate::harness::*;
use script::*;

fn dial(net: &Net) -> Dial {
    net.dial("client")
        .v5()
        .property(Property::AuthenticationMethod(METHOD))
}

fn auth_of(reason_code: ReasonCode, method: &str, data: &str) -> OwnedAuth {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod(method))
        .unwrap();
    if !data.is_empty() {
        properties
            .push(Property::AuthenticationData(data.as_bytes()))
            .unwrap();
    }
    OwnedAuth {
        reason_code,
        properties,
    }
}

fn send_auth(client: &Client, reason_code: ReasonCode, data: &str) {
    let auth = auth_of(reason_code, METHOD, data);
    client.send(Packet::Auth(auth.as_auth()));
}

fn go_on(client: &Client, data: &str) {
    send_auth(client, ReasonCode::ContinueAuthentication, data);
}

/// AUTH from the server, with method and data [MQTT-4.12.0-5].
fn expect_auth(client: &Client, reason_code: ReasonCode, data: &str) {
    let expected = auth_of(reason_code, METHOD, data);
    assert_eq!(client.next(), OwnedPacket::Auth(expected));
}

fn connack(client: &Client) -> OwnedConnAck {
    match client.next() {
        OwnedPacket::ConnAck(connack) => connack,
        other => panic!("expected CONNACK, got {other:?}"),
    }
}

fn expect_accepted(client: &Client, data: &str) {
    let connack = connack(client);
    assert_eq!(connack.reason_code, ReasonCode::Success);
    let properties = connack.properties.as_properties();
    assert_eq!(properties.authentication_method(), Some(METHOD));
    let told = properties.authentication_data().unwrap_or_default();
    assert_eq!(told, data.as_bytes());
}

/// CONNACK with an error, the end, and nobody who would have a session.
fn expect_refused(net: &Net, client: &Client, reason: ReasonCode) {
    let connack = connack(client);
    assert_eq!(connack.reason_code, reason);
    let properties = connack.properties.as_properties();
    assert_eq!(properties.authentication_method(), None);
    assert_eq!(client.try_next(), None, "[MQTT-3.14.0-1]");
    assert!(client.closed().is_some(), "[MQTT-4.12.0-4]");
    assert_eq!(net.broker().sizes().sessions, 0);
}

fn failures(net: &Net) -> u64 {
    net.broker().counters().authentication_failures.get()
}

/// MQTT 5.0: [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] [MQTT-3.2.0-1]
#[test]
fn an_exchange_goes_to_and_fro_until_the_method_accepts() {
    let (net, script) = Script::net(&[
        Line::Continue("who?"),
        Line::Continue(""),
        Line::Accept("welcome"),
    ]);
    let client = dial(&net)
        .property(Property::AuthenticationData(b"me"))
        .send();
    expect_auth(&client, ReasonCode::ContinueAuthentication, "who?");
    client.expect_nothing();
    assert_eq!(net.broker().sizes().sessions, 0, "no session so far");
    go_on(&client, "I");
    expect_auth(&client, ReasonCode::ContinueAuthentication, "");
    go_on(&client, "");
    expect_accepted(&client, "welcome");
    client.ping();
    assert_eq!(
        script.heard(),
        ["V5 client None None None", "me", "I", "nothing"]
    );
    assert_eq!(failures(&net), 0);
}

#[test]
fn a_method_may_accept_what_connect_says_and_gets_to_see_it() {
    let (net, script) = Script::net(&[Line::Accept("")]);
    let mut connect = Connect::new(Version::V5, "client");
    connect.username = Some("name");
    connect.password = Some(b"secret");
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod(METHOD))
        .unwrap();
    connect.properties = properties.as_properties();
    let line = net.open();
    net.send(line, &Packet::Connect(connect));
    let Some(OwnedPacket::ConnAck(connack)) = net.next(line) else {
        panic!("CONNACK expected");
    };
    assert_eq!(connack.reason_code, ReasonCode::Success);
    assert_eq!(
        script.heard(),
        [r#"V5 client Some("name") Some("secret") None"#, "nothing"]
    );
}

/// What CONNECT asked for is granted after the exchange as it would have been without: session,
/// will, keep alive.
#[test]
fn a_connect_that_had_to_wait_is_not_forgotten() {
    let (net, script) = Script::net(&[
        Line::Accept(""),
        Line::Continue("?"),
        Line::Wait,
        Line::Accept(""),
    ]);
    let watcher = net.connect("watcher");
    watcher.subscribe("gone", 0);
    let dial = dial(&net)
        .expiry(100)
        .resuming()
        .keep_alive(10)
        .will(qos0("gone", "w"));
    let client = dial.connect();
    client.subscribe("kept", 1);
    client.disconnect();
    net.connect("publisher").publish(qos1("kept", "x"));

    let client = dial.send();
    expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
    go_on(&client, "!");
    client.expect_nothing();
    script.decide(&net, Line::Accept(""));
    let connack = connack(&client);
    assert!(connack.session_present);
    client.expect(1, "kept", "x");
    net.advance(Duration::from_secs(15));
    client.expect_disconnected(ReasonCode::KeepAliveTimeout);
    watcher.expect(0, "gone", "w");
}

/// MQTT 5.0: [MQTT-4.12.0-1] [MQTT-4.12.0-6]
#[test]
fn a_method_that_is_not_known_is_refused() {
    let (net, _) = Script::net(&[]);
    for method in ["", "SCRIP", "SCRIPT ", "script"] {
        let client = net
            .dial("client")
            .v5()
            .property(Property::AuthenticationMethod(method))
            .send();
        expect_refused(&net, &client, ReasonCode::BadAuthenticationMethod);
    }
    assert_eq!(failures(&net), 4);
    // Nobody else hears of methods.
    let client = net.connect_v5("client");
    let told = client.connack.properties.as_properties();
    assert_eq!(told.authentication_method(), None);
    client.expect_nothing();
}

/// MQTT 5.0: [MQTT-4.12.0-4] [MQTT-3.1.4-6]
#[test]
fn a_refusal_is_told_in_connack_and_what_stands_behind_is_ignored() {
    let cases = [
        (ReasonCode::NotAuthorized, ReasonCode::NotAuthorized),
        (ReasonCode::Banned, ReasonCode::Banned),
        // Neither is anything that CONNACK could refuse with.
        (ReasonCode::Success, ReasonCode::NotAuthorized),
        (ReasonCode::TopicAliasInvalid, ReasonCode::NotAuthorized),
    ];
    for (said, told) in cases {
        let words = Some("not you");
        let (net, script) = Script::net(&[
            Line::Refuse(said, words),
            Line::Continue("?"),
            Line::Refuse(said, words),
            Line::Wait,
        ]);
        let witness = net.connect("witness");
        witness.subscribe("#", 0);
        for way in ["at once", "after AUTH", "pending"] {
            let client = dial(&net).send();
            let mut behind = Vec::new();
            if way == "after AUTH" {
                expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
                let auth = auth_of(ReasonCode::ContinueAuthentication, METHOD, "");
                auth.as_auth().encode(Version::V5, &mut behind).unwrap();
            }
            qos0("a", "x").encode(Version::V5, &mut behind).unwrap();
            client.send_raw(&behind);
            if way == "pending" {
                assert!(net.waiting_input(2 + 1) > 0, "kept for later");
                script.decide(&net, Line::Refuse(said, words));
            }
            let connack = connack(&client);
            assert_eq!(connack.reason_code, told, "{way}");
            let properties = connack.properties.as_properties();
            assert_eq!(properties.reason_string(), words, "{way}");
            assert_eq!(client.closed(), Some(CloseCause::Refused(told)), "{way}");
        }
        witness.expect_nothing();
        assert_eq!(failures(&net), 3);
    }
}

/// MQTT 5.0: [MQTT-3.1.2-30] [MQTT-3.15.1-1] [MQTT-3.14.0-1]
#[test]
fn before_connack_nothing_but_auth_and_disconnect_may_come() {
    let bytes = |packet: Packet<'_>| {
        let mut bytes = Vec::new();
        packet.encode(Version::V5, &mut bytes).unwrap();
        bytes
    };
    let publish = bytes(Packet::Publish(qos0("a", "x")));
    let cases = [
        (
            publish.clone(),
            CloseCause::Protocol(Violation::BeforeConnAck),
        ),
        (
            bytes(Packet::PingReq),
            CloseCause::Protocol(Violation::BeforeConnAck),
        ),
        (
            bytes(Packet::Connect(Connect::new(Version::V5, "other"))),
            CloseCause::Protocol(Violation::SecondConnect),
        ),
        (vec![0x10], CloseCause::AuthenticationTimeout),
        (
            vec![0xF1, 0],
            CloseCause::Malformed(DecodeError::ReservedHeaderFlags),
        ),
    ];
    for (bytes, cause) in cases {
        let (net, _) = Script::net(&[Line::Continue("?")]);
        let client = dial(&net).send();
        expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
        client.send_raw(&bytes);
        net.advance(Duration::from_secs(10));
        let reason = cause.disconnect_reason().unwrap();
        expect_refused(&net, &client, reason);
        assert_eq!(client.closed(), Some(cause));
    }
    // A client cannot have seen a CONNACK that was not sent when its next packet came.
    for line in [Line::Accept(""), Line::Wait] {
        let waits = matches!(line, Line::Wait);
        let (net, script) = Script::net(&[line]);
        let mut hello = Vec::new();
        let method = auth_of(ReasonCode::Success, METHOD, "").properties;
        let connect = Connect {
            properties: method.as_properties(),
            ..Connect::new(Version::V5, "client")
        };
        connect.encode(Version::V5, &mut hello).unwrap();
        hello.extend_from_slice(&publish);
        let line = net.open();
        net.send_raw(line, &hello);
        if waits {
            script.decide(&net, Line::Accept(""));
        }
        let Some(OwnedPacket::ConnAck(connack)) = net.next(line) else {
            panic!("CONNACK expected");
        };
        assert_eq!(connack.reason_code, ReasonCode::Success);
        assert!(matches!(
            net.next(line),
            Some(OwnedPacket::Disconnect(disconnect))
                if disconnect.reason_code == ReasonCode::ProtocolError
        ));
        let cause = CloseCause::Protocol(Violation::BeforeConnAck);
        assert_eq!(net.closed(line), Some(cause));
    }
}

/// A client that changes its mind hears nothing more, and its will is not published.
#[test]
fn a_client_may_disconnect_before_connack() {
    let (net, _) = Script::net(&[Line::Continue("?")]);
    let watcher = net.connect("watcher");
    watcher.subscribe("gone", 0);
    let client = dial(&net).will(qos0("gone", "w")).send();
    expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
    client.send(Packet::Disconnect(Disconnect::new(
        ReasonCode::DisconnectWithWill,
    )));
    client.expect_closed(CloseCause::Disconnected(ReasonCode::DisconnectWithWill));
    watcher.expect_nothing();
}

/// MQTT 5.0: [MQTT-4.12.0-5] [MQTT-3.15.2-1]
#[test]
fn auth_has_to_name_the_method_of_connect_and_to_go_on() {
    let cases = [
        (
            auth_of(ReasonCode::ContinueAuthentication, "OTHER", ""),
            Violation::AuthenticationMethod,
        ),
        (
            auth_of(ReasonCode::ReAuthenticate, METHOD, ""),
            Violation::UnexpectedAuth,
        ),
        (
            auth_of(ReasonCode::Success, METHOD, ""),
            Violation::UnexpectedAuth,
        ),
        (
            // Its short form has no method at all.
            OwnedAuth {
                reason_code: ReasonCode::Success,
                properties: PropertiesBuf::new(),
            },
            Violation::AuthenticationMethod,
        ),
    ];
    for (auth, violation) in cases {
        let (net, _) = Script::net(&[Line::Continue("?"), Line::Accept("")]);
        let client = dial(&net).send();
        expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
        client.send(Packet::Auth(auth.as_auth()));
        expect_refused(&net, &client, ReasonCode::ProtocolError);
        assert_eq!(client.closed(), Some(CloseCause::Protocol(violation)));

        // The same on a live connection, where only 0x19 begins anything.
        if auth.reason_code == ReasonCode::ReAuthenticate {
            continue;
        }
        let (net, _) = Script::net(&[Line::Accept("")]);
        let client = dial(&net).connect();
        client.send(Packet::Auth(auth.as_auth()));
        client.expect_disconnected(ReasonCode::ProtocolError);
    }
}

/// MQTT 5.0: [MQTT-4.12.0-7]
#[test]
fn a_client_without_a_method_may_not_send_auth() {
    let (net, _) = Script::net(&[]);
    let client = net.connect_v5("client");
    send_auth(&client, ReasonCode::ReAuthenticate, "");
    client.expect_disconnected(ReasonCode::ProtocolError);
}

#[test]
fn an_exchange_ends_in_time() {
    for says in [Line::Continue("?"), Line::Wait] {
        let waits = matches!(says, Line::Wait);
        let (net, script) = Script::net(&[says]);
        let client = dial(&net).send();
        if !waits {
            expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
        }
        net.advance(Duration::from_millis(9_999));
        client.expect_nothing();
        net.advance(Duration::from_millis(1));
        expect_refused(&net, &client, ReasonCode::NotAuthorized);
        assert_eq!(client.closed(), Some(CloseCause::AuthenticationTimeout));
        assert_eq!(script.lines().dropped, usize::from(waits));
        assert_eq!(failures(&net), 1);
    }
}

#[test]
fn an_exchange_ends_after_so_many_rounds() {
    let says = vec![Line::Continue("?"); 20];
    let (net, script) = Script::net_with(&says, |options| options.max_authentication_rounds = 5);
    let client = dial(&net).send();
    for _ in 1..5 {
        expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
        go_on(&client, "!");
    }
    expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
    go_on(&client, "!");
    expect_refused(&net, &client, ReasonCode::NotAuthorized);
    assert_eq!(script.heard().len(), 1 + 5);
    assert_eq!(failures(&net), 1);
}

#[test]
fn what_the_client_has_no_room_for_is_not_sent() {
    for (says, reason) in [
        (Line::Large(100, true), ReasonCode::PacketTooLarge),
        (Line::Large(100, false), ReasonCode::PacketTooLarge),
        // More than MQTT can express.
        (
            Line::Large(65_536, true),
            ReasonCode::ImplementationSpecificError,
        ),
    ] {
        let (net, _) = Script::net(&[says]);
        let client = dial(&net).property(Property::MaximumPacketSize(90)).send();
        expect_refused(&net, &client, reason);
    }
    let (net, _) = Script::net(&[Line::Large(65_535, true), Line::Large(65_535, false)]);
    let client = dial(&net).send();
    assert!(matches!(client.next(), OwnedPacket::Auth(_)));
    go_on(&client, "");
    assert_eq!(connack(&client).reason_code, ReasonCode::Success);
}

/// AUTH has what the method needs and nothing that a client could lack the room for: where it fits
/// to the byte it is sent, and where it does not no part of it is.
///
/// MQTT 5.0: [MQTT-3.15.2-2] [MQTT-3.15.2-3]
#[test]
fn auth_is_no_larger_than_it_has_to_be() {
    let mut bytes = Vec::new();
    let auth = auth_of(ReasonCode::ContinueAuthentication, METHOD, &"x".repeat(100));
    auth.as_auth().encode(Version::V5, &mut bytes).unwrap();
    let size = u32::try_from(bytes.len()).unwrap();
    for (maximum, fits) in [(size, true), (size - 1, false)] {
        let (net, _) = Script::net(&[Line::Large(100, true)]);
        let client = dial(&net)
            .property(Property::MaximumPacketSize(maximum))
            .send();
        if fits {
            expect_auth(
                &client,
                ReasonCode::ContinueAuthentication,
                &"x".repeat(100),
            );
        } else {
            expect_refused(&net, &client, ReasonCode::PacketTooLarge);
        }
        // And on a live connection, where CONNACK was small enough.
        let (net, script) = Script::net(&[Line::Accept("")]);
        let client = dial(&net)
            .property(Property::MaximumPacketSize(maximum))
            .connect();
        script.say(&[Line::Large(100, true)]);
        send_auth(&client, ReasonCode::ReAuthenticate, "");
        if fits {
            expect_auth(
                &client,
                ReasonCode::ContinueAuthentication,
                &"x".repeat(100),
            );
        } else {
            client.expect_disconnected(ReasonCode::PacketTooLarge);
        }
    }
}

#[test]
fn a_pending_verdict_is_dropped_with_its_connection() {
    let (net, script) = Script::net(&[Line::Wait, Line::Wait]);
    let client = dial(&net).send();
    client.lose();
    assert_eq!(client.closed(), Some(CloseCause::ConnectionLost));
    assert_eq!(script.lines().dropped, 1);
    let client = dial(&net).send();
    client.cancel();
    assert_eq!(script.lines().dropped, 2);
    assert_eq!(failures(&net), 0, "nobody was refused");
}

/// What comes while the verdict is pending is kept, and nothing of it is acted on before.
#[test]
fn what_comes_during_a_pending_verdict_waits_for_it() {
    let (net, script) = Script::net(&[Line::Continue("?"), Line::Wait]);
    let client = dial(&net).send();
    expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
    go_on(&client, "answer");
    client.send(Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
    client.expect_nothing();
    script.decide(&net, Line::Accept(""));
    expect_accepted(&client, "");
    let cause = CloseCause::Disconnected(ReasonCode::Success);
    client.expect_closed(cause);
}

/// The client takes no turn that is not its own, not even if it guesses what it would be asked.
#[test]
fn an_answer_that_comes_before_its_question_is_an_error() {
    let (net, script) = Script::net(&[Line::Continue("?"), Line::Wait]);
    let client = dial(&net).send();
    expect_auth(&client, ReasonCode::ContinueAuthentication, "?");
    go_on(&client, "first");
    go_on(&client, "second");
    script.decide(&net, Line::Continue("!"));
    expect_refused(&net, &client, ReasonCode::ProtocolError);
    assert_eq!(script.heard().last().unwrap(), "first");
}

#[test]
fn whoever_has_no_method_stays_outside_where_one_is_required() {
    let (net, _) = Script::net_with(&[Line::Accept("")], |options| {
        options.require_enhanced_authentication = true;
    });
    let reason = ReasonCode::NotAuthorized;
    let refused = (Some(reason), CloseCause::Refused(reason));
    assert_eq!(net.dial("client").v5().refused(), refused);
    assert_eq!(net.dial("client").refused(), refused, "return code 5");
    assert_eq!(net.dial("client").v31().refused(), refused);
    assert_eq!(failures(&net), 3);
    let client = dial(&net).connect();
    client.disconnect();
    net.shut_down();
}

/// A driver gives way before a takeover, and that takes time.
#[test]
fn a_stranger_does_not_learn_from_the_time_it_takes_who_is_connected() {
    for require in [false, true] {
        let (net, _) = Script::net_with(&[Line::Accept("")], |options| {
            options.require_enhanced_authentication = require;
        });
        let _client = dial(&net).connect();
        let connection = Connection::new(&net.broker(), Timestamp::default());
        let would_displace = |client_id, method: Option<&str>| {
            let mut properties = PropertiesBuf::new();
            if let Some(method) = method {
                let method = Property::AuthenticationMethod(method);
                properties.push(method).unwrap();
            }
            connection.would_displace(&Connect {
                properties: properties.as_properties(),
                ..Connect::new(Version::V5, client_id)
            })
        };
        for client_id in ["client", "other"] {
            assert!(!would_displace(client_id, Some(METHOD)));
            assert!(!would_displace(client_id, Some("UNKNOWN")));
        }
        // Whoever may come in without showing who he is may know.
        assert_eq!(would_displace("client", None), !require);
        assert!(!would_displace("other", None));
        let other = Redirect::temporary("other.example.org");
        net.broker().redirect(Some(other));
        assert!(!would_displace("client", None), "redirected");
    }
}

/// Nobody takes a session over before he has shown who he is.
#[test]
fn an_exchange_disturbs_nobody_who_is_connected() {
    let (net, script) = Script::net(&[Line::Accept(""), Line::Wait]);
    let first = dial(&net).connect();
    let second = dial(&net).send();
    first.ping();
    script.decide(&net, Line::Refuse(ReasonCode::NotAuthorized, None));
    assert_eq!(connack(&second).reason_code, ReasonCode::NotAuthorized);
    first.ping();
}

/// Packets for the two directions of AUTH: what is expected above is what the codec reads.
#[test]
fn auth_is_encoded_with_its_method() {
    let auth = auth_of(ReasonCode::ContinueAuthentication, "M", "d");
    let mut bytes = Vec::new();
    auth.as_auth().encode(Version::V5, &mut bytes).unwrap();
    assert_eq!(bytes, b"\xF0\x0A\x18\x08\x15\0\x01M\x16\0\x01d");
}
