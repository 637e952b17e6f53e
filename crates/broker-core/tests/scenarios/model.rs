//! Random operations of a few clients against a plain model of what each must receive.
//!
//! The model knows nothing of windows, identifiers and queues. It holds, for each session, what was
//! published while a subscription matched, and what the client's application has seen of it:
//! QoS 2 exactly once, QoS 1 at least once, both in order and complete in the end; QoS 0 at most
//! once; nothing else.
//!
//! The same again with somebody who decides on each message that is about to be sent, by its number:
//! some are refused, some sent at a lower quality or with another payload, some decided on late.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broker_core::{BrokerOptions, Message, MessageParts, Timestamp};
use mqtt_codec::{OwnedPacket, OwnedPublish, PacketId, Property, Publish, QoS};
use proptest::prelude::*;
use topic_trie::{TopicFilter, TopicName};

use crate::harness::*;
use crate::judge::{Judge, Says};

const CLIENTS: usize = 3;
const TOPICS: [&str; 3] = ["a", "a/b", "b"];
const FILTERS: [&str; 5] = ["a", "a/+", "a/#", "#", "b"];
const EXPIRY_SECS: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A new session that ends with its connection.
    Clean,
    /// The old session if there is one; it lasts.
    Lasting,
    /// The old session if there is one; it ends with this connection (MQTT 5).
    Last,
}

#[derive(Clone, Debug)]
enum Step {
    Connect {
        client: usize,
        v5: bool,
        kind: Kind,
        narrow: bool,
    },
    Subscribe {
        client: usize,
        filter: usize,
        qos: u8,
    },
    Unsubscribe {
        client: usize,
        filter: usize,
    },
    Publish {
        client: usize,
        topic: usize,
        qos: u8,
    },
    /// Reads all that has come.
    Read {
        client: usize,
    },
    /// Acknowledges one of the messages read, if there is one, out of turn as the case may be.
    Acknowledge {
        client: usize,
        which: usize,
    },
    AcknowledgeAll {
        client: usize,
    },
    Lose {
        client: usize,
    },
    Disconnect {
        client: usize,
    },
    Wait {
        secs: u64,
    },
    /// With a store: the broker crashes and another one starts.
    Crash,
    /// One of the verdicts that are awaited is given.
    Decide {
        which: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let kind = prop_oneof![
        1 => Just(Kind::Clean),
        4 => Just(Kind::Lasting),
        1 => Just(Kind::Last),
    ];
    prop_oneof![
        3 => (client.clone(), any::<bool>(), kind, any::<bool>())
            .prop_map(|(client, v5, kind, narrow)| Step::Connect { client, v5, kind, narrow }),
        4 => (client.clone(), 0..FILTERS.len(), 0..3_u8)
            .prop_map(|(client, filter, qos)| Step::Subscribe { client, filter, qos }),
        1 => (client.clone(), 0..FILTERS.len())
            .prop_map(|(client, filter)| Step::Unsubscribe { client, filter }),
        12 => (client.clone(), 0..TOPICS.len(), 0..3_u8)
            .prop_map(|(client, topic, qos)| Step::Publish { client, topic, qos }),
        4 => client.clone().prop_map(|client| Step::Read { client }),
        6 => (client.clone(), any::<usize>())
            .prop_map(|(client, which)| Step::Acknowledge { client, which }),
        2 => client.clone().prop_map(|client| Step::AcknowledgeAll { client }),
        2 => client.clone().prop_map(|client| Step::Lose { client }),
        1 => client.prop_map(|client| Step::Disconnect { client }),
        1 => prop_oneof![Just(1), Just(600)].prop_map(|secs| Step::Wait { secs }),
        1 => Just(Step::Crash),
        3 => any::<usize>().prop_map(|which| Step::Decide { which }),
    ]
}

/// What is decided on a message, whoever is to receive it.
fn verdict(number: u32) -> Says {
    match number % 7 {
        1 => Says::Deny,
        3 => Says::Replace(at_least_once),
        5 => Says::Replace(at_most_once),
        6 => Says::Replace(marked),
        _ => Says::Allow,
    }
}

fn at_least_once(parts: MessageParts<'_>) -> Arc<Message> {
    let qos = QoS::AtLeastOnce;
    Message::new(MessageParts { qos, ..parts })
}

fn at_most_once(parts: MessageParts<'_>) -> Arc<Message> {
    let qos = QoS::AtMostOnce;
    Message::new(MessageParts { qos, ..parts })
}

/// With a payload that says so, and to another topic.
fn marked(parts: MessageParts<'_>) -> Arc<Message> {
    let payload = [parts.payload, MARK.as_bytes()].concat();
    Message::new(MessageParts {
        topic: "marked",
        payload: &payload,
        ..parts
    })
}

/// Something that can be changed.
fn parts_of_nothing() -> MessageParts<'static> {
    MessageParts {
        topic: "t",
        properties: &[],
        payload: &[],
        qos: QoS::ExactlyOnce,
        retain: false,
        expires: Timestamp::MAX,
    }
}

/// Behind the number of a message that was changed.
const MARK: &str = "!";

/// Decides on some at once, and on some when it is asked to.
fn judge() -> Judge {
    let judge = Judge::default();
    judge.rule(|client, payload| {
        let number: u32 = payload.parse().unwrap();
        match (number + u32::from(client.ends_with('1'))) % 3 {
            0 => Says::Wait,
            _ => verdict(number),
        }
    });
    judge
}

/// A session as the model has it: the broker's side of it and the application's.
#[derive(Default)]
struct Session {
    lasts: bool,
    /// How long it outlives its connection; for ever before MQTT 5.
    expiry_secs: Option<u64>,
    /// When it ends, while its client is away; in seconds of the test.
    ends: Option<u64>,
    filters: BTreeMap<usize, QoS>,
    /// What must arrive: message number and quality.
    owed: Vec<(u32, QoS)>,
    /// What may arrive once.
    offered: HashSet<u32>,
    /// What is to be sent at QoS 0 from a queue, and may arrive once.
    lowered: HashSet<u32>,
    /// What the application has seen at QoS 1 and 2, in this order, and at QoS 0.
    seen: Vec<u32>,
    seen_at_most_once: Vec<u32>,
    has_crashed: bool,
    /// Identifiers at QoS 2 that were received and not released: kept across connections.
    received: HashSet<PacketId>,
}

/// A client's connection.
struct Connected {
    client: Client,
    /// Read and not acknowledged.
    open: Vec<OwnedPublish>,
}

struct World {
    net: Net,
    has_store: bool,
    /// Who decides on what is about to be sent, if anybody does.
    judge: Option<Judge>,
    secs: u64,
    sessions: [Option<Session>; CLIENTS],
    connected: [Option<Connected>; CLIENTS],
    published: u32,
}

impl World {
    fn new(has_store: bool, window: usize, judge: Option<Judge>) -> Self {
        let options = BrokerOptions {
            hooks: judge.clone().map(|judge| Arc::new(judge) as _),
            // Nobody decides too late.
            hook_timeout: Duration::from_secs(1_000_000_000),
            max_inflight: 3,
            queue_window_messages: window,
            topic_cache_entries: 2,
            ..Default::default()
        };
        let net = if has_store {
            Net::with_store(options).0
        } else {
            Net::with(options)
        };
        Self {
            net,
            has_store,
            judge,
            secs: 0,
            sessions: Default::default(),
            connected: Default::default(),
            published: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Connect {
                client,
                v5,
                kind,
                narrow,
            } => self.connect(client, v5, kind, narrow),
            Step::Subscribe {
                client,
                filter,
                qos,
            } => {
                if let Some(connected) = &self.connected[client] {
                    connected.client.subscribe(FILTERS[filter], qos);
                    let session = self.sessions[client].as_mut().unwrap();
                    session.filters.insert(filter, QoS::from_u8(qos).unwrap());
                }
            }
            Step::Unsubscribe { client, filter } => {
                if let Some(connected) = &self.connected[client] {
                    connected.client.unsubscribe(FILTERS[filter]);
                    self.sessions[client]
                        .as_mut()
                        .unwrap()
                        .filters
                        .remove(&filter);
                }
            }
            Step::Publish { client, topic, qos } => self.publish(client, topic, qos),
            Step::Read { client } => self.read(client),
            Step::Acknowledge { client, which } => self.acknowledge(client, which),
            Step::AcknowledgeAll { client } => {
                self.read(client);
                while self.connected[client]
                    .as_ref()
                    .is_some_and(|it| !it.open.is_empty())
                {
                    self.acknowledge(client, 0);
                    self.read(client);
                }
            }
            Step::Lose { client } => self.end(client, |client| client.lose()),
            Step::Disconnect { client } => self.end(client, |client| client.disconnect()),
            Step::Wait { secs } => {
                self.net.advance(Duration::from_secs(secs));
                self.secs += secs;
            }
            Step::Crash => self.crash(),
            Step::Decide { which } => self.decide(which),
        }
        for session in &mut self.sessions {
            if session
                .as_ref()
                .is_some_and(|it| it.ends.is_some_and(|ends| ends <= self.secs))
            {
                *session = None;
            }
        }
    }

    fn connect(&mut self, number: usize, v5: bool, kind: Kind, narrow: bool) {
        // What has arrived at the old connection was seen before it is gone.
        self.read(number);
        self.connected[number] = None;
        let kind = if v5 || kind != Kind::Last {
            kind
        } else {
            Kind::Lasting
        };
        let mut dial = self.net.dial(&format!("client-{number}"));
        if v5 {
            dial = dial.v5();
            if kind == Kind::Lasting {
                dial = dial.property(Property::SessionExpiryInterval(EXPIRY_SECS));
            }
            if narrow {
                dial = dial.property(Property::ReceiveMaximum(1));
            }
        }
        if kind != Kind::Clean {
            dial = dial.resuming();
        }
        let client = dial.connect();
        let old = self.sessions[number].take();
        let old = old.filter(|session| kind != Kind::Clean && session.lasts);
        if v5 || kind == Kind::Lasting {
            assert_eq!(client.connack.session_present, old.is_some());
        }
        let mut session = old.unwrap_or_default();
        session.lasts = kind == Kind::Lasting;
        session.expiry_secs = v5.then_some(u64::from(EXPIRY_SECS));
        session.ends = None;
        self.sessions[number] = Some(session);
        self.connected[number] = Some(Connected {
            client,
            open: Vec::new(),
        });
    }

    fn publish(&mut self, number: usize, topic: usize, qos: u8) {
        let Some(connected) = &self.connected[number] else {
            return;
        };
        self.published += 1;
        let payload = self.published.to_string();
        let qos = QoS::from_u8(qos).unwrap();
        let publish = Publish {
            qos,
            ..qos0(TOPICS[topic], &payload)
        };
        assert!(!connected.client.publish(publish).is_error());
        let name = TopicName::new(TOPICS[topic]).unwrap();
        let number = self.published;
        let sent =
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| self.sent(number, qos));
        for (session, connected) in self.sessions.iter_mut().zip(&self.connected) {
            let Some(session) = session else { continue };
            let matching = session
                .filters
                .iter()
                .filter(|(filter, _)| TopicFilter::new(FILTERS[**filter]).unwrap().matches(name));
            let Some(granted) = matching.map(|(_, granted)| *granted).max() else {
                continue;
            };
            let delivered = granted.min(qos);
            match sent[usize::from(delivered.as_u8())] {
                None => {}
                Some(QoS::AtMostOnce) if delivered > QoS::AtMostOnce => {
                    session.lowered.insert(number);
                }
                Some(QoS::AtMostOnce) if connected.is_some() => {
                    session.offered.insert(number);
                }
                Some(QoS::AtMostOnce) => {}
                Some(qos) => session.owed.push((number, qos)),
            }
        }
    }

    /// Gives one of the verdicts that are awaited.
    fn decide(&self, which: usize) {
        let Some(judge) = &self.judge else { return };
        let waiting = judge.waiting();
        if waiting > 0 {
            judge.decide_as(&self.net, which % waiting, |payload| {
                verdict(payload.parse().unwrap())
            });
        }
    }

    /// What a client is sent of what is delivered to it at this quality.
    fn sent(&self, number: u32, qos: QoS) -> Option<QoS> {
        match self.judge.as_ref().map(|_| verdict(number)) {
            Some(Says::Deny) => None,
            Some(Says::Replace(change)) => Some(qos.min(change(parts_of_nothing()).qos())),
            _ => Some(qos),
        }
    }

    /// Reads all that has come to a client.
    fn read(&mut self, number: usize) {
        let Some(connected) = &mut self.connected[number] else {
            return;
        };
        let session = self.sessions[number].as_mut().unwrap();
        while let Some(packet) = connected.client.try_next() {
            match packet {
                OwnedPacket::Publish(publish) => {
                    session.see(&publish, self.judge.is_some());
                    if publish.qos != QoS::AtMostOnce {
                        connected.open.push(publish);
                    }
                }
                OwnedPacket::PubRel(pubrel) => {
                    session.received.remove(&pubrel.packet_id);
                    connected.client.pubcomp(pubrel.packet_id);
                }
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn acknowledge(&mut self, number: usize, which: usize) {
        let Some(connected) = &mut self.connected[number] else {
            return;
        };
        if connected.open.is_empty() {
            return;
        }
        let publish = connected.open.remove(which % connected.open.len());
        let id = publish.packet_id.unwrap();
        if publish.qos == QoS::AtLeastOnce {
            connected.client.puback(id);
        } else {
            connected.client.pubrec(id);
        }
    }

    fn end(&mut self, number: usize, how: impl FnOnce(&Client)) {
        self.read(number);
        let Some(connected) = self.connected[number].take() else {
            return;
        };
        how(&connected.client);
        self.leave(number);
    }

    fn leave(&mut self, number: usize) {
        match &mut self.sessions[number] {
            Some(session) if session.lasts => {
                session.ends = session.expiry_secs.map(|secs| self.secs + secs);
            }
            ended => *ended = None,
        }
    }

    fn crash(&mut self) {
        if !self.has_store {
            return;
        }
        for number in 0..CLIENTS {
            self.read(number);
            if self.connected[number].take().is_some() {
                self.leave(number);
            }
        }
        for session in self.sessions.iter_mut().flatten() {
            session.has_crashed = true;
        }
        self.net.crash_and_restart();
    }

    /// In the end everybody who has a session comes back and takes what is owed.
    fn settle(&mut self) {
        for number in 0..CLIENTS {
            if self.sessions[number]
                .as_ref()
                .is_none_or(|session| !session.lasts)
            {
                continue;
            }
            self.connect(number, true, Kind::Lasting, false);
            self.apply(&Step::AcknowledgeAll { client: number });
            while let Some(judge) = &self.judge
                && judge.waiting() > 0
            {
                self.decide(0);
                self.apply(&Step::AcknowledgeAll { client: number });
            }
            let session = self.sessions[number].as_ref().unwrap();
            let owed: Vec<u32> = session.owed.iter().map(|(message, _)| *message).collect();
            let mut seen = session.seen.clone();
            let mut firsts = HashSet::new();
            seen.retain(|message| firsts.insert(*message));
            assert_eq!(seen, owed, "all that is owed has been seen, in order");
        }
    }
}

impl Session {
    /// A message has arrived at the client.
    fn see(&mut self, publish: &OwnedPublish, is_decided: bool) {
        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
        let message: u32 = payload.trim_end_matches(MARK).parse().unwrap();
        let is_marked = payload.ends_with(MARK);
        let is_changed = is_decided
            && matches!(verdict(message), Says::Replace(it) if it(parts_of_nothing()).topic() == "marked");
        assert_eq!(is_marked, is_changed);
        assert_eq!(is_marked, publish.topic == "marked");
        let Some(id) = publish.packet_id else {
            assert!(
                self.offered.remove(&message) || self.lowered.remove(&message),
                "{message} was offered, and once"
            );
            // What comes from the queue is in the order of the queue.
            let earlier = self.seen_at_most_once.last();
            assert!(is_decided || earlier.is_none_or(|last| *last < message));
            self.seen_at_most_once.push(message);
            return;
        };
        let owed = self.owed.iter().find(|(owed, _)| *owed == message);
        assert_eq!(
            owed.map(|(_, qos)| *qos),
            Some(publish.qos),
            "{message} is owed"
        );
        let is_known = self.seen.contains(&message);
        // What a crash has found waiting for its verdict has an identifier, and may have been sent for
        // all that the next broker knows.
        let may_say_so = is_decided && self.has_crashed;
        let is_right = publish.dup == is_known || publish.dup && may_say_so;
        assert!(is_right, "DUP is right for {message}");
        if publish.qos == QoS::ExactlyOnce {
            let is_new = self.received.insert(id);
            assert_eq!(is_new, !is_known, "{message} is exactly once");
            if !is_new {
                return;
            }
        }
        if !is_known {
            let latest = self.seen.iter().max();
            assert!(
                latest.is_none_or(|latest| *latest < message),
                "{message} is in order"
            );
        }
        self.seen.push(message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 5_000, ..Default::default() })]

    #[test]
    fn every_client_receives_what_the_model_says(
        has_store in prop::bool::weighted(0.7),
        window in prop_oneof![Just(1), Just(3), Just(1_000)],
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        run(World::new(has_store, window, None), &steps);
    }

    #[test]
    fn and_so_it_does_where_somebody_decides_on_each_message(
        has_store in prop::bool::weighted(0.7),
        window in prop_oneof![Just(1), Just(3), Just(1_000)],
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        run(World::new(has_store, window, Some(judge())), &steps);
    }
}

fn run(mut world: World, steps: &[Step]) {
    for client in 0..CLIENTS {
        world.connect(client, client == 0, Kind::Lasting, false);
    }
    for step in steps {
        world.apply(step);
    }
    world.settle();
}
