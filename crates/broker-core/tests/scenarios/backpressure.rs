//! Clients that read slowly, or not at all.

use std::time::Duration;

use broker_core::{BrokerOptions, CloseCause, SlowConsumerPolicy};
use mqtt_codec::{OwnedPacket, ReasonCode};

use crate::harness::*;

fn with_outbox(max_outbox_bytes: usize) -> BrokerOptions {
    BrokerOptions {
        max_outbox_bytes,
        ..BrokerOptions::default()
    }
}

#[test]
fn a_slow_reader_loses_messages_at_qos_0_and_they_are_counted() {
    let net = Net::with(with_outbox(1_000));
    let slow = net.connect("slow");
    slow.subscribe("a", 0);
    slow.stop_reading();
    let quick = net.connect("quick");
    quick.subscribe("a", 0);
    let publisher = net.connect("publisher");
    let payload = "x".repeat(95);
    for _ in 0..40 {
        publisher.publish(qos0("a", &payload));
        quick.expect(0, "a", &payload);
    }
    slow.read_on();
    let mut arrived = 0;
    while slow.try_next().is_some() {
        arrived += 1;
    }
    let dropped = net.broker().counters().dropped_slow_reader.get();
    assert_eq!(arrived + dropped, 40);
    // One write that the socket has, and one outbox behind it.
    assert!((10..=21).contains(&arrived), "{arrived} arrived");
    publisher.publish(qos0("a", "again"));
    slow.expect(0, "a", "again");
}

#[test]
fn a_slow_reader_gets_messages_at_qos_1_and_2_later_and_in_order() {
    for lasting in [false, true] {
        let net = Net::with(with_outbox(500));
        let dial = net.dial("slow");
        let slow = if lasting { dial.resuming() } else { dial }.connect();
        slow.subscribe("#", 2);
        slow.stop_reading();
        let publisher = net.connect("publisher");
        let filling = "x".repeat(90);
        for number in 0..100 {
            publisher.publish(qos1("a", &format!("{filling}{number}")));
            publisher.publish(qos2("b", &format!("{filling}{number}")));
        }
        slow.read_on();
        for number in 0..100 {
            slow.expect(1, "a", &format!("{filling}{number}"));
            slow.expect(2, "b", &format!("{filling}{number}"));
        }
        slow.expect_nothing();
        let broker = net.broker();
        assert_eq!(broker.counters().dropped_slow_reader.get(), 0);
        assert_eq!(broker.counters().dropped_queue_full.get(), 0);
    }
}

#[test]
fn a_single_message_may_be_larger_than_the_outbox() {
    let net = Net::with(with_outbox(500));
    let client = net.connect("client");
    client.subscribe("a", 2);
    let large = "x".repeat(10_000);
    let publisher = net.connect("publisher");
    for publish in [qos0("a", &large), qos1("a", &large), qos2("a", &large)] {
        publisher.publish(publish);
        client.expect(publish.qos.as_u8(), "a", &large);
    }
}

#[test]
fn a_client_that_sends_and_never_reads_is_not_read_from_for_ever() {
    let net = Net::with(with_outbox(1_000));
    let client = net.connect("client");
    client.stop_reading();
    let pings = b"\xC0\x00".repeat(400);
    for _ in 0..100 {
        client.send_raw(&pings);
    }
    assert!(
        net.waiting_input(0) > 70_000,
        "most of it is still on its way"
    );
    client.read_on();
    let mut answers = 0;
    while client.try_next().is_some() {
        answers += 1;
    }
    assert_eq!(answers, 40_000, "and is answered when there is room");
}

#[test]
fn a_slow_reader_can_be_lost() {
    let net = Net::with(with_outbox(500));
    let lasting = net.dial("slow").resuming();
    let slow = lasting.connect();
    slow.subscribe("a", 1);
    slow.stop_reading();
    let publisher = net.connect("publisher");
    let filling = "x".repeat(200);
    for number in 0..10 {
        publisher.publish(qos1("a", &format!("{filling}{number}")));
    }
    slow.lose();
    let slow = lasting.connect();
    for number in 0..10 {
        slow.expect(1, "a", &format!("{filling}{number}"));
    }
    slow.expect_nothing();
}

#[test]
fn who_takes_nothing_in_time_is_left_and_its_session_goes_on() {
    let net = Net::new();
    let lasting = net.dial("slow").resuming().will(qos0("will", "slow"));
    let slow = lasting.connect();
    slow.subscribe("a", 2);
    let witness = net.connect("witness");
    witness.subscribe("will", 0);
    let publisher = net.connect("publisher");
    slow.stop_reading();
    // Nothing waits for it.
    net.advance(Duration::from_secs(1_000));
    for number in 0..10 {
        publisher.publish(qos1("a", &format!("{number}")));
        publisher.publish(qos2("a", &format!("{number}")));
    }
    net.advance(Duration::from_millis(59_999));
    assert_eq!(slow.closed(), None);
    net.advance(Duration::from_millis(1));
    slow.expect_closed(CloseCause::SlowReader);
    witness.expect(0, "will", "slow");
    assert_eq!(net.broker().counters().slow_readers_closed.get(), 1);
    let slow = lasting.connect();
    for number in 0..10 {
        slow.expect(1, "a", &format!("{number}"));
        slow.expect(2, "a", &format!("{number}"));
    }
    slow.expect_nothing();
}

#[test]
fn who_takes_something_in_time_has_all_of_the_time_again() {
    let net = Net::new();
    let slow = net.connect("slow");
    slow.subscribe("a", 0);
    let publisher = net.connect("publisher");
    for _ in 0..10 {
        slow.stop_reading();
        publisher.publish(qos0("a", "x"));
        net.advance(Duration::from_millis(59_999));
        slow.read_on();
        slow.expect(0, "a", "x");
    }
    net.advance(Duration::from_secs(1_000));
    slow.expect_nothing();
    assert_eq!(net.broker().counters().slow_readers_closed.get(), 0);
}

fn disconnecting() -> BrokerOptions {
    BrokerOptions {
        slow_consumer_policy: SlowConsumerPolicy::Disconnect,
        ..with_outbox(1_000)
    }
}

#[test]
fn a_slow_reader_is_told_that_it_has_lost_a_message_where_it_is_disconnected_for_that() {
    let net = Net::with(disconnecting());
    let old = net.connect("old");
    let new = net.dial("new").expiry(100).connect();
    for slow in [&old, &new] {
        slow.subscribe("a", 1);
        slow.stop_reading();
    }
    let publisher = net.connect("publisher");
    let filling = "x".repeat(90);
    for number in 0..20 {
        publisher.publish(qos1("a", &format!("{filling}{number}")));
    }
    assert_eq!(net.broker().counters().slow_readers_closed.get(), 0);
    for _ in 0..20 {
        publisher.publish(qos0("a", &filling));
    }
    assert_eq!(net.broker().counters().slow_readers_closed.get(), 2);
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 2);
    old.read_on();
    while old.try_next().is_some() {}
    old.expect_closed(CloseCause::OutboxFull);
    new.read_on();
    let told = std::iter::from_fn(|| new.try_next()).last();
    assert!(matches!(told, Some(OwnedPacket::Disconnect(told))
            if told.reason_code == ReasonCode::QuotaExceeded));
    let new = net.dial("new").expiry(100).resuming().connect();
    for number in 0..20 {
        new.expect(1, "a", &format!("{filling}{number}"));
    }
}

#[test]
fn nobody_is_disconnected_for_a_message_that_another_member_gets() {
    let net = Net::with(disconnecting());
    let slow = net.connect("slow");
    slow.subscribe("$share/group/a", 0);
    slow.stop_reading();
    let publisher = net.connect("publisher");
    let payload = "x".repeat(500);
    for _ in 0..10 {
        publisher.publish(qos0("a", &payload));
    }
    assert!(net.broker().counters().dropped_slow_reader.get() > 0);
    let quick = net.connect("quick");
    quick.subscribe("$share/group/a", 0);
    publisher.publish(qos0("a", "quick"));
    quick.expect(0, "a", "quick");
    assert_eq!(slow.closed(), None);
    assert_eq!(net.broker().counters().slow_readers_closed.get(), 0);
}
