//! Moves that are being stored, that could not be, and what is left of them when the broker starts
//! again.

use super::*;

#[test]
fn queued_messages_can_move_after_a_restart() {
    let (net, store) = Net::with_store(narrow());
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos2("a", "sent"));
    publisher.publish(qos2("a", "1"));
    publisher.publish(qos1("a", "2"));
    lost.expect_unacknowledged(2, "a", "sent");
    let shared: Vec<_> = store
        .queue("member")
        .into_iter()
        .map(|it| it.shared)
        .collect();
    assert_eq!(
        shared,
        [Some(SHARE.into()), Some(SHARE.into()), Some(SHARE.into())]
    );
    net.crash_and_restart();
    let sizes = net.broker().sizes();
    assert_eq!((sizes.subscriptions, sizes.shared_subscriptions), (1, 1));
    let back = dial.connect();
    back.expect_unacknowledged(2, "a", "sent");
    let other = net.dial("other").expiry(1_000).connect();
    other.subscribe(SHARE, 2);
    back.lose();
    assert_eq!(payloads(&other), ["1", "2"]);
    net.crash_and_restart();
    let left = store.queue("member");
    assert_eq!(left.len(), 1, "what moved is not there twice");
    net.advance(Duration::from_secs(101));
    assert!(!store.knows("member"));
    net.dial("other")
        .expiry(1_000)
        .resuming()
        .connect()
        .expect_nothing();
}

#[test]
fn a_session_that_expired_while_no_broker_ran_leaves_its_messages_to_others() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let dial = net.dial("member").expiry(100).resuming();
    let other = net.dial("other").expiry(10_000).resuming();
    let lost = member(&dial, 2);
    net.connect("publisher").publish(qos2("a", "1"));
    drop(lost);
    member(&other, 1).disconnect();
    let lost = dial.connect();
    let sent = lost.expect_unacknowledged(2, "a", "1");
    lost.acknowledge(&sent);
    lost.unsubscribe(SHARE);
    lost.subscribe(SHARE, 1);
    lost.disconnect();
    let publisher = net.connect("publisher");
    for payload in ["2", "3"] {
        publisher.publish(qos1("a", payload));
    }
    assert_eq!(
        (store.queue("member").len(), store.queue("other").len()),
        (1, 1)
    );
    net.crash_and_restart();
    net.advance(Duration::from_secs(101));
    let mut seen = payloads(&other.connect());
    seen.sort_unstable();
    assert_eq!(seen, ["2", "3"]);
}

/// A move that could not be stored did not happen, and is tried again.
#[test]
fn what_could_not_be_moved_stays_and_moves_later() {
    let (net, store) = Net::with_store(narrow());
    for other in [net.dial("other").v5(), net.dial("other").expiry(1_000)] {
        let dial = net.dial("member").expiry(100).resuming();
        let lost = member(&dial, 2);
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "1"));
        publisher.publish(qos2("a", "2"));
        lost.expect_unacknowledged(1, "a", "1");
        let other = other.connect();
        other.subscribe(SHARE, 2);
        store.set_mood(Mood::Failing);
        lost.lose();
        net.advance(A_WHILE);
        other.expect_nothing();
        assert_eq!(net.broker().counters().dropped_store_failed.get(), 0);
        assert_eq!(store.queue("member").len(), 2);
        store.set_mood(Mood::Willing);
        net.advance(A_WHILE);
        assert_eq!(payloads(&other), ["1", "2"]);
        assert_eq!(store.queue("member").len(), 0);
        dial.connect().expect_nothing();
        net.advance(A_WHILE);
        other.expect_nothing();
        other.disconnect();
        dial.clone().clean().connect().lose();
    }
}

/// While a move is being stored nobody gets the message; then one of both.
#[test]
fn a_client_that_returns_during_a_move_gets_what_could_not_be_moved() {
    for succeeds in [true, false] {
        let (net, store) = Net::with_store(narrow());
        let dial = net.dial("member").expiry(100).resuming();
        let lost = member(&dial, 2);
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "1"));
        publisher.publish(qos2("a", "2"));
        lost.expect_unacknowledged(1, "a", "1");
        let other = net.connect_v5("other");
        other.subscribe(SHARE, 2);
        store.set_mood(Mood::Holding);
        lost.lose();
        store.set_mood(Mood::Willing);
        let back = dial.connect();
        back.expect_nothing();
        other.expect_nothing();
        assert_eq!(store.held(), 1);
        match succeeds {
            true => store.let_go(0),
            false => store.refuse_held(0),
        }
        net.run();
        let (gets, gets_not) = match succeeds {
            true => (&other, &back),
            false => (&back, &other),
        };
        assert_eq!(payloads(gets), ["1", "2"]);
        gets_not.expect_nothing();
        net.advance(A_WHILE);
        gets_not.expect_nothing();
    }
}

/// The store may apply batches in any order: what is not in it yet cannot be taken out.
#[test]
fn a_message_that_is_being_stored_when_its_receiver_goes_moves_afterwards() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 2);
    let publisher = net.connect("publisher");
    let other = net.dial("other").expiry(100).connect();
    store.set_mood(Mood::Holding);
    publisher.send_publish(qos2("a", "1"));
    store.set_mood(Mood::Willing);
    other.subscribe(SHARE, 2);
    lost.lose();
    net.advance(A_WHILE);
    other.expect_nothing();
    store.let_go(0);
    net.run();
    publisher.expect_pubrec(id(1));
    net.advance(A_WHILE);
    assert_eq!(payloads(&other), ["1"]);
    assert_eq!(store.queue("member").len(), 0);
    dial.connect().expect_nothing();
}

#[test]
fn a_cancelled_driver_leaves_messages_that_move_with_the_next_look_at_the_time() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 1);
    net.connect("publisher").publish(qos1("a", "1"));
    let other = net.dial("other").expiry(100).connect();
    other.subscribe(SHARE, 1);
    lost.cancel();
    other.expect_nothing();
    net.advance(A_WHILE);
    other.expect(1, "a", "1");
    assert_eq!(store.queue("member").len(), 0);
}

/// The broker goes down in order: what is left is with the sessions.
#[test]
fn a_shutdown_loses_nothing() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let one = net.dial("one").expiry(100).resuming();
    let two = net.dial("two").expiry(100).resuming();
    let (first, second) = (member(&one, 1), member(&two, 1));
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    net.shut_down();
    for client in [first, second] {
        while client.try_next().is_some() {}
        assert_eq!(client.closed(), Some(CloseCause::ServerShutdown));
    }
    assert_eq!(store.queue("one").len() + store.queue("two").len(), 2);
}
