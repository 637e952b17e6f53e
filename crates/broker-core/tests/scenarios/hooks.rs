//! Hooks: who comes in, publishes and subscribes is what the program says, and it hears what happens.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use broker_core::{
    Authentication, BrokerOptions, Client as Known, CloseCause, Event, HookSet, Hooks,
    LoginRequest, PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict, Verdict,
};
use mqtt_codec::{
    Connect, OwnedPacket, Packet, PubAck, PubRec, QoS, ReasonCode, SubscribeFiltersBuf,
    SubscriptionOptions, Version,
};

use crate::harness::*;

/// Hooks that say what the test tells them to, and remember what they heard. What they are not told they
/// allow.
#[derive(Clone)]
struct Script {
    wanted: HookSet,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    says: VecDeque<Say>,
    heard: Vec<String>,
    /// Answers that are still to be given.
    pending: VecDeque<Arc<Mutex<Held>>>,
}

#[derive(Clone)]
enum Say {
    Enter(Authentication),
    Publish(PublishVerdict),
    Subscribe(SubscribeVerdict),
    Stay(bool),
    Done,
    /// The answer comes later.
    Wait,
    Panic,
    /// The answer never comes: what makes it panics.
    PanicLater,
}

#[derive(Default)]
struct Held {
    say: Option<Say>,
    waker: Option<Waker>,
}

impl Script {
    fn new(wanted: HookSet) -> Self {
        Self {
            wanted,
            lines: Arc::default(),
        }
    }

    fn options(&self) -> BrokerOptions {
        BrokerOptions {
            hooks: Some(Arc::new(self.clone())),
            hook_timeout: Duration::from_secs(20),
            ..BrokerOptions::default()
        }
    }

    fn net(wanted: HookSet) -> (Net, Self) {
        let script = Self::new(wanted);
        (Net::with(script.options()), script)
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(|error| error.into_inner())
    }

    fn say(&self, says: impl IntoIterator<Item = Say>) {
        self.lines().says.extend(says);
    }

    /// What was heard since it was asked last.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.lines().heard)
    }

    /// Gives the answer to the first question that waits for one.
    fn answer(&self, net: &Net, say: Say) {
        let held = self.lines().pending.pop_front().expect("a question waits");
        let mut held = held.lock().unwrap();
        held.say = Some(say);
        let waker = held.waker.take();
        drop(held);
        waker.expect("it was asked for the answer").wake();
        net.run();
    }

    fn is_asked(&self) -> bool {
        !self.lines().pending.is_empty()
    }

    fn reply<T: Send + 'static>(
        &self,
        heard: String,
        allow: T,
        read: impl Fn(Say) -> T + Send + 'static,
    ) -> Verdict<T> {
        let mut lines = self.lines();
        lines.heard.push(heard);
        match lines.says.pop_front() {
            None => Verdict::Ready(allow),
            Some(Say::Panic) => {
                drop(lines);
                panic!("as the test wants it")
            }
            Some(Say::PanicLater) => Verdict::pending(async { panic!("as the test wants it") }),
            Some(Say::Wait) => {
                let held = Arc::new(Mutex::new(Held::default()));
                lines.pending.push_back(Arc::clone(&held));
                Verdict::pending(poll_fn(move |context| {
                    let mut held = held.lock().unwrap();
                    match held.say.take() {
                        Some(say) => Poll::Ready(read(say)),
                        None => {
                            held.waker = Some(context.waker().clone());
                            Poll::Pending
                        }
                    }
                }))
            }
            Some(say) => Verdict::Ready(read(say)),
        }
    }
}

impl Hooks for Script {
    fn wanted(&self) -> HookSet {
        self.wanted
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        let name = login.user_name.unwrap_or("nobody");
        let password = String::from_utf8_lossy(login.password.unwrap_or_default());
        let heard = format!("enter {} {name} {password}", login.client_id);
        self.reply(heard, Authentication::Pass, |say| match say {
            Say::Enter(authentication) => authentication,
            _ => panic!("not an answer to this"),
        })
    }

    fn authorize_publish(
        &self,
        client: &Arc<Known>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let what = if publish.is_will { "will" } else { "publish" };
        let heard = format!("{what} {} {}", client.client_id(), publish.topic);
        self.reply(heard, PublishVerdict::Allow, |say| match say {
            Say::Publish(verdict) => verdict,
            _ => panic!("not an answer to this"),
        })
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Known>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let what = if subscribe.is_held {
            "held"
        } else {
            "subscribe"
        };
        let heard = format!("{what} {} {}", client.client_id(), subscribe.filter);
        self.reply(heard, SubscribeVerdict::Allow, |say| match say {
            Say::Subscribe(verdict) => verdict,
            _ => panic!("not an answer to this"),
        })
    }

    fn may_stay(&self, client: &Arc<Known>) -> Verdict<bool> {
        let heard = format!("stay {}", client.client_id());
        self.reply(heard, true, |say| match say {
            Say::Stay(stays) => stays,
            _ => panic!("not an answer to this"),
        })
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        let id = |client: &Arc<Known>| client.client_id().to_string();
        let heard = match event {
            Event::Connected {
                client,
                session_present,
            } => format!("connected {} {session_present}", id(client)),
            Event::Disconnected { client, cause } => format!("gone {}: {cause}", id(client)),
            Event::Published { client, message } => {
                let client = client.map_or("the broker".to_owned(), id);
                format!("published {client} {}", message.topic)
            }
            Event::Subscribed {
                client,
                filter,
                qos,
            } => {
                format!("subscribed {} {filter} {}", id(client), qos.as_u8())
            }
            Event::Unsubscribed { client, filter } => {
                format!("unsubscribed {} {filter}", id(client))
            }
            Event::PingReq { client } => format!("ping {}", id(client)),
            other => format!("{other:?}"),
        };
        self.reply(heard, (), |_| ())
    }
}

const ENTRY: HookSet = HookSet {
    authenticate: true,
    ..HookSet::NONE
};
const PUBLISH: HookSet = HookSet {
    authorize_publish: true,
    ..HookSet::NONE
};
const SUBSCRIBE: HookSet = HookSet {
    authorize_subscribe: true,
    ..HookSet::NONE
};
const EVENTS: HookSet = HookSet {
    connected: true,
    disconnected: true,
    published: true,
    subscribed: true,
    unsubscribed: true,
    pingreq: true,
    ..HookSet::NONE
};

fn connect(net: &Net, version: Version, change: impl FnOnce(&mut Connect<'_>)) -> usize {
    let line = net.open();
    let mut connect = Connect::new(version, "client");
    connect.username = Some("eve");
    connect.password = Some(b"pencil");
    change(&mut connect);
    net.send(line, &Packet::Connect(connect));
    line
}

fn connack(net: &Net, line: usize) -> Option<(bool, ReasonCode)> {
    net.take(line, |packet| match packet {
        OwnedPacket::ConnAck(connack) => Some((connack.session_present, connack.reason_code)),
        _ => None,
    })
}

fn puback(net: &Net, line: usize) -> Option<ReasonCode> {
    net.take(line, |packet| match packet {
        OwnedPacket::PubAck(puback) => Some(puback.reason_code),
        _ => None,
    })
}

fn suback(net: &Net, line: usize) -> Option<Vec<ReasonCode>> {
    net.take(line, |packet| match packet {
        OwnedPacket::SubAck(suback) => Some(suback.reason_codes.clone()),
        _ => None,
    })
}

fn received(net: &Net, line: usize) -> Vec<String> {
    let next = || {
        net.take(line, |packet| match packet {
            OwnedPacket::Publish(publish) => Some(format!(
                "{} {}",
                publish.topic,
                String::from_utf8_lossy(&publish.payload)
            )),
            _ => None,
        })
    };
    std::iter::from_fn(next).collect()
}

fn subscribe(net: &Net, line: usize, filters: &[&str]) {
    let mut buffer = SubscribeFiltersBuf::new();
    for filter in filters {
        let options = SubscriptionOptions::new(QoS::AtLeastOnce);
        buffer.push(filter, options).unwrap();
    }
    let subscribe = mqtt_codec::Subscribe {
        packet_id: id(9),
        properties: mqtt_codec::Properties::EMPTY,
        filters: buffer.as_filters(),
    };
    net.send(line, &Packet::Subscribe(subscribe));
}

fn publish(net: &Net, line: usize, publish: mqtt_codec::Publish<'_>) {
    let packet_id = (publish.qos > QoS::AtMostOnce).then(|| id(5));
    let publish = mqtt_codec::Publish {
        packet_id,
        ..publish
    };
    net.send(line, &Packet::Publish(publish));
}

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

#[test]
fn the_subscriptions_of_a_session_are_asked_about_when_its_client_returns() {
    for later in [false, true] {
        let (net, script) = Script::net(SUBSCRIBE.or(EVENTS));
        let client = net.dial("client").expiry(1_000).connect();
        subscribe(&net, client.line(), &["a", "b", "$share/g/c"]);
        client.lose();
        script.heard();
        let deny = Say::Subscribe(SubscribeVerdict::DENY);
        if later {
            script.say([Say::Wait, Say::Wait, Say::Wait]);
        } else {
            script.say([
                deny.clone(),
                Say::Subscribe(SubscribeVerdict::Allow),
                deny.clone(),
            ]);
        }
        let dial = net.dial("client").expiry(1_000).resuming();
        let line = dial.send().line();
        if later {
            assert_eq!(connack(&net, line), None);
            script.answer(&net, deny.clone());
            script.answer(&net, Say::Subscribe(SubscribeVerdict::Allow));
            script.answer(&net, deny);
        }
        assert_eq!(connack(&net, line), Some((true, ReasonCode::Success)));
        let heard = script.heard();
        assert!(
            heard[..3]
                .iter()
                .all(|heard| heard.starts_with("held client ")),
            "{heard:?}"
        );
        assert_eq!(
            heard
                .iter()
                .filter(|heard| heard.starts_with("unsubscribed"))
                .count(),
            2
        );
        assert_eq!(net.broker().sizes().subscriptions, 1);
        assert_eq!(net.broker().counters().denied_subscriptions.get(), 2);
    }
}

#[test]
fn who_is_asked_about_again_loses_what_he_may_not_have_any_more() {
    for later in [false, true] {
        let wanted = ENTRY.or(PUBLISH).or(SUBSCRIBE).or(EVENTS);
        let (net, script) = Script::net(wanted);
        let watcher = net.connect("watcher");
        watcher.subscribe("w", 0);
        let client = net.dial("client").v5().will(qos0("w", "gone")).connect();
        subscribe(&net, client.line(), &["a", "b"]);
        let says = [
            Say::Stay(true),
            Say::Publish(PublishVerdict::DENY),
            Say::Subscribe(SubscribeVerdict::DENY),
            Say::Subscribe(SubscribeVerdict::Allow),
        ];
        // The order of the sessions is nobody's business: the watcher's answers are not scripted.
        net.lose(watcher.line());
        script.heard();
        if later {
            script.say(says.clone().map(|_| Say::Wait));
        } else {
            script.say(says.clone());
        }
        net.reauthorize();
        if later {
            for say in says {
                publish(&net, client.line(), qos0("b", "x"));
                assert_eq!(received(&net, client.line()), [""; 0], "nothing is handled");
                script.answer(&net, say);
            }
        }
        let heard = script.heard();
        assert_eq!(heard[..2], ["stay client", "will client w"]);
        assert!(heard[2].starts_with("held client "));
        assert_eq!(net.broker().sizes().subscriptions, 1);
        assert_eq!(net.closed(client.line()), None);

        script.say([Say::Stay(false)]);
        net.reauthorize();
        assert_eq!(net.closed(client.line()), Some(CloseCause::NotAuthorized));
        // The will went before.
        assert_eq!(net.broker().sizes().sessions, 0);
        let wills = |heard: &String| heard == "published the broker w";
        assert!(!script.heard().iter().any(wills));
    }
}

#[test]
fn what_happens_is_told_in_its_order() {
    let (net, script) = Script::net(EVENTS);
    let client = net.dial("client").v5().will(qos0("w", "gone")).connect();
    subscribe(&net, client.line(), &["a", "b"]);
    publish(&net, client.line(), qos1("a", "1"));
    net.send(client.line(), &Packet::PingReq);
    client.unsubscribe("b");
    client.unsubscribe("never/there");
    client.lose();
    assert_eq!(
        script.heard(),
        [
            "connected client false",
            "subscribed client a 1",
            "subscribed client b 1",
            "published client a",
            "ping client",
            "unsubscribed client b",
            "gone client: connection lost",
            "published the broker w",
        ]
    );
}

#[test]
fn puback_and_pubrec_wait_for_what_is_done_about_the_message_and_so_does_the_next_packet() {
    for message in [qos1("a", "1"), qos2("a", "1")] {
        let (net, script) = Script::net(EVENTS);
        let client = net.connect_v5("client");
        let watcher = net.connect("watcher");
        watcher.subscribe("#", 0);
        script.say([Say::Wait]);
        publish(&net, client.line(), message);
        net.send(client.line(), &Packet::PingReq);
        assert_eq!(received(&net, watcher.line()), ["a 1"]);
        assert_eq!(net.next(client.line()), None);
        script.answer(&net, Say::Done);
        let acknowledged = net.next(client.line());
        match acknowledged {
            Some(OwnedPacket::PubAck(puback)) => {
                assert_eq!(puback.as_puback(), PubAck::new(id(5)));
            }
            Some(OwnedPacket::PubRec(pubrec)) => {
                assert_eq!(pubrec.as_pubrec(), PubRec::new(id(5)));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            net.next(client.line()),
            Some(OwnedPacket::PingResp)
        ));
    }
}

#[test]
fn a_notice_that_panics_or_never_ends_holds_nobody_for_ever() {
    for say in [Say::Panic, Say::PanicLater, Say::Wait] {
        let (net, script) = Script::net(EVENTS);
        let client = net.connect_v5("client");
        script.say([say]);
        publish(&net, client.line(), qos1("a", "1"));
        net.advance(Duration::from_secs(21));
        let acknowledged = puback(&net, client.line());
        assert_eq!(acknowledged, Some(ReasonCode::NoMatchingSubscribers));
        assert_eq!(net.broker().counters().hook_failures.get(), 1);
    }
}

#[test]
fn who_leaves_while_a_hook_thinks_is_not_waited_for() {
    let (net, script) = Script::net(PUBLISH.or(EVENTS));
    let client = net.connect_v5("client");
    script.heard();
    script.say([Say::Wait]);
    publish(&net, client.line(), qos1("a", "1"));
    net.lose(client.line());
    assert_eq!(
        script.heard(),
        ["publish client a", "gone client: connection lost"]
    );
    assert_eq!(net.broker().sizes().sessions, 0);
}
