//! Clients that send faster than they may are read from more slowly, and nothing else happens to them.

use broker_core::{BrokerOptions, CloseCause, Rate};
use mqtt_codec::{Disconnect, OwnedPacket, Packet, ReasonCode};
use std::time::Duration;

use crate::harness::*;

const SECOND: Duration = Duration::from_secs(1);

fn with_messages(each_sec: u32, burst: u32) -> BrokerOptions {
    BrokerOptions {
        max_publish_rate: Some(Rate::per_sec(each_sec).with_burst(burst)),
        ..BrokerOptions::default()
    }
}

fn with_bytes(each_sec: u32, burst: u32) -> BrokerOptions {
    BrokerOptions {
        max_receive_rate_bytes: Some(Rate::per_sec(each_sec).with_burst(burst)),
        ..BrokerOptions::default()
    }
}

fn take_all(client: &Client) -> usize {
    std::iter::from_fn(|| client.try_next()).count()
}

#[test]
fn so_many_messages_come_at_once_and_the_others_when_it_is_their_time() {
    let net = Net::with(with_messages(10, 5));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("a", 0);
    let publisher = net.connect("publisher");
    for number in 0..8 {
        publisher.send_publish(qos0("a", &number.to_string()));
    }
    for number in 0..5 {
        subscriber.expect(0, "a", &number.to_string());
    }
    for number in 5..8 {
        subscriber.expect_nothing();
        net.advance(Duration::from_millis(99));
        subscriber.expect_nothing();
        net.advance(Duration::from_millis(1));
        subscriber.expect(0, "a", &number.to_string());
    }
    subscriber.expect_nothing();
    let counters = net.broker();
    let counters = counters.counters();
    assert_eq!(
        counters.publish_rate_waits.get(),
        4,
        "the fifth and each behind it"
    );
    assert_eq!(counters.receive_rate_waits.get(), 0);
    assert_eq!(counters.store_waits.get(), 0);
    assert_eq!(publisher.closed(), None);
}

#[test]
fn every_quality_of_service_counts_and_what_stands_behind_it_keeps_its_order() {
    let net = Net::with(with_messages(1, 3));
    let publisher = net.connect_v5("publisher");
    let first = publisher.send_publish(qos1("a", "1")).unwrap();
    let second = publisher.send_publish(qos2("a", "2")).unwrap();
    publisher.send_publish(qos0("a", "3"));
    publisher.send(Packet::PingReq);
    let last = publisher.send_publish(qos1("a", "4")).unwrap();
    publisher.expect_puback(first);
    publisher.expect_pubrec(second);
    publisher.expect_nothing();
    net.advance(SECOND);
    assert_eq!(publisher.next(), OwnedPacket::PingResp);
    publisher.expect_puback(last);
    net.advance(SECOND);
    publisher.pubrel(second);
    publisher.expect_pubcomp(second);
}

#[test]
fn nobody_else_is_held_up_and_the_slow_are_not() {
    let net = Net::with(with_messages(10, 1));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 0);
    let fast = net.connect("fast");
    for _ in 0..50 {
        fast.send_publish(qos0("fast", "x"));
    }
    let slow = net.connect("slow");
    for number in 0..10 {
        slow.send_publish(qos0("slow", &number.to_string()));
        let come = std::iter::from_fn(|| subscriber.try_next());
        let of_slow = come.filter(|packet| match packet {
            OwnedPacket::Publish(publish) => publish.as_publish().topic == "slow",
            _ => false,
        });
        assert_eq!(of_slow.count(), 1);
        net.advance(Duration::from_millis(100));
    }
}

#[test]
fn bytes_of_all_packets_count_and_what_was_too_much_is_waited_for() {
    let net = Net::with(with_bytes(100, 400));
    let client = net.connect("client");
    // CONNECT took 20, and these are 2 each.
    for _ in 0..190 {
        client.send(Packet::PingReq);
    }
    assert_eq!(take_all(&client), 190);
    client.send(Packet::PingReq);
    client.expect_nothing();
    assert_eq!(net.broker().counters().receive_rate_waits.get(), 1);
    net.advance(Duration::from_millis(9));
    client.expect_nothing();
    net.advance(Duration::from_millis(1));
    assert_eq!(client.next(), OwnedPacket::PingResp);
    // A packet that is larger than all that may come at once comes, and has its price.
    net.advance(10 * SECOND);
    client.publish(qos0("a", &"x".repeat(994)));
    client.send(Packet::PingReq);
    net.advance(6 * SECOND);
    client.expect_nothing();
    net.advance(Duration::from_millis(10));
    assert_eq!(client.next(), OwnedPacket::PingResp);
    assert_eq!(net.broker().counters().publish_rate_waits.get(), 0);
}

#[test]
fn who_is_not_read_from_is_not_taken_for_dead() {
    for options in [with_messages(1, 1), with_bytes(1, 1)] {
        let net = Net::with(options);
        let client = net.dial("client").keep_alive(1).connect();
        for _ in 0..10 {
            client.send_publish(qos0("a", "x"));
        }
        net.advance(5 * SECOND);
        assert_eq!(client.closed(), None);
        // It is heard for the last time, and is silent from then on.
        net.advance(400 * SECOND);
        client.expect_closed(CloseCause::KeepAliveTimeout);
    }
}

#[test]
fn a_pause_ends_with_its_connection() {
    let net = Net::with(with_messages(1, 1));
    let older = net.dial("client").keep_alive(10).connect();
    for _ in 0..100 {
        older.send_publish(qos0("a", "x"));
    }
    let newer = net.dial("client").keep_alive(10).connect();
    older.expect_closed(CloseCause::TakenOver);
    newer.ping();
    // Nothing of the older one's pause keeps this one.
    net.advance(15 * SECOND);
    newer.expect_closed(CloseCause::KeepAliveTimeout);
}

#[test]
fn what_waits_is_not_lost_and_a_client_takes_its_leave_in_order() {
    let net = Net::with(with_messages(10, 2));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 0);
    let publisher = net.dial("publisher").will(qos0("will", "gone")).connect();
    for number in 0..4 {
        publisher.send_publish(qos0("a", &number.to_string()));
    }
    publisher.send(Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
    net.advance(SECOND);
    for number in 0..4 {
        subscriber.expect(0, "a", &number.to_string());
    }
    subscriber.expect_nothing();
    assert!(matches!(
        publisher.closed(),
        Some(CloseCause::Disconnected(_))
    ));
}
