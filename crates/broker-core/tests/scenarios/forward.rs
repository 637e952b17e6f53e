//! Somebody decides on each message that is about to be sent: what is allowed, and what is refused,
//! whether it is live, retained or from the queue.

mod limits;
mod replaced;
mod shared;
mod waiting;

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

/// Whichever way it comes and at each quality, it is dropped for this client, counted, and gone.
#[test]
fn what_is_withheld_live_from_the_queue_or_retained_does_not_come_back() {
    let judge = Judge::new();
    let (net, store) = judge.net_with_store(narrow());
    let publisher = net.connect("publisher");
    let counter = || net.broker().counters().denied_forwards.get();
    for publish in [qos0("a", "d"), qos1("a", "d"), qos2("a", "d")] {
        for way in ["live", "queued", "retained"] {
            let before = counter();
            let mut receiver = lasting(&net, "receiver");
            if way == "retained" {
                publisher.publish(retained(publish));
            }
            receiver.subscribe("a", 2);
            if way == "queued" {
                receiver.lose();
            }
            if way != "retained" {
                publisher.publish(publish);
            }
            if way == "queued" {
                receiver = lasting(&net, "receiver");
            }
            receiver.expect_nothing();
            // At QoS 0 nothing waits for who is away.
            let is_asked = way != "queued" || publish.qos > QoS::AtMostOnce;
            assert_eq!(counter() - before, u64::from(is_asked), "{way}");
            // The window has room for one.
            publisher.publish(qos1("a", "1"));
            receiver.expect(1, "a", "1");
            assert_eq!(store.queue("receiver"), []);
            judge.asked();
            receiver.lose();
            let receiver = lasting(&net, "receiver");
            receiver.expect_nothing();
            assert_eq!(judge.asked(), [""; 0]);
            receiver.unsubscribe("a");
            publisher.publish(retained(qos0("a", "")));
        }
    }
}
