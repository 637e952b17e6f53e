//! Subscriptions of the program around the broker: what it receives, what it misses, and what it leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use broker_core::{
    BrokerOptions, MessageParts, ProgramSubscription, SubscribeError, SubscribeOptions, Timestamp,
};
use mqtt_codec::{QoS, ReasonCode};

use crate::harness::*;

/// What it does is not about time.
const NOW: Timestamp = Timestamp::from_millis(1);

const RETAINED: SubscribeOptions = SubscribeOptions {
    retained: true,
    max_messages: 10,
    max_bytes: 1_000,
};

fn subscribed(net: &Net, filters: &[&str], options: SubscribeOptions) -> ProgramSubscription {
    net.broker().subscribe_program(filters, options).unwrap()
}

/// All that waits, as topic, payload, and whether it was retained.
fn taken(subscription: &mut ProgramSubscription) -> Vec<(String, String, bool)> {
    std::iter::from_fn(|| subscription.try_recv(NOW))
        .map(|received| {
            let payload = String::from_utf8(received.payload().to_vec()).unwrap();
            (received.topic().to_owned(), payload, received.is_retained)
        })
        .collect()
}

fn topics(subscription: &mut ProgramSubscription) -> Vec<String> {
    let taken = taken(subscription).into_iter();
    taken.map(|(topic, _, _)| topic).collect()
}

#[test]
fn what_clients_wills_and_the_program_publish_comes_as_it_was_published() {
    let net = Net::new();
    let mut all = subscribed(&net, &["#"], SubscribeOptions::default());
    let client = net.dial("client").will(qos1("will", "gone")).connect();
    assert_eq!(client.publish(qos2("a", "1")), ReasonCode::Success);
    net.broker_publishes(MessageParts {
        topic: "b",
        properties: &[],
        payload: b"2",
        qos: QoS::AtLeastOnce,
        retain: true,
        expires: Timestamp::MAX,
    });
    client.lose();

    let first = all.try_recv(NOW).unwrap();
    assert_eq!((first.qos(), first.retain()), (QoS::ExactlyOnce, false));
    let second = all.try_recv(NOW).unwrap();
    assert_eq!(
        (second.topic(), second.retain(), second.is_retained),
        ("b", true, false)
    );
    assert_eq!(topics(&mut all), ["will"]);
}

#[test]
fn a_message_that_matches_several_filters_comes_once_to_each_subscription() {
    let net = Net::new();
    let mut one = subscribed(
        &net,
        &["a/+", "+/b", "a/b", "#"],
        SubscribeOptions::default(),
    );
    let mut two = subscribed(&net, &["a/b"], SubscribeOptions::default());
    let session = net.connect("session");
    session.subscribe("a/#", 0);
    let publisher = net.connect("publisher");
    // The second and later ones by what the publisher's connection remembers.
    for payload in ["1", "2", "3"] {
        publisher.publish(qos0("a/b", payload));
        session.expect(0, "a/b", payload);
        for subscription in [&mut one, &mut two] {
            let expected = [("a/b".to_owned(), payload.to_owned(), false)];
            assert_eq!(taken(subscription), expected);
        }
    }
}

/// Section 4.7.2
#[test]
fn topics_of_the_broker_come_to_those_who_ask_for_them() {
    let net = Net::new();
    let mut all = subscribed(&net, &["#", "+/broker/uptime"], SubscribeOptions::default());
    let mut sys = subscribed(&net, &["$SYS/#"], SubscribeOptions::default());
    net.broker_publishes(MessageParts {
        topic: "$SYS/broker/uptime",
        properties: &[],
        payload: b"7",
        qos: QoS::AtMostOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    assert!(all.try_recv(NOW).is_none());
    assert_eq!(topics(&mut sys), ["$SYS/broker/uptime"]);
}

#[test]
fn retained_messages_come_first_and_each_once_if_they_are_wanted() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    for topic in ["a/1", "a/2", "b/1", "c"] {
        publisher.publish(retained(qos1(topic, "old")));
    }
    let mut plain = subscribed(&net, &["#"], SubscribeOptions::default());
    let mut with_state = subscribed(&net, &["a/#", "+/1"], RETAINED);
    publisher.publish(qos0("a/1", "new"));
    assert_eq!(topics(&mut plain), ["a/1"]);
    let mut taken = taken(&mut with_state);
    let live = taken.pop().unwrap();
    assert_eq!(live, ("a/1".to_owned(), "new".to_owned(), false));
    taken.sort();
    let old = |topic: &str| (topic.to_owned(), "old".to_owned(), true);
    assert_eq!(taken, [old("a/1"), old("a/2"), old("b/1")]);

    with_state.add("c").unwrap();
    with_state.add("c").unwrap();
    assert_eq!(topics(&mut with_state), ["c"]);
}

/// More than is looked at in one go, and than may wait.
#[test]
fn very_many_retained_messages_come_however_few_may_wait() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    for number in 0..2_000 {
        publisher.publish(retained(qos0(&format!("many/{number}"), "x")));
    }
    let mut all = subscribed(&net, &["many/+"], RETAINED);
    let mut topics = topics(&mut all);
    topics.sort();
    topics.dedup();
    assert_eq!((topics.len(), all.missed()), (2_000, 0));
}

#[test]
fn who_is_slow_misses_what_comes_last_and_holds_up_nobody() {
    let net = Net::new();
    let mut slow = subscribed(
        &net,
        &["#"],
        SubscribeOptions {
            max_messages: 3,
            ..SubscribeOptions::default()
        },
    );
    let session = net.connect("session");
    session.subscribe("#", 1);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3", "4", "5"] {
        assert_eq!(publisher.publish(qos1("a", payload)), ReasonCode::Success);
        session.expect(1, "a", payload);
    }
    assert_eq!(slow.missed(), 2);
    assert_eq!(net.broker().counters().dropped_program.get(), 2);
    let payloads: Vec<_> = taken(&mut slow)
        .into_iter()
        .map(|(_, payload, _)| payload)
        .collect();
    assert_eq!(payloads, ["1", "2", "3"]);
    publisher.publish(qos1("a", "6"));
    assert_eq!(taken(&mut slow).len(), 1, "there is room again");
}

#[test]
fn a_filter_that_is_cancelled_brings_nothing_more_and_dropping_it_cancels_all() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    let publish = |topic| publisher.publish(qos1(topic, "x"));
    let mut both = subscribed(&net, &["a", "b/#"], SubscribeOptions::default());
    assert_eq!(net.broker().sizes().program_filters, 2);
    assert_eq!(net.broker().sizes().subscriptions, 0, "of sessions");
    publish("b/1");
    assert!(both.remove("b/#") && !both.remove("b/#"));
    assert_eq!(both.filters().collect::<Vec<_>>(), ["a"]);
    publish("b/2");
    publish("a");
    assert_eq!(topics(&mut both), ["b/1", "a"]);
    drop(both);
    assert_eq!(net.broker().sizes().program_filters, 0);
    // No trace of it in what the publisher's connection remembers either.
    publish("a");
    net.broker().check_invariants();
}

#[test]
fn what_is_no_topic_filter_or_shared_is_refused_and_leaves_nothing() {
    let net = Net::new();
    let broker = net.broker();
    let options = SubscribeOptions::default();
    for bad in ["", "a/#/b", "a+"] {
        let refused = broker
            .subscribe_program(["good", bad], options)
            .unwrap_err();
        assert!(matches!(refused, SubscribeError::Filter(_)), "{bad}");
    }
    let shared = broker
        .subscribe_program(["$share/group/a"], options)
        .unwrap_err();
    assert_eq!(shared, SubscribeError::Shared);
    assert_eq!(broker.sizes().program_filters, 0);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn who_waits_is_woken_by_a_message_and_by_the_end() {
    let net = Net::new();
    let mut subscription = subscribed(&net, &["a"], SubscribeOptions::default());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut task = Context::from_waker(&waker);
    assert!(subscription.poll_recv(NOW, &mut task).is_pending());
    let publisher = net.connect("publisher");
    publisher.publish(qos0("b", "x"));
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    publisher.publish(qos0("a", "1"));
    publisher.publish(qos0("a", "2"));
    assert_eq!(
        woken.0.load(Ordering::SeqCst),
        1,
        "once, until it has asked again"
    );
    assert!(subscription.poll_recv(NOW, &mut task).is_ready());

    net.broker().end_program();
    assert!(matches!(
        subscription.poll_recv(NOW, &mut task),
        Poll::Ready(Some(_))
    ));
    assert!(matches!(
        subscription.poll_recv(NOW, &mut task),
        Poll::Ready(None)
    ));
    let mut late = subscribed(&net, &["a"], SubscribeOptions::default());
    publisher.publish(qos0("a", "3"));
    assert!(matches!(late.poll_recv(NOW, &mut task), Poll::Ready(None)));
}

/// A subscription that is the only one is one nevertheless.
#[test]
fn a_publisher_is_told_that_somebody_has_subscribed() {
    let net = Net::with(BrokerOptions::default());
    let publisher = net.connect_v5("publisher");
    assert_eq!(
        publisher.publish(qos1("a", "x")),
        ReasonCode::NoMatchingSubscribers
    );
    let _subscription = subscribed(&net, &["a"], SubscribeOptions::default());
    assert_eq!(publisher.publish(qos1("a", "x")), ReasonCode::Success);
}
