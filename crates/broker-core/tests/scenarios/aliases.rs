//! Topic aliases in both directions (MQTT 5.0, sections 3.3.2.3.4 and 3.3.4).
//!
//! The harness's clients resolve the broker's aliases, and check each against the maximum that they
//! told the broker; so a scenario sees topic names, and asks `Client::unnamed` how many messages
//! came with an alias in place of one.

use std::collections::VecDeque;

use broker_core::{BrokerOptions, CloseCause, Violation};
use mqtt_codec::{
    Disconnect, OwnedPacket, OwnedPublish, Packet, PropertiesBuf, Property, PubRel, Publish, QoS,
    ReasonCode, SubscriptionOptions,
};
use proptest::prelude::*;

use crate::harness::*;

fn with_inbound(topic_alias_maximum: u16) -> BrokerOptions {
    BrokerOptions {
        topic_alias_maximum,
        ..BrokerOptions::default()
    }
}

fn with_outbound(outbound_topic_alias_maximum: u16) -> BrokerOptions {
    BrokerOptions {
        outbound_topic_alias_maximum,
        ..BrokerOptions::default()
    }
}

fn alias_of(publish: &OwnedPublish) -> Option<u16> {
    publish.properties.as_properties().topic_alias()
}

// From clients.

/// MQTT 5.0: [MQTT-3.2.2-17]
#[test]
fn connack_names_the_highest_alias_that_is_taken() {
    for maximum in [0, 1, 256, u16::MAX] {
        let client = Net::with(with_inbound(maximum)).connect_v5("client");
        let told = client.connack.properties.as_properties();
        assert_eq!(told.topic_alias_maximum(), (maximum > 0).then_some(maximum));
    }
    let told = Net::new().connect_v5("client").connack.properties;
    assert_eq!(told.as_properties().topic_alias_maximum(), Some(256));
}

#[test]
fn an_alias_stands_for_the_topic_that_it_came_with_until_it_comes_with_another() {
    let net = Net::new();
    let old = net.connect("old");
    let new = net.connect_v5("new");
    for client in [&old, &new] {
        client.subscribe("#", 2);
    }
    let publisher = net.connect_v5("publisher");
    for publish in [qos0, qos1, qos2] {
        let qos = publish("", "").qos.as_u8();
        let expect = |topic, payload| {
            old.expect(qos, topic, payload);
            let received = new.expect(qos, topic, payload);
            assert_eq!(alias_of(&received), None, "it is not forwarded");
        };
        publisher.send_aliased(1, publish("a/b", "sets"));
        expect("a/b", "sets");
        publisher.send_aliased(1, publish("", "uses"));
        expect("a/b", "uses");
        publisher.send_aliased(2, publish("c", "another alias"));
        expect("c", "another alias");
        publisher.send_aliased(1, publish("", "first again"));
        expect("a/b", "first again");
        publisher.send_publish(publish("d", "without"));
        expect("d", "without");
        publisher.send_aliased(1, publish("e", "sets anew"));
        expect("e", "sets anew");
        publisher.send_aliased(1, publish("", "uses anew"));
        expect("e", "uses anew");
        publisher.send_aliased(2, publish("", "untouched"));
        expect("c", "untouched");
    }
}

/// MQTT 5.0: [MQTT-3.3.2-12]
#[test]
fn every_alias_up_to_the_maximum_is_taken() {
    let net = Net::with(with_inbound(300));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 0);
    let publisher = net.connect_v5("publisher");
    let topics: Vec<String> = (0..=300).map(|alias| format!("topic/{alias}")).collect();
    for alias in (1..=300).rev() {
        publisher.send_aliased(alias, qos0(&topics[usize::from(alias)], "sets"));
        subscriber.expect(0, &topics[usize::from(alias)], "sets");
    }
    for alias in 1..=300 {
        publisher.send_aliased(alias, qos0("", "uses"));
        subscriber.expect(0, &topics[usize::from(alias)], "uses");
    }
}

/// MQTT 5.0: [MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-9]
#[test]
fn an_alias_above_the_maximum_closes() {
    for (maximum, alias) in [(0, 1), (1, 2), (256, 257), (256, u16::MAX)] {
        let net = Net::with(with_inbound(maximum));
        let subscriber = net.connect("subscriber");
        subscriber.subscribe("#", 1);
        for topic in ["a", ""] {
            let publisher = net.connect_v5("publisher");
            publisher.send_aliased(alias, qos1(topic, "x"));
            publisher.expect_disconnected(ReasonCode::TopicAliasInvalid);
            let cause = CloseCause::Protocol(Violation::TopicAlias);
            assert_eq!(publisher.closed(), Some(cause));
        }
        assert_eq!(net.broker().counters().protocol_errors.get(), 2);
        subscriber.expect_nothing();
    }
}

/// MQTT 5.0: [MQTT-3.3.2-8]
#[test]
fn alias_0_closes() {
    let net = Net::new();
    for publish in [
        b"\x30\x07\x00\x01a\x03\x23\x00\x00".as_slice(),
        b"\x30\x06\x00\x00\x03\x23\x00\x00",
    ] {
        let publisher = net.connect_v5("publisher");
        publisher.send_raw(publish);
        publisher.expect_disconnected(ReasonCode::TopicAliasInvalid);
    }
}

/// Section 3.3.4 of 5.0: with an alias that stands for nothing. Section 3.3.2.1: with none at all.
#[test]
fn an_empty_topic_name_that_nothing_stands_for_closes() {
    let net = Net::new();
    let other = net.connect_v5("other");
    other.send_aliased(1, qos0("a", "x"));
    let publisher = net.connect_v5("publisher");
    publisher.send_aliased(2, qos0("a", "x"));
    publisher.send_aliased(1, qos0("", "x"));
    publisher.expect_disconnected(ReasonCode::ProtocolError);
    let cause = CloseCause::Protocol(Violation::UnknownTopicAlias);
    assert_eq!(publisher.closed(), Some(cause));

    let publisher = net.connect_v5("publisher");
    publisher.send_aliased(1, qos0("a", "x"));
    publisher.send_raw(b"\x30\x03\x00\x00\x00");
    publisher.expect_disconnected(ReasonCode::ProtocolError);
    for dial in [net.dial("publisher"), net.dial("publisher").v31()] {
        let publisher = dial.connect();
        publisher.send_raw(b"\x30\x02\x00\x00");
        assert_eq!(publisher.try_next(), None);
        assert!(publisher.closed().is_some());
    }
}

/// MQTT 5.0: [MQTT-3.3.2-7]
#[test]
fn a_clients_aliases_end_with_its_connection() {
    let net = Net::new();
    let lasting = net.dial("publisher").expiry(1_000).resuming();
    for end in [Client::lose, Client::disconnect, |_: &Client| {}] {
        let publisher = lasting.connect();
        publisher.send_aliased(1, qos0("a", "x"));
        end(&publisher);
        // Where the first still is, this one takes its session over.
        let publisher = lasting.connect();
        assert!(publisher.connack.session_present);
        publisher.send_aliased(1, qos0("", "x"));
        publisher.expect_disconnected(ReasonCode::ProtocolError);
    }
}

/// Section 3.3.4 of 5.0: the packet sets the alias, whatever becomes of the message.
#[test]
fn a_message_that_is_refused_sets_its_alias_all_the_same() {
    let net = Net::with(BrokerOptions {
        check_payload_format: true,
        ..BrokerOptions::default()
    });
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 1);
    let publisher = net.connect_v5("publisher");
    let refused = |alias, publish| {
        let id = publisher.send_aliased(alias, publish).expect("it has one");
        publisher.expect_puback(id)
    };
    let reason = refused(1, qos1("$SYS/a", "x"));
    assert_eq!(reason, ReasonCode::NotAuthorized);
    let reason = refused(1, qos1("", "x"));
    assert_eq!(reason, ReasonCode::NotAuthorized);

    let mut text = PropertiesBuf::new();
    text.push(Property::PayloadFormatIndicator(
        mqtt_codec::PayloadFormat::Utf8,
    ))
    .expect("once");
    let reason = refused(
        2,
        Publish {
            payload: b"\xFF",
            properties: text.as_properties(),
            ..qos1("a", "")
        },
    );
    assert_eq!(reason, ReasonCode::PayloadFormatInvalid);
    assert_eq!(refused(2, qos1("", "y")), ReasonCode::Success);
    subscriber.expect(1, "a", "y");
    subscriber.expect_nothing();
}

#[test]
fn a_message_at_qos_2_that_comes_again_sets_its_alias_all_the_same() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 0);
    let publisher = net.connect_v5("publisher");
    let mut properties = PropertiesBuf::new();
    let id = publisher.send_publish(qos2("a", "x")).expect("it has one");
    subscriber.expect(0, "a", "x");
    properties.push(Property::TopicAlias(1)).expect("once");
    publisher.send(Packet::Publish(Publish {
        dup: true,
        packet_id: Some(id),
        properties: properties.as_properties(),
        ..qos2("a", "x")
    }));
    publisher.send(Packet::PubRel(PubRel::new(id)));
    subscriber.expect_nothing();
    publisher.send_aliased(1, qos0("", "y"));
    subscriber.expect(0, "a", "y");
}

#[test]
fn what_is_retained_under_an_alias_is_retained_under_its_topic() {
    let net = Net::new();
    let publisher = net.connect_v5("publisher");
    publisher.send_aliased(1, qos0("a", "not retained"));
    publisher.send_aliased(1, retained(qos1("", "kept")));
    let subscriber = net.connect_v5("subscriber");
    subscriber.subscribe("a", 1);
    let received = subscriber.expect(1, "a", "kept");
    assert!(received.retain);
    assert_eq!(alias_of(&received), None);
    publisher.send_aliased(1, retained(qos0("", "")));
    assert_eq!(net.broker().sizes().retained_messages, 0);
}

#[test]
fn what_comes_with_an_alias_has_to_be_a_topic_name_within_the_limits() {
    let net = Net::with(BrokerOptions {
        max_topic_bytes: 5,
        ..BrokerOptions::default()
    });
    for (topic, reason) in [
        ("a/#", ReasonCode::MalformedPacket),
        ("+", ReasonCode::MalformedPacket),
        ("longer", ReasonCode::TopicNameInvalid),
    ] {
        let publisher = net.connect_v5("publisher");
        publisher.send_aliased(1, qos0(topic, "x"));
        publisher.expect_disconnected(reason);
    }
}

// To clients.

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

#[test]
fn an_alias_in_one_direction_is_nothing_to_the_other() {
    let net = Net::new();
    let client = net.dial("client").aliases(10).connect();
    client.subscribe("topic/#", 0);
    client.send_aliased(1, qos0("topic/a", "x"));
    client.expect(0, "topic/a", "x");
    client.send_aliased(1, qos0("topic/b", "x"));
    assert_eq!(alias_of(&client.expect(0, "topic/b", "x")), Some(2));
    client.send_aliased(1, qos0("", "y"));
    assert_eq!(alias_of(&client.expect(0, "topic/b", "y")), Some(2));
    assert_eq!(client.unnamed(), 1);
    client.send_aliased(2, qos0("", "z"));
    client.expect_disconnected(ReasonCode::ProtocolError);
}

// At random.

/// What happens to one publisher and one subscriber.
#[derive(Clone, Debug)]
enum Step {
    /// A message to this topic, with this alias of the publisher's, if it takes as many.
    Publish {
        topic: usize,
        alias: u16,
        qos: u8,
        filling: usize,
    },
    /// The subscriber reads, and acknowledges all that has come.
    Read,
    StopReading,
    /// The subscriber's connection breaks and it returns with this topic alias maximum.
    Return {
        maximum: u16,
    },
}

const TOPICS: [&str; 7] = [
    "a",
    "a/b",
    "a/b/c",
    "longer/1",
    "longer/2",
    "longer/3",
    "\u{e9}/\u{1F980}",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..TOPICS.len(), 0..5_u16, 0..3_u8, 0..60_usize)
            .prop_map(|(topic, alias, qos, filling)| Step::Publish { topic, alias, qos, filling }),
        4 => Just(Step::Read),
        1 => Just(Step::StopReading),
        1 => (0..5_u16).prop_map(|maximum| Step::Return { maximum }),
    ]
}

/// Both ends of one pair of clients, and what the subscriber is still to see.
struct Pair {
    net: Net,
    publisher: Client,
    subscriber: Client,
    /// What the publisher's aliases stand for, as it keeps them.
    aliases: [Option<usize>; 5],
    inbound: u16,
    packet_bytes: Option<u32>,
    published: u32,
    /// Number and topic of what was published at QoS 1 and 2 and not been seen.
    owed: VecDeque<(u32, usize)>,
    /// Topic of each message.
    topics: Vec<usize>,
    seen: u32,
}

impl Pair {
    fn dial(net: &Net, maximum: u16, packet_bytes: Option<u32>) -> Dial {
        let dial = net.dial("subscriber").expiry(1_000).resuming();
        let dial = dial.aliases(maximum);
        match packet_bytes {
            Some(bytes) => dial.property(Property::MaximumPacketSize(bytes)),
            None => dial,
        }
    }

    fn new(inbound: u16, outbound: u16, packet_bytes: Option<u32>, with_store: bool) -> Self {
        let options = BrokerOptions {
            topic_alias_maximum: inbound,
            outbound_topic_alias_maximum: outbound,
            max_outbox_bytes: 200,
            max_inflight: 3,
            ..BrokerOptions::default()
        };
        let net = if with_store {
            Net::with_store(options).0
        } else {
            Net::with(options)
        };
        let subscriber = Self::dial(&net, 3, packet_bytes).connect();
        subscriber.subscribe("#", 2);
        Self {
            publisher: net.connect_v5("publisher"),
            subscriber,
            net,
            aliases: [None; 5],
            inbound,
            packet_bytes,
            published: 0,
            owed: VecDeque::new(),
            topics: Vec::new(),
            seen: 0,
        }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Publish {
                topic,
                alias,
                qos,
                filling,
            } => self.publish(topic, alias, qos, filling),
            Step::Read => {
                self.subscriber.read_on();
                self.read();
            }
            Step::StopReading => self.subscriber.stop_reading(),
            Step::Return { maximum } => {
                self.subscriber.read_on();
                self.read();
                self.subscriber.lose();
                self.subscriber = Self::dial(&self.net, maximum, self.packet_bytes).connect();
            }
        }
    }

    fn publish(&mut self, topic: usize, alias: u16, qos: u8, filling: usize) {
        let number = self.published;
        self.published += 1;
        self.topics.push(topic);
        let payload = format!("{number}:{}", "x".repeat(filling));
        let make = [qos0, qos1, qos2][usize::from(qos)];
        if alias == 0 || alias > self.inbound {
            self.publisher.publish(make(TOPICS[topic], &payload));
        } else {
            let known = self.aliases[usize::from(alias)].replace(topic) == Some(topic);
            let name = if known { "" } else { TOPICS[topic] };
            let id = self.publisher.send_aliased(alias, make(name, &payload));
            if let (Some(id), 2) = (id, qos) {
                self.publisher.expect_pubrec(id);
                self.publisher.pubrel(id);
            }
        }
        if qos > 0 {
            self.owed.push_back((number, topic));
        }
    }

    /// Each message comes under the topic that it was published to, in order; none at QoS 1 and 2
    /// is missing, except where packets have a largest size.
    fn read(&mut self) {
        while let Some(packet) = self.subscriber.try_next() {
            let publish = match packet {
                OwnedPacket::Publish(publish) => publish,
                OwnedPacket::PubRel(pubrel) => {
                    self.subscriber.pubcomp(pubrel.packet_id);
                    continue;
                }
                other => panic!("{other:?}"),
            };
            let payload = String::from_utf8_lossy(&publish.payload).into_owned();
            let (number, _) = payload.split_once(':').expect("a number comes first");
            let number: u32 = number.parse().expect("a number");
            assert_eq!(publish.topic, TOPICS[self.topics[number as usize]]);
            if publish.qos > QoS::AtMostOnce {
                while self.packet_bytes.is_some()
                    && self.owed.front().is_some_and(|owed| owed.0 < number)
                {
                    self.owed.pop_front();
                }
                let (owed, topic) = self.owed.pop_front().expect("one that was published");
                assert_eq!((owed, TOPICS[topic]), (number, publish.topic.as_str()));
            }
            self.seen += 1;
            match (publish.qos, publish.packet_id) {
                (QoS::AtLeastOnce, Some(id)) => self.subscriber.puback(id),
                (QoS::ExactlyOnce, Some(id)) => self.subscriber.pubrec(id),
                _ => {}
            }
        }
    }
}

proptest! {
    /// MQTT 5.0: [MQTT-3.1.2-26] [MQTT-3.3.2-7] [MQTT-3.3.2-11] [MQTT-3.3.2-12]
    #[test]
    fn who_resolves_aliases_sees_the_topics_that_were_published(
        inbound in 0..5_u16,
        outbound in 0..6_u16,
        packet_bytes in prop_oneof![2 => Just(None), 1 => (30..80_u32).prop_map(Some)],
        with_store in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut pair = Pair::new(inbound, outbound, packet_bytes, with_store);
        for step in &steps {
            pair.play(step);
        }
        pair.play(&Step::Read);
        if packet_bytes.is_none() {
            prop_assert!(pair.owed.is_empty(), "{:?} did not come", pair.owed);
        }
        let counters = pair.net.broker();
        let counters = counters.counters();
        let dropped = counters.dropped_slow_reader.get() + counters.dropped_too_large.get();
        prop_assert_eq!(u64::from(pair.published), u64::from(pair.seen) + dropped);
    }
}
