//! What watchers hear of, beside hooks and without them.

use broker_core::{CloseCause, EventOptions, EventSet, Events, OwnedEvent};
use mqtt_codec::{ReasonCode, Version};

use crate::harness::*;

fn watch(net: &Net, kinds: EventSet) -> Events {
    net.broker().watch(EventOptions {
        kinds,
        ..EventOptions::default()
    })
}

/// All that waits, each in one line.
fn heard(events: &mut Events) -> Vec<String> {
    std::iter::from_fn(|| events.try_next())
        .map(|event| match event {
            OwnedEvent::Connected {
                client,
                session_present,
            } => format!("{} in, {session_present}", client.client_id()),
            OwnedEvent::Disconnected { client, cause } => {
                format!("{} out, {cause}", client.client_id())
            }
            OwnedEvent::Published { client, message } => {
                let by = client.map(|client| client.client_id().to_string());
                format!("{} by {by:?}", message.topic())
            }
            OwnedEvent::Subscribed {
                client,
                filter,
                qos,
            } => format!("{} +{filter} {}", client.client_id(), qos.as_u8()),
            OwnedEvent::Unsubscribed { client, filter } => {
                format!("{} -{filter}", client.client_id())
            }
            OwnedEvent::Delivered {
                client,
                message,
                qos,
            } => format!(
                "{} got {} {}",
                client.client_id(),
                message.topic(),
                qos.as_u8()
            ),
            OwnedEvent::PingReq { client } => format!("{} ping", client.client_id()),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn all_that_a_client_does_is_told_in_order() {
    let net = Net::new();
    let mut events = watch(&net, EventSet::ALL);
    let client = net
        .dial("client")
        .resuming()
        .will(qos0("will", "x"))
        .connect();
    client.subscribe("a/#", 1);
    client.publish(qos0("b", "x"));
    client.ping();
    client.unsubscribe("a/#");
    client.lose();
    net.dial("client").resuming().connect().disconnect();
    assert_eq!(
        heard(&mut events),
        [
            "client in, false",
            "client +a/# 1",
            "b by Some(\"client\")",
            "client ping",
            "client -a/#",
            "client out, connection lost",
            "will by None",
            "client in, true",
            "client out, disconnect request",
        ]
    );
}

/// Also where nothing of it would have been kept: the session ends with its connection.
#[test]
fn what_a_client_has_got_is_told_to_those_who_watched_when_it_was_sent() {
    let net = Net::new();
    let client = net.connect("client");
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "before"));
    let mut events = watch(&net, EventSet::DELIVERED);
    client.expect(1, "a", "before");
    publisher.publish(qos1("a", "1"));
    client.expect(1, "a", "1");
    publisher.publish(qos2("a", "2"));
    client.expect(2, "a", "2");
    assert_eq!(heard(&mut events), ["client got a 1", "client got a 2"]);
}

#[test]
fn who_was_there_before_is_named_with_all_that_is_known() {
    let net = Net::new();
    let early = net.dial("early").v5().keep_alive(20).connect();
    let old = net.connect("old");
    let mut events = watch(&net, EventSet::DISCONNECTED);
    early.lose();
    let Some(OwnedEvent::Disconnected { client, cause }) = events.try_next() else {
        panic!("it was told");
    };
    assert_eq!(
        (client.version(), client.keep_alive_secs()),
        (Version::V5, 20)
    );
    assert_eq!(cause, CloseCause::ConnectionLost);

    // Its place is another's by the time when it ends.
    let new = net.dial("old").v5().connect();
    old.expect_closed(CloseCause::TakenOver);
    let Some(OwnedEvent::Disconnected { client, cause }) = events.try_next() else {
        panic!("it was told");
    };
    assert_eq!(
        (client.version(), cause),
        (Version::V311, CloseCause::TakenOver)
    );
    net.program(|broker, effects| broker.disconnect("old", ReasonCode::ServerBusy, effects));
    new.expect_disconnected(ReasonCode::ServerBusy);
    assert_eq!(heard(&mut events).len(), 1);
}

#[test]
fn each_watcher_hears_what_it_wants_for_as_long_as_it_wants() {
    let net = Net::new();
    let mut pings = watch(&net, EventSet::PINGREQ);
    let mut all = watch(&net, EventSet::ALL);
    let client = net.connect("client");
    client.ping();
    assert_eq!(heard(&mut pings), ["client ping"]);
    assert_eq!(heard(&mut all), ["client in, false", "client ping"]);
    drop(all);
    client.publish(qos0("a", "x"));
    client.ping();
    assert_eq!(heard(&mut pings), ["client ping"]);
}

#[test]
fn who_is_slow_misses_events_and_holds_up_nobody() {
    let net = Net::new();
    let mut slow = net.broker().watch(EventOptions {
        kinds: EventSet::PINGREQ,
        max_events: 2,
        ..EventOptions::default()
    });
    let client = net.connect("client");
    for _ in 0..5 {
        client.ping();
    }
    assert_eq!((slow.missed(), heard(&mut slow).len()), (3, 2));
    assert_eq!(net.broker().counters().dropped_events.get(), 3);
    client.ping();
    assert_eq!(heard(&mut slow).len(), 1);
}

#[test]
fn the_end_is_told_after_all_that_has_happened() {
    let net = Net::new();
    let client = net.connect("client");
    let mut events = watch(&net, EventSet::ALL);
    net.shut_down();
    client.expect_closed(CloseCause::ServerShutdown);
    net.broker().end_program();
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(
        events.poll_next(&mut task),
        std::task::Poll::Ready(Some(OwnedEvent::Disconnected { .. }))
    ));
    assert!(matches!(
        events.poll_next(&mut task),
        std::task::Poll::Ready(None)
    ));
}
