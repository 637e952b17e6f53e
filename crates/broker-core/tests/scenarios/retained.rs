//! Retained messages: kept, sent to who subscribes later, replaced and removed.

use broker_core::BrokerOptions;
use mqtt_codec::{PropertiesBuf, Property, Publish, ReasonCode};
use std::time::Duration;

use crate::harness::{self as harness, *};

fn kept<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    harness::retained(qos1(topic, payload))
}

/// [MQTT-3.3.1-5] [MQTT-3.3.1-8]
#[test]
fn the_last_message_to_be_retained_is_what_a_new_subscriber_gets() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    publisher.publish(kept("a", "old"));
    publisher.publish(kept("a", "new"));
    publisher.publish(qos1("a", "passing"));
    let client = net.connect("client");
    client.subscribe("a", 1);
    let publish = client.expect(1, "a", "new");
    assert!(publish.retain);
    client.expect_nothing();
    let sizes = net.broker().sizes();
    assert_eq!((sizes.retained_messages, sizes.retained_bytes), (1, 4));
}

#[test]
fn a_retained_message_comes_at_most_at_the_granted_qos() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    publisher.publish(harness::retained(qos2("a", "x")));
    publisher.publish(harness::retained(qos0("b", "y")));
    for qos in 0..=2 {
        let client = net.connect("client");
        client.subscribe("a", qos);
        assert!(client.expect(qos, "a", "x").retain);
        client.subscribe("b", qos);
        assert!(client.expect(0, "b", "y").retain);
        client.expect_nothing();
    }
}

/// [MQTT-3.3.1-6] [MQTT-3.3.1-7]
#[test]
fn an_empty_message_removes_the_retained_one_and_is_delivered_itself() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    publisher.publish(kept("a", "x"));
    let client = net.connect("client");
    client.subscribe("a", 1);
    client.expect(1, "a", "x");
    publisher.publish(kept("a", ""));
    assert!(!client.expect(1, "a", "").retain);
    publisher.publish(kept("never", ""));
    let late = net.connect("late");
    late.subscribe("#", 1);
    late.expect_nothing();
    let sizes = net.broker().sizes();
    assert_eq!((sizes.retained_messages, sizes.retained_bytes), (0, 0));
}

#[test]
fn retained_messages_outlive_their_publisher() {
    let net = Net::new();
    net.connect("publisher").publish(kept("a", "x"));
    net.connect("publisher").disconnect();
    let client = net.connect("client");
    client.subscribe("+", 0);
    client.expect(0, "a", "x");
}

#[test]
fn a_wildcard_brings_every_retained_message_that_matches_and_no_other() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    for topic in ["a/b", "a/c", "a", "a/b/c", "b", "$x/b"] {
        publisher.publish(kept(topic, topic));
    }
    let received = |filter: &str| {
        let client = net.connect("client");
        client.subscribe(filter, 0);
        let mut topics = Vec::new();
        while let Some(packet) = client.try_next() {
            let mqtt_codec::OwnedPacket::Publish(publish) = packet else {
                panic!("{packet:?}")
            };
            assert!(publish.retain);
            topics.push(publish.topic);
        }
        topics.sort();
        topics
    };
    assert_eq!(received("a/+"), ["a/b", "a/c"]);
    assert_eq!(received("a/#"), ["a", "a/b", "a/b/c", "a/c"]);
    assert_eq!(received("#"), ["a", "a/b", "a/b/c", "a/c", "b"]);
    assert_eq!(received("$x/+"), ["$x/b"]);
    assert_eq!(received("+/b"), ["a/b"]);
}

#[test]
fn very_many_retained_messages_arrive_as_fast_as_they_are_read() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    for number in 0..3_000 {
        publisher.publish(harness::retained(qos0(&format!("a/{number}"), "x")));
    }
    let large = "x".repeat(20_000);
    for number in 0..300 {
        publisher.publish(harness::retained(qos0(&format!("b/{number}"), &large)));
    }
    let client = net.connect("client");
    client.stop_reading();
    client.send_subscribe(
        client.take_id(),
        "#",
        mqtt_codec::SubscriptionOptions::new(mqtt_codec::QoS::AtMostOnce),
        None,
    );
    assert_eq!(client.try_next(), None);
    client.read_on();
    assert!(matches!(client.next(), mqtt_codec::OwnedPacket::SubAck(_)));
    let mut topics = std::collections::HashSet::new();
    while let Some(mqtt_codec::OwnedPacket::Publish(publish)) = client.try_next() {
        assert!(topics.insert(publish.topic), "each comes once");
    }
    assert_eq!(topics.len(), 3_300);
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 0);
}

#[test]
fn large_retained_messages_are_not_dropped_for_being_many() {
    let net = Net::with(BrokerOptions {
        max_outbox_bytes: 100_000,
        ..Default::default()
    });
    let publisher = net.connect("publisher");
    let large = "x".repeat(50_000);
    for number in 0..50 {
        publisher.publish(harness::retained(qos0(&format!("a/{number}"), &large)));
    }
    let client = net.connect("client");
    client.subscribe("a/#", 0);
    for _ in 0..50 {
        assert!(matches!(client.next(), mqtt_codec::OwnedPacket::Publish(_)));
    }
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 0);
}

#[test]
fn retained_messages_respect_the_window() {
    for session in ["clean", "lasting"] {
        let net = Net::with(BrokerOptions {
            max_inflight: 5,
            ..Default::default()
        });
        let publisher = net.connect("publisher");
        for number in 0..600 {
            publisher.publish(kept(&format!("a/{number}"), "x"));
        }
        let dial = net.dial("client");
        let client = if session == "clean" {
            dial
        } else {
            dial.resuming()
        }
        .connect();
        client.subscribe("#", 1);
        let mut topics = std::collections::HashSet::new();
        loop {
            let mut open = Vec::new();
            while let Some(mqtt_codec::OwnedPacket::Publish(publish)) = client.try_next() {
                open.push(publish);
            }
            assert!(open.len() <= 5);
            if open.is_empty() {
                break;
            }
            for publish in open {
                client.acknowledge(&publish);
                assert!(topics.insert(publish.topic));
            }
        }
        assert_eq!(topics.len(), 600);
    }
}

#[test]
fn unsubscribing_ends_the_sending_of_retained_messages() {
    let net = Net::with(BrokerOptions {
        max_inflight: 5,
        ..Default::default()
    });
    let publisher = net.connect("publisher");
    for number in 0..100 {
        publisher.publish(kept(&format!("a/{number}"), "x"));
    }
    let client = net.connect("client");
    client.subscribe("#", 1);
    let open: Vec<_> = (0..5).map(|_| client.next()).collect();
    client.unsubscribe("#");
    for packet in open {
        let mqtt_codec::OwnedPacket::Publish(publish) = packet else {
            panic!("{packet:?}")
        };
        client.acknowledge(&publish);
    }
    client.expect_nothing();
}

#[test]
fn a_message_that_cannot_be_retained_is_delivered_and_the_publisher_told() {
    let options = BrokerOptions {
        max_retained_messages: 1,
        ..Default::default()
    };
    let net = Net::with(options);
    let client = net.connect("client");
    client.subscribe("#", 1);
    let publisher = net.connect_v5("publisher");
    assert_eq!(publisher.publish(kept("a", "1")), ReasonCode::Success);
    assert_eq!(publisher.publish(kept("b", "2")), ReasonCode::QuotaExceeded);
    let refused = harness::retained(qos2("b", "3"));
    assert_eq!(publisher.publish(refused), ReasonCode::QuotaExceeded);
    assert_eq!(
        publisher.publish(kept("a", "4")),
        ReasonCode::Success,
        "a replacement is none more"
    );
    for (qos, topic, payload) in [(1, "a", "1"), (1, "b", "2"), (1, "b", "3"), (1, "a", "4")] {
        client.expect(qos, topic, payload);
    }
    assert_eq!(net.broker().counters().refused_retained.get(), 2);
    assert_eq!(net.broker().sizes().retained_messages, 1);
}

#[test]
fn retained_messages_are_limited_in_bytes_too() {
    let net = Net::with(BrokerOptions {
        max_retained_bytes: 10,
        ..Default::default()
    });
    let publisher = net.connect_v5("publisher");
    publisher.publish(kept("a", "12345678"));
    assert_eq!(
        publisher.publish(kept("b", "")),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(publisher.publish(kept("b", "1")), ReasonCode::QuotaExceeded);
    assert_eq!(
        publisher.publish(kept("a", "1234567890")),
        ReasonCode::QuotaExceeded
    );
    assert_eq!(
        publisher.publish(kept("a", "1")),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(
        publisher.publish(kept("b", "1234567")),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(net.broker().sizes().retained_bytes, 10);
}

/// [MQTT-3.2.2-14]
#[test]
fn without_retained_messages_one_that_asks_for_it_closes_the_connection() {
    let net = Net::with(BrokerOptions {
        retain_available: false,
        ..Default::default()
    });
    let publisher = net.connect_v5("publisher");
    publisher.send_publish(kept("a", "x"));
    publisher.expect_disconnected(ReasonCode::RetainNotSupported);
}

#[test]
fn a_retained_message_expires() {
    let net = Net::new();
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::MessageExpiryInterval(100))
        .expect("in range");
    let publisher = net.connect_v5("publisher");
    publisher.publish(Publish {
        properties: properties.as_properties(),
        ..kept("a", "x")
    });
    net.advance(Duration::from_secs(40));
    let client = net.connect_v5("client");
    client.subscribe("a", 1);
    let publish = client.expect(1, "a", "x");
    assert_eq!(
        publish.properties.as_properties().message_expiry_interval(),
        Some(60)
    );
    net.sleep(Duration::from_secs(60));
    client.subscribe("a", 1);
    client.subscribe("+", 1);
    client.expect_nothing();
    net.advance(Duration::from_secs(60));
    assert_eq!(net.broker().sizes().retained_messages, 0);
    assert_eq!(net.broker().counters().dropped_expired.get(), 1);
}

#[test]
fn retained_messages_that_were_still_to_come_arrive_on_the_next_connection() {
    let net = Net::with(BrokerOptions {
        max_inflight: 5,
        ..Default::default()
    });
    let publisher = net.connect("publisher");
    for number in 0..600 {
        publisher.publish(kept(&format!("a/{number}"), "x"));
    }
    let lasting = net.dial("client").resuming();
    lasting.connect().subscribe("a/#", 1);
    let mut topics = std::collections::HashSet::new();
    // Each connection takes a few and breaks.
    for _ in 0..200 {
        let client = lasting.connect();
        for _ in 0..5 {
            if let Some(mqtt_codec::OwnedPacket::Publish(publish)) = client.try_next() {
                client.acknowledge(&publish);
                topics.insert(publish.topic);
            }
        }
        client.lose();
    }
    assert_eq!(topics.len(), 600);
    lasting.connect().expect_nothing();
}

#[test]
fn subscribing_to_very_many_filters_takes_no_longer_than_it_should() {
    let net = Net::new();
    let client = net.connect("client");
    let mut filters = mqtt_codec::SubscribeFiltersBuf::new();
    let options = mqtt_codec::SubscriptionOptions::new(mqtt_codec::QoS::AtMostOnce);
    for number in 0..20_000 {
        filters
            .push(&number.to_string(), options)
            .expect("a string");
    }
    // Twice: those of the first time are replaced, before any retained message was looked for.
    let mut bytes = Vec::new();
    for packet_id in [1, 2] {
        let subscribe = mqtt_codec::Subscribe {
            packet_id: harness::client::id(packet_id),
            properties: mqtt_codec::Properties::EMPTY,
            filters: filters.as_filters(),
        };
        subscribe
            .encode(mqtt_codec::Version::V311, &mut bytes)
            .expect("it can be encoded");
    }
    let start = std::time::Instant::now();
    client.send_raw(&bytes);
    // Some 100 ms; with a search through all of them for each it was minutes.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(net.broker().sizes().subscriptions, 20_000);
}

/// A client that is always owed a whole window of other messages, and more, gets what is retained as
/// well: some with each round, while nothing else is lost or changes its order.
#[test]
fn retained_messages_come_also_to_a_client_for_which_a_window_of_others_always_waits() {
    let options = || BrokerOptions {
        max_inflight: 16,
        queue_window_messages: 20,
        max_queued_messages: 80,
        ..BrokerOptions::default()
    };
    // A session without a store, one with it, and one whose queue is in the store for the most part.
    for (kind, ahead) in [("clean", 40), ("lasting", 40), ("lasting", 65)] {
        let net = match kind {
            "clean" => Net::with(options()),
            _ => Net::with_store(options()).0,
        };
        let publisher = net.connect("publisher");
        for number in 0..60 {
            let topic = format!("kept/{number}");
            publisher.publish(harness::retained(match number % 3 {
                0 => qos0(&topic, "x"),
                1 => qos1(&topic, "x"),
                _ => qos2(&topic, "x"),
            }));
        }
        let client = match kind {
            "clean" => net.connect("client"),
            _ => net.dial("client").resuming().connect(),
        };
        client.subscribe("live", 1);
        let mut published = 0..;
        let mut publish = || {
            let number: u32 = published.next().expect("there is always another one");
            publisher.publish(qos1("live", &number.to_string()));
        };
        (0..ahead).for_each(|_| publish());
        client.subscribe("kept/#", 2);
        let mut topics = std::collections::HashSet::new();
        let (mut live, mut rounds) = (0, 0);
        while topics.len() < 60 {
            rounds += 1;
            assert!(rounds < 2_000, "{kind}, {ahead}: {} came", topics.len());
            match client.next() {
                mqtt_codec::OwnedPacket::Publish(message) if message.retain => {
                    client.acknowledge(&message);
                    assert!(topics.insert(message.topic), "each comes once");
                }
                mqtt_codec::OwnedPacket::Publish(message) => {
                    assert_eq!(message.payload, live.to_string().as_bytes());
                    live += 1;
                    // Before there is room for another one.
                    publish();
                    client.acknowledge(&message);
                }
                other => panic!("{other:?}"),
            }
        }
        let counters = net.broker();
        assert_eq!(counters.counters().dropped_queue_full.get(), 0);
    }
}

/// What is published meanwhile has no room then, and what is retained is not lost.
#[test]
fn retained_messages_come_also_to_a_client_whose_queue_is_always_full() {
    let net = Net::with(BrokerOptions {
        max_inflight: 8,
        max_queued_messages: 16,
        ..BrokerOptions::default()
    });
    let publisher = net.connect("publisher");
    for number in 0..20 {
        publisher.publish(kept(&format!("kept/{number}"), "x"));
    }
    let client = net.connect("client");
    client.subscribe("live", 1);
    for _ in 0..20 {
        publisher.publish(qos1("live", "x"));
    }
    let dropped = || net.broker().counters().dropped_queue_full.get();
    assert_eq!(dropped(), 4);
    client.subscribe("kept/#", 1);
    let mut topics = std::collections::HashSet::new();
    for round in 0.. {
        assert!(round < 1_000, "{} came", topics.len());
        let mqtt_codec::OwnedPacket::Publish(message) = client.next() else {
            panic!("PUBLISH expected");
        };
        publisher.publish(qos1("live", "x"));
        client.acknowledge(&message);
        publisher.publish(qos1("live", "x"));
        if message.retain {
            topics.insert(message.topic);
        }
        if topics.len() == 20 {
            break;
        }
    }
    assert!(dropped() > 4, "it was full all the time");
}
