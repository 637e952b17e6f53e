//! What clients hear of a store that does not do what it is asked for, and what is left of it when the
//! store is back; and that nothing is acknowledged before it is stored, whatever it is for.

use broker_core::{BrokerOptions, CloseCause};
use mqtt_codec::{OwnedPacket, Packet, Property, Publish, ReasonCode, SubscriptionOptions};

use crate::harness::*;

fn lasting(net: &Net, client_id: &str) -> Dial {
    net.dial(client_id).expiry(10_000).resuming()
}

/// A receiver whose session is in the store.
fn receiver(net: &Net) -> Client {
    let client = lasting(net, "receiver").connect();
    client.subscribe("a", 2);
    client
}

/// Each message has its answer, and the connection goes on.
///
/// MQTT 5.0: [MQTT-4.3.2-4] [MQTT-4.3.3-8]
#[test]
fn mqtt_5_publishers_hear_for_each_message_that_it_was_not_stored() {
    let (net, store) = Net::with_store(BrokerOptions {
        receive_maximum: 2,
        ..Default::default()
    });
    let receiver = receiver(&net);
    for durable in [false, true] {
        let dial = net.dial("publisher").v5();
        let publisher = if durable {
            dial.expiry(100).connect()
        } else {
            dial.connect()
        };
        for (mood, reason) in [
            (Mood::Failing, ReasonCode::ImplementationSpecificError),
            (Mood::Full, ReasonCode::QuotaExceeded),
        ] {
            store.set_mood(mood);
            // More often than the receive maximum allows if a flow did not end.
            for _ in 0..5 {
                assert_eq!(publisher.publish(qos1("a", "lost")), reason);
                let id = publisher
                    .send_publish(qos2("a", "lost"))
                    .expect("it has one");
                assert_eq!(publisher.expect_pubrec(id), reason);
            }
            publisher.ping();
            receiver.expect_nothing();
            store.set_mood(Mood::Willing);
            publisher.publish(qos1("a", "kept"));
            publisher.publish(qos2("a", "kept too"));
            receiver.expect(1, "a", "kept");
            receiver.expect(2, "a", "kept too");
            receiver.expect_nothing();
        }
    }
    let counters = net.broker();
    assert_eq!(counters.counters().dropped_store_failed.get(), 40);
    assert_eq!(counters.counters().failed_commits.get(), 40);
}

/// A reason in words is for those who ask for problem information, in PUBACK too.
///
/// MQTT 5.0: [MQTT-3.1.2-29]
#[test]
fn the_refusal_says_why_to_those_who_want_to_know() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let _receiver = receiver(&net);
    for wants in [true, false] {
        let publisher = net
            .dial("publisher")
            .v5()
            .property(Property::RequestProblemInformation(wants))
            .connect();
        store.set_mood(Mood::Full);
        publisher.send_publish(qos1("a", "lost"));
        let OwnedPacket::PubAck(puback) = publisher.next() else {
            panic!("expected PUBACK");
        };
        let properties = puback.properties.as_properties();
        assert_eq!(properties.reason_string(), wants.then_some("store full"));
        store.set_mood(Mood::Willing);
    }
}

#[test]
fn what_is_not_a_publication_ends_the_connection_if_it_cannot_be_stored() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let _receiver = receiver(&net);
    let client = lasting(&net, "client").connect();
    store.set_mood(Mood::Failing);
    client.send_subscribe(
        id(1),
        "b",
        SubscriptionOptions::new(mqtt_codec::QoS::AtLeastOnce),
        None,
    );
    client.expect_disconnected(ReasonCode::ImplementationSpecificError);
    store.set_mood(Mood::Willing);
    let old = net.connect("old");
    store.set_mood(Mood::Full);
    old.send_publish(qos1("a", "lost"));
    old.expect_closed(CloseCause::StoreFull);
    store.set_mood(Mood::Willing);
}

/// The PUBREL must not be sent: after a crash the store would have the message sent a second time to a
/// client that has released it.
#[test]
fn a_release_that_could_not_be_stored_does_not_repeat_the_message_after_a_crash() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let client = receiver(&net);
    net.connect("publisher").publish(qos2("a", "once"));
    let publish = client.expect_unacknowledged(2, "a", "once");
    let packet_id = publish.packet_id.expect("it has one");
    store.set_mood(Mood::Failing);
    client.pubrec(packet_id);
    client.expect_disconnected(ReasonCode::ImplementationSpecificError);
    store.set_mood(Mood::Willing);
    // The client has it under this identifier and takes it for the same.
    let client = lasting(&net, "receiver").connect();
    let again = client.expect_unacknowledged(2, "a", "once");
    assert_eq!((again.packet_id, again.dup), (Some(packet_id), true));
    client.pubrec(packet_id);
    client.expect_pubrel(packet_id);
    net.crash_and_restart();
    let client = lasting(&net, "receiver").connect();
    client.expect_pubrel(packet_id);
    client.pubcomp(packet_id);
    client.expect_nothing();
}

/// The store has more than the broker would know then, and what is behind it is not passed over.
#[test]
fn after_a_failure_the_session_goes_on_with_what_the_store_has() {
    let (net, store) = Net::with_store(BrokerOptions {
        queue_window_messages: 2,
        max_inflight: 4,
        ..Default::default()
    });
    let client = receiver(&net);
    let publisher = net.connect("publisher");
    for number in 0..20 {
        publisher.publish(qos1("a", &number.to_string()));
    }
    let sent: Vec<_> = (0..4)
        .map(|number| client.expect_unacknowledged(1, "a", &number.to_string()))
        .collect();
    store.set_mood(Mood::Failing);
    client.acknowledge(&sent[0]);
    client.expect_disconnected(ReasonCode::ImplementationSpecificError);
    store.set_mood(Mood::Willing);
    publisher.publish(qos1("a", "20"));
    let client = lasting(&net, "receiver").connect();
    for number in 0..=20 {
        assert_eq!(client.expect(1, "a", &number.to_string()).dup, number < 4);
    }
    client.expect_nothing();
    assert_eq!(store.queue("receiver"), []);
}

#[test]
fn a_session_that_could_not_be_stored_is_not_kept_either() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    store.set_mood(Mood::Failing);
    let refused = lasting(&net, "client").send();
    assert!(matches!(
        refused.next(),
        OwnedPacket::ConnAck(connack) if connack.reason_code == ReasonCode::ServerUnavailable
    ));
    refused.expect_closed(CloseCause::StoreFailed);
    assert_eq!(net.broker().sizes().sessions, 0);
    store.set_mood(Mood::Willing);
    assert!(!lasting(&net, "client").connect().connack.session_present);
}

/// Nothing that answers a message comes before what it stands for is stored: for receivers that are
/// there, away, of a shared subscription, and for retained messages.
#[test]
fn no_acknowledgement_comes_before_the_commit() {
    for case in ["there", "away", "shared", "retained"] {
        let (net, store) = Net::with_store(BrokerOptions::default());
        let client = lasting(&net, "receiver").connect();
        match case {
            "retained" => {}
            "shared" => client.subscribe("$share/g/a", 2),
            _ => client.subscribe("a", 2),
        }
        if case == "away" {
            client.lose();
        }
        let publisher = lasting(&net, "publisher").connect();
        store.set_mood(Mood::Holding);
        let mark = |publish: Publish<'static>| Publish {
            retain: case == "retained",
            ..publish
        };
        let first = publisher
            .send_publish(mark(qos1("a", "1")))
            .expect("it has one");
        let second = publisher
            .send_publish(mark(qos2("a", "2")))
            .expect("it has one");
        publisher.expect_nothing();
        if case != "away" {
            client.expect_nothing();
        }
        assert_eq!(store.held(), 2, "{case}: both are under way");
        // The second is stored first, and waits for the first.
        store.let_go(1);
        net.run();
        publisher.expect_nothing();
        store.let_go(0);
        net.run();
        assert!(
            matches!(publisher.next(), OwnedPacket::PubAck(it) if it.packet_id == first),
            "{case}"
        );
        assert!(
            matches!(publisher.next(), OwnedPacket::PubRec(it) if it.packet_id == second),
            "{case}"
        );
        publisher.pubrel(second);
        publisher.expect_nothing();
        while store.held() > 0 {
            store.let_go(0);
        }
        net.run();
        publisher.expect_pubcomp(second);
        store.set_mood(Mood::Willing);
        net.run();
        if case == "there" || case == "shared" {
            client.expect(1, "a", "1");
            client.expect(2, "a", "2");
        }
        if case == "retained" {
            let nothing = Publish {
                retain: true,
                ..qos1("a", "")
            };
            publisher.publish(nothing);
        }
    }
}

/// Acknowledgements of a receiver: its PUBREC is answered when the store knows of it.
#[test]
fn pubrel_does_not_come_before_the_commit() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let client = receiver(&net);
    net.connect("publisher").publish(qos2("a", "x"));
    let publish = client.expect_unacknowledged(2, "a", "x");
    let packet_id = publish.packet_id.expect("it has one");
    store.set_mood(Mood::Holding);
    client.pubrec(packet_id);
    client.expect_nothing();
    store.set_mood(Mood::Willing);
    store.let_go(0);
    net.run();
    client.expect_pubrel(packet_id);
    client.pubcomp(packet_id);
}

/// The will is published, and QoS 1 and 2 wait for it as for any message.
#[test]
fn a_will_is_delivered_when_it_is_stored_and_is_not_lost_if_it_is_not() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let receiver = receiver(&net);
    let dying = net.dial("dying").will(qos1("a", "gone")).connect();
    store.set_mood(Mood::Holding);
    dying.lose();
    receiver.expect_nothing();
    // The process dies before the store has answered: the will is still there.
    store.set_mood(Mood::Willing);
    net.crash_and_restart();
    let receiver = lasting(&net, "receiver").connect();
    receiver.expect(1, "a", "gone");
    receiver.expect_nothing();
}

#[test]
fn messages_sent_meanwhile_are_answered_in_their_order_and_pings_at_once() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let _receiver = receiver(&net);
    let publisher = net.connect("publisher");
    store.set_mood(Mood::Holding);
    publisher.send_publish(qos1("a", "1"));
    publisher.send(Packet::PingReq);
    assert_eq!(publisher.next(), OwnedPacket::PingResp);
    publisher.send_publish(qos1("a", "2"));
    // What needs no store is answered behind it.
    publisher.send_publish(qos1("nobody", "3"));
    publisher.expect_nothing();
    store.set_mood(Mood::Willing);
    store.let_go(1);
    net.run();
    publisher.expect_nothing();
    store.let_go(0);
    net.run();
    for number in 1..=3 {
        assert!(matches!(publisher.next(), OwnedPacket::PubAck(it) if it.packet_id == id(number)));
    }
}

/// After one that failed no later one is acknowledged on this connection: the order of
/// acknowledgements would be broken.
///
/// MQTT 5.0: [MQTT-4.6.0-2]
#[test]
fn nothing_is_acknowledged_behind_a_batch_that_failed_and_ended_the_connection() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let receiver = receiver(&net);
    let publisher = net.connect("publisher");
    store.set_mood(Mood::Holding);
    publisher.send_publish(qos1("a", "1"));
    publisher.send_publish(qos1("a", "2"));
    store.refuse_held(0);
    store.let_go(0);
    store.set_mood(Mood::Willing);
    net.run();
    publisher.expect_closed(CloseCause::StoreFailed);
    receiver.expect(1, "a", "2");
    receiver.expect_nothing();
}

/// MQTT 5.0 3.1.2.10: who is not listened to is not taken for silent.
#[test]
fn keep_alive_does_not_run_while_the_store_is_waited_for() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let _receiver = receiver(&net);
    let publisher = net.dial("publisher").keep_alive(10).connect();
    store.set_mood(Mood::Holding);
    for number in 0..4 {
        publisher.send_publish(qos1("a", &number.to_string()));
    }
    assert!(
        net.waiting_input(0) == 0 && store.held() < 4,
        "the last one is not read"
    );
    net.advance(core::time::Duration::from_secs(60));
    publisher.expect_nothing();
    assert!(net.broker().counters().store_waits.get() > 0);
    store.set_mood(Mood::Willing);
    while store.held() > 0 {
        store.let_go(0);
    }
    net.run();
    for number in 1..=4 {
        publisher.expect_puback(id(number));
    }
    // From here on it is heard.
    net.advance(core::time::Duration::from_secs(16));
    publisher.expect_closed(CloseCause::KeepAliveTimeout);
}

/// The delay counts from the end of the connection, whichever broker sees it through.
#[test]
fn a_delayed_will_is_published_at_its_time_and_what_was_due_meanwhile_at_the_start() {
    let (net, _store) = Net::with_store(BrokerOptions::default());
    let watcher = lasting(&net, "receiver");
    receiver(&net).lose();
    for (client, delay) in [("short", 30), ("long", 100)] {
        let payload = if delay == 30 { "short" } else { "long" };
        net.dial(client)
            .expiry(1_000)
            .will(qos1("a", payload))
            .will_property(Property::WillDelayInterval(delay))
            .connect()
            .lose();
    }
    net.advance(core::time::Duration::from_secs(10));
    net.sleep(core::time::Duration::from_secs(30));
    net.crash_and_restart();
    let client = watcher.connect();
    client.expect(1, "a", "short");
    client.expect_nothing();
    net.advance(core::time::Duration::from_secs(59));
    client.expect_nothing();
    net.advance(core::time::Duration::from_secs(1));
    client.expect(1, "a", "long");
}
