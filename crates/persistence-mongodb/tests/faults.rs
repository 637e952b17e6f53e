//! The servers fail under load: what was acknowledged is there, once, in its order.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where a store cannot answer, or where there is no such writer"
)]

mod server;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::{
    Batch, Operation, Persistence, PersistenceError, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_mongodb::{MongoOptions, MongoPersistence};
use test_servers::mongod::{Mongod, MongodSet};

use server::runtime;

/// Publishers that commit at the same time.
const WRITERS: u64 = 8;

fn key(writer: u64) -> SessionKey {
    SessionKey {
        client: format!("client-{writer}").into(),
        incarnation: 1,
    }
}

fn enqueue(session: &SessionKey, sequence: u64, message: &Arc<Message>) -> Operation {
    Operation::Enqueue {
        session: session.clone(),
        sequence,
        message: Arc::clone(message),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    }
}

fn message(text: &str) -> Arc<Message> {
    Message::new(MessageParts {
        topic: "a/b",
        properties: &[],
        payload: text.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

async fn commit(
    store: &MongoPersistence,
    operations: Vec<Operation>,
) -> Result<(), PersistenceError> {
    let mut batch: Batch = operations.into_iter().collect();
    store.commit(&mut batch).await
}

/// Publishers at work: each queues messages 1, 2, 3 … for its client, and a copy for a client of all.
struct Load {
    store: Arc<MongoPersistence>,
    stop: Arc<AtomicBool>,
    /// By writer, the last message that was acknowledged.
    acknowledged: Arc<Vec<AtomicU64>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// The client of all, whose queue has the numbers of a writer at this distance.
const ALL: u64 = 99;
const DISTANCE: u64 = 1_000_000;

impl Load {
    fn start(store: MongoPersistence) -> Self {
        let store = Arc::new(store);
        let put = |writer| {
            Operation::PutSession(StoredSession {
                session: key(writer),
                expiry_interval_secs: u32::MAX,
                disconnected_at: None,
            })
        };
        let sessions = (0..WRITERS).chain([ALL]).map(put).collect();
        runtime().block_on(commit(&store, sessions)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new((0..WRITERS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let tasks = (0..WRITERS)
            .map(|writer| {
                let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
                let acknowledged = Arc::clone(&acknowledged);
                runtime().spawn(async move {
                    let mut number = 0;
                    while !stop.load(Ordering::SeqCst) {
                        number += 1;
                        let text = message(&number.to_string());
                        let operations = vec![
                            enqueue(&key(writer), number, &text),
                            enqueue(&key(ALL), writer * DISTANCE + number, &text),
                        ];
                        commit(&store, operations).await.unwrap();
                        acknowledged[writer as usize].store(number, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        Self {
            store,
            stop,
            acknowledged,
            tasks,
        }
    }

    fn total(&self) -> u64 {
        let numbers = self.acknowledged.iter();
        numbers.map(|number| number.load(Ordering::SeqCst)).sum()
    }

    /// Returns when so many more have been acknowledged.
    fn await_more(&self, more: u64) {
        let (start, wanted) = (Instant::now(), self.total() + more);
        while self.total() < wanted {
            assert!(start.elapsed() < Duration::from_secs(60), "no progress");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the load and compares what is stored with what was acknowledged.
    fn check(self) -> MongoPersistence {
        self.stop.store(true, Ordering::SeqCst);
        runtime().block_on(async {
            for task in self.tasks {
                task.await.unwrap();
            }
        });
        let mut in_all = Vec::new();
        for writer in 0..WRITERS {
            let last = self.acknowledged[writer as usize].load(Ordering::SeqCst);
            let wanted: Vec<u64> = (1..=last).collect();
            assert_eq!(queue(&self.store, writer), wanted, "writer {writer}");
            in_all.extend(wanted.iter().map(|number| writer * DISTANCE + number));
        }
        assert_eq!(queue(&self.store, ALL), in_all);
        Arc::into_inner(self.store).unwrap()
    }
}

/// The sequence numbers of a client's queue, whose messages are looked at as well.
fn queue(store: &MongoPersistence, writer: u64) -> Vec<u64> {
    runtime().block_on(async {
        let client = key(writer).client;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.outgoing(&client, after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.sequence);
            for outgoing in page {
                let text = (outgoing.sequence % DISTANCE).to_string();
                assert_eq!(outgoing.message.unwrap().payload(), text.as_bytes());
                found.push(outgoing.sequence);
            }
        }
        let counted = store.queue(&client).await.unwrap();
        assert_eq!(counted.messages, found.len() as u64);
        found
    })
}

fn connect(url: String) -> MongoPersistence {
    let options = MongoOptions {
        unavailable_timeout_ms: 60_000,
        ..MongoOptions::new(url)
    };
    runtime()
        .block_on(MongoPersistence::connect(options))
        .unwrap()
}

#[test]
fn a_primary_that_steps_down_or_dies_costs_nothing() {
    let mut set = MongodSet::start();
    let load = Load::start(connect(set.url()));
    load.await_more(100);
    set.step_down(5);
    load.await_more(100);
    set.step_down(5);
    load.await_more(100);
    let primary = set.await_primary();
    set.members()[primary].kill();
    load.await_more(100);
    set.members()[primary].start_again();
    load.await_more(100);
    let store = load.check();
    drop(store);
    // Another process finds the same.
    let other = connect(set.url());
    assert!(!queue(&other, ALL).is_empty());
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_nothing() {
    let mut server = Mongod::new().start();
    let load = Load::start(connect(server.url()));
    for _ in 0..3 {
        load.await_more(50);
        server.kill();
        server.start_again();
    }
    load.await_more(50);
    load.check();
}

#[test]
fn a_server_that_hangs_is_waited_for() {
    let server = Mongod::new().start();
    let options = MongoOptions {
        response_timeout_ms: 500,
        unavailable_timeout_ms: 60_000,
        ..MongoOptions::new(server.url())
    };
    let store = runtime()
        .block_on(MongoPersistence::connect(options))
        .unwrap();
    let load = Load::start(store);
    load.await_more(50);
    server.pause();
    // Several attempts run out of time meanwhile.
    std::thread::sleep(Duration::from_millis(2_500));
    let before = load.total();
    server.resume();
    load.await_more(before / 10 + 50);
    load.check();
}

#[test]
fn a_server_that_stays_away_is_an_error_and_what_comes_after_is_written() {
    let mut server = Mongod::new().start();
    let options = MongoOptions {
        connect_timeout_ms: 500,
        unavailable_timeout_ms: 500,
        ..MongoOptions::new(server.url())
    };
    let store = runtime()
        .block_on(MongoPersistence::connect(options))
        .unwrap();
    let put = |text: &str| {
        vec![Operation::PutRetained {
            message: message(text),
        }]
    };
    runtime().block_on(commit(&store, put("before"))).unwrap();
    server.kill();
    let outcome = runtime().block_on(commit(&store, put("lost")));
    assert!(
        matches!(outcome, Err(PersistenceError::Unavailable(_))),
        "{outcome:?}"
    );
    let outcome = runtime().block_on(async { store.retained(None, None, 10).await });
    assert!(
        matches!(outcome, Err(PersistenceError::Unavailable(_))),
        "{outcome:?}"
    );
    server.start_again();
    let retained = || {
        let found = runtime().block_on(async { store.retained(None, None, 10).await });
        let text = |message: &Arc<Message>| String::from_utf8(message.payload().to_vec()).unwrap();
        found.map(|found| found.iter().map(text).collect::<Vec<_>>())
    };
    // What failed has not been applied.
    test_servers::wait_until("the store to answer again", || {
        retained().is_ok_and(|found| found == ["before"])
    });
    runtime().block_on(commit(&store, put("after"))).unwrap();
    assert_eq!(retained().unwrap(), ["after"]);
}
