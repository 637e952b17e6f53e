//! Verdicts that take their time: who waits meanwhile, and what may happen until they are there.

use super::*;

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
