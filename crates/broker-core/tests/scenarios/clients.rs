//! Clients as the program around the broker sees them: looked up, listed, and disconnected.

use std::collections::BTreeSet;
use std::time::Duration;

use broker_core::{Broker, CloseCause};
use mqtt_codec::{ReasonCode, Version};

use crate::harness::*;

fn connected(broker: &Broker) -> BTreeSet<String> {
    let clients = broker.clients();
    clients
        .map(|connected| connected.client.client_id().to_string())
        .collect()
}

#[test]
fn a_client_is_found_while_it_is_connected_with_what_it_said_and_what_it_is_owed() {
    let net = Net::new();
    assert!(net.broker().client("sensor").is_none());
    let dial = net
        .dial("sensor")
        .v5()
        .resuming()
        .expiry(100)
        .keep_alive(30);
    let sensor = dial.connect();
    sensor.subscribe("a/#", 1);
    sensor.subscribe("$share/group/b", 1);
    let publisher = net.connect("publisher");
    for _ in 0..3 {
        publisher.publish(qos1("a/b", "x"));
    }

    let broker = net.broker();
    let found = broker.client("sensor").unwrap();
    assert_eq!(found.client.client_id().as_ref(), "sensor");
    assert_eq!(found.client.version(), Version::V5);
    assert_eq!(found.client.user(), None);
    assert!(!found.client.clean_start());
    assert_eq!(
        (found.client.keep_alive_secs(), found.keep_alive_secs),
        (30, 30)
    );
    assert_eq!(found.session_expiry_interval_secs, 100);
    assert_eq!(found.subscriptions, 2);
    assert_eq!((found.inflight_messages, found.queued_messages), (3, 0));
    assert_eq!(found.pending_bytes, 3 * "a/bx".len());
    let mut filters = broker.subscriptions_of("sensor");
    filters.sort();
    assert_eq!(filters, ["$share/group/b", "a/#"]);

    sensor.lose();
    assert!(broker.client("sensor").is_none());
    assert_eq!(
        broker.subscriptions_of("sensor").len(),
        2,
        "the session goes on"
    );
    net.advance(Duration::from_secs(2));
    let since = dial.connect();
    let again = broker.client("sensor").unwrap();
    assert_eq!(
        again.connected_at - found.connected_at,
        Duration::from_secs(2)
    );
    since.disconnect();
    assert!(broker.client("sensor").is_none());
}

#[test]
fn what_waits_behind_the_window_is_counted_apart() {
    let net = Net::with(broker_core::BrokerOptions {
        max_inflight: 2,
        ..broker_core::BrokerOptions::default()
    });
    let slow = net.connect("slow");
    slow.subscribe("a", 1);
    slow.stop_reading();
    let publisher = net.connect("publisher");
    for _ in 0..5 {
        publisher.publish(qos1("a", "x"));
    }
    let found = net.broker().client("slow").unwrap();
    assert_eq!((found.inflight_messages, found.queued_messages), (2, 3));
}

#[test]
fn all_that_are_connected_are_listed_and_nobody_else() {
    let net = Net::new();
    let clients: Vec<_> = (0..200)
        .map(|number| net.connect(&format!("client-{number}")))
        .collect();
    let away = net.dial("away").resuming().connect();
    away.lose();
    let broker = net.broker();
    let expected = (0..200).map(|number| format!("client-{number}"));
    assert_eq!(connected(&broker), expected.collect());
    for client in &clients[1..] {
        client.lose();
    }
    assert_eq!(connected(&broker), BTreeSet::from(["client-0".to_owned()]));
}

#[test]
fn a_client_is_disconnected_with_the_reason_and_its_session_goes_on() {
    let net = Net::new();
    let watcher = net.connect("watcher");
    watcher.subscribe("will", 0);
    let dial = net.dial("client").v5().resuming().expiry(100);
    let client = dial.will(qos0("will", "gone")).connect();
    client.subscribe("a", 1);

    let disconnect =
        |id: &str, reason| net.program(|broker, effects| broker.disconnect(id, reason, effects));
    assert!(!disconnect("nobody", ReasonCode::AdministrativeAction));
    assert!(disconnect("client", ReasonCode::QuotaExceeded));
    client.expect_disconnected(ReasonCode::QuotaExceeded);
    client.expect_closed(CloseCause::Administrative(ReasonCode::QuotaExceeded));
    watcher.expect(0, "will", "gone");
    assert!(
        !disconnect("client", ReasonCode::AdministrativeAction),
        "it has gone"
    );

    let client = net.dial("client").v5().resuming().expiry(100).connect();
    assert!(client.connack.session_present);
    // What a server cannot say in DISCONNECT is not said.
    assert!(disconnect("client", ReasonCode::BadUserNameOrPassword));
    client.expect_disconnected(ReasonCode::AdministrativeAction);

    let old = net.connect("old");
    assert!(disconnect("old", ReasonCode::AdministrativeAction));
    old.expect_closed(CloseCause::Administrative(ReasonCode::AdministrativeAction));
}

/// Its task may take its time to end.
#[test]
fn who_was_disconnected_is_not_connected_from_that_moment() {
    let net = Net::new();
    let client = net.connect("client");
    let (first, second, is_there) = net.program(|broker, effects| {
        let mut disconnect = || broker.disconnect("client", ReasonCode::ServerBusy, effects);
        (
            disconnect(),
            disconnect(),
            broker.client("client").is_some(),
        )
    });
    assert!(first && !second && !is_there);
    client.expect_closed(CloseCause::Administrative(ReasonCode::ServerBusy));
}
