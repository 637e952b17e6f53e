//! Many connections on several threads that take each other's sessions over, publish to each other
//! join and leave shared subscriptions, and end, while time passes: nothing deadlocks, nothing is left, the books are right.

#![expect(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use broker_core::{
    Broker, BrokerOptions, Client, CloseCause, Connection, Effects, ForwardRequest, ForwardVerdict,
    HookSet, Hooks, Outbox, Output, Timestamp, Verdict,
};
use mqtt_codec::{
    Connect, Decoded, Packet, PacketId, Properties, PropertiesBuf, Property, PubAck, Publish, QoS,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
    Version, Will, decode,
};

const THREADS: u64 = 4;
const ROUNDS: u64 = 3_000;
const CLIENTS: [&str; 3] = ["one", "two", "three"];
const TOPICS: [&str; 3] = ["a", "a/b", "gone"];
const FILTERS: [&str; 7] = [
    "a",
    "a/#",
    "+",
    "gone",
    "$share/g/a",
    "$share/g/+",
    "$share/h/a/#",
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.get(self.below(choices.len())).expect("in range")
    }
}

/// The driver's duty, without a store.
fn settle(connection: &mut Connection, now: Timestamp, effects: &mut Effects) {
    // Where there are hooks, CONNECT is settled here.
    let mut nobody = Context::from_waker(Waker::noop());
    let settled = connection.poll_verdict(now, &mut nobody, effects);
    assert!(settled.is_ready(), "nobody thinks about who comes in");
    effects.batch().drain().for_each(drop);
    connection.handle_committed_now(now, effects);
    while let Output::Write(outbox) = connection.poll_output(now, Waker::noop(), effects) {
        effects.batch().drain().for_each(drop);
        connection.handle_committed_now(now, effects);
        effects.recycle(outbox);
    }
    effects.batch().drain().for_each(drop);
    connection.handle_committed_now(now, effects);
    effects.wake();
}

fn connect(
    random: &mut Random,
    connection: &mut Connection,
    now: Timestamp,
    effects: &mut Effects,
) {
    let mut properties = PropertiesBuf::new();
    let expiry = random.one_of(&[0, 0, 1, 100]);
    properties
        .push(Property::SessionExpiryInterval(expiry))
        .expect("in range");
    let connect = Connect {
        clean_start: random.below(3) == 0,
        keep_alive: random.one_of(&[0, 1]),
        will: (random.below(2) == 0).then_some(Will::new("gone", b"w")),
        properties: properties.as_properties(),
        ..Connect::new(Version::V5, random.one_of(&CLIENTS))
    };
    connection.handle_packet(now, Packet::Connect(connect), effects);
}

fn packet(random: &mut Random, connection: &mut Connection, now: Timestamp, effects: &mut Effects) {
    let packet_id = PacketId::MIN;
    match random.below(8) {
        0 | 1 => {
            let mut filters = SubscribeFiltersBuf::new();
            let options = SubscriptionOptions::new(QoS::AtLeastOnce);
            filters
                .push(random.one_of(&FILTERS), options)
                .expect("a string");
            let properties = Properties::EMPTY;
            let filters = filters.as_filters();
            let subscribe = Subscribe {
                packet_id,
                properties,
                filters,
            };
            connection.handle_packet(now, Packet::Subscribe(subscribe), effects);
        }
        2 => {
            let mut filters = UnsubscribeFiltersBuf::new();
            filters.push(random.one_of(&FILTERS)).expect("a string");
            let properties = Properties::EMPTY;
            let filters = filters.as_filters();
            let unsubscribe = Unsubscribe {
                packet_id,
                properties,
                filters,
            };
            connection.handle_packet(now, Packet::Unsubscribe(unsubscribe), effects);
        }
        3 => {
            let id = PacketId::new(random.below(20) as u16 + 1).expect("not zero");
            connection.handle_packet(now, Packet::PubAck(PubAck::new(id)), effects);
        }
        _ => {
            let qos = random.one_of(&[QoS::AtMostOnce, QoS::AtLeastOnce]);
            let publish = Publish {
                qos,
                packet_id: (qos != QoS::AtMostOnce).then_some(packet_id),
                ..Publish::new(random.one_of(&TOPICS), b"x")
            };
            connection.handle_packet(now, Packet::Publish(publish), effects);
        }
    }
}

fn work(seed: u64, broker: &Arc<Broker>, clock: &AtomicU64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut effects = Effects::new();
    for _ in 0..ROUNDS {
        let now = || Timestamp::from_millis(clock.fetch_add(1, Ordering::Relaxed));
        let mut connection = Connection::new(broker, now());
        connect(&mut random, &mut connection, now(), &mut effects);
        settle(&mut connection, now(), &mut effects);
        for _ in 0..random.below(12) {
            packet(&mut random, &mut connection, now(), &mut effects);
            settle(&mut connection, now(), &mut effects);
        }
        match random.below(4) {
            // As a cancelled driver would leave it.
            0 => {}
            _ => connection.close(now(), CloseCause::ConnectionLost, &mut effects),
        }
        settle(&mut connection, now(), &mut effects);
    }
}

/// A hook that answers one question after the other in each way that there is.
#[derive(Default)]
struct Judge(AtomicU64);

impl Hooks for Judge {
    fn wanted(&self) -> HookSet {
        HookSet {
            authorize_forward: true,
            ..HookSet::NONE
        }
    }

    fn authorize_forward(
        &self,
        _client: &Arc<Client>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let message = Arc::clone(forward.message);
        match self.0.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => Verdict::Ready(ForwardVerdict::Allow),
            1 => Verdict::Ready(ForwardVerdict::Deny),
            2 => Verdict::Ready(ForwardVerdict::Replace(message)),
            _ => Verdict::pending(async move {
                think().await;
                ForwardVerdict::Replace(message)
            }),
        }
    }
}

/// Is ready when it is asked for the second time.
async fn think() {
    let mut asked = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn threads_that_fight_over_sessions_leave_nothing_behind() {
    fight(None);
}

#[test]
fn nor_do_they_where_somebody_decides_on_each_message() {
    let judge = Arc::new(Judge::default());
    fight(Some(Arc::clone(&judge) as _));
    assert!(judge.0.load(Ordering::Relaxed) > 0, "it was asked");
}

/// Tells a thread that it was woken.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Who has seen all that he wants does not listen any more.
        let _heard = self.0.send(());
    }
}

/// The receiver does nothing unless it is woken, and is so for all that it is to be asked about.
#[test]
fn whoever_is_to_be_asked_about_is_woken() {
    const PUBLISHERS: u64 = 2;
    const MESSAGES: u64 = 5_000;
    let judge = Arc::new(Judge::default());
    let hooks: Arc<dyn Hooks> = Arc::clone(&judge) as _;
    let broker = Broker::new(BrokerOptions {
        hooks: Some(hooks),
        max_inflight: 4,
        ..Default::default()
    });
    let now = Timestamp::from_millis(1_000_000);
    let mut effects = Effects::new();
    let mut receiver = join(&broker, "receiver", now, &mut effects);
    let (bell, calls) = mpsc::channel();
    let waker = Waker::from(Arc::new(Bell(bell)));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let broker = Arc::clone(&broker);
            std::thread::spawn(move || {
                let qualities = [QoS::AtMostOnce, QoS::AtLeastOnce].into_iter().cycle();
                let messages = (0..MESSAGES).zip(qualities);
                let messages = messages.map(|(message, qos)| (qos, message.to_string()));
                publish(&broker, number, messages, || now);
            })
        })
        .collect();
    while judge.0.load(Ordering::Relaxed) < PUBLISHERS * MESSAGES {
        while let Output::Write(outbox) = receiver.poll_output(now, &waker, &mut effects) {
            for packet_id in publications(outbox).filter_map(|(id, _)| id) {
                let puback = Packet::PubAck(PubAck::new(packet_id));
                receiver.handle_packet(now, puback, &mut effects);
            }
            effects.batch().drain().for_each(drop);
            receiver.handle_committed_now(now, &mut effects);
        }
        if judge.0.load(Ordering::Relaxed) < PUBLISHERS * MESSAGES {
            let called = calls.recv_timeout(Duration::from_secs(60));
            called.expect("somebody calls within a minute");
        }
    }
    for publisher in publishers {
        publisher.join().expect("no thread has panicked");
    }
    receiver.close(now, CloseCause::ConnectionLost, &mut effects);
    settle(&mut receiver, now, &mut effects);
    broker.check_invariants();
    assert_eq!(broker.counters().dropped_slow_reader.get(), 0);
}

fn fight(hooks: Option<Arc<dyn Hooks>>) {
    let options = BrokerOptions {
        max_inflight: 3,
        max_queued_messages: 10,
        hooks,
        ..Default::default()
    };
    let broker = Broker::new(options);
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let workers: Vec<_> = (1..=THREADS)
        .map(|seed| {
            let (broker, clock) = (Arc::clone(&broker), Arc::clone(&clock));
            std::thread::spawn(move || work(seed, &broker, &clock))
        })
        .collect();
    let mut effects = Effects::new();
    let mut look = |now| {
        broker.handle_timeout(now, &mut effects);
        effects.batch().drain().for_each(drop);
        broker.handle_committed(now, effects.take_ticket(), &mut effects);
        effects.wake();
    };
    while workers.iter().any(|worker| !worker.is_finished()) {
        look(Timestamp::from_millis(clock.load(Ordering::Relaxed)));
        std::thread::yield_now();
    }
    for worker in workers {
        worker.join().expect("no thread has panicked");
    }
    broker.check_invariants();
    let end = Timestamp::from_millis(clock.load(Ordering::Relaxed)) + Duration::from_secs(1_000);
    look(end);
    let sizes = broker.sizes();
    assert_eq!(
        (
            sizes.sessions,
            sizes.subscriptions,
            sizes.shared_subscriptions,
            sizes.deadlines
        ),
        (0, 0, 0, 0),
        "{sizes:?}"
    );
}

/// Members of one group that come and go while others publish to it: each message at QoS 1 is
/// acknowledged by one of them, for one at least stays until the last has come.
#[test]
fn members_that_come_and_go_lose_nothing_of_what_they_share() {
    const PUBLISHERS: u64 = 2;
    const MEMBERS: u64 = 3;
    const MESSAGES: u64 = 3_000;
    let broker = Broker::new(BrokerOptions {
        max_inflight: 4,
        ..Default::default()
    });
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let seen: Arc<Vec<AtomicU64>> = Arc::new(
        (0..PUBLISHERS * MESSAGES)
            .map(|_| AtomicU64::new(0))
            .collect(),
    );
    // It stays, reads nothing until all was published, and then takes what is left.
    let mut effects = Effects::new();
    let now = |clock: &AtomicU64| Timestamp::from_millis(clock.fetch_add(1, Ordering::Relaxed));
    let mut last = join(&broker, "last", now(&clock), &mut effects);
    // It reads nothing either and goes, so that some messages have to move however threads run.
    let mut leaving = join(&broker, "leaving", now(&clock), &mut effects);
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let (broker, clock) = (Arc::clone(&broker), Arc::clone(&clock));
            std::thread::spawn(move || {
                let messages = (0..MESSAGES).map(|message| number * MESSAGES + message);
                let messages = messages.map(|payload| (QoS::AtLeastOnce, payload.to_string()));
                publish(&broker, number, messages, || now(&clock));
            })
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let members: Vec<_> = (1..=MEMBERS)
        .map(|number| {
            let (broker, clock) = (Arc::clone(&broker), Arc::clone(&clock));
            let (seen, done) = (Arc::clone(&seen), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut random = Random(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
                let mut effects = Effects::new();
                while !done.load(Ordering::Relaxed) {
                    let name = format!("member-{number}");
                    let mut member = join(&broker, &name, now(&clock), &mut effects);
                    for _ in 0..random.below(20) {
                        take(&mut member, now(&clock), &mut effects, &seen);
                    }
                    // What it was sent and has not acknowledged goes to the others.
                    member.close(now(&clock), CloseCause::ConnectionLost, &mut effects);
                    settle(&mut member, now(&clock), &mut effects);
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().expect("no thread has panicked");
    }
    done.store(true, Ordering::Relaxed);
    for member in members {
        member.join().expect("no thread has panicked");
    }
    leaving.close(now(&clock), CloseCause::ConnectionLost, &mut effects);
    settle(&mut leaving, now(&clock), &mut effects);
    while take(&mut last, now(&clock), &mut effects, &seen) > 0 {}
    last.close(now(&clock), CloseCause::ConnectionLost, &mut effects);
    settle(&mut last, now(&clock), &mut effects);
    broker.check_invariants();
    let missing = seen
        .iter()
        .filter(|count| count.load(Ordering::Relaxed) == 0);
    assert_eq!(missing.count(), 0, "each message was acknowledged");
    let twice = seen
        .iter()
        .filter(|count| count.load(Ordering::Relaxed) > 1);
    assert_eq!(twice.count(), 0, "and by one member");
    assert_eq!(broker.counters().dropped_shared.get(), 0);
    assert!(
        broker.counters().redistributed_shared.get() > 0,
        "some have moved"
    );
    let sizes = broker.sizes();
    assert_eq!(
        (sizes.sessions, sizes.shared_subscriptions),
        (0, 0),
        "{sizes:?}"
    );
}

/// A member of the group, whose session ends with its connection.
fn join(broker: &Arc<Broker>, name: &str, now: Timestamp, effects: &mut Effects) -> Connection {
    let mut member = Connection::new(broker, now);
    let connect = Connect::new(Version::V311, name);
    member.handle_packet(now, Packet::Connect(connect), effects);
    settle(&mut member, now, effects);
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    filters.push("$share/g/a", options).expect("a string");
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    };
    member.handle_packet(now, Packet::Subscribe(subscribe), effects);
    effects.batch().drain().for_each(drop);
    member.handle_committed_now(now, effects);
    effects.wake();
    member
}

/// Connects, publishes all of this to "a", and goes.
fn publish(
    broker: &Arc<Broker>,
    number: u64,
    messages: impl Iterator<Item = (QoS, String)>,
    now: impl Fn() -> Timestamp,
) {
    let mut effects = Effects::new();
    let mut connection = Connection::new(broker, now());
    let client = format!("publisher-{number}");
    let connect = Connect::new(Version::V311, &client);
    connection.handle_packet(now(), Packet::Connect(connect), &mut effects);
    settle(&mut connection, now(), &mut effects);
    for (qos, payload) in messages {
        let publish = Publish {
            qos,
            packet_id: (qos != QoS::AtMostOnce).then_some(PacketId::MIN),
            ..Publish::new("a", payload.as_bytes())
        };
        connection.handle_packet(now(), Packet::Publish(publish), &mut effects);
        settle(&mut connection, now(), &mut effects);
    }
    connection.close(now(), CloseCause::ConnectionLost, &mut effects);
    settle(&mut connection, now(), &mut effects);
}

/// The messages that are in there: identifier and payload of each.
fn publications(mut outbox: Outbox) -> impl Iterator<Item = (Option<PacketId>, String)> {
    let mut bytes = Vec::new();
    while !outbox.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[])];
        outbox.slices(&mut slices);
        let [slice] = slices;
        let length = slice.len();
        bytes.extend_from_slice(&slice);
        outbox.advance(length);
    }
    let mut found = Vec::new();
    let mut rest = bytes.as_slice();
    while let Ok(Decoded::Packet { packet, size }) = decode(rest, Version::V311, usize::MAX) {
        if let Packet::Publish(publish) = packet {
            let payload = String::from_utf8_lossy(publish.payload).into_owned();
            found.push((publish.packet_id, payload));
        }
        rest = rest.get(size..).expect("a part of it");
    }
    found.into_iter()
}

/// Reads what has come to a member, and acknowledges it. Returns how many messages they were.
fn take(
    member: &mut Connection,
    now: Timestamp,
    effects: &mut Effects,
    seen: &[AtomicU64],
) -> usize {
    let mut ids = Vec::new();
    while let Output::Write(outbox) = member.poll_output(now, Waker::noop(), effects) {
        ids.extend(publications(outbox).map(|(id, payload)| {
            let number: usize = payload.parse().expect("a number");
            (id.expect("QoS 1"), number)
        }));
        effects.batch().drain().for_each(drop);
        member.handle_committed_now(now, effects);
    }
    for (id, number) in &ids {
        let count = seen.get(*number).expect("it was published");
        count.fetch_add(1, Ordering::Relaxed);
        member.handle_packet(now, Packet::PubAck(PubAck::new(*id)), effects);
    }
    effects.batch().drain().for_each(drop);
    member.handle_committed_now(now, effects);
    effects.wake();
    ids.len()
}
