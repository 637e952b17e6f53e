//! Hooks are told of each message that a client has got.

use std::sync::Arc;

use broker_core::{BrokerOptions, ForwardVerdict, Message, MessageParts, Timestamp};
use mqtt_codec::{Packet, PubAck, PubRec, QoS, ReasonCode, Version};

use super::*;
use crate::harness::store::Store;

/// A net with a store, and one without.
fn nets(wanted: HookSet, options: &BrokerOptions) -> [(Net, Script); 2] {
    let options = |script: &Script| BrokerOptions {
        hooks: script.options().hooks,
        ..options.clone()
    };
    let (stored, plain) = (Script::new(wanted), Script::new(wanted));
    let (net, _) = Net::with_store(options(&stored));
    [(net, stored), (Net::with(options(&plain)), plain)]
}

fn net_with_store(options: BrokerOptions) -> (Net, Arc<Store>, Script) {
    let script = Script::new(DELIVERED);
    let (net, store) = Net::with_store(BrokerOptions {
        hooks: script.options().hooks,
        ..options
    });
    (net, store, script)
}

/// A client whose session ends with its connection, and one whose session lasts.
fn receivers(net: &Net) -> [Client; 2] {
    [net.connect_v5("brief"), lasting(net)]
}

fn lasting(net: &Net) -> Client {
    net.dial("lasting").expiry(1_000).resuming().connect()
}

/// At QoS 0 nobody knows; at QoS 2 the client has it when it says PUBREC, however often.
#[test]
fn what_a_client_acknowledges_is_told_once() {
    for (net, script) in nets(DELIVERED, &BrokerOptions::default()) {
        let publisher = net.connect("publisher");
        for receiver in receivers(&net) {
            receiver.subscribe("a", 2);
            for publish in [qos0("a", "0"), qos1("a", "1"), qos2("a", "2")] {
                publisher.publish(publish);
            }
            receiver.expect(0, "a", "0");
            let first = receiver.expect_unacknowledged(1, "a", "1");
            let second = receiver.expect_unacknowledged(2, "a", "2");
            let (first, second) = (first.packet_id.unwrap(), second.packet_id.unwrap());
            assert_eq!(script.heard(), [""; 0]);
            receiver.pubrec(second);
            let told = script.heard();
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("delivered ") && told[0].ends_with(" a 2 2"));
            receiver.expect_pubrel(second);
            receiver.pubrec(second);
            receiver.expect_pubrel(second);
            receiver.pubcomp(second);
            assert_eq!(script.heard(), [""; 0]);
            receiver.puback(first);
            let told = script.heard();
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("delivered ") && told[0].ends_with(" a 1 1"));
            // Once more, and of nothing that is under way.
            receiver.puback(first);
            receiver.pubcomp(second);
            assert_eq!(script.heard(), [""; 0]);
            receiver.unsubscribe("a");
        }
    }
}

#[test]
fn what_a_client_refuses_is_not_told() {
    for (net, script) in nets(DELIVERED, &BrokerOptions::default()) {
        let publisher = net.connect("publisher");
        for receiver in receivers(&net) {
            receiver.subscribe("a", 2);
            publisher.publish(qos1("a", "1"));
            publisher.publish(qos2("a", "2"));
            let first = receiver.expect_unacknowledged(1, "a", "1");
            let second = receiver.expect_unacknowledged(2, "a", "2");
            let reason_code = ReasonCode::QuotaExceeded;
            receiver.send(Packet::PubAck(PubAck {
                reason_code,
                ..PubAck::new(first.packet_id.unwrap())
            }));
            receiver.send(Packet::PubRec(PubRec {
                reason_code,
                ..PubRec::new(second.packet_id.unwrap())
            }));
            assert_eq!(script.heard(), [""; 0]);
            receiver.unsubscribe("a");
        }
    }
}

/// The message is told however often it was sent, and by whichever broker.
#[test]
fn what_is_sent_again_is_told_when_it_is_acknowledged() {
    let (net, store, script) = net_with_store(BrokerOptions::default());
    let publisher = net.connect("publisher");
    let receiver = lasting(&net);
    receiver.subscribe("a", 2);
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    receiver.expect_unacknowledged(1, "a", "1");
    receiver.expect_unacknowledged(2, "a", "2");
    receiver.lose();
    let receiver = lasting(&net);
    receiver.expect_unacknowledged(1, "a", "1");
    receiver.expect_unacknowledged(2, "a", "2");
    net.crash_and_restart();
    let receiver = lasting(&net);
    assert_eq!(script.heard(), [""; 0]);
    receiver.expect(1, "a", "1");
    receiver.expect(2, "a", "2");
    let told = ["delivered lasting a 1 1", "delivered lasting a 2 2"];
    assert_eq!(script.heard(), told);
    assert_eq!(store.queue("lasting"), []);
}

/// Whatever waits, in memory or in the store alone, has its message when it is its turn.
#[test]
fn a_long_queue_is_told_message_by_message() {
    let options = BrokerOptions {
        max_inflight: 3,
        queue_window_messages: 5,
        ..BrokerOptions::default()
    };
    for (net, script) in nets(DELIVERED, &options) {
        let publisher = net.connect("publisher");
        for receiver in receivers(&net) {
            receiver.subscribe("a", 2);
            for number in 0..60 {
                let payload = number.to_string();
                match number % 2 {
                    0 => publisher.publish(qos1("a", &payload)),
                    _ => publisher.publish(qos2("a", &payload)),
                };
            }
            for number in 0..60 {
                let qos = 1 + number % 2;
                receiver.expect(qos, "a", &number.to_string());
                let told = script.heard();
                assert_eq!(told.len(), 1);
                assert!(told[0].ends_with(&format!(" a {number} {qos}")), "{told:?}");
            }
            receiver.expect_nothing();
            receiver.unsubscribe("a");
        }
    }
}

#[test]
fn of_a_shared_subscription_the_member_is_told_who_has_got_the_message() {
    for (net, script) in nets(DELIVERED, &BrokerOptions::default()) {
        let publisher = net.connect("publisher");
        let one = net.connect_v5("one");
        one.subscribe("$share/g/a", 1);
        publisher.publish(qos1("a", "1"));
        one.expect_unacknowledged(1, "a", "1");
        let two = net.connect_v5("two");
        two.subscribe("$share/g/a", 1);
        one.lose();
        two.expect(1, "a", "1");
        assert_eq!(script.heard(), ["delivered two a 1 1"]);
    }
}

#[test]
fn what_was_sent_is_told_not_what_was_published() {
    for (net, script) in nets(DELIVERED.or(FORWARD), &BrokerOptions::default()) {
        let publisher = net.connect("publisher");
        for receiver in receivers(&net) {
            receiver.subscribe("a", 2);
            let instead = Message::new(MessageParts {
                topic: "b",
                properties: &[],
                payload: b"other",
                qos: QoS::AtLeastOnce,
                retain: false,
                expires: Timestamp::MAX,
            });
            let says = [
                ForwardVerdict::Replace(instead),
                ForwardVerdict::Deny,
                ForwardVerdict::Allow,
            ];
            script.say(says.map(Say::Forward));
            for publish in [qos2("a", "1"), qos1("a", "2"), qos2("a", "3")] {
                publisher.publish(publish);
            }
            receiver.expect(1, "b", "other");
            receiver.expect(2, "a", "3");
            let mut told = script.heard();
            told.retain(|heard| heard.starts_with("delivered"));
            assert_eq!(told.len(), 2);
            assert!(told[0].ends_with(" b other 1") && told[1].ends_with(" a 3 2"));
            receiver.unsubscribe("a");
        }
    }
}

#[test]
fn what_is_done_about_it_holds_up_the_next_packet_of_that_client_alone() {
    for version in [Version::V311, Version::V5] {
        let (net, script) = Script::net(DELIVERED);
        let line = connect(&net, version, |_| ());
        connack(&net, line).expect("CONNACK");
        subscribe(&net, line, &["a"]);
        suback(&net, line).expect("SUBACK");
        let publisher = net.connect("publisher");
        for say in [Say::Wait, Say::PanicLater, Say::Panic] {
            publisher.publish(qos1("a", "1"));
            let packet_id = net.take(line, |packet| match packet {
                OwnedPacket::Publish(publish) => publish.packet_id,
                _ => None,
            });
            let is_slow = matches!(say, Say::Wait);
            script.say([say]);
            let puback = PubAck::new(packet_id.expect("QoS 1"));
            net.send(line, &Packet::PubAck(puback));
            net.send(line, &Packet::PingReq);
            publisher.ping();
            if is_slow {
                assert_eq!(net.next(line), None);
                script.answer(&net, Say::Done);
            }
            assert!(matches!(net.next(line), Some(OwnedPacket::PingResp)));
        }
        assert_eq!(net.broker().counters().hook_failures.get(), 2);
        assert_eq!(script.heard(), ["delivered client a 1 1"; 3]);
    }
}
