//! How many durable commits a MongoDB takes: each queues one message for a session that is away.
//!
//! `cargo run --release -p persistence-mongodb --example commit_rate -- URL` prints, for 1, 64 and 1,000
//! at the same time, the commits in a second and how long one takes; then how fast a queue is read.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for whoever measures"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker_core::persistence::{
    Batch, Operation, Persistence, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_mongodb::{MongoOptions, MongoPersistence};

/// How long each number of writers is measured.
const TIME: Duration = Duration::from_secs(5);

fn key(writer: u64) -> SessionKey {
    SessionKey {
        client: format!("client-{writer}").into(),
        incarnation: 1,
    }
}

async fn commit(store: &MongoPersistence, operation: Operation) {
    let mut batch: Batch = [operation].into_iter().collect();
    store.commit(&mut batch).await.unwrap();
}

async fn publish(store: Arc<MongoPersistence>, writer: u64, done: Arc<AtomicU64>) {
    let session = StoredSession {
        session: key(writer),
        expiry_interval_secs: u32::MAX,
        disconnected_at: None,
    };
    commit(&store, Operation::PutSession(session)).await;
    let start = Instant::now();
    while start.elapsed() < TIME {
        let message = Message::new(MessageParts {
            topic: "sensors/1/temperature",
            properties: &[],
            payload: &[0xA5; 64],
            qos: QoS::AtLeastOnce,
            retain: false,
            expires: Timestamp::MAX,
        });
        let enqueue = Operation::Enqueue {
            session: key(writer),
            sequence: done.fetch_add(1, Ordering::Relaxed),
            message,
            qos: QoS::AtLeastOnce,
            retain: false,
            subscription_ids: SubscriptionIds::None,
            shared: None,
            packet_id: None,
        };
        commit(&store, enqueue).await;
    }
    commit(
        &store,
        Operation::DropSession {
            session: key(writer),
        },
    )
    .await;
}

async fn read(store: &MongoPersistence) {
    const MESSAGES: u64 = 100_000;
    let session = key(0);
    commit(
        store,
        Operation::PutSession(StoredSession {
            session: session.clone(),
            expiry_interval_secs: u32::MAX,
            disconnected_at: None,
        }),
    )
    .await;
    let enqueue = |sequence| Operation::Enqueue {
        session: session.clone(),
        sequence,
        message: Message::new(MessageParts {
            topic: "sensors/1/temperature",
            properties: &[],
            payload: &[0xA5; 64],
            qos: QoS::AtLeastOnce,
            retain: false,
            expires: Timestamp::MAX,
        }),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    };
    let start = Instant::now();
    for first in (0..MESSAGES).step_by(1_000) {
        let mut batch: Batch = (first..first + 1_000).map(enqueue).collect();
        store.commit(&mut batch).await.unwrap();
    }
    let written = start.elapsed().as_secs_f64();
    let (start, mut after) = (Instant::now(), None);
    loop {
        let page = store.outgoing(&session.client, after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.sequence);
    }
    let read = start.elapsed().as_secs_f64();
    println!(
        "{MESSAGES} messages of one queue, 1,000 at a time: written {:.0}/s, read {:.0}/s",
        MESSAGES as f64 / written,
        MESSAGES as f64 / read
    );
    commit(store, Operation::DropSession { session }).await;
}

#[tokio::main]
async fn main() {
    let Some(url) = std::env::args().nth(1) else {
        println!("say where: mongodb://127.0.0.1/measure?replicaSet=rs0");
        return;
    };
    let store = Arc::new(
        MongoPersistence::connect(MongoOptions::new(url))
            .await
            .unwrap(),
    );
    for writers in [1, 64, 1_000] {
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|writer| tokio::spawn(publish(Arc::clone(&store), writer, Arc::clone(&done))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        println!(
            "{writers} at a time: {rate:.0} commits/s, {:.2} ms each",
            writers as f64 * 1_000.0 / rate
        );
    }
    read(&store).await;
}
