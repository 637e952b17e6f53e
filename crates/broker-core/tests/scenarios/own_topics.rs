//! The broker's own topics, `$SYS`: what is announced there, and that it is no traffic of clients.

use broker_core::{Announcements, BrokerOptions, MessageParts, Timestamp};
use mqtt_codec::{OwnedPacket, QoS, ReasonCode, SubscriptionOptions};
use std::time::Duration;

use crate::harness::*;

/// A broker that calls itself `n`.
fn announcing(change: impl FnOnce(&mut Announcements)) -> BrokerOptions {
    let mut announcements = Announcements::all("n".into()).unwrap();
    change(&mut announcements);
    BrokerOptions {
        announcements: Some(announcements),
        ..BrokerOptions::default()
    }
}

/// Who has subscribed to all that is announced, and has seen itself do so.
fn witness(net: &Net) -> Client {
    let witness = net.connect("witness");
    witness.subscribe("$SYS/n/#", 2);
    hears(&witness, "new/subscribes", &pair("witness", "$SYS/n/#"));
    witness.expect_nothing();
    witness
}

fn hears(witness: &Client, topic: &str, payload: &str) {
    let publish = witness.expect(0, &format!("$SYS/n/{topic}"), payload);
    assert!(!publish.retain);
}

fn pair(client: &str, filter: &str) -> String {
    format!(r#"{{"clientId":"{client}","topic":"{filter}"}}"#)
}

fn own<'a>(topic: &'a str, payload: &'a str, qos: QoS) -> MessageParts<'a> {
    MessageParts {
        topic,
        properties: &[],
        payload: payload.as_bytes(),
        qos,
        retain: true,
        expires: Timestamp::MAX,
    }
}

#[test]
fn clients_that_come_and_go_and_what_they_subscribe_to_are_announced() {
    let net = Net::with(announcing(|_| {}));
    let witness = witness(&net);
    let client = net.connect("client");
    hears(&witness, "new/clients", "client");
    client.subscribe("a/+", 1);
    hears(&witness, "new/subscribes", &pair("client", "a/+"));
    // Once more, and another one that others share.
    client.subscribe("a/+", 0);
    hears(&witness, "new/subscribes", &pair("client", "a/+"));
    client.subscribe("$share/g/b", 0);
    hears(&witness, "new/subscribes", &pair("client", "$share/g/b"));
    client.unsubscribe("a/+");
    hears(&witness, "new/unsubscribes", &pair("client", "a/+"));
    client.unsubscribe("never");
    witness.expect_nothing();
    client.disconnect();
    let left = pair("client", "$share/g/b");
    hears(&witness, "new/unsubscribes", &left);
    hears(&witness, "disconnect/clients", "client");
    witness.expect_nothing();
}

#[test]
fn each_filter_of_a_session_that_ends_is_announced_and_none_of_one_that_goes_on() {
    let net = Net::with(announcing(|_| {}));
    let witness = witness(&net);
    let lasting = net.dial("client").expiry(60).resuming();
    let client = lasting.connect();
    hears(&witness, "new/clients", "client");
    // More than leave the router at once.
    let filters: Vec<String> = (0..300).map(|number| format!("a/{number}")).collect();
    for filter in &filters {
        client.subscribe(filter, 0);
        hears(&witness, "new/subscribes", &pair("client", filter));
    }
    client.lose();
    hears(&witness, "disconnect/clients", "client");
    witness.expect_nothing();
    // It has them already.
    lasting.connect().lose();
    hears(&witness, "new/clients", "client");
    hears(&witness, "disconnect/clients", "client");
    net.advance(Duration::from_secs(61));
    let mut left = Vec::new();
    while let Some(OwnedPacket::Publish(publish)) = witness.try_next() {
        assert_eq!(publish.topic, "$SYS/n/new/unsubscribes");
        left.push(String::from_utf8(publish.payload.to_vec()).unwrap());
    }
    left.sort();
    let mut expected: Vec<String> = filters.iter().map(|it| pair("client", it)).collect();
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn who_is_taken_over_has_gone_and_come() {
    let net = Net::with(announcing(|_| {}));
    let witness = witness(&net);
    let _old = net.connect("client");
    hears(&witness, "new/clients", "client");
    let _new = net.connect("client");
    hears(&witness, "new/clients", "client");
    hears(&witness, "disconnect/clients", "client");
    witness.expect_nothing();
}

#[test]
fn what_was_refused_is_not_announced() {
    let options = BrokerOptions {
        max_subscriptions_per_session: 1,
        ..announcing(|_| {})
    };
    let net = Net::with(options);
    let witness = witness(&net);
    net.dial("").resuming().refused();
    witness.expect_nothing();
    let client = net.connect("client");
    hears(&witness, "new/clients", "client");
    client.subscribe("a", 0);
    hears(&witness, "new/subscribes", &pair("client", "a"));
    let refused = client.subscribe_with("b", SubscriptionOptions::new(QoS::AtMostOnce), None);
    assert!(refused.is_error());
    witness.expect_nothing();
}

#[test]
fn each_kind_of_announcement_can_be_switched_off() {
    for (number, expected) in [
        ["new/subscribes", "new/unsubscribes", "disconnect/clients"].as_slice(),
        &["new/clients", "new/subscribes", "new/unsubscribes"],
        &["new/clients", "disconnect/clients"],
    ]
    .iter()
    .enumerate()
    {
        let net = Net::with(announcing(|it| match number {
            0 => it.new_clients = false,
            1 => it.disconnected_clients = false,
            _ => it.subscriptions = false,
        }));
        let witness = net.connect("witness");
        witness.subscribe("$SYS/n/#", 0);
        while witness.try_next().is_some() {}
        let client = net.connect("client");
        client.subscribe("a", 0);
        client.disconnect();
        let mut heard = Vec::new();
        while let Some(OwnedPacket::Publish(publish)) = witness.try_next() {
            heard.push(publish.topic);
        }
        let expected = expected.iter().map(|end| format!("$SYS/n/{end}"));
        assert_eq!(heard, expected.collect::<Vec<_>>());
    }
}

#[test]
fn who_subscribes_after_nobody_listened_hears_what_is_announced_from_then_on() {
    let net = Net::with(announcing(|_| {}));
    for _ in 0..3 {
        net.connect("client").disconnect();
        let witness = net.connect("witness");
        witness.subscribe("$SYS/+/new/clients", 0);
        net.connect("client");
        hears(&witness, "new/clients", "client");
        witness.expect_nothing();
        witness.disconnect();
    }
}

#[test]
fn nothing_of_the_broker_waits_for_those_who_are_away() {
    let options = BrokerOptions {
        queue_qos_0: true,
        ..announcing(|_| {})
    };
    let (net, store) = Net::with_store(options);
    let lasting = net.dial("away").resuming();
    let client = lasting.connect();
    for filter in ["$SYS/#", "$SYS/n/new/clients", "$share/g/$SYS/#", "#"] {
        client.subscribe(filter, 2);
    }
    client.lose();
    net.connect("client").disconnect();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        net.broker_publishes(own("$SYS/x", "1", qos));
    }
    assert_eq!(store.queue("away"), []);
    let client = lasting.connect();
    assert!(client.connack.session_present);
    // Itself.
    for _ in 0..3 {
        match client.try_next() {
            Some(OwnedPacket::Publish(publish)) => {
                assert_eq!(publish.topic, "$SYS/n/new/clients");
                assert_eq!(*publish.payload, *b"away");
            }
            other => assert_eq!(other, None),
        }
    }
    client.expect_nothing();
}

#[test]
fn what_the_broker_retains_is_seen_at_once_and_is_in_memory_alone() {
    let options = BrokerOptions {
        max_retained_messages: 0,
        ..BrokerOptions::default()
    };
    let (net, store) = Net::with_store(options);
    net.broker_publishes(own("$SYS/a", "1", QoS::ExactlyOnce));
    net.broker_publishes(own("$SYS/a", "2", QoS::AtMostOnce));
    net.broker_publishes(own("$SYS/b", "3", QoS::AtMostOnce));
    net.broker_publishes(own("$SYS/b", "", QoS::AtMostOnce));
    let sizes = net.broker().sizes();
    assert_eq!((sizes.retained_messages, sizes.retained_bytes), (0, 0));
    assert_eq!(store.contents(), [""; 0]);
    for filter in ["$SYS/#", "$SYS/+", "$SYS/a"] {
        let client = net.connect("client");
        client.subscribe(filter, 2);
        assert!(client.expect(0, "$SYS/a", "2").retain, "{filter}");
        client.expect_nothing();
    }
    let client = net.connect("client");
    for filter in ["#", "+/a", "+/+", "$SYS/b", "$SYS"] {
        client.subscribe(filter, 2);
    }
    client.expect_nothing();
    net.crash_and_restart();
    let client = net.connect("client");
    client.subscribe("$SYS/#", 2);
    client.expect_nothing();
}

#[test]
fn what_a_slow_reader_misses_of_the_broker_is_no_loss() {
    let options = BrokerOptions {
        max_outbox_bytes: 100,
        ..BrokerOptions::default()
    };
    let net = Net::with(options);
    let slow = net.connect("slow");
    slow.subscribe("$SYS/#", 0);
    slow.subscribe("$share/g/$SYS/#", 0);
    slow.subscribe("a", 0);
    slow.stop_reading();
    let payload = "x".repeat(90);
    for _ in 0..20 {
        net.broker_publishes(own("$SYS/x", &payload, QoS::AtMostOnce));
    }
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 0);
    let publisher = net.connect("publisher");
    assert_eq!(publisher.publish(qos0("a", "x")), ReasonCode::Success);
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 1);
    slow.read_on();
    while slow.try_next().is_some() {}
}
