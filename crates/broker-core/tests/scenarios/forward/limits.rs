//! How much may wait for verdicts.

use super::*;

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
