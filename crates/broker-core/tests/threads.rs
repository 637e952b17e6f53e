//! Many connections on several threads that take each other's sessions over, publish to each other
//! join and leave shared subscriptions, and end, while time passes: nothing deadlocks, nothing is left, the books are right.

#![expect(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use broker_core::{Broker, BrokerOptions, CloseCause, Connection, Effects, Output, Timestamp};
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

#[test]
fn threads_that_fight_over_sessions_leave_nothing_behind() {
    let options = BrokerOptions {
        max_inflight: 3,
        max_queued_messages: 10,
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
                let mut effects = Effects::new();
                let mut connection = Connection::new(&broker, now(&clock));
                let client = format!("publisher-{number}");
                let connect = Connect::new(Version::V311, &client);
                connection.handle_packet(now(&clock), Packet::Connect(connect), &mut effects);
                settle(&mut connection, now(&clock), &mut effects);
                for message in 0..MESSAGES {
                    let payload = (number * MESSAGES + message).to_string();
                    let publish = Publish {
                        qos: QoS::AtLeastOnce,
                        packet_id: Some(PacketId::MIN),
                        ..Publish::new("a", payload.as_bytes())
                    };
                    connection.handle_packet(now(&clock), Packet::Publish(publish), &mut effects);
                    settle(&mut connection, now(&clock), &mut effects);
                }
                connection.close(now(&clock), CloseCause::ConnectionLost, &mut effects);
                settle(&mut connection, now(&clock), &mut effects);
            })
        })
        .collect();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
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

/// Reads what has come to a member, and acknowledges it. Returns how many messages they were.
fn take(
    member: &mut Connection,
    now: Timestamp,
    effects: &mut Effects,
    seen: &[AtomicU64],
) -> usize {
    let mut ids = Vec::new();
    while let Output::Write(mut outbox) = member.poll_output(now, Waker::noop(), effects) {
        let mut bytes = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [std::io::IoSlice::new(&[])];
            outbox.slices(&mut slices);
            let [slice] = slices;
            let length = slice.len();
            bytes.extend_from_slice(&slice);
            outbox.advance(length);
        }
        let mut rest = bytes.as_slice();
        while let Ok(Decoded::Packet { packet, size }) = decode(rest, Version::V311, usize::MAX) {
            if let Packet::Publish(publish) = packet {
                let number = String::from_utf8_lossy(publish.payload);
                let number: usize = number.parse().expect("a number");
                ids.push((publish.packet_id.expect("QoS 1"), number));
            }
            rest = rest.get(size..).expect("a part of it");
        }
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
