//! Stores that fail, and stores that take their time.

use broker_core::{BrokerOptions, CloseCause, MessageParts, Timestamp};
use mqtt_codec::{OwnedPacket, Packet, Publish, QoS, ReasonCode};

use crate::harness::client::id;
use crate::harness::*;

/// A receiver whose session is in the store, and its connection.
fn receiver(net: &Net) -> (Client, impl Fn() -> Client) {
    let lasting = net.dial("receiver").expiry(10_000).resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    (client, move || lasting.connect())
}

#[test]
fn what_could_not_be_stored_is_neither_acknowledged_nor_delivered() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let publisher = net.connect("publisher");
    store.set_mood(Mood::Failing);
    publisher.send_publish(qos1("a", "lost"));
    publisher.expect_closed(CloseCause::StoreFailed);
    receiver.expect_nothing();
    assert_eq!(net.broker().counters().dropped_store_failed.get(), 1);
    assert_eq!(net.broker().counters().failed_commits.get(), 1);
    store.set_mood(Mood::Willing);
    net.connect("publisher").publish(qos1("a", "kept"));
    receiver.expect(1, "a", "kept");
    receiver.expect_nothing();
}

#[test]
fn a_message_at_qos_2_that_could_not_be_stored_may_be_sent_again() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let lasting = net.dial("publisher").resuming();
    let publisher = lasting.connect();
    store.set_mood(Mood::Failing);
    let id = publisher.send_publish(qos2("a", "x")).expect("it has one");
    publisher.expect_closed(CloseCause::StoreFailed);
    store.set_mood(Mood::Willing);
    let publisher = lasting.connect();
    publisher.send(Packet::Publish(Publish {
        packet_id: Some(id),
        dup: true,
        ..qos2("a", "x")
    }));
    publisher.expect_pubrec(id);
    publisher.pubrel(id);
    publisher.expect_pubcomp(id);
    receiver.expect(2, "a", "x");
    receiver.expect_nothing();
}

#[test]
fn nothing_is_acknowledged_or_delivered_before_it_is_stored() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let publisher = net.connect("publisher");
    store.set_mood(Mood::Holding);
    publisher.send_publish(qos1("a", "x"));
    publisher.expect_nothing();
    receiver.expect_nothing();
    store.let_go(0);
    net.run();
    publisher.expect_puback(id(1));
    receiver.expect_unacknowledged(1, "a", "x");
}

#[test]
fn messages_of_two_publishers_keep_their_order_however_they_are_stored() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let one = net.connect("one");
    let two = net.connect("two");
    store.set_mood(Mood::Holding);
    one.send_publish(qos1("a", "1"));
    two.send_publish(qos1("a", "2"));
    store.let_go(1);
    net.run();
    two.expect_puback(id(1));
    receiver.expect_nothing();
    store.let_go(0);
    net.run();
    one.expect_puback(id(1));
    receiver.expect_unacknowledged(1, "a", "1");
    receiver.expect_unacknowledged(1, "a", "2");
}

#[test]
fn a_message_behind_one_that_could_not_be_stored_goes_out() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let one = net.connect("one");
    let two = net.connect("two");
    store.set_mood(Mood::Holding);
    one.send_publish(qos1("a", "1"));
    two.send_publish(qos1("a", "2"));
    store.let_go(1);
    store.refuse_held(0);
    net.run();
    two.expect_puback(id(1));
    one.expect_closed(CloseCause::StoreFailed);
    receiver.expect_unacknowledged(1, "a", "2");
    receiver.expect_nothing();
}

#[test]
fn a_driver_that_is_cancelled_while_it_commits_holds_up_nobody() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let one = net.connect("one");
    store.set_mood(Mood::Holding);
    one.send_publish(qos1("a", "1"));
    one.cancel();
    store.let_go(0);
    store.set_mood(Mood::Willing);
    net.connect("two").publish(qos1("a", "2"));
    receiver.expect(1, "a", "1");
    receiver.expect(1, "a", "2");
}

/// A stored and acknowledged message must not be lost because its receiver's own batch fails.
#[test]
fn a_receiver_whose_commit_fails_gets_its_messages_on_the_next_connection() {
    let (net, store) = Net::with_store(BrokerOptions {
        max_inflight: 2,
        ..Default::default()
    });
    let (client, again) = receiver(&net);
    client.lose();
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos1("a", payload));
    }
    store.set_mood(Mood::Failing);
    let failed = net.dial("receiver").expiry(10_000).resuming().send();
    assert!(matches!(failed.closed(), Some(CloseCause::StoreFailed)));
    while let Some(packet) = failed.try_next() {
        let is_message = matches!(packet, mqtt_codec::OwnedPacket::Publish(_));
        assert!(!is_message, "its identifier is not stored");
    }
    store.set_mood(Mood::Willing);
    let client = again();
    for payload in ["1", "2", "3"] {
        client.expect(1, "a", payload);
    }
    client.expect_nothing();
    assert_eq!(net.broker().counters().dropped_store_failed.get(), 0);
}

#[test]
fn an_acknowledgement_that_could_not_be_stored_may_bring_the_message_again_after_a_restart() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (client, again) = receiver(&net);
    net.connect("publisher").publish(qos1("a", "x"));
    let publish = client.expect_unacknowledged(1, "a", "x");
    store.set_mood(Mood::Failing);
    client.acknowledge(&publish);
    client.expect_disconnected(ReasonCode::ImplementationSpecificError);
    store.set_mood(Mood::Willing);
    net.crash_and_restart();
    let client = again();
    assert!(client.expect(1, "a", "x").dup);
    client.expect_nothing();
}

#[test]
fn a_release_that_could_not_be_stored_is_stored_with_the_next_one() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (receiver, _) = receiver(&net);
    let lasting = net.dial("publisher").resuming();
    let publisher = lasting.connect();
    publisher.send(Packet::Publish(Publish {
        packet_id: Some(id(7)),
        ..qos2("a", "1")
    }));
    publisher.expect_pubrec(id(7));
    store.set_mood(Mood::Failing);
    publisher.pubrel(id(7));
    publisher.expect_closed(CloseCause::StoreFailed);
    store.set_mood(Mood::Willing);
    let publisher = lasting.connect();
    publisher.pubrel(id(7));
    publisher.expect_pubcomp(id(7));
    receiver.expect(2, "a", "1");
    net.crash_and_restart();
    let receiver = net.dial("receiver").expiry(10_000).resuming().connect();
    let publisher = lasting.connect();
    publisher.send(Packet::Publish(Publish {
        packet_id: Some(id(7)),
        ..qos2("a", "2")
    }));
    publisher.expect_pubrec(id(7));
    publisher.pubrel(id(7));
    publisher.expect_pubcomp(id(7));
    receiver.expect(2, "a", "2");
}

#[test]
fn a_crash_with_batches_under_way_loses_nothing_that_was_acknowledged() {
    let (net, store) = Net::with_store(BrokerOptions {
        max_inflight: 2,
        ..Default::default()
    });
    let (client, again) = receiver(&net);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3", "4"] {
        publisher.publish(qos1("a", payload));
    }
    let first = client.expect_unacknowledged(1, "a", "1");
    client.expect_unacknowledged(1, "a", "2");
    store.set_mood(Mood::Holding);
    // This asks the store to forget 1 and to note the identifier of 3.
    client.acknowledge(&first);
    client.expect_nothing();
    // This is stored, so the store knows an identifier of 5 and none of 3.
    publisher.send_publish(qos1("a", "5"));
    store.let_go(1);
    net.run();
    publisher.expect_puback(id(5));
    store.set_mood(Mood::Willing);
    net.crash_and_restart();
    let client = again();
    for (payload, dup) in [
        ("1", true),
        ("2", true),
        ("3", false),
        ("4", false),
        ("5", false),
    ] {
        assert_eq!(client.expect(1, "a", payload).dup, dup, "message {payload}");
    }
    client.expect_nothing();
}

#[test]
fn commits_that_are_late_do_not_stop_a_client_from_coming_back() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let (client, again) = receiver(&net);
    let publisher = net.connect("publisher");
    store.set_mood(Mood::Holding);
    publisher.send_publish(qos1("a", "1"));
    client.lose();
    store.set_mood(Mood::Willing);
    let client = again();
    client.expect_nothing();
    while store.held() > 0 {
        store.let_go(0);
        net.run();
    }
    client.expect(1, "a", "1");
    publisher.expect_puback(id(1));
    client.expect_nothing();
}

#[test]
fn a_failing_store_does_not_touch_what_needs_none() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    store.set_mood(Mood::Failing);
    let client = net.connect("client");
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for publish in [qos0("a", "x"), qos1("a", "x"), qos2("a", "x")] {
        publisher.publish(publish);
        client.expect(publish.qos.as_u8(), "a", "x");
    }
}

/// Found by the fuzz target: batches of two connections need not reach the store in turn.
#[test]
fn a_will_that_reached_the_store_after_its_session_was_replaced_is_not_published() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let watcher = net.dial("watcher").resuming();
    watcher.connect().subscribe("gone", 1);
    store.set_mood(Mood::Holding);
    let first = net
        .dial("client")
        .expiry(100)
        .will(qos1("gone", "x"))
        .send();
    store.set_mood(Mood::Willing);
    // A clean start ends the first session, and with it the will is published and dropped.
    let _second = net.dial("client").expiry(100).connect();
    let published = watcher.connect();
    published.expect(1, "gone", "x");
    store.let_go(0);
    net.run();
    drop(first);
    net.crash_and_restart();
    watcher.connect().expect_nothing();
}

/// The only retained message on `a`, as a new subscriber gets it.
fn retained(net: &Net) -> Option<String> {
    let client = net.connect("looking");
    client.subscribe("a", 0);
    let found = match client.try_next() {
        Some(OwnedPacket::Publish(publish)) => {
            assert!(publish.retain);
            Some(String::from_utf8(publish.payload.to_vec()).expect("text"))
        }
        None => None,
        other => panic!("nobody asked for {other:?}"),
    };
    client.expect_nothing();
    client.disconnect();
    found
}

fn retain<'a>(payload: &'a str) -> Publish<'a> {
    Publish {
        retain: true,
        ..qos1("a", payload)
    }
}

#[test]
fn a_retained_message_that_could_not_be_stored_leaves_the_one_before_it() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    for (before, lost) in [("", "1"), ("2", "3"), ("4", "")] {
        net.connect("publisher").publish(retain(before));
        for mood in [Mood::Failing, Mood::Full] {
            store.set_mood(mood);
            let publisher = net.connect("publisher");
            publisher.send_publish(retain(lost));
            store.set_mood(Mood::Willing);
            let expected = (!before.is_empty()).then(|| before.to_owned());
            assert_eq!(retained(&net), expected);
        }
        let found = retained(&net);
        net.crash_and_restart();
        assert_eq!(retained(&net), found, "as the store has it");
    }
}

#[test]
fn of_retained_messages_under_way_the_last_that_could_be_stored_stays() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    net.connect("publisher").publish(retain("before"));
    let [one, two, three] = ["one", "two", "three"].map(|name| net.connect(name));
    store.set_mood(Mood::Holding);
    for (publisher, payload) in [(&one, "1"), (&two, ""), (&three, "3")] {
        publisher.send_publish(retain(payload));
    }
    store.refuse_held(2);
    net.run();
    three.expect_closed(CloseCause::StoreFailed);
    store.refuse_held(1);
    net.run();
    two.expect_closed(CloseCause::StoreFailed);
    store.let_go(0);
    net.run();
    one.expect_puback(id(1));
    store.set_mood(Mood::Willing);
    assert_eq!(retained(&net).as_deref(), Some("1"));
    net.crash_and_restart();
    assert_eq!(retained(&net).as_deref(), Some("1"));
}

#[test]
fn what_the_broker_retains_and_cannot_store_is_not_retained_either() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    net.connect("publisher").publish(retain("before"));
    store.set_mood(Mood::Failing);
    net.broker_publishes(MessageParts {
        topic: "a",
        properties: &[],
        payload: b"lost",
        qos: QoS::AtMostOnce,
        retain: true,
        expires: Timestamp::MAX,
    });
    store.set_mood(Mood::Willing);
    assert_eq!(retained(&net).as_deref(), Some("before"));
}
