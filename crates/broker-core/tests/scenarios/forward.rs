//! Somebody decides on each message that is about to be sent: what is allowed, refused, and sent in its
//! place, and who waits meanwhile.

use std::sync::Arc;
use std::time::Duration;

use broker_core::{BrokerOptions, Message, MessageParts};
use mqtt_codec::{OwnedPacket, Property, QoS};

use crate::harness::client::id;
use crate::harness::*;
use crate::judge::{Judge, Says};

fn narrow() -> BrokerOptions {
    BrokerOptions {
        max_inflight: 1,
        ..Default::default()
    }
}

/// A client whose session lasts.
fn lasting(net: &Net, name: &str) -> Client {
    net.dial(name).expiry(1_000).resuming().connect()
}

fn with_payload(parts: MessageParts<'_>) -> Arc<Message> {
    Message::new(MessageParts {
        payload: b"other",
        ..parts
    })
}

fn all_else(parts: MessageParts<'_>) -> Arc<Message> {
    Message::new(MessageParts {
        topic: "another/topic",
        payload: b"other",
        retain: !parts.retain,
        ..parts
    })
}

fn at_most_once(parts: MessageParts<'_>) -> Arc<Message> {
    Message::new(MessageParts {
        qos: QoS::AtMostOnce,
        ..parts
    })
}

fn at_least_once(parts: MessageParts<'_>) -> Arc<Message> {
    Message::new(MessageParts {
        qos: QoS::AtLeastOnce,
        ..parts
    })
}

fn no_topic(parts: MessageParts<'_>) -> Arc<Message> {
    Message::new(MessageParts {
        topic: "no/+/topic",
        ..parts
    })
}

/// Whatever its quality, it takes no place in the window, and does not come back.
#[test]
fn who_is_refused_gets_nothing_and_it_is_as_if_acknowledged() {
    let judge = Judge::new();
    for net in judge.nets(&narrow()) {
        for name in ["lasting", "other"] {
            let receiver = match name {
                "lasting" => lasting(&net, name),
                _ => net.connect(name),
            };
            receiver.subscribe("a", 2);
            let publisher = net.connect("publisher");
            for round in 0..3 {
                let denied = net.broker().counters().denied_forwards.get();
                for publish in [qos0("a", "d0"), qos1("a", "d1"), qos2("a", "d2")] {
                    publisher.publish(publish);
                }
                receiver.expect_nothing();
                let counted = net.broker().counters().denied_forwards.get() - denied;
                assert_eq!(counted, 3);
                publisher.publish(qos1("a", "1"));
                let publish = receiver.expect_unacknowledged(1, "a", "1");
                publisher.publish(qos1("a", "d1"));
                publisher.publish(qos2("a", "2"));
                receiver.expect_nothing();
                receiver.acknowledge(&publish);
                receiver.expect(2, "a", "2");
                if name == "lasting" && round == 1 {
                    receiver.lose();
                    let again = lasting(&net, name);
                    again.expect_nothing();
                    again.lose();
                    break;
                }
            }
            publisher.disconnect();
            if name == "other" {
                receiver.disconnect();
            }
            net.connect("lasting").disconnect();
        }
    }
}

#[test]
fn nothing_that_was_refused_stays_in_the_store() {
    let judge = Judge::new();
    let (net, store) = judge.net_with_store(narrow());
    let receiver = lasting(&net, "receiver");
    receiver.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for publish in [qos1("a", "d"), qos2("a", "d"), qos1("a", "d")] {
        publisher.publish(publish);
    }
    assert_eq!(store.queue("receiver"), []);
    receiver.lose();
    // While the client is away there is nobody to ask about.
    judge.asked();
    publisher.publish(qos1("a", "d"));
    publisher.publish(qos1("a", "1"));
    assert_eq!(judge.asked(), [""; 0]);
    assert_eq!(store.queue("receiver").len(), 2);
    let receiver = lasting(&net, "receiver");
    assert_eq!(judge.asked(), ["receiver d 10", "receiver 1 10"]);
    receiver.expect(1, "a", "1");
    assert_eq!(store.queue("receiver"), []);
}

#[test]
fn what_is_sent_instead_may_differ_in_all_but_a_higher_quality() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        let publisher = net.connect("publisher");
        for qos in 0..3_u8 {
            let publish = [qos0("a", "1"), qos1("a", "1"), qos2("a", "1")][usize::from(qos)];
            judge.rule(|_, _| Says::Replace(with_payload));
            publisher.publish(publish);
            let publish_seen = receiver.expect(qos, "a", "other");
            assert!(!publish_seen.retain, "it is as it would have been");
            judge.rule(|_, _| Says::Replace(all_else));
            publisher.publish(publish);
            let publish_seen = receiver.expect(qos, "another/topic", "other");
            assert!(publish_seen.retain);
            judge.rule(|_, _| Says::Replace(at_least_once));
            publisher.publish(publish);
            receiver.expect(qos.min(1), "a", "1");
            judge.rule(|_, _| Says::Replace(at_most_once));
            publisher.publish(publish);
            receiver.expect(0, "a", "1");
        }
        // It was published to be retained, and is live: the flag is 0 [MQTT-3.3.1-9].
        judge.rule(|_, _| Says::Replace(with_payload));
        publisher.publish(retained(qos1("a", "1")));
        assert!(!receiver.expect(1, "a", "other").retain);
        // A later subscriber gets what was published, if nobody changes it.
        judge.rule(|_, _| Says::Allow);
        let later = net.connect("later");
        later.subscribe("a", 1);
        assert!(later.expect(1, "a", "1").retain);
        receiver.expect_nothing();
    }
}

#[test]
fn what_is_sent_instead_is_named_by_its_own_topic_alias() {
    let judge = Judge::new();
    let net = judge.net(BrokerOptions::default());
    let receiver = net.dial("receiver").aliases(2).connect();
    receiver.subscribe("#", 1);
    let publisher = net.connect("publisher");
    for _ in 0..3 {
        judge.rule(|_, _| Says::Replace(all_else));
        publisher.publish(qos0("some/topic", "1"));
        publisher.publish(qos1("some/topic", "1"));
        receiver.expect(0, "another/topic", "other");
        receiver.expect(1, "another/topic", "other");
        judge.rule(|_, _| Says::Allow);
        publisher.publish(qos1("some/topic", "1"));
        receiver.expect(1, "some/topic", "1");
    }
    assert!(receiver.unnamed() >= 6, "aliases were used");
}

#[test]
fn what_is_to_be_sent_instead_to_no_topic_name_is_not_sent() {
    let judge = Judge::new();
    judge.rule(|_, _| Says::Replace(no_topic));
    let net = judge.net(BrokerOptions::default());
    let receiver = net.connect("receiver");
    receiver.subscribe("a", 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos0("a", "1"));
    publisher.publish(qos1("a", "1"));
    receiver.expect_nothing();
    assert_eq!(net.broker().counters().hook_failures.get(), 2);
}

/// [MQTT-4.4.0-1]: sent again it is the same packet, and nobody is asked about it once more.
#[test]
fn what_was_sent_instead_is_sent_again_as_it_was() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        judge.rule(|_, _| Says::Replace(all_else));
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "1"));
        publisher.publish(qos2("a", "2"));
        let first = receiver.expect_unacknowledged(1, "another/topic", "other");
        let second = receiver.expect_unacknowledged(2, "another/topic", "other");
        judge.asked();
        judge.rule(|_, _| Says::Deny);
        receiver.lose();
        let receiver = lasting(&net, "receiver");
        for (qos, before) in [(1, first), (2, second)] {
            let again = receiver.expect(qos, "another/topic", "other");
            assert!(again.dup && again.retain);
            assert_eq!(again.packet_id, before.packet_id);
        }
        assert_eq!(judge.asked(), [""; 0]);
        receiver.expect_nothing();
    }
}

/// What a broker has decided is gone with it.
#[test]
fn after_a_crash_it_is_asked_about_again() {
    let judge = Judge::new();
    let (net, store) = judge.net_with_store(BrokerOptions::default());
    let receiver = lasting(&net, "receiver");
    receiver.subscribe("a", 2);
    let publisher = net.connect("publisher");
    judge.rule(|_, _| Says::Replace(with_payload));
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    let first = receiver.expect_unacknowledged(1, "a", "other");
    let second = receiver.expect_unacknowledged(2, "a", "other");
    judge.asked();
    net.crash_and_restart();
    judge.rule(|_, payload| match payload {
        "1" => Says::Replace(with_payload),
        _ => Says::Deny,
    });
    let receiver = lasting(&net, "receiver");
    assert_eq!(judge.asked(), ["receiver 1 10", "receiver 2 20"]);
    let again = receiver.expect(1, "a", "other");
    assert_eq!((again.dup, again.packet_id), (true, first.packet_id));
    // The client may have the other one, and its identifier: it has to let go of that first.
    let id = second.packet_id.unwrap();
    receiver.expect_pubrel(id);
    let publisher = net.connect("publisher");
    judge.rule(|_, _| Says::Allow);
    publisher.publish(qos2("a", "3"));
    assert_ne!(receiver.expect(2, "a", "3").packet_id, Some(id));
    receiver.pubcomp(id);
    receiver.expect_nothing();
    assert_eq!(store.queue("receiver"), []);
}

#[test]
fn a_crash_before_the_verdict_loses_nothing() {
    let judge = Judge::new();
    let (net, _) = judge.net_with_store(BrokerOptions::default());
    let receiver = lasting(&net, "receiver");
    receiver.subscribe("a", 2);
    let publisher = net.connect("publisher");
    // PUBACK and PUBCOMP say that it is in the queue.
    publisher.publish(qos1("a", "w1"));
    publisher.publish(qos2("a", "w2"));
    receiver.expect_nothing();
    net.crash_and_restart();
    judge.rule(|_, _| Says::Allow);
    let receiver = lasting(&net, "receiver");
    // Whether it was sent is not known to the broker that starts.
    receiver.expect(1, "a", "w1");
    receiver.expect(2, "a", "w2");
}

#[test]
fn a_slow_hook_holds_only_its_own_client_and_order_is_kept() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        judge.rule(|client, payload| match (client, payload) {
            ("slow", "1" | "2") => Says::Wait,
            _ => Says::Allow,
        });
        let slow = net.connect("slow");
        let lasting = lasting(&net, "quick-and-lasting");
        let quick = net.connect("quick");
        let publisher = net.connect("publisher");
        for client in [&slow, &lasting, &quick] {
            client.subscribe("a", 2);
        }
        let qualities = [0, 1, 2, 0, 1, 2, 1, 0];
        for (number, qos) in qualities.into_iter().enumerate() {
            let payload = number.to_string();
            let publish = [
                qos0("a", &payload),
                qos1("a", &payload),
                qos2("a", &payload),
            ][qos];
            // The publisher is answered.
            publisher.publish(publish);
        }
        for client in [&lasting, &quick] {
            for (number, qos) in qualities.into_iter().enumerate() {
                client.expect(qos as u8, "a", &number.to_string());
            }
        }
        slow.expect(0, "a", "0");
        slow.expect_nothing();
        // It is served in all other things meanwhile.
        slow.ping();
        slow.subscribe("b", 0);
        slow.publish(qos1("elsewhere", "x"));
        judge.decide(&net, Says::Allow);
        slow.expect(1, "a", "1");
        slow.expect_nothing();
        judge.decide(&net, Says::Deny);
        for (number, qos) in qualities.into_iter().enumerate().skip(3) {
            slow.expect(qos as u8, "a", &number.to_string());
        }
        slow.expect_nothing();
        assert_eq!(judge.waiting(), 0);
    }
}

#[test]
fn a_hook_that_panics_costs_that_one_message() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        let publisher = net.connect("publisher");
        for says in [Says::Panic, Says::PanicLater] {
            judge.rule(move |_, payload| match payload {
                "p" => says.clone(),
                _ => Says::Allow,
            });
            for publish in [qos0("a", "p"), qos1("a", "p"), qos2("a", "p")] {
                publisher.publish(publish);
                publisher.publish(qos1("a", "1"));
                receiver.expect(1, "a", "1");
            }
        }
        receiver.expect_nothing();
        assert_eq!(net.broker().counters().hook_failures.get(), 6);
        assert_eq!(net.broker().counters().denied_forwards.get(), 0);
    }
}

#[test]
fn a_hook_that_takes_too_long_has_refused() {
    let judge = Judge::new();
    let options = BrokerOptions {
        hook_timeout: Duration::from_secs(5),
        ..Default::default()
    };
    for net in judge.nets(&options) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        let publisher = net.connect("publisher");
        for publish in [qos0("a", "w"), qos1("a", "w"), qos2("a", "w")] {
            publisher.publish(publish);
            publisher.publish(qos1("a", "1"));
            net.advance(Duration::from_millis(4_999));
            receiver.expect_nothing();
            assert_eq!(judge.waiting(), 1);
            net.advance(Duration::from_millis(1));
            assert_eq!(judge.waiting(), 0, "nobody waits for it any more");
            receiver.expect(1, "a", "1");
        }
        receiver.expect_nothing();
        assert_eq!(net.broker().counters().hook_failures.get(), 3);
    }
}

#[test]
fn who_goes_or_is_taken_over_is_asked_about_again_when_he_returns() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        let publisher = net.connect("publisher");
        let mut receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        publisher.publish(qos0("a", "w0"));
        publisher.publish(qos1("a", "w1"));
        publisher.publish(qos2("a", "w2"));
        for turn in 0..3 {
            assert_eq!(judge.waiting(), 1);
            match turn {
                0 => receiver.lose(),
                1 => receiver.disconnect(),
                _ => {}
            }
            if turn < 2 {
                assert_eq!(judge.waiting(), 0, "nobody is there to be sent it");
            }
            judge.asked();
            let next = lasting(&net, "receiver");
            // At QoS 0 nothing waits for who is away.
            assert_eq!(judge.asked(), ["receiver w1 10"]);
            assert_eq!(judge.waiting(), 1);
            receiver = next;
        }
        judge.decide(&net, Says::Allow);
        judge.decide(&net, Says::Allow);
        for (qos, payload) in [(1, "w1"), (2, "w2")] {
            let publish = receiver.expect(qos, "a", payload);
            assert!(!publish.dup, "it is sent for the first time");
        }
        receiver.disconnect();
        net.connect("receiver").disconnect();
    }
}

#[test]
fn a_verdict_on_a_session_that_has_ended_changes_nothing() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "w1"));
        // A clean start ends the session, and the old connection hears of it afterwards.
        let new = net.connect("receiver");
        new.subscribe("a", 1);
        assert_eq!(judge.waiting(), 0);
        publisher.publish(qos1("a", "1"));
        new.expect(1, "a", "1");
        new.expect_nothing();
    }
}

#[test]
fn what_expires_while_a_verdict_is_awaited_is_not_sent() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 2);
        let publisher = net.connect_v5("publisher");
        let expiring = |publish: mqtt_codec::Publish<'_>| {
            let mut properties = mqtt_codec::PropertiesBuf::new();
            let expiry = Property::MessageExpiryInterval(2);
            properties.push(expiry).unwrap();
            publisher.publish(mqtt_codec::Publish {
                properties: properties.as_properties(),
                ..publish
            });
        };
        for publish in [qos0("a", "w"), qos1("a", "w"), qos2("a", "w")] {
            expiring(publish);
            // This one is never asked about.
            expiring(publish);
            publisher.publish(qos1("a", "1"));
            assert_eq!(judge.waiting(), 1);
            net.advance(Duration::from_secs(3));
            receiver.expect_nothing();
            judge.decide(&net, Says::Allow);
            assert_eq!(judge.waiting(), 0);
            receiver.expect(1, "a", "1");
        }
        assert_eq!(net.broker().counters().dropped_expired.get(), 6);
        assert_eq!(net.broker().counters().denied_forwards.get(), 0);
    }
}

#[test]
fn retained_messages_and_those_of_the_queue_are_asked_about() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        let publisher = net.connect("publisher");
        publisher.publish(retained(qos0("r/0", "0")));
        publisher.publish(retained(qos1("r/1", "d")));
        publisher.publish(retained(qos2("r/2", "2")));
        let receiver = lasting(&net, "receiver");
        judge.asked();
        receiver.subscribe("r/#", 2);
        let mut asked = judge.asked();
        asked.sort();
        assert_eq!(asked, ["receiver 0 01", "receiver 2 21", "receiver d 11"]);
        let mut seen = Vec::new();
        while let Some(OwnedPacket::Publish(publish)) = receiver.try_next() {
            receiver.acknowledge(&publish);
            seen.push(publish.topic);
        }
        seen.sort();
        assert_eq!(seen, ["r/0", "r/2"]);
        receiver.lose();
        publisher.publish(qos1("r/1", "d"));
        publisher.publish(qos1("r/1", "4"));
        let receiver = lasting(&net, "receiver");
        receiver.expect(1, "r/1", "4");
        receiver.expect_nothing();
        assert_eq!(judge.asked(), ["receiver d 10", "receiver 4 10"]);
        receiver.disconnect();
        net.connect("receiver").disconnect();
    }
}

/// Many retained messages wait where they are, not in memory once more, while nobody decides.
#[test]
fn retained_messages_are_looked_up_as_they_are_decided_on() {
    let judge = Judge::new();
    let net = judge.net(BrokerOptions::default());
    let publisher = net.connect("publisher");
    let payload = "x".repeat(1_000);
    for number in 0..200 {
        publisher.publish(retained(qos0(&format!("r/{number}"), &payload)));
    }
    judge.rule(|_, _| Says::Wait);
    let receiver = net.connect("receiver");
    receiver.subscribe("r/#", 0);
    receiver.expect_nothing();
    net.advance(Duration::from_secs(1));
    for number in 0..200 {
        assert_eq!(judge.waiting(), 1);
        if number == 100 {
            judge.rule(|_, _| Says::Deny);
        }
        let says = if number % 2 == 0 {
            Says::Allow
        } else {
            Says::Deny
        };
        judge.decide(&net, says);
        if number == 100 {
            break;
        }
    }
    let mut seen = 0;
    while let Some(OwnedPacket::Publish(_)) = receiver.try_next() {
        seen += 1;
    }
    assert_eq!(seen, 51);
    assert_eq!(net.broker().counters().denied_forwards.get(), 149);
}

#[test]
fn what_waits_for_verdicts_is_limited() {
    let judge = Judge::new();
    let options = BrokerOptions {
        max_queued_messages: 3,
        max_outbox_bytes: 2_000,
        ..Default::default()
    };
    for net in judge.nets(&options) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 1);
        receiver.subscribe("b", 0);
        let publisher = net.connect("publisher");
        for _ in 0..5 {
            publisher.publish(qos1("a", "w"));
        }
        assert_eq!(net.broker().counters().dropped_queue_full.get(), 2);
        let payload = "x".repeat(900);
        for _ in 0..5 {
            publisher.publish(qos0("b", &payload));
        }
        // Two have room in 2,000 bytes, and it is one of them that goes past the limit.
        assert_eq!(net.broker().counters().dropped_slow_reader.get(), 3);
        for _ in 0..3 {
            judge.decide(&net, Says::Allow);
            receiver.expect(1, "a", "w");
        }
        receiver.expect(0, "b", &payload);
        receiver.expect(0, "b", &payload);
        for _ in 0..5 {
            publisher.publish(qos0("b", ""));
        }
        receiver.expect(0, "b", "");
        receiver.disconnect();
        net.connect("receiver").disconnect();
    }
}

/// One message is not much, and as many are as may wait.
#[test]
fn small_messages_that_wait_are_counted_too() {
    let judge = Judge::new();
    judge.rule(|_, _| Says::Wait);
    let options = BrokerOptions {
        max_queued_messages: 50,
        ..Default::default()
    };
    let net = judge.net(options);
    let receiver = net.connect("receiver");
    receiver.subscribe("a", 0);
    let publisher = net.connect("publisher");
    for _ in 0..60 {
        publisher.publish(qos0("a", ""));
    }
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 10);
}

/// [MQTT-3.3.4-10]: only PUBLISH has to wait.
#[test]
fn pubrel_passes_by_what_waits_for_its_verdict() {
    let judge = Judge::new();
    let (net, _) = judge.net_with_store(BrokerOptions::default());
    let receiver = lasting(&net, "receiver");
    receiver.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    receiver.expect_unacknowledged(1, "a", "1");
    let second = receiver.expect_unacknowledged(2, "a", "2");
    receiver.pubrec(second.packet_id.unwrap());
    net.crash_and_restart();
    judge.rule(|_, _| Says::Wait);
    let receiver = lasting(&net, "receiver");
    receiver.expect_pubrel(second.packet_id.unwrap());
    receiver.pubcomp(second.packet_id.unwrap());
    receiver.expect_nothing();
    judge.decide(&net, Says::Allow);
    assert!(receiver.expect(1, "a", "1").dup);
}

/// As after PUBREC with a refusal [MQTT-4.8.2-6]: nobody else gets it.
#[test]
fn what_is_refused_to_one_member_of_a_shared_subscription_goes_to_nobody() {
    let judge = Judge::new();
    judge.rule(|client, _| match client {
        "one" => Says::Deny,
        _ => Says::Allow,
    });
    for net in judge.nets(&BrokerOptions::default()) {
        let one = lasting(&net, "one");
        let two = net.connect("two");
        for member in [&one, &two] {
            member.subscribe("$share/g/a", 2);
        }
        let publisher = net.connect("publisher");
        for _ in 0..2 {
            publisher.publish(qos0("a", "0"));
            publisher.publish(qos1("a", "1"));
            publisher.publish(qos2("a", "2"));
        }
        let mut seen = 0;
        while let Some(OwnedPacket::Publish(publish)) = two.try_next() {
            two.acknowledge(&publish);
            seen += 1;
        }
        assert_eq!(seen, 3);
        one.expect_nothing();
        assert_eq!(net.broker().counters().denied_forwards.get(), 3);
    }
}

#[test]
fn what_nobody_has_decided_on_goes_to_another_member() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        for leaves in [false, true] {
            judge.rule(|client, _| match client {
                "one" => Says::Wait,
                _ => Says::Replace(with_payload),
            });
            let one = lasting(&net, "one");
            one.subscribe("$share/g/a", 2);
            let publisher = net.connect("publisher");
            publisher.publish(qos1("a", "1"));
            publisher.publish(qos2("a", "2"));
            assert_eq!(judge.waiting(), 1);
            let two = net.connect("two");
            two.subscribe("$share/g/a", 2);
            if leaves {
                one.unsubscribe("$share/g/a");
            } else {
                one.lose();
            }
            assert_eq!(judge.waiting(), 0);
            two.expect(1, "a", "other");
            two.expect(2, "a", "other");
            two.expect_nothing();
            two.disconnect();
            net.connect("one").disconnect();
        }
    }
}

/// What was published moves, not what was sent in its place.
#[test]
fn what_was_sent_instead_stays_when_its_message_moves() {
    let judge = Judge::new();
    for net in judge.nets(&BrokerOptions::default()) {
        judge.rule(|client, _| match client {
            "one" => Says::Replace(all_else),
            _ => Says::Allow,
        });
        for dial in [net.dial("one").expiry(100), net.dial("one")] {
            let one = dial.connect();
            one.subscribe("$share/g/a", 1);
            let publisher = net.connect("publisher");
            publisher.publish(qos1("a", "1"));
            one.expect_unacknowledged(1, "another/topic", "other");
            let two = net.connect("two");
            two.subscribe("$share/g/a", 1);
            one.lose();
            two.expect(1, "a", "1");
            two.disconnect();
            net.connect("one").disconnect();
        }
    }
}

#[test]
fn a_long_queue_is_asked_about_message_by_message() {
    let judge = Judge::new();
    let options = BrokerOptions {
        max_inflight: 4,
        queue_window_messages: 10,
        ..Default::default()
    };
    let (net, store) = judge.net_with_store(options);
    let receiver = lasting(&net, "receiver");
    receiver.subscribe("a", 2);
    receiver.lose();
    let publisher = net.connect("publisher");
    for number in 0..300 {
        let payload = match number % 3 {
            0 => format!("d{number}"),
            1 => format!("w{number}"),
            _ => number.to_string(),
        };
        match number % 2 {
            0 => publisher.publish(qos1("a", &payload)),
            _ => publisher.publish(qos2("a", &payload)),
        };
    }
    let receiver = lasting(&net, "receiver");
    for number in 0..300 {
        let qos = if number % 2 == 0 { 1 } else { 2 };
        match number % 3 {
            0 => {}
            1 => {
                receiver.expect_nothing();
                judge.decide(&net, Says::Allow);
                receiver.expect(qos, "a", &format!("w{number}"));
            }
            _ => drop(receiver.expect(qos, "a", &number.to_string())),
        }
        assert!(store.in_memory("receiver") <= 16);
    }
    receiver.expect_nothing();
    assert_eq!(net.broker().counters().denied_forwards.get(), 100);
    assert_eq!(store.queue("receiver"), []);
}

/// A thousand refusals in a row hold up nobody, and end.
#[test]
fn many_refusals_in_a_row_are_made_in_several_turns() {
    let judge = Judge::new();
    for net in judge.nets(&narrow()) {
        let receiver = lasting(&net, "receiver");
        receiver.subscribe("a", 1);
        receiver.lose();
        let publisher = net.connect("publisher");
        for _ in 0..1_000 {
            publisher.publish(qos1("a", "d"));
        }
        publisher.publish(qos1("a", "1"));
        let receiver = lasting(&net, "receiver");
        receiver.expect(1, "a", "1");
        receiver.expect_nothing();
    }
}

#[test]
fn a_client_that_does_not_read_is_not_asked_about() {
    let judge = Judge::new();
    let options = BrokerOptions {
        max_outbox_bytes: 1_000,
        ..Default::default()
    };
    let net = judge.net(options);
    let receiver = net.connect("receiver");
    receiver.subscribe("a", 1);
    let publisher = net.connect("publisher");
    receiver.stop_reading();
    let payload = "x".repeat(600);
    for _ in 0..20 {
        publisher.publish(qos1("a", &payload));
    }
    let asked = judge.asked().len();
    assert!(asked < 10, "{asked}");
    receiver.read_on();
    for number in 0..20 {
        let publish = receiver.expect_unacknowledged(1, "a", &payload);
        assert_eq!(publish.packet_id, Some(id(number + 1)));
    }
    assert_eq!(judge.asked().len(), 20 - asked);
}

/// The packet is too large as it was published, and small enough as it is sent.
#[test]
fn what_counts_is_the_size_of_what_is_sent() {
    let judge = Judge::new();
    judge.rule(|_, payload| match payload.len() {
        100.. => Says::Replace(with_payload),
        _ => Says::Allow,
    });
    for net in judge.nets(&BrokerOptions::default()) {
        let dial = net.dial("receiver").expiry(100);
        let receiver = dial.property(Property::MaximumPacketSize(60)).connect();
        receiver.subscribe("a", 2);
        let publisher = net.connect("publisher");
        let large = "x".repeat(200);
        for publish in [qos0("a", &large), qos1("a", &large), qos2("a", &large)] {
            publisher.publish(publish);
            receiver.expect(publish.qos.as_u8(), "a", "other");
        }
        judge.rule(|_, _| Says::Allow);
        publisher.publish(qos1("a", &large));
        publisher.publish(qos0("a", &large));
        receiver.expect_nothing();
        assert_eq!(net.broker().counters().dropped_too_large.get(), 2);
        judge.rule(|_, payload| match payload.len() {
            100.. => Says::Replace(with_payload),
            _ => Says::Allow,
        });
    }
}
