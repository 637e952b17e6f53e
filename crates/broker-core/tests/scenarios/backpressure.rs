//! Clients that read slowly, or not at all.

use broker_core::BrokerOptions;

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
