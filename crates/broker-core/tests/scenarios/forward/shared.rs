//! Messages of shared subscriptions, which others could get too.

use super::*;

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
