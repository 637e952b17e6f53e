//! What clients publish and subscribe to.

use super::*;

#[test]
fn a_message_is_published_replaced_ignored_or_denied() {
    for version in [Version::V311, Version::V5] {
        for quality in [qos0("a", "1"), qos1("a", "1"), qos2("a", "1")] {
            for (says, arrives) in [
                (PublishVerdict::Allow, Some("a 1")),
                (PublishVerdict::Replace(b"two".to_vec()), Some("a two")),
                (PublishVerdict::Ignore, None),
                (PublishVerdict::Deny(ReasonCode::QuotaExceeded), None),
                (PublishVerdict::Disconnect, None),
            ] {
                for later in [false, true] {
                    check_publish(version, quality, says.clone(), arrives, later);
                }
            }
        }
    }
}

fn check_publish(
    version: Version,
    message: mqtt_codec::Publish<'_>,
    says: PublishVerdict,
    arrives: Option<&str>,
    later: bool,
) {
    let (net, script) = Script::net(PUBLISH);
    let watcher = connect(&net, Version::V5, |connect| connect.client_id = "watcher");
    subscribe(&net, watcher, &["#"]);
    let line = connect(&net, version, |_| ());
    connack(&net, line).expect("CONNACK");
    let say = Say::Publish(says.clone());
    script.say([if later { Say::Wait } else { say.clone() }]);
    publish(&net, line, message);
    net.send(line, &Packet::PingReq);
    if later {
        assert_eq!(net.next(line), None, "nothing else is handled");
        script.answer(&net, say);
    }
    assert_eq!(script.heard(), ["publish client a"]);
    let got = received(&net, watcher);
    assert_eq!(got.first().map(String::as_str), arrives);
    let is_denied = matches!(says, PublishVerdict::Deny(_));
    let closes = matches!(says, PublishVerdict::Disconnect) || is_denied && !version.is_v5();
    if closes {
        assert_eq!(net.closed(line), Some(CloseCause::NotAuthorized));
        let told = net.take(line, |packet| match packet {
            OwnedPacket::Disconnect(disconnect) => Some(disconnect.reason_code),
            _ => None,
        });
        assert_eq!(told, version.is_v5().then_some(ReasonCode::NotAuthorized));
    } else {
        let reason = match is_denied {
            true => ReasonCode::QuotaExceeded,
            false => ReasonCode::Success,
        };
        match message.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => assert_eq!(puback(&net, line), Some(reason)),
            QoS::ExactlyOnce => {
                let pubrec = |packet: &OwnedPacket| match packet {
                    OwnedPacket::PubRec(pubrec) => Some(pubrec.reason_code),
                    _ => None,
                };
                assert_eq!(net.take(line, pubrec), Some(reason));
                if !is_denied {
                    // The same again is not asked about again, and goes nowhere.
                    publish(&net, line, message);
                    assert_eq!(net.take(line, pubrec), Some(ReasonCode::Success));
                    assert_eq!(script.heard(), [""; 0]);
                    assert_eq!(received(&net, watcher), [""; 0]);
                    net.send(line, &Packet::PubRel(mqtt_codec::PubRel::new(id(5))));
                    assert!(
                        net.take(line, |packet| matches!(packet, OwnedPacket::PubComp(_))
                            .then_some(()))
                            .is_some()
                    );
                }
            }
        }
        assert!(matches!(net.next(line), Some(OwnedPacket::PingResp)));
        assert_eq!(net.closed(line), None);
    }
    let denied = net.broker().counters().denied_publishes.get();
    assert_eq!(
        denied,
        u64::from(arrives.is_none() && says != PublishVerdict::Ignore)
    );
}

#[test]
fn nobody_is_asked_about_the_brokers_own_topics_and_a_topic_alias_is_resolved_first() {
    let (net, script) = Script::net(PUBLISH);
    let client = net.connect_v5("client");
    client.publish(qos1("$SYS/x", "1"));
    assert_eq!(script.heard(), [""; 0]);
    let line = client.line();
    let mut properties = mqtt_codec::PropertiesBuf::new();
    properties
        .push(mqtt_codec::Property::TopicAlias(3))
        .unwrap();
    for topic in ["deep/topic", ""] {
        script.say([Say::Wait]);
        let message = mqtt_codec::Publish {
            properties: properties.as_properties(),
            ..qos1(topic, "x")
        };
        publish(&net, line, message);
        assert_eq!(script.heard(), ["publish client deep/topic"]);
        script.answer(&net, Say::Publish(PublishVerdict::Allow));
    }
}

#[test]
fn a_hook_that_thinks_holds_up_its_own_client_alone_and_its_keep_alive_does_not_run() {
    let (net, script) = Script::net(PUBLISH);
    let slow = net.dial("slow").v5().keep_alive(10).connect();
    let other = net.connect("other");
    other.subscribe("#", 0);
    script.say([Say::Wait]);
    publish(&net, slow.line(), qos1("a", "1"));
    publish(&net, slow.line(), qos1("b", "2"));
    net.advance(Duration::from_secs(18));
    publish(&net, other.line(), qos0("c", "3"));
    assert_eq!(received(&net, other.line()), ["c 3"]);
    assert_eq!(net.closed(slow.line()), None);
    script.answer(&net, Say::Publish(PublishVerdict::Allow));
    assert_eq!(received(&net, other.line()), ["a 1", "b 2"]);
    // From here on it runs again.
    net.advance(Duration::from_secs(14));
    assert_eq!(net.closed(slow.line()), None);
    net.advance(Duration::from_secs(2));
    assert_eq!(net.closed(slow.line()), Some(CloseCause::KeepAliveTimeout));
}

#[test]
fn a_hook_that_panics_or_takes_too_long_refuses_that_one_request() {
    for say in [Say::Panic, Say::PanicLater, Say::Wait] {
        let (net, script) = Script::net(PUBLISH.or(SUBSCRIBE));
        let client = net.connect_v5("client");
        let line = client.line();
        script.say([say.clone()]);
        publish(&net, line, qos1("a", "1"));
        net.advance(Duration::from_secs(21));
        assert_eq!(
            puback(&net, line),
            Some(ReasonCode::ImplementationSpecificError)
        );
        script.say([say]);
        subscribe(&net, line, &["a", "b"]);
        net.advance(Duration::from_secs(21));
        let codes = vec![
            ReasonCode::ImplementationSpecificError,
            ReasonCode::GrantedQos1,
        ];
        assert_eq!(suback(&net, line), Some(codes));
        assert_eq!(net.broker().counters().hook_failures.get(), 2);
        publish(&net, line, qos1("b", "2"));
        assert_eq!(puback(&net, line), Some(ReasonCode::Success));
    }
}

#[test]
fn each_filter_is_granted_lowered_or_refused_by_itself() {
    for later in [false, true] {
        for version in [Version::V311, Version::V5] {
            let (net, script) = Script::net(SUBSCRIBE);
            let line = connect(&net, version, |_| ());
            connack(&net, line).expect("CONNACK");
            let says = [
                SubscribeVerdict::Allow,
                SubscribeVerdict::DENY,
                SubscribeVerdict::AllowAt(QoS::AtMostOnce),
                SubscribeVerdict::Deny(ReasonCode::Success),
            ]
            .map(Say::Subscribe);
            if later {
                script.say([Say::Wait, Say::Wait, Say::Wait, Say::Wait]);
            } else {
                script.say(says.clone());
            }
            subscribe(&net, line, &["a", "b/#", "c", "$share/g/d"]);
            net.send(line, &Packet::PingReq);
            if later {
                for say in says {
                    assert_eq!(suback(&net, line), None);
                    script.answer(&net, say);
                }
            }
            let heard = [
                "subscribe client a",
                "subscribe client b/#",
                "subscribe client c",
            ];
            assert_eq!(script.heard()[..3], heard);
            let refused = match version.is_v5() {
                true => ReasonCode::NotAuthorized,
                false => ReasonCode::UnspecifiedError,
            };
            let codes = [
                ReasonCode::GrantedQos1,
                refused,
                ReasonCode::Success,
                refused,
            ];
            assert_eq!(suback(&net, line), Some(codes.to_vec()));
            assert!(matches!(net.next(line), Some(OwnedPacket::PingResp)));
            assert_eq!(net.broker().sizes().subscriptions, 2);
            assert_eq!(net.broker().counters().denied_subscriptions.get(), 2);
        }
    }
}

#[test]
fn a_large_subscribe_is_asked_about_filter_by_filter() {
    let (net, script) = Script::net(SUBSCRIBE);
    let client = net.connect_v5("client");
    let filters: Vec<String> = (0..1_500).map(|number| format!("many/{number}")).collect();
    let texts: Vec<&str> = filters.iter().map(String::as_str).collect();
    let allowed = (0..1_500).map(|number| match number % 100 {
        0 => Say::Wait,
        1 => Say::Subscribe(SubscribeVerdict::DENY),
        _ => Say::Subscribe(SubscribeVerdict::Allow),
    });
    script.say(allowed);
    subscribe(&net, client.line(), &texts);
    let mut waits = 0;
    while script.is_asked() {
        waits += 1;
        script.answer(&net, Say::Subscribe(SubscribeVerdict::Allow));
    }
    assert_eq!(waits, 15);
    let codes = suback(&net, client.line()).expect("SUBACK");
    assert_eq!(codes.len(), 1_500);
    for (number, code) in codes.into_iter().enumerate() {
        assert_eq!(code.is_error(), number % 100 == 1, "of filter {number}");
    }
    let heard = script.heard();
    assert!(
        heard
            .iter()
            .zip(&filters)
            .all(|(heard, filter)| heard.ends_with(filter))
    );
    assert_eq!(net.broker().sizes().subscriptions, 1_485);
}

/// Its client goes, or time is up.
#[test]
fn a_future_that_panics_when_it_is_dropped_harms_nobody() {
    type Act = fn(&Net, usize);
    let cases: [(HookSet, Act); 5] = [
        (ENTRY, |_, _| ()),
        (PUBLISH, |net, line| publish(net, line, qos1("a", "1"))),
        (SUBSCRIBE, |net, line| subscribe(net, line, &["b"])),
        (FORWARD, |net, line| publish(net, line, qos0("a", "1"))),
        (EVENTS, |net, line| net.send(line, &Packet::PingReq)),
    ];
    for (wanted, act) in cases {
        for leaves in [false, true] {
            let (net, script) = Script::net(wanted);
            let line = if wanted.authenticate {
                script.say([Say::PanicAtLast]);
                connect(&net, Version::V5, |_| ())
            } else {
                let client = net.connect_v5("client");
                client.subscribe("a", 0);
                script.say([Say::PanicAtLast]);
                client.line()
            };
            act(&net, line);
            if leaves {
                net.lose(line);
            } else {
                net.advance(Duration::from_secs(21));
            }
            assert!(!script.is_armed(), "it was asked, and its future is gone");
            if !leaves && !wanted.authenticate {
                assert_eq!(net.broker().counters().hook_failures.get(), 1);
                assert_eq!(net.closed(line), None);
            }
            net.connect_v5("client").ping();
        }
    }
}
