//! Queues that are longer than what is kept of them in memory: the store has the rest, and has it alone
//! while the client is away.

use std::time::Duration;

use broker_core::{BrokerOptions, CloseCause};
use mqtt_codec::{OwnedPacket, PacketId, Publish, ReasonCode};

use crate::harness::store::Store;
use crate::harness::*;

const WINDOW: usize = 10;

/// So many messages may be under way or in memory; the harness turns pages of two.
const MEMORY_MAX: usize = WINDOW + 4 + 2;

fn options() -> BrokerOptions {
    BrokerOptions {
        max_inflight: 4,
        queue_window_messages: WINDOW,
        ..Default::default()
    }
}

fn client(net: &Net) -> Dial {
    net.dial("client").expiry(1_000).resuming()
}

/// A session whose client is away.
fn leave_session(net: &Net) {
    let first = client(net).connect();
    first.subscribe("a", 2);
    first.lose();
}

fn publish_numbers(net: &Net, numbers: core::ops::Range<u32>) {
    let publisher = net.connect("publisher");
    let publisher_id = |number: u32| PacketId::new((number % 60_000 + 1) as u16);
    for number in numbers {
        let payload = number.to_string();
        let publish = if number % 2 == 0 {
            qos1("a", &payload)
        } else {
            qos2("a", &payload)
        };
        let id = publisher_id(number).expect("not zero");
        publisher.send(mqtt_codec::Packet::Publish(Publish {
            packet_id: Some(id),
            ..publish
        }));
        if number % 2 == 0 {
            publisher.expect_puback(id);
        } else {
            publisher.expect_pubrec(id);
            publisher.pubrel(id);
            publisher.expect_pubcomp(id);
        }
    }
    publisher.disconnect();
}

fn expect_numbers(client: &Client, store: &Store, numbers: core::ops::Range<u32>) {
    for number in numbers {
        let qos = if number % 2 == 0 { 1 } else { 2 };
        client.expect(qos, "a", &number.to_string());
        let in_memory = store.in_memory("client");
        assert!(in_memory <= MEMORY_MAX, "{in_memory} in memory");
    }
}

#[test]
fn a_queue_that_was_not_read_at_the_start_is_streamed_in_its_order() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..500);
    assert_eq!(store.in_memory("client"), 0, "its client is away");
    let before = store.pages();
    net.crash_and_restart();
    assert_eq!(store.pages(), before, "no queue is read at the start");
    // What comes meanwhile is behind what was there.
    publish_numbers(&net, 500..520);
    assert_eq!(store.pages(), before);
    let client = client(&net).connect();
    assert!(client.connack.session_present);
    assert!(store.pages() > before);
    expect_numbers(&client, &store, 0..520);
    client.expect_nothing();
    assert_eq!(store.queue("client"), []);
    // And now straight from memory.
    let before = store.pages();
    publish_numbers(&net, 0..4);
    expect_numbers(&client, &store, 0..4);
    assert_eq!(store.pages(), before);
}

#[test]
fn a_queue_that_grows_while_its_client_is_slow_leaves_the_window_only_in_memory() {
    let (net, store) = Net::with_store(options());
    let client = client(&net).connect();
    client.subscribe("a", 2);
    publish_numbers(&net, 0..300);
    assert_eq!(store.queue("client").len(), 300);
    let in_memory = store.in_memory("client");
    assert!((WINDOW..=MEMORY_MAX).contains(&in_memory), "{in_memory}");
    expect_numbers(&client, &store, 0..100);
    publish_numbers(&net, 300..310);
    expect_numbers(&client, &store, 100..310);
    client.expect_nothing();
}

#[test]
fn what_waits_leaves_memory_with_the_client_and_what_was_sent_comes_again() {
    let (net, store) = Net::with_store(options());
    let first = client(&net).connect();
    first.subscribe("a", 2);
    publish_numbers(&net, 0..50);
    assert!(first.expect_unacknowledged(1, "a", "0").packet_id.is_some());
    first.lose();
    // The four that were sent.
    assert_eq!(store.in_memory("client"), 4);
    let again = client(&net).connect();
    for number in 0..4_u32 {
        let publish = again.expect_unacknowledged(1 + (number % 2) as u8, "a", &number.to_string());
        assert!(publish.dup);
        again.acknowledge(&publish);
    }
    expect_numbers(&again, &store, 4..50);
    again.expect_nothing();
}

#[test]
fn large_messages_count_by_their_bytes() {
    let (net, store) = Net::with_store(BrokerOptions {
        queue_window_bytes: 1_000,
        max_inflight: 1,
        ..Default::default()
    });
    leave_session(&net);
    let publisher = net.connect("publisher");
    let payload = "x".repeat(300);
    for _ in 0..40 {
        publisher.publish(qos1("a", &payload));
    }
    let client = client(&net).connect();
    for _ in 0..40 {
        client.expect(1, "a", &payload);
        let in_memory = store.in_memory("client");
        assert!(in_memory <= 5, "{in_memory}");
    }
    client.expect_nothing();
}

#[test]
fn the_limits_of_a_queue_hold_across_a_restart() {
    for (messages, bytes) in [(20, usize::MAX), (usize::MAX, 20 * 4)] {
        let (net, store) = Net::with_store(BrokerOptions {
            max_queued_messages: messages,
            max_queued_bytes: bytes,
            ..options()
        });
        leave_session(&net);
        let publisher = net.connect("publisher");
        for _ in 0..18 {
            publisher.publish(qos1("a", "xyz"));
        }
        net.crash_and_restart();
        let publisher = net.connect("publisher");
        for _ in 0..5 {
            publisher.publish(qos1("a", "xyz"));
        }
        assert_eq!(store.queue("client").len(), 20);
        assert_eq!(net.broker().counters().dropped_queue_full.get(), 3);
        let client = client(&net).connect();
        for _ in 0..20 {
            client.expect(1, "a", "xyz");
        }
        client.expect_nothing();
        publisher.publish(qos1("a", "xyz"));
        client.expect(1, "a", "xyz");
    }
}

#[test]
fn connect_waits_for_a_slow_store_and_nobody_else_does() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..6);
    net.crash_and_restart();
    store.hold_lookups();
    let waiting = client(&net).send();
    assert!(
        waiting.try_next().is_none(),
        "CONNACK before the session was read"
    );
    // What it sends meanwhile is kept.
    waiting.send(mqtt_codec::Packet::PingReq);
    let other = net.connect("other");
    other.ping();
    publish_numbers(&net, 6..9);
    store.let_lookups_go();
    net.run();
    assert!(matches!(waiting.next(), OwnedPacket::ConnAck(connack) if connack.session_present));
    assert_eq!(waiting.next(), OwnedPacket::PingResp);
    expect_numbers(&waiting, &store, 0..9);
    waiting.expect_nothing();
}

#[test]
fn of_two_connections_that_wait_for_one_session_the_later_one_has_it() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..30);
    net.crash_and_restart();
    store.hold_lookups();
    let first = client(&net).send();
    let second = client(&net).send();
    store.let_lookups_go();
    net.run();
    assert!(matches!(second.next(), OwnedPacket::ConnAck(connack) if connack.session_present));
    assert!(first.closed().is_some());
    while first.try_next().is_some() {}
    for number in 0..30_u32 {
        second.expect(1 + (number % 2) as u8, "a", &number.to_string());
    }
    second.expect_nothing();
}

#[test]
fn a_client_whose_session_cannot_be_read_is_told_so_and_comes_back() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..30);
    net.crash_and_restart();
    store.fail_lookups(true);
    let (told, cause) = client(&net).refused();
    assert_eq!(told, Some(ReasonCode::ServerUnavailable));
    assert_eq!(cause, CloseCause::Refused(ReasonCode::ServerUnavailable));
    assert_eq!(net.broker().counters().failed_reads.get(), 1);
    store.fail_lookups(false);
    let again = client(&net).connect();
    expect_numbers(&again, &store, 0..5);
    // The same in the middle of the queue.
    store.fail_lookups(true);
    let mut number = 5;
    while again.closed().is_none() {
        let publish = again.expect_unacknowledged(1 + (number % 2) as u8, "a", &number.to_string());
        match (number % 2, publish.packet_id) {
            (0, Some(id)) => again.puback(id),
            (_, Some(id)) => again.pubrec(id),
            (_, None) => unreachable!("it has one at this quality"),
        }
        number += 1;
    }
    assert_eq!(again.closed(), Some(CloseCause::StoreFailed));
    assert_eq!(net.broker().counters().failed_reads.get(), 2);
    store.fail_lookups(false);
    let again = client(&net).connect();
    let mut last = None;
    while let Some(packet) = again.try_next() {
        match packet {
            OwnedPacket::PubRel(pubrel) => again.pubcomp(pubrel.packet_id),
            OwnedPacket::Publish(publish) => {
                last = Some(publish.payload.to_vec());
                match (publish.qos.as_u8(), publish.packet_id) {
                    (1, Some(id)) => again.puback(id),
                    (_, Some(id)) => again.pubrec(id),
                    (_, None) => unreachable!("it has one at this quality"),
                }
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }
    assert_eq!(last.as_deref(), Some(&b"29"[..]));
    assert_eq!(store.queue("client"), []);
}

#[test]
fn a_client_that_waits_for_the_store_too_long_is_sent_away() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    net.crash_and_restart();
    store.hold_lookups();
    let waiting = client(&net).send();
    net.advance(Duration::from_secs(10));
    match waiting.next() {
        OwnedPacket::ConnAck(connack) => {
            assert_eq!(connack.reason_code, ReasonCode::ServerUnavailable);
        }
        other => panic!("expected CONNACK, got {other:?}"),
    }
    assert_eq!(waiting.closed(), Some(CloseCause::StoreFailed));
    store.let_lookups_go();
    client(&net).connect().ping();
}

/// Its number is smaller than that of others that are stored, and it comes before them.
#[test]
fn a_message_that_is_stored_late_is_not_passed_over() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..3);
    let late = net.connect("late");
    store.set_mood(Mood::Holding);
    late.send_publish(qos2("a", "3"));
    store.set_mood(Mood::Willing);
    publish_numbers(&net, 4..8);
    let client = client(&net).connect();
    for number in 0..3_u32 {
        client.expect(1 + (number % 2) as u8, "a", &number.to_string());
    }
    client.expect_nothing();
    store.let_go(0);
    net.run();
    expect_numbers(&client, &store, 3..8);
    client.expect_nothing();
}

#[test]
fn a_message_behind_the_window_that_could_not_be_stored_is_left_out() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..3);
    let late = net.connect("late");
    store.set_mood(Mood::Holding);
    late.send_publish(qos2("a", "lost"));
    store.set_mood(Mood::Willing);
    publish_numbers(&net, 3..6);
    let client = client(&net).connect();
    expect_numbers(&client, &store, 0..3);
    client.expect_nothing();
    store.refuse_held(0);
    net.run();
    assert_eq!(net.broker().counters().dropped_store_failed.get(), 1);
    expect_numbers(&client, &store, 3..6);
    client.expect_nothing();
}

/// The store may do so (promise 10); what the broker has counted is then not there.
#[test]
fn a_queue_of_which_the_store_has_dropped_a_part_comes_to_its_end() {
    let (net, store) = Net::with_store(options());
    leave_session(&net);
    publish_numbers(&net, 0..40);
    store.lose_messages("client", 20..40);
    let client = client(&net).connect();
    expect_numbers(&client, &store, 0..20);
    client.expect_nothing();
    publish_numbers(&net, 0..2);
    expect_numbers(&client, &store, 0..2);
    client.expect_nothing();
}
