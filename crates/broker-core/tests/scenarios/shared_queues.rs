//! Sessions with shared subscriptions whose queues are longer than what is kept of them in memory: they
//! are in the store as other queues are, and what is in there goes to others all the same.

use std::time::Duration;

use broker_core::BrokerOptions;
use mqtt_codec::Property;

use crate::harness::store::Store;
use crate::harness::*;

const SHARE: &str = "$share/g/a";

const WINDOW: usize = 10;

/// So many messages may be under way or in memory; the harness turns pages of two.
const MEMORY_MAX: usize = WINDOW + 4 + 2;

/// Long enough for all pages of these tests.
const A_WHILE: Duration = Duration::from_secs(20);

fn broker() -> (Net, std::sync::Arc<Store>) {
    Net::with_store(BrokerOptions {
        max_inflight: 4,
        queue_window_messages: WINDOW,
        ..Default::default()
    })
}

fn member(net: &Net, name: &str) -> Dial {
    net.dial(name).expiry(1_000).resuming()
}

/// A member that is away, and has these messages in its queue.
fn leave_member(net: &Net, messages: core::ops::Range<u32>) {
    let first = member(net, "member").connect();
    first.subscribe(SHARE, 1);
    first.lose();
    publish(net, "a", messages);
}

fn publish(net: &Net, topic: &str, numbers: core::ops::Range<u32>) {
    let publisher = net.connect("publisher");
    for number in numbers {
        publisher.publish(qos1(topic, &number.to_string()));
    }
    publisher.disconnect();
}

fn expect(client: &Client, topic: &str, numbers: core::ops::Range<u32>) {
    for number in numbers {
        client.expect(1, topic, &number.to_string());
    }
}

#[test]
fn a_start_reads_no_queue_of_a_member_and_its_client_finds_all() {
    let (net, store) = broker();
    leave_member(&net, 0..200);
    assert_eq!(store.in_memory("member"), 0, "its client is away");
    let before = store.pages();
    net.crash_and_restart();
    publish(&net, "a", 200..220);
    assert_eq!(store.pages(), before, "no queue is read at the start");
    assert_eq!(store.in_memory("member"), 0);
    let client = member(&net, "member").connect();
    for number in 0..220_u32 {
        client.expect(1, "a", &number.to_string());
        let in_memory = store.in_memory("member");
        assert!(in_memory <= MEMORY_MAX, "{in_memory} in memory");
    }
    client.expect_nothing();
    assert_eq!(store.queue("member"), []);
}

#[test]
fn a_slow_member_has_no_more_than_the_window_in_memory() {
    let (net, store) = broker();
    let slow = member(&net, "member").connect();
    slow.subscribe(SHARE, 1);
    slow.stop_reading();
    publish(&net, "a", 0..200);
    let in_memory = store.in_memory("member");
    assert!((WINDOW..=MEMORY_MAX).contains(&in_memory), "{in_memory}");
}

#[test]
fn all_of_a_lost_members_long_queue_goes_to_who_is_connected() {
    let (net, store) = broker();
    let lost = member(&net, "member").connect();
    lost.subscribe(SHARE, 1);
    lost.stop_reading();
    publish(&net, "a", 0..200);
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    lost.lose();
    net.advance(A_WHILE);
    expect(&other, "a", 0..200);
    other.expect_nothing();
    assert_eq!(store.queue("member"), []);
    member(&net, "member").connect().expect_nothing();
}

/// It is tried again when the store can be read again.
#[test]
fn a_store_that_cannot_be_read_delays_what_goes_to_others() {
    let (net, store) = broker();
    let lost = member(&net, "member").connect();
    lost.subscribe(SHARE, 1);
    lost.stop_reading();
    publish(&net, "a", 0..100);
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    store.fail_lookups(true);
    lost.lose();
    net.advance(A_WHILE);
    assert!(net.broker().counters().failed_reads.get() > 0);
    assert!(!store.queue("member").is_empty());
    store.fail_lookups(false);
    net.advance(A_WHILE);
    expect(&other, "a", 0..100);
    other.expect_nothing();
}

#[test]
fn a_client_that_returns_meanwhile_gets_the_rest_and_nothing_twice() {
    let (net, store) = broker();
    let lost = member(&net, "member").connect();
    lost.subscribe(SHARE, 1);
    lost.stop_reading();
    publish(&net, "a", 0..100);
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    lost.lose();
    net.advance(Duration::from_millis(60));
    let moved = 100 - u32::try_from(store.queue("member").len()).unwrap();
    assert!((1..100).contains(&moved), "{moved}");
    let back = member(&net, "member").connect();
    net.advance(A_WHILE);
    let mut seen = payloads(&other);
    let of_other = seen.len();
    seen.extend(payloads(&back));
    assert!(of_other < seen.len(), "both got some");
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

fn payloads(client: &Client) -> Vec<u32> {
    let mut seen = Vec::new();
    while let Some(packet) = client.try_next() {
        if let mqtt_codec::OwnedPacket::Publish(publish) = packet {
            let text = String::from_utf8_lossy(&publish.payload).into_owned();
            seen.push(text.parse().expect("a number"));
            client.acknowledge(&publish);
        }
    }
    seen
}

/// What came by the session's own subscriptions stays with it.
#[test]
fn of_a_mixed_queue_only_what_was_shared_goes() {
    let (net, store) = broker();
    let lost = member(&net, "member").connect();
    lost.subscribe(SHARE, 1);
    lost.subscribe("own", 1);
    lost.lose();
    publish(&net, "own", 0..3);
    publish(&net, "a", 0..100);
    let back = member(&net, "member").connect();
    back.stop_reading();
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    back.lose();
    net.advance(A_WHILE);
    expect(&other, "a", 0..100);
    other.expect_nothing();
    assert_eq!(store.queue("member").len(), 3);
    // Behind so many of its own that others may not see what comes after them, it waits.
    let again = member(&net, "member").connect();
    expect(&again, "own", 0..3);
    again.lose();
    other.lose();
    publish(&net, "own", 0..50);
    publish(&net, "a", 0..5);
    let again = member(&net, "member").connect();
    again.stop_reading();
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    again.lose();
    net.advance(A_WHILE);
    other.expect_nothing();
    let in_memory = store.in_memory("member");
    assert!(in_memory <= 4, "{in_memory}: the rest is given back");
    let again = member(&net, "member").connect();
    expect(&again, "own", 0..50);
    expect(&again, "a", 0..5);
    again.expect_nothing();
}

/// However the session ends, after a start that has not read its queue and without one.
#[test]
fn a_session_that_ends_leaves_all_of_a_long_queue_to_others() {
    for restarts in [false, true] {
        for way in 0..3 {
            let (net, store) = broker();
            leave_member(&net, 0..100);
            if restarts {
                net.crash_and_restart();
            }
            let other = member(&net, "other");
            let connected = other.connect();
            connected.subscribe(SHARE, 1);
            connected.expect_nothing();
            match way {
                // It expires.
                0 => net.advance(Duration::from_secs(1_001)),
                // Its client starts anew.
                1 => net.dial("member").connect().disconnect(),
                // Its client ends it with its connection.
                _ => {
                    let dial = net.dial("member").v5().resuming();
                    let last = dial.property(Property::SessionExpiryInterval(0)).connect();
                    last.stop_reading();
                    last.lose();
                    net.advance(A_WHILE);
                }
            }
            net.advance(Duration::from_secs(5));
            expect(&connected, "a", 0..100);
            connected.expect_nothing();
            assert!(!store.knows("member"), "way {way}");
        }
    }
}

#[test]
fn what_nobody_is_left_to_take_of_a_long_queue_is_counted() {
    let (net, _store) = broker();
    leave_member(&net, 0..100);
    let last = member(&net, "member").connect();
    last.unsubscribe(SHARE);
    last.lose();
    net.dial("member").connect().disconnect();
    net.advance(A_WHILE);
    assert_eq!(net.broker().counters().dropped_shared.get(), 100);
}

/// Or a stream of messages would keep it alive.
#[test]
fn a_session_that_has_expired_takes_no_message() {
    let (net, store) = broker();
    leave_member(&net, 0..20);
    let other = net.dial("other").expiry(5_000).resuming();
    let first = other.connect();
    first.subscribe(SHARE, 1);
    first.lose();
    let publisher = net.connect("publisher");
    store.hold_lookups();
    net.advance(Duration::from_secs(1_001));
    assert!(store.knows("member"), "what it leaves has to be read");
    publisher.publish(qos1("a", "late"));
    assert_eq!(store.queue("member").len(), 20);
    store.let_lookups_go();
    net.advance(Duration::from_secs(5));
    assert!(!store.knows("member"));
    let connected = other.connect();
    connected.expect(1, "a", "late");
    expect(&connected, "a", 0..20);
    connected.expect_nothing();
}
