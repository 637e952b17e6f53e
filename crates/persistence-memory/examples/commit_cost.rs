//! What the store costs: nanoseconds for each operation, and bytes for each record.
//!
//! `cargo run --release -p persistence-memory --example commit_cost`. Every figure of time is the
//! best of many short rounds, so that other programs on the machine disturb it little. Bytes are the growth of the process's resident memory (Linux only), so they contain
//! what the allocator adds.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program to be run by hand, which prints"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::{
    Answer, Batch, InflightStage, Operation, Persistence, SessionKey, StoredSession,
    SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_memory::{MemoryLimits, MemoryPersistence};

const ROUNDS: u32 = 5;

/// Steps in a round: little enough to fit between two interruptions.
const STEPS: u32 = 2_000;
const SESSIONS: usize = 100_000;
const TOPICS: usize = 50_000;

fn main() {
    for (name, make) in [
        (
            "without limits",
            MemoryPersistence::new as fn() -> MemoryPersistence,
        ),
        ("with limits", || {
            MemoryPersistence::with_limits(MemoryLimits::default())
        }),
    ] {
        println!("{name}");
        one_session(make, 0);
        one_session(make, 1_000);
        one_session(make, 100_000);
        qos_2(make);
        many_sessions(make);
        fan_out(make);
        retained(make);
        drop_a_long_queue(make);
    }
    memory();
}

/// A message comes and goes, each in a batch of its own, behind others that wait.
fn one_session(make: fn() -> MemoryPersistence, waiting: u64) {
    let store = make();
    let key = key(0);
    let message = message("plant/1/pressure");
    let mut batch = Batch::new();
    commit(&store, &mut batch, [put_session(&key)]);
    for sequence in 0..waiting {
        commit(&store, &mut batch, [enqueue(&key, sequence, &message)]);
    }
    let mut next = waiting;
    let took = best(200_000, || {
        commit(&store, &mut batch, [enqueue(&key, next, &message)]);
        commit(&store, &mut batch, [dequeue(&key, next - waiting)]);
        next += 1;
    });
    println!("  enqueue + dequeue, {waiting:>6} waiting        {took:>7.1} ns");
}

/// What one QoS 2 delivery and one QoS 2 publish cost, in six batches.
fn qos_2(make: fn() -> MemoryPersistence) {
    let store = make();
    let key = key(0);
    let message = message("plant/1/pressure");
    let mut batch = Batch::new();
    commit(&store, &mut batch, [put_session(&key)]);
    let packet_id = PacketId::MAX;
    let mut sequence = 0;
    let took = best(100_000, || {
        let session = || key.clone();
        let received = Operation::IncomingReceived {
            session: session(),
            packet_id,
        };
        let released = Operation::IncomingReleased {
            session: session(),
            packet_id,
        };
        let mark = |stage| Operation::MarkInflight {
            session: session(),
            sequence,
            packet_id,
            stage,
        };
        commit(&store, &mut batch, [received]);
        commit(&store, &mut batch, [enqueue(&key, sequence, &message)]);
        commit(&store, &mut batch, [released]);
        commit(&store, &mut batch, [mark(InflightStage::Published)]);
        commit(&store, &mut batch, [mark(InflightStage::Released)]);
        commit(&store, &mut batch, [dequeue(&key, sequence)]);
        sequence += 1;
    });
    println!("  QoS 2 in and out, six batches           {took:>7.1} ns");
}

/// As [`one_session`], each time another session of many.
fn many_sessions(make: fn() -> MemoryPersistence) {
    let store = make();
    let keys: Vec<SessionKey> = (0..SESSIONS).map(key).collect();
    let message = message("plant/1/pressure");
    let mut batch = Batch::new();
    commit(&store, &mut batch, keys.iter().map(put_session));
    let mut at = 0;
    let took = best(200_000, || {
        at = (at + 48_271) % SESSIONS;
        commit(&store, &mut batch, [enqueue(&keys[at], 1, &message)]);
        commit(&store, &mut batch, [dequeue(&keys[at], 1)]);
    });
    println!("  enqueue + dequeue, 100,000 sessions     {took:>7.1} ns");
}

/// One message for a thousand sessions in a batch, then a batch that removes it.
fn fan_out(make: fn() -> MemoryPersistence) {
    let store = make();
    let keys: Vec<SessionKey> = (0..1_000).map(key).collect();
    let message = message("plant/1/pressure");
    let mut batch = Batch::new();
    commit(&store, &mut batch, keys.iter().map(put_session));
    let took = best(100, || {
        commit(
            &store,
            &mut batch,
            keys.iter().map(|key| enqueue(key, 1, &message)),
        );
        commit(&store, &mut batch, keys.iter().map(|key| dequeue(key, 1)));
    });
    println!(
        "  enqueue + dequeue, batches of 1,000     {:>7.1} ns",
        took / 1_000.0
    );
}

fn retained(make: fn() -> MemoryPersistence) {
    let store = make();
    let messages: Vec<_> = (0..TOPICS)
        .map(|at| message(&format!("plant/{at}/pressure")))
        .collect();
    let mut batch = Batch::new();
    let put = |message: &Arc<Message>| Operation::PutRetained {
        message: Arc::clone(message),
    };
    commit(&store, &mut batch, messages.iter().map(put));
    let mut at = 0;
    let took = best(200_000, || {
        at = (at + 48_271) % TOPICS;
        commit(&store, &mut batch, [put(&messages[at])]);
    });
    println!("  replace a retained message of 50,000    {took:>7.1} ns");
    let took = best(5, || {
        let mut after: Option<String> = None;
        loop {
            let page = ready(store.retained(None, after.as_deref(), 1_000));
            let Some(last) = page.last() else { break };
            after = Some(last.topic().to_owned());
        }
    });
    println!(
        "  read a retained message, by pages       {:>7.1} ns",
        took / TOPICS as f64
    );
}

fn drop_a_long_queue(make: fn() -> MemoryPersistence) {
    let key = key(0);
    let message = message("plant/1/pressure");
    for messages in [100_000_u64, 1_000_000] {
        let mut fastest = Duration::MAX;
        for _ in 0..ROUNDS {
            let store = make();
            let mut batch = Batch::new();
            commit(&store, &mut batch, [put_session(&key)]);
            let fill = (0..messages).map(|sequence| enqueue(&key, sequence, &message));
            commit(&store, &mut batch, fill);
            let start = Instant::now();
            commit(
                &store,
                &mut batch,
                [Operation::DropSession {
                    session: key.clone(),
                }],
            );
            fastest = fastest.min(start.elapsed());
        }
        let each = fastest.as_nanos() as f64 / messages as f64;
        println!("  drop a session, each of {messages:>9} messages {each:>4.1} ns");
    }
}

fn memory() {
    println!("bytes");
    let keys: Vec<SessionKey> = (0..SESSIONS).map(key).collect();
    let shared = message("plant/1/pressure");
    let store = MemoryPersistence::new();
    grow(&store, "a session", keys.iter().map(put_session));
    let few = (0..20).flat_map(|sequence| {
        let keys = keys.iter().take(SESSIONS / 2);
        keys.map(move |key| (sequence, key))
    });
    let few = few.map(|(sequence, key)| enqueue(key, sequence, &shared));
    grow(&store, "a queued message, of 20 in a session", few);
    let owner = &keys[SESSIONS - 1];
    let many = (0..1_000_000).map(|sequence| enqueue(owner, sequence, &shared));
    grow(&store, "a queued message, of 1,000,000 in a session", many);
    let only = keys
        .iter()
        .map(|key| subscribe(key, "plant/1/#".to_owned()));
    grow(&store, "a subscription, the only one of its session", only);
    let many = (0..100_000).map(|number| subscribe(owner, format!("plant/{number}/#")));
    grow(&store, "a subscription, of 100,000 of its session", many);

    let messages: Vec<_> = (0..TOPICS)
        .map(|at| message(&format!("plant/{at}/pressure")))
        .collect();
    let retained = messages.iter().map(|message| Operation::PutRetained {
        message: Arc::clone(message),
    });
    grow(&store, "a retained message beyond the message", retained);
    black_box((store, messages));
}

/// Commits the operations one by one, and says by how many bytes the process has grown for each.
fn grow(store: &MemoryPersistence, what: &str, operations: impl Iterator<Item = Operation>) {
    let mut batch = Batch::new();
    let before = resident_bytes();
    let mut records = 0;
    for operation in operations {
        commit(store, &mut batch, [operation]);
        records += 1;
    }
    let each = resident_bytes().saturating_sub(before) / records;
    println!("  {what:<48} {each:>5}");
}

/// Resident memory of this process; 0 where it cannot be found out.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0)
        * 4_096
}

/// Nanoseconds that a step takes, in the fastest of some rounds.
fn best(steps: u32, mut step: impl FnMut()) -> f64 {
    let steps_in_round = (steps / 100).clamp(1, STEPS);
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS * steps / steps_in_round {
        let start = Instant::now();
        (0..steps_in_round).for_each(|_| step());
        fastest = fastest.min(start.elapsed());
    }
    fastest.as_nanos() as f64 / f64::from(steps_in_round)
}

fn commit(
    store: &MemoryPersistence,
    batch: &mut Batch,
    operations: impl IntoIterator<Item = Operation>,
) {
    operations
        .into_iter()
        .for_each(|operation| batch.push(operation));
    ready(store.commit(batch));
}

fn ready<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Ready(result) => result.unwrap(),
        Answer::Pending(_) => panic!("a store in memory answers at once"),
    }
}

fn key(number: usize) -> SessionKey {
    SessionKey {
        client: format!("sensor-{number:06}").into(),
        incarnation: 1,
    }
}

fn message(topic: &str) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: &[b'x'; 64],
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

fn put_session(key: &SessionKey) -> Operation {
    Operation::PutSession(StoredSession {
        session: key.clone(),
        expiry_interval_secs: 3_600,
        disconnected_at: None,
    })
}

fn subscribe(key: &SessionKey, filter: String) -> Operation {
    Operation::PutSubscription {
        session: key.clone(),
        filter: filter.into(),
        options: SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            identifier: 0,
        },
    }
}

fn enqueue(key: &SessionKey, sequence: u64, message: &Arc<Message>) -> Operation {
    Operation::Enqueue {
        session: key.clone(),
        sequence,
        message: Arc::clone(message),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    }
}

fn dequeue(key: &SessionKey, sequence: u64) -> Operation {
    Operation::Dequeue {
        session: key.clone(),
        sequence,
    }
}
