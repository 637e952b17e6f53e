//! Who comes in, and with which will.

use super::*;

/// [MQTT-3.1.4-2]
#[test]
fn who_comes_in_is_what_the_hook_says_in_the_words_of_each_version() {
    let bad = Authentication::bad_credentials();
    let denied = Authentication::not_authorized();
    for (says, v5, older) in [
        (Authentication::accept("eve"), ReasonCode::Success, Some(0)),
        (Authentication::Pass, ReasonCode::Success, Some(0)),
        (bad, ReasonCode::BadUserNameOrPassword, Some(4)),
        (denied, ReasonCode::NotAuthorized, Some(5)),
    ] {
        for version in [Version::V31, Version::V311, Version::V5] {
            let (net, script) = Script::net(ENTRY);
            script.say([Say::Enter(says.clone())]);
            let line = connect(&net, version, |_| ());
            assert_eq!(script.heard(), ["enter client eve pencil"]);
            let (_, reason) = connack(&net, line).expect("CONNACK");
            if version.is_v5() {
                assert_eq!(reason, v5);
            } else {
                let code = reason.connect_return_code().map(|code| code.as_u8());
                assert_eq!(code, older, "{says:?}");
            }
            let is_in = reason == ReasonCode::Success;
            assert_eq!(net.closed(line).is_none(), is_in);
            let failures = net.broker().counters().authentication_failures.get();
            assert_eq!(failures, u64::from(!is_in));
            assert_eq!(net.broker().sizes().sessions, usize::from(is_in));
        }
    }
}

#[test]
fn nobody_loses_his_place_to_a_client_that_the_hook_refuses_or_thinks_about() {
    let (net, script) = Script::net(ENTRY);
    let first = connect(&net, Version::V5, |_| ());
    connack(&net, first).expect("it is in");
    script.say([Say::Wait, Say::Enter(Authentication::not_authorized())]);
    let second = connect(&net, Version::V5, |_| ());
    let third = connect(&net, Version::V5, |_| ());
    assert_eq!(connack(&net, third).unwrap().1, ReasonCode::NotAuthorized);
    assert_eq!(connack(&net, second), None);
    net.send(first, &Packet::PingReq);
    assert!(matches!(net.next(first), Some(OwnedPacket::PingResp)));
    script.answer(&net, Say::Enter(Authentication::accept("eve")));
    assert_eq!(connack(&net, second).unwrap().1, ReasonCode::Success);
    assert_eq!(net.closed(first), Some(CloseCause::TakenOver));
}

#[test]
fn what_a_client_sends_while_the_hook_thinks_is_handled_afterwards_in_its_order() {
    let (net, script) = Script::net(ENTRY);
    script.say([Say::Wait]);
    let line = connect(&net, Version::V5, |_| ());
    subscribe(&net, line, &["a"]);
    publish(&net, line, qos1("a", "1"));
    assert_eq!(net.next(line), None);
    script.answer(&net, Say::Enter(Authentication::accept("eve")));
    assert_eq!(connack(&net, line), Some((false, ReasonCode::Success)));
    assert_eq!(suback(&net, line), Some(vec![ReasonCode::GrantedQos1]));
    assert_eq!(puback(&net, line), Some(ReasonCode::Success));
    assert_eq!(received(&net, line), ["a 1"]);
}

#[test]
fn a_hook_that_does_not_answer_connect_in_time_or_panics_refuses_it() {
    let (net, script) = Script::net(ENTRY);
    script.say([Say::Wait, Say::Panic, Say::PanicLater]);
    let slow = connect(&net, Version::V5, |_| ());
    net.advance(Duration::from_secs(11));
    assert_eq!(connack(&net, slow).unwrap().1, ReasonCode::NotAuthorized);
    assert_eq!(net.closed(slow), Some(CloseCause::AuthenticationTimeout));
    for _ in 0..2 {
        let line = connect(&net, Version::V311, |_| ());
        assert_eq!(connack(&net, line).unwrap().1, ReasonCode::NotAuthorized);
    }
    assert_eq!(net.broker().counters().hook_failures.get(), 2);
    let line = connect(&net, Version::V5, |_| ());
    assert_eq!(connack(&net, line).unwrap().1, ReasonCode::Success);
}

#[test]
fn a_will_is_asked_about_at_connect() {
    for (says, expected) in [
        (PublishVerdict::Allow, Some("w gone")),
        (PublishVerdict::Replace(b"other".to_vec()), Some("w other")),
        (PublishVerdict::Ignore, None),
    ] {
        let (net, script) = Script::net(PUBLISH);
        let watcher = net.connect("watcher");
        watcher.subscribe("w", 0);
        script.say([Say::Publish(says)]);
        let client = net.dial("client").will(qos0("w", "gone")).connect();
        assert_eq!(script.heard(), ["will client w"]);
        client.lose();
        let messages = received(&net, watcher.line());
        assert_eq!(messages.first().map(String::as_str), expected);
    }
    let (net, script) = Script::net(PUBLISH);
    script.say([Say::Publish(PublishVerdict::DENY)]);
    let line = connect(&net, Version::V5, |connect| {
        connect.will = Some(mqtt_codec::Will::new("w", b"gone"));
    });
    assert_eq!(connack(&net, line).unwrap().1, ReasonCode::NotAuthorized);
    assert_eq!(net.broker().counters().denied_publishes.get(), 1);
}
