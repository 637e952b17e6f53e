//! AUTH on a live connection, by which a client shows anew who it is (MQTT 5.0, section 4.12.1).

use super::*;

/// MQTT 5.0: [MQTT-4.12.1-1]
#[test]
fn a_live_connection_is_authenticated_anew_while_everything_else_goes_on() {
    let (net, script) = Script::net(&[
        Line::Accept(""),
        Line::Continue("again?"),
        Line::Wait,
        Line::Accept("still you"),
    ]);
    let client = dial(&net).connect();
    client.subscribe("a", 1);
    script.heard();
    send_auth(&client, ReasonCode::ReAuthenticate, "again");
    expect_auth(&client, ReasonCode::ContinueAuthentication, "again?");
    client.ping();
    go_on(&client, "yes");
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "meanwhile"));
    client.expect(1, "a", "meanwhile");
    client.ping();
    script.decide(&net, Line::Accept("yes you"));
    expect_auth(&client, ReasonCode::Success, "yes you");
    // And once more, at once this time; after a while, since the time limit went with the first.
    net.advance(Duration::from_secs(60));
    send_auth(&client, ReasonCode::ReAuthenticate, "");
    expect_auth(&client, ReasonCode::Success, "still you");
    assert_eq!(
        script.heard(),
        [
            r#"V5 client None None Some("somebody")"#,
            "again",
            "yes",
            r#"V5 client None None Some("somebody")"#,
            "nothing"
        ]
    );
    client.ping();
    assert_eq!(failures(&net), 0);
}

/// MQTT 5.0: [MQTT-4.12.1-2]
#[test]
fn who_fails_to_authenticate_anew_is_disconnected() {
    let cases = [
        (
            Line::Refuse(ReasonCode::NotAuthorized, Some("not you")),
            ReasonCode::NotAuthorized,
        ),
        (
            Line::Refuse(ReasonCode::AdministrativeAction, Some("not you")),
            ReasonCode::AdministrativeAction,
        ),
        // For CONNACK alone.
        (
            Line::Refuse(ReasonCode::Banned, Some("not you")),
            ReasonCode::NotAuthorized,
        ),
        (Line::Large(300, true), ReasonCode::PacketTooLarge),
        // Accepted, but as nobody.
        (Line::Large(1, false), ReasonCode::NotAuthorized),
    ];
    for (says, reason) in cases {
        for waits in [false, true] {
            let (net, script) = Script::net(&[Line::Accept("")]);
            let watcher = net.connect("watcher");
            watcher.subscribe("gone", 0);
            let client = dial(&net)
                .property(Property::MaximumPacketSize(200))
                .will(qos0("gone", "w"))
                .connect();
            script.say(&[if waits { Line::Wait } else { says.clone() }]);
            send_auth(&client, ReasonCode::ReAuthenticate, "");
            if waits {
                client.expect_nothing();
                script.decide(&net, says.clone());
            }
            let OwnedPacket::Disconnect(disconnect) = client.next() else {
                panic!("DISCONNECT expected");
            };
            assert_eq!(disconnect.reason_code, reason);
            let words = disconnect.properties.as_properties().reason_string();
            assert_eq!(
                words == Some("not you"),
                matches!(says, Line::Refuse(..)),
                "{words:?}"
            );
            client.expect_closed(CloseCause::AuthenticationFailed(reason));
            assert_eq!(failures(&net), 1);
            watcher.expect(0, "gone", "w");
        }
    }
}

#[test]
fn a_second_re_authentication_during_one_is_an_error() {
    for says in [Line::Continue("?"), Line::Wait] {
        let (net, script) = Script::net(&[Line::Accept(""), says]);
        let client = dial(&net).connect();
        send_auth(&client, ReasonCode::ReAuthenticate, "");
        while client.try_next().is_some() {}
        send_auth(&client, ReasonCode::ReAuthenticate, "");
        client.expect_disconnected(ReasonCode::ProtocolError);
        assert!(script.lines().pending.len() <= 1);
    }
}

#[test]
fn a_re_authentication_ends_in_time() {
    for says in [Line::Continue("?"), Line::Wait] {
        let (net, script) = Script::net(&[Line::Accept(""), says.clone()]);
        let client = dial(&net).connect();
        net.advance(Duration::from_secs(100));
        send_auth(&client, ReasonCode::ReAuthenticate, "");
        while client.try_next().is_some() {}
        net.advance(Duration::from_millis(9_999));
        client.expect_nothing();
        net.advance(Duration::from_millis(1));
        client.expect_disconnected(ReasonCode::NotAuthorized);
        assert_eq!(client.closed(), Some(CloseCause::AuthenticationTimeout));
        let waits = matches!(says, Line::Wait);
        assert_eq!(script.lines().dropped, usize::from(waits));
    }
}

/// Another connection takes the session while this one is being asked who it is.
#[test]
fn a_takeover_ends_a_re_authentication() {
    let (net, script) = Script::net(&[Line::Accept(""), Line::Wait, Line::Accept("")]);
    let first = dial(&net).connect();
    send_auth(&first, ReasonCode::ReAuthenticate, "");
    let second = dial(&net).connect();
    first.expect_disconnected(ReasonCode::SessionTakenOver);
    assert_eq!(script.lines().dropped, 1);
    second.ping();
}
