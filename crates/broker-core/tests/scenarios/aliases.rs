//! Topic aliases in both directions (MQTT 5.0, sections 3.3.2.3.4 and 3.3.4).
//!
//! The harness's clients resolve the broker's aliases, and check each against the maximum that they
//! told the broker; so a scenario sees topic names, and asks `Client::unnamed` how many messages
//! came with an alias in place of one.

mod from_clients;
mod to_clients;

use std::collections::VecDeque;

use broker_core::{BrokerOptions, CloseCause, Violation};
use mqtt_codec::{
    Disconnect, OwnedPacket, OwnedPublish, Packet, PropertiesBuf, Property, PubRel, Publish, QoS,
    ReasonCode, SubscriptionOptions,
};
use proptest::prelude::*;

use crate::harness::*;

fn alias_of(publish: &OwnedPublish) -> Option<u16> {
    publish.properties.as_properties().topic_alias()
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
