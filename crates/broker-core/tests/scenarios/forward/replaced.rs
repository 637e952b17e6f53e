//! What is sent in the place of a message, and sent again.

use super::*;

fn no_topic(parts: MessageParts<'_>) -> Arc<Message> {
    Message::new(MessageParts {
        topic: "no/+/topic",
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
