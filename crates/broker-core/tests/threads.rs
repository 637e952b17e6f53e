//! Many connections on several threads that take each other's sessions over, publish to each other
//! and end, while time passes: nothing deadlocks, nothing is left, the books are right.

#![expect(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use broker_core::{Broker, BrokerOptions, CloseCause, Connection, Effects, Output, Timestamp};
use mqtt_codec::{
    Connect, Packet, PacketId, Properties, PropertiesBuf, Property, PubAck, Publish, QoS,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
    Version, Will,
};

const THREADS: u64 = 4;
const ROUNDS: u64 = 3_000;
const CLIENTS: [&str; 3] = ["one", "two", "three"];
const TOPICS: [&str; 3] = ["a", "a/b", "gone"];
const FILTERS: [&str; 4] = ["a", "a/#", "+", "gone"];

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
        (sizes.sessions, sizes.subscriptions, sizes.deadlines),
        (0, 0, 0),
        "{sizes:?}"
    );
}
