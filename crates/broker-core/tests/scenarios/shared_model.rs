//! Random operations of the members of a shared subscription against a plain model of what the group
//! must receive.
//!
//! The model does not know who is chosen. It holds what was published while somebody was a member,
//! and what all of them together have seen of it: QoS 0 once if somebody was connected, and never
//! twice; QoS 1 never again once anybody has acknowledged it; QoS 2 never twice; nothing lost but
//! what the broker counts as dropped because no member was left.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use broker_core::{BrokerOptions, ShareStrategy};
use mqtt_codec::{OwnedPacket, OwnedPublish, PacketId, Property, Publish, QoS};
use proptest::prelude::*;

use crate::harness::*;

const MEMBERS: usize = 3;
const SHARE: &str = "$share/g/a/#";
const EXPIRY_SECS: u64 = 1_000;

#[derive(Clone, Debug)]
enum Step {
    Connect {
        member: usize,
        lasts: bool,
        narrow: bool,
    },
    Subscribe {
        member: usize,
    },
    Unsubscribe {
        member: usize,
    },
    Publish {
        qos: u8,
    },
    Read {
        member: usize,
    },
    Acknowledge {
        member: usize,
        which: usize,
    },
    Lose {
        member: usize,
    },
    Disconnect {
        member: usize,
    },
    Wait {
        secs: u64,
    },
    /// With a store: the broker crashes and another one starts.
    Crash,
    /// With a store: it fails for the next step.
    StoreFails {
        member: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0..MEMBERS;
    prop_oneof![
        4 => (member.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(member, lasts, narrow)| Step::Connect { member, lasts, narrow }),
        4 => member.clone().prop_map(|member| Step::Subscribe { member }),
        1 => member.clone().prop_map(|member| Step::Unsubscribe { member }),
        12 => (0..3_u8).prop_map(|qos| Step::Publish { qos }),
        4 => member.clone().prop_map(|member| Step::Read { member }),
        6 => (member.clone(), any::<usize>())
            .prop_map(|(member, which)| Step::Acknowledge { member, which }),
        3 => member.clone().prop_map(|member| Step::Lose { member }),
        1 => member.clone().prop_map(|member| Step::Disconnect { member }),
        1 => prop_oneof![Just(1), Just(600)].prop_map(|secs| Step::Wait { secs }),
        1 => Just(Step::Crash),
        1 => member.prop_map(|member| Step::StoreFails { member }),
    ]
}

#[derive(Default)]
struct Session {
    lasts: bool,
    /// When it ends, while its client is away; in seconds of the test.
    ends: Option<u64>,
    /// Whether the store does not know when its client left.
    left_unnoticed: bool,
    is_member: bool,
    /// Messages that its client was sent, with an identifier.
    sent: HashSet<u32>,
    /// Identifiers at QoS 2 that were received and not released.
    received: HashMap<PacketId, u32>,
}

struct Connected {
    client: Client,
    /// Read and not acknowledged.
    open: Vec<OwnedPublish>,
}

struct World {
    net: Net,
    store: Option<std::sync::Arc<crate::harness::store::Store>>,
    granted: u8,
    secs: u64,
    sessions: [Option<Session>; MEMBERS],
    connected: [Option<Connected>; MEMBERS],
    published: u32,
    /// Published at QoS 0 while somebody was connected.
    offered: HashSet<u32>,
    seen_at_most_once: HashSet<u32>,
    /// Published at QoS 1 or 2 while somebody was a member.
    owed: HashSet<u32>,
    /// At QoS 1 acknowledged, at QoS 2 received.
    settled: HashSet<u32>,
    /// Not acknowledged when the broker crashed, with sessions that were not in the store.
    excused: HashSet<u32>,
    /// What former brokers have counted as dropped.
    dropped_before: u64,
    has_crashed: bool,
}

impl World {
    fn new(has_store: bool, granted: u8, strategy: ShareStrategy) -> Self {
        let options = BrokerOptions {
            max_inflight: 3,
            topic_cache_entries: 2,
            // With a store, what is behind is read from it.
            queue_window_messages: 2,
            shared_subscription_strategy: strategy,
            ..Default::default()
        };
        let (net, store) = if has_store {
            let (net, store) = Net::with_store(options);
            (net, Some(store))
        } else {
            (Net::with(options), None)
        };
        Self {
            net,
            store,
            granted,
            secs: 0,
            sessions: Default::default(),
            connected: Default::default(),
            published: 0,
            offered: HashSet::new(),
            seen_at_most_once: HashSet::new(),
            owed: HashSet::new(),
            settled: HashSet::new(),
            excused: HashSet::new(),
            dropped_before: 0,
            has_crashed: false,
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Connect {
                member,
                lasts,
                narrow,
            } => self.connect(member, lasts, narrow),
            Step::Subscribe { member } => {
                if let Some(connected) = &self.connected[member] {
                    connected.client.subscribe(SHARE, self.granted);
                    self.sessions[member].as_mut().unwrap().is_member = true;
                }
            }
            Step::Unsubscribe { member } => {
                if let Some(connected) = &self.connected[member] {
                    connected.client.unsubscribe(SHARE);
                    self.sessions[member].as_mut().unwrap().is_member = false;
                }
            }
            Step::Publish { qos } => self.publish(qos),
            Step::Read { member } => self.read(member),
            Step::Acknowledge { member, which } => self.acknowledge(member, which),
            Step::Lose { member } => self.end(member, |client| client.lose()),
            Step::Disconnect { member } => self.end(member, |client| client.disconnect()),
            Step::Wait { secs } => self.wait(secs),
            Step::Crash => self.crash(),
            Step::StoreFails { member } => {
                // The end of a session whose removal fails comes again with the next broker; a
                // session that lasts goes on, with all that it could not give away.
                let lasts = self.sessions[member].as_ref().is_some_and(|it| it.lasts);
                if let (Some(store), true) = (self.store.clone(), lasts) {
                    self.read(member);
                    store.set_mood(Mood::Failing);
                    let connected = self.connected[member].is_some();
                    self.end(member, |client| client.lose());
                    store.set_mood(Mood::Willing);
                    self.sessions[member].as_mut().unwrap().left_unnoticed |= connected;
                    self.wait(1);
                }
            }
        }
    }

    fn wait(&mut self, secs: u64) {
        self.net.advance(Duration::from_secs(secs));
        self.secs += secs;
        for session in &mut self.sessions {
            let ends = session.as_ref().and_then(|session| session.ends);
            if ends.is_some_and(|ends| ends <= self.secs) {
                *session = None;
            }
        }
        self.excuse_the_unread();
    }

    fn connect(&mut self, number: usize, lasts: bool, narrow: bool) {
        self.read(number);
        self.connected[number] = None;
        let mut dial = self.net.dial(&format!("member-{number}")).v5();
        if lasts {
            let secs = u32::try_from(EXPIRY_SECS).unwrap();
            dial = dial
                .property(Property::SessionExpiryInterval(secs))
                .resuming();
        }
        if narrow {
            dial = dial.property(Property::ReceiveMaximum(1));
        }
        let client = dial.connect();
        let old = self.sessions[number].take();
        let old = old.filter(|session| lasts && session.lasts);
        if old.is_none() {
            self.excuse_the_unread();
        }
        assert_eq!(client.connack.session_present, old.is_some());
        let mut session = old.unwrap_or_default();
        session.lasts = lasts;
        session.ends = None;
        session.left_unnoticed = false;
        self.sessions[number] = Some(session);
        let open = Vec::new();
        self.connected[number] = Some(Connected { client, open });
    }

    fn publish(&mut self, qos: u8) {
        self.published += 1;
        let payload = self.published.to_string();
        let publish = Publish {
            qos: QoS::from_u8(qos).unwrap(),
            ..qos0("a/b", &payload)
        };
        self.net.connect("publisher").publish(publish);
        let mut members = self.sessions.iter().zip(&self.connected);
        let is_member = |session: &Option<Session>| session.as_ref().is_some_and(|it| it.is_member);
        if qos == 0 {
            if members.any(|(session, connected)| is_member(session) && connected.is_some()) {
                self.offered.insert(self.published);
            }
        } else if members.any(|(session, _)| is_member(session)) {
            self.owed.insert(self.published);
        }
    }

    /// Reads all that has come to a client.
    fn read(&mut self, number: usize) {
        while let Some(connected) = &mut self.connected[number] {
            match connected.client.try_next() {
                None => return,
                Some(OwnedPacket::Publish(publish)) => self.see(number, publish),
                Some(OwnedPacket::PubRel(pubrel)) => {
                    let session = self.sessions[number].as_mut().unwrap();
                    session.received.remove(&pubrel.packet_id);
                    connected.client.pubcomp(pubrel.packet_id);
                }
                Some(other) => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn see(&mut self, number: usize, publish: OwnedPublish) {
        let message: u32 = String::from_utf8_lossy(&publish.payload).parse().unwrap();
        let Some(id) = publish.packet_id else {
            assert!(self.offered.contains(&message), "{message} was offered");
            assert!(
                self.seen_at_most_once.insert(message),
                "{message} came twice"
            );
            return;
        };
        assert!(self.owed.contains(&message), "{message} is owed");
        let session = self.sessions[number].as_mut().unwrap();
        assert!(
            !publish.dup || session.sent.contains(&message),
            "DUP for {message}"
        );
        session.sent.insert(message);
        match publish.qos {
            QoS::ExactlyOnce => match session.received.insert(id, message) {
                Some(known) => assert_eq!(known, message),
                None => assert!(self.settled.insert(message), "{message} came twice"),
            },
            _ => assert!(
                !self.settled.contains(&message),
                "{message} was acknowledged"
            ),
        }
        self.connected[number].as_mut().unwrap().open.push(publish);
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
            let message = String::from_utf8_lossy(&publish.payload);
            self.settled.insert(message.parse().unwrap());
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
            Some(session) if session.lasts => session.ends = Some(self.secs + EXPIRY_SECS),
            ended => *ended = None,
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped_before + self.net.broker().counters().dropped_shared.get()
    }

    fn crash(&mut self) {
        if self.store.is_none() {
            return;
        }
        for number in 0..MEMBERS {
            self.read(number);
            let transient = self.sessions[number].as_ref().is_some_and(|it| !it.lasts);
            if self.connected[number].take().is_some() {
                self.leave(number);
                if transient {
                    self.excused.extend(self.owed.difference(&self.settled));
                }
            }
        }
        for session in self.sessions.iter_mut().flatten() {
            if core::mem::take(&mut session.left_unnoticed) {
                session.ends = Some(self.secs + EXPIRY_SECS);
            }
        }
        self.dropped_before = self.dropped();
        self.has_crashed = true;
        self.net.crash_and_restart();
    }

    /// A session has ended. Where nobody shares anything any more, what only the store knew of it is not
    /// read, and so not counted.
    fn excuse_the_unread(&mut self) {
        let mut sessions = self.sessions.iter().flatten();
        if self.has_crashed && !sessions.any(|session| session.is_member) {
            self.excused.extend(self.owed.difference(&self.settled));
        }
    }

    /// In the end everybody who has a session comes back and takes what there is for him.
    fn settle(&mut self) {
        for number in 0..MEMBERS {
            let lasts = self.sessions[number].as_ref().is_some_and(|it| it.lasts);
            if lasts && self.connected[number].is_none() {
                self.connect(number, true, false);
            }
        }
        self.wait(1);
        for number in 0..MEMBERS {
            self.read(number);
            let is_open =
                |it: &Option<Connected>| it.as_ref().is_some_and(|it| !it.open.is_empty());
            while is_open(&self.connected[number]) {
                self.acknowledge(number, 0);
                self.read(number);
            }
        }
        assert_eq!(
            self.seen_at_most_once, self.offered,
            "QoS 0 went to one of them"
        );
        let missing: Vec<u32> = self.owed.difference(&self.settled).copied().collect();
        let excused = missing.iter().filter(|it| self.excused.contains(it));
        let lost = (missing.len() - excused.count()) as u64;
        let dropped = self.dropped();
        assert!(
            lost <= dropped,
            "{missing:?} are missing, {dropped} were dropped"
        );
        if self.excused.is_empty() {
            assert_eq!(lost, dropped, "{missing:?} are missing");
        }
    }
}

fn strategy() -> impl Strategy<Value = ShareStrategy> {
    prop::sample::select(vec![
        ShareStrategy::RoundRobin,
        ShareStrategy::Random,
        ShareStrategy::Sticky,
        ShareStrategy::LeastInflight,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 5_000, ..Default::default() })]

    #[test]
    fn a_group_receives_what_the_model_says(
        has_store in any::<bool>(),
        granted in 1..=2_u8,
        strategy in strategy(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new(has_store, granted, strategy);
        for member in 0..MEMBERS {
            world.connect(member, true, false);
            world.apply(&Step::Subscribe { member });
        }
        for step in &steps {
            world.apply(step);
        }
        world.settle();
    }
}
