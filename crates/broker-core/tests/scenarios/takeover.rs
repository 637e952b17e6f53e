//! Two connections, one client identifier: the later one has it.

use broker_core::CloseCause;
use mqtt_codec::{Property, ReasonCode};
use std::time::Duration;

use crate::harness::*;

/// [MQTT-3.1.4-3]
#[test]
fn the_older_connection_is_told_and_closed() {
    let net = Net::new();
    for lasting in [false, true] {
        let mut new = net.dial("new").v5();
        let mut old = net.dial("old");
        if lasting {
            new = new.expiry(100).resuming();
            old = old.resuming();
        }
        let first = new.connect();
        let second = new.connect();
        first.expect_disconnected(ReasonCode::SessionTakenOver);
        assert_eq!(second.connack.session_present, lasting);
        second.ping();
        second.lose();
        let first = old.connect();
        let second = old.connect();
        first.expect_closed(CloseCause::TakenOver);
        second.ping();
        second.lose();
    }
    assert_eq!(net.broker().counters().takeovers.get(), 4);
}

#[test]
fn the_newer_connection_gets_the_session_with_all_that_waits() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let first = lasting.connect();
    first.subscribe("a", 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    first.expect_unacknowledged(1, "a", "1");
    let second = lasting.connect();
    assert!(second.expect(1, "a", "1").dup);
    publisher.publish(qos1("a", "2"));
    assert!(!second.expect(1, "a", "2").dup);
    first.expect_closed(CloseCause::TakenOver);
}

#[test]
fn what_the_older_connection_does_afterwards_changes_nothing() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let first = lasting.connect();
    first.subscribe("a", 1);
    let second = lasting.connect();
    first.lose();
    net.connect("publisher").publish(qos1("a", "x"));
    second.expect(1, "a", "x");
    assert_eq!(net.broker().sizes().sessions, 2);
}

#[test]
fn a_client_that_does_not_read_can_be_taken_over() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    let first = lasting.connect();
    first.subscribe("a", 1);
    first.stop_reading();
    net.connect("publisher").publish(qos1("a", "x"));
    let second = lasting.connect();
    second.expect(1, "a", "x");
    first.read_on();
    first.expect_unacknowledged(1, "a", "x");
    first.expect_closed(CloseCause::TakenOver);
}

#[test]
fn a_clean_start_takes_over_and_begins_anew() {
    let net = Net::new();
    let first = net.dial("client").resuming().connect();
    first.subscribe("a", 1);
    let second = net.connect("client");
    assert!(!second.connack.session_present);
    first.expect_closed(CloseCause::TakenOver);
    net.connect("publisher").publish(qos1("a", "x"));
    second.expect_nothing();
    assert_eq!(net.broker().sizes().subscriptions, 0);
}

#[test]
fn a_takeover_publishes_the_will_unless_it_is_delayed() {
    let net = Net::new();
    let watcher = net.connect("watcher");
    watcher.subscribe("gone", 0);
    let lasting = net.dial("client").expiry(100).resuming();
    let with_will = lasting.clone().will(qos0("gone", "x"));
    let _first = with_will.connect();
    let _second = with_will
        .clone()
        .will_property(Property::WillDelayInterval(5))
        .connect();
    watcher.expect(0, "gone", "x");
    let _third = lasting.connect();
    net.advance(Duration::from_secs(50));
    watcher.expect_nothing();
    // A clean start ends the session, and a will is published with the session's end.
    let _fourth = with_will
        .clone()
        .will_property(Property::WillDelayInterval(5))
        .connect();
    let _fifth = net.connect("client");
    watcher.expect(0, "gone", "x");
    watcher.expect_nothing();
}

#[test]
fn a_session_that_lasts_as_long_as_its_connection_is_not_taken_over() {
    let net = Net::new();
    let first = net.dial("client").v5().connect();
    first.subscribe("a", 1);
    let second = net.dial("client").expiry(100).resuming().connect();
    assert!(!second.connack.session_present);
    first.expect_disconnected(ReasonCode::SessionTakenOver);
    // The same where the session had begun as one that lasts.
    second.lose();
    let third = net.dial("client").v5().resuming().connect();
    assert!(third.connack.session_present);
    let fourth = net.dial("client").expiry(100).resuming().connect();
    assert!(!fourth.connack.session_present);
}
