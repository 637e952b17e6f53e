//! Topic aliases that the broker sets.

use super::*;

fn with_outbound(outbound_topic_alias_maximum: u16) -> BrokerOptions {
    BrokerOptions {
        outbound_topic_alias_maximum,
        ..BrokerOptions::default()
    }
}

/// MQTT 5.0: [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
#[test]
fn the_first_topics_get_the_aliases_that_both_sides_allow() {
    let topics = ["topic/1", "topic/2", "topic/3", "topic/4"];
    for (asked, allowed, used) in [
        (None, 32, 0),
        (Some(0), 32, 0),
        (Some(2), 32, 2),
        (Some(100), 3, 3),
        (Some(100), 0, 0),
        (Some(u16::MAX), u16::MAX, 4),
    ] {
        let net = Net::with(with_outbound(allowed));
        let dial = match asked {
            Some(maximum) => net.dial("subscriber").aliases(maximum),
            None => net.dial("subscriber").v5(),
        };
        let subscriber = dial.connect();
        subscriber.subscribe("#", 2);
        let publisher = net.connect("publisher");
        for (round, publish) in [qos0, qos1, qos2].into_iter().enumerate() {
            for (number, topic) in (1..).zip(topics) {
                let before = subscriber.unnamed();
                publisher.publish(publish(topic, "x"));
                let received = subscriber.expect(publish("", "").qos.as_u8(), topic, "x");
                let alias = (number <= used).then_some(number);
                assert_eq!(alias_of(&received), alias);
                let unnamed = round > 0 && alias.is_some();
                assert_eq!(subscriber.unnamed() - before, usize::from(unnamed));
            }
        }
    }
}

#[test]
fn a_topic_that_is_no_longer_than_an_alias_gets_none() {
    let net = Net::new();
    let subscriber = net.dial("subscriber").aliases(10).connect();
    subscriber.subscribe("#", 0);
    let publisher = net.connect("publisher");
    for (topic, alias) in [("a", None), ("a/b", None), ("a/bc", Some(1))] {
        publisher.publish(qos0(topic, "x"));
        assert_eq!(alias_of(&subscriber.expect(0, topic, "x")), alias);
    }
}

#[test]
fn clients_of_all_kinds_get_the_same_message() {
    let net = Net::new();
    let oldest = net.dial("oldest").v31().connect();
    let old = net.connect("old");
    let new = net.connect_v5("new");
    let aliased = net.dial("aliased").aliases(1).connect();
    let numbered = net.dial("numbered").aliases(1).connect();
    for client in [&oldest, &old, &new, &aliased] {
        client.subscribe("topic/#", 1);
    }
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    numbered.subscribe_with("topic/#", options, Some(7));
    let publisher = net.connect_v5("publisher");
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::UserProperty("unit", "kelvin"))
        .expect("short");
    properties
        .push(Property::MessageExpiryInterval(60))
        .expect("once");
    // From 4,096 bytes on a payload is shared.
    for payload in ["x".to_owned(), "y".repeat(5_000), "z".to_owned()] {
        for topic in ["topic/1", "topic/2"] {
            publisher.publish(Publish {
                properties: properties.as_properties(),
                ..qos1(topic, &payload)
            });
            for client in [&oldest, &old, &new, &aliased, &numbered] {
                let received = client.expect(1, topic, &payload);
                let told = received.properties.as_properties();
                let is_aliased =
                    core::ptr::eq(client, &aliased) || core::ptr::eq(client, &numbered);
                let alias = (is_aliased && topic == "topic/1").then_some(1);
                assert_eq!(told.topic_alias(), alias);
                let is_numbered = core::ptr::eq(client, &numbered);
                let identifier = is_numbered.then_some(7);
                assert_eq!(told.subscription_identifier(), identifier);
                let is_old = core::ptr::eq(client, &oldest) || core::ptr::eq(client, &old);
                assert_eq!(told.user_properties().count(), usize::from(!is_old));
                assert_eq!(told.message_expiry_interval().is_some(), !is_old);
            }
        }
    }
    assert_eq!(aliased.unnamed(), 2);
    assert_eq!(numbered.unnamed(), 2);
}

/// MQTT 5.0: [MQTT-3.3.2-7]
#[test]
fn the_brokers_aliases_end_with_the_connection() {
    for with_store in [false, true] {
        let net = if with_store {
            Net::with_store(BrokerOptions::default()).0
        } else {
            Net::new()
        };
        let lasting = net.dial("subscriber").expiry(1_000).resuming();
        let lasting = lasting.aliases(2);
        let publisher = net.connect("publisher");
        lasting.connect().subscribe("#", 2);
        for end in [Client::lose, Client::disconnect, |_: &Client| {}] {
            let subscriber = lasting.connect();
            for (number, topic) in (1..).zip(["topic/1", "topic/2"]) {
                publisher.publish(qos1(topic, "x"));
                let received = subscriber.expect(1, topic, "x");
                assert_eq!(alias_of(&received), Some(number));
                publisher.publish(qos2(topic, "y"));
                subscriber.expect_unacknowledged(2, topic, "y");
            }
            assert_eq!(subscriber.unnamed(), 2);
            end(&subscriber);
            publisher.publish(qos1("topic/3", "between"));
            let subscriber = lasting.connect();
            // What is sent again comes with its name first, and takes the alias that is next here.
            for (number, topic) in (1..).zip(["topic/1", "topic/2"]) {
                let again = subscriber.expect(2, topic, "y");
                assert!(again.dup);
                assert_eq!(alias_of(&again), Some(number));
            }
            subscriber.expect(1, "topic/3", "between");
            assert_eq!(subscriber.unnamed(), 0);
            subscriber.disconnect();
        }
    }
}

/// A connection may allow more or fewer aliases than the one before it, or speak another version.
#[test]
fn each_connection_says_anew_how_many_aliases_it_takes() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    let dial = net.dial("subscriber").expiry(1_000).resuming();
    dial.connect().subscribe("#", 1);
    let old = net.dial("subscriber").resuming();
    for (dial, alias) in [
        (dial.clone().aliases(1), Some(1)),
        (dial.clone(), None),
        (dial.aliases(5), Some(1)),
        (old, None),
    ] {
        publisher.publish(qos1("topic", "waits"));
        let subscriber = dial.connect();
        assert!(subscriber.connack.session_present);
        assert_eq!(alias_of(&subscriber.expect(1, "topic", "waits")), alias);
        subscriber.disconnect_with(Disconnect::new(ReasonCode::Success));
    }
}

#[test]
fn a_packet_that_is_too_large_with_its_first_alias_goes_without_it() {
    for with_store in [false, true] {
        let net = if with_store {
            Net::with_store(BrokerOptions::default()).0
        } else {
            Net::new()
        };
        let dial = net.dial("subscriber").aliases(10);
        let dial = dial.property(Property::MaximumPacketSize(100));
        let subscriber = if with_store {
            dial.expiry(1_000).connect()
        } else {
            dial.connect()
        };
        subscriber.subscribe("#", 2);
        let publisher = net.connect("publisher");
        for publish in [qos0, qos1, qos2] {
            let qos = publish("", "").qos.as_u8();
            // Fixed header 2, topic 2 + 7, property length 1; the alias has three bytes.
            let topic = ["topic/0", "topic/1", "topic/2"][usize::from(qos)];
            let most = 100 - 12 - if qos > 0 { 2 } else { 0 };
            let alias = |payload_bytes: usize| {
                let payload = "x".repeat(payload_bytes);
                publisher.publish(publish(topic, &payload));
                alias_of(&subscriber.expect(qos, topic, &payload))
            };
            for payload_bytes in most - 2..=most {
                assert_eq!(alias(payload_bytes), None);
            }
            let number = Some(u16::from(qos) + 1);
            assert_eq!(alias(most - 3), number);
            // In place of the topic name it makes room for four bytes.
            for payload_bytes in most - 3..=most + 4 {
                assert_eq!(alias(payload_bytes), number);
            }
            let before = net.broker().counters().dropped_too_large.get();
            publisher.publish(publish(topic, &"x".repeat(most + 5)));
            subscriber.expect_nothing();
            let dropped = net.broker().counters().dropped_too_large.get() - before;
            assert_eq!(dropped, 1);
        }
    }
}

#[test]
fn what_is_dropped_takes_no_alias() {
    let net = Net::with(BrokerOptions {
        max_outbox_bytes: 100,
        ..BrokerOptions::default()
    });
    let dial = net.dial("subscriber").aliases(1);
    let dial = dial.property(Property::MaximumPacketSize(100));
    let subscriber = dial.connect();
    subscriber.subscribe("#", 2);
    let publisher = net.connect("publisher");
    for publish in [qos0, qos1, qos2] {
        publisher.publish(publish("too/large", &"x".repeat(200)));
    }
    assert_eq!(net.broker().counters().dropped_too_large.get(), 3);

    subscriber.stop_reading();
    // Too large for an alias. One is being written, and two fill the outbox.
    let payload = "x".repeat(86);
    for _ in 0..4 {
        publisher.publish(qos0("full/box", &payload));
    }
    publisher.publish(qos0("dropped", "x"));
    let dropped = net.broker().counters().dropped_slow_reader.get();
    assert!(dropped > 0, "it was full");
    subscriber.read_on();
    for _ in dropped..5 {
        subscriber.expect(0, "full/box", &payload);
    }
    publisher.publish(qos0("the first", "x"));
    let received = subscriber.expect(0, "the first", "x");
    assert_eq!(alias_of(&received), Some(1));
}

#[test]
fn retained_messages_and_wills_come_with_aliases_too() {
    let net = Net::new();
    let publisher = net.connect("publisher");
    publisher.publish(retained(qos1("kept/1", "one")));
    publisher.publish(retained(qos0("kept/2", "two")));
    let willing = net.dial("willing").will(qos1("gone", "w")).connect();
    let subscriber = net.dial("subscriber").aliases(10).connect();
    subscriber.subscribe("#", 1);
    let mut kept: Vec<(String, Option<u16>)> = Vec::new();
    while let Some(OwnedPacket::Publish(publish)) = subscriber.try_next() {
        assert!(publish.retain);
        subscriber.acknowledge(&publish);
        kept.push((publish.topic.clone(), alias_of(&publish)));
    }
    let aliases: Vec<Option<u16>> = kept.iter().map(|(_, alias)| *alias).collect();
    assert_eq!(aliases, [Some(1), Some(2)]);
    willing.lose();
    assert_eq!(alias_of(&subscriber.expect(1, "gone", "w")), Some(3));
    assert_eq!(subscriber.unnamed(), 0);
    publisher.publish(qos1("gone", "again"));
    subscriber.expect(1, "gone", "again");
    assert_eq!(subscriber.unnamed(), 1);
}
