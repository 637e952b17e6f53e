//! Keep alive: one and a half times what the client asked for.

use broker_core::{BrokerOptions, CloseCause};
use mqtt_codec::ReasonCode;
use std::time::Duration;

use crate::harness::*;

/// [MQTT-3.1.2-22]
#[test]
fn a_silent_client_is_closed_after_one_and_a_half_times_its_keep_alive() {
    let net = Net::new();
    let old = net.dial("old").keep_alive(10).connect();
    let new = net.dial("new").v5().keep_alive(10).connect();
    net.advance(Duration::from_millis(14_999));
    old.expect_nothing();
    new.expect_nothing();
    net.advance(Duration::from_millis(1));
    old.expect_closed(CloseCause::KeepAliveTimeout);
    new.expect_disconnected(ReasonCode::KeepAliveTimeout);
    assert_eq!(net.broker().counters().keep_alive_timeouts.get(), 2);
}

#[test]
fn anything_that_a_client_says_keeps_it() {
    let net = Net::new();
    let client = net.dial("client").keep_alive(10).connect();
    for _ in 0..10 {
        net.advance(Duration::from_secs(14));
        client.ping();
        net.advance(Duration::from_secs(14));
        client.publish(qos0("a", "x"));
    }
    client.expect_nothing();
    net.advance(Duration::from_secs(15));
    client.expect_closed(CloseCause::KeepAliveTimeout);
}

#[test]
fn what_a_client_is_sent_does_not_keep_it() {
    let net = Net::new();
    let client = net.dial("client").keep_alive(10).connect();
    client.subscribe("a", 0);
    let publisher = net.connect("publisher");
    for _ in 0..14 {
        net.advance(Duration::from_secs(1));
        publisher.publish(qos0("a", "x"));
        client.expect(0, "a", "x");
    }
    net.advance(Duration::from_secs(1));
    client.expect_closed(CloseCause::KeepAliveTimeout);
}

/// The one case for which keep alive exists: the other end is gone and what is sent to it piles up.
#[test]
fn a_client_that_neither_sends_nor_reads_is_closed_too() {
    let net = Net::new();
    let client = net.dial("client").keep_alive(10).connect();
    client.subscribe("a", 0);
    client.stop_reading();
    net.connect("publisher").publish(qos0("a", "x"));
    net.advance(Duration::from_secs(15));
    assert_eq!(net.broker().sizes().sessions, 1, "the publisher's");
    client.read_on();
    client.expect(0, "a", "x");
    client.expect_closed(CloseCause::KeepAliveTimeout);
}

#[test]
fn keep_alive_0_is_for_ever() {
    let net = Net::new();
    let client = net.connect("client");
    net.advance(Duration::from_secs(1_000_000));
    client.ping();
}

/// [MQTT-3.2.2-21] [MQTT-3.2.2-22]
#[test]
fn the_servers_limit_holds_for_those_who_ask_for_more_or_for_none() {
    let options = BrokerOptions {
        max_keep_alive_secs: 20,
        ..Default::default()
    };
    let net = Net::with(options);
    let new = net.dial("new").v5().keep_alive(0).connect();
    let told = new.connack.properties.as_properties().server_keep_alive();
    assert_eq!(told, Some(20));
    let old = net.dial("old").keep_alive(21).connect();
    let modest = net.dial("modest").v5().keep_alive(20).connect();
    assert_eq!(
        modest
            .connack
            .properties
            .as_properties()
            .server_keep_alive(),
        None
    );
    net.advance(Duration::from_millis(29_999));
    new.expect_nothing();
    old.expect_nothing();
    net.advance(Duration::from_millis(1));
    new.expect_disconnected(ReasonCode::KeepAliveTimeout);
    old.expect_closed(CloseCause::KeepAliveTimeout);
}

#[test]
fn a_new_connection_has_its_own_keep_alive() {
    let net = Net::new();
    let lasting = net.dial("client").resuming();
    lasting.clone().keep_alive(10).connect().lose();
    let client = lasting.clone().keep_alive(100).connect();
    net.advance(Duration::from_secs(149));
    client.expect_nothing();
    let client = lasting.connect();
    net.advance(Duration::from_secs(1_000));
    client.ping();
}
