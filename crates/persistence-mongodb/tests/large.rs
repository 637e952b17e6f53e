//! Messages that are larger than a document can be, and what is removed in the background.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

mod server;

use std::sync::Arc;

use broker_core::persistence::{
    Batch, InflightStage, Operation, Persistence, SessionKey, StoredSession, StoredWill,
    SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use bson::DateTime;
use mqtt_codec::{PacketId, QoS};
use persistence_mongodb::MongoPersistence;
use test_servers::wait_until;

use server::{Database, runtime};

fn key(client: &str) -> SessionKey {
    SessionKey {
        client: client.into(),
        incarnation: 1,
    }
}

fn put(client: &str) -> Operation {
    Operation::PutSession(StoredSession {
        session: key(client),
        expiry_interval_secs: u32::MAX,
        disconnected_at: None,
    })
}

fn enqueue(client: &str, sequence: u64, message: &Arc<Message>) -> Operation {
    Operation::Enqueue {
        session: key(client),
        sequence,
        message: Arc::clone(message),
        qos: QoS::ExactlyOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    }
}

fn message(topic: &str, payload: &[u8], expires: Timestamp) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload,
        qos: QoS::ExactlyOnce,
        retain: false,
        expires,
    })
}

fn commit(store: &MongoPersistence, operations: impl IntoIterator<Item = Operation>) {
    let mut batch: Batch = operations.into_iter().collect();
    runtime()
        .block_on(async { store.commit(&mut batch).await })
        .unwrap();
}

fn await_clean(store: &MongoPersistence) {
    wait_until("everything to be removed", || {
        runtime().block_on(store.is_clean()).unwrap()
    });
}

#[test]
fn a_message_of_40_mib_has_one_copy_in_chunks_until_nobody_uses_it() {
    let database = Database::new();
    let store = database.open();
    let payload: Vec<u8> = (0..10_u32 << 20).flat_map(u32::to_be_bytes).collect();
    let large = message("a/b", &payload, Timestamp::MAX);
    let will = StoredWill {
        session: key("one"),
        node: "n".into(),
        message: Arc::clone(&large),
        delay_secs: 0,
        expiry_interval_secs: None,
    };
    commit(
        &store,
        [
            put("one"),
            put("two"),
            enqueue("one", 1, &large),
            enqueue("one", 2, &large),
            enqueue("two", 1, &large),
            Operation::PutRetained {
                message: Arc::clone(&large),
            },
            Operation::PutWill(will),
        ],
    );
    assert_eq!(
        (database.count("messages"), database.count("chunks")),
        (1, 6)
    );
    let found = || {
        runtime().block_on(async {
            let mut found = Vec::new();
            for client in ["one", "two"] {
                // A page ends early that has become large.
                let mut after = None;
                loop {
                    let page = store.outgoing(client, after, 9).await.unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some(last.sequence);
                    found.extend(page.into_iter().filter_map(|one| one.message));
                }
            }
            found.extend(store.retained(None, None, 9).await.unwrap());
            let wills = store.wills("n", None, 9).await.unwrap();
            found.extend(wills.into_iter().map(|will| will.message));
            found
        })
    };
    let all = found();
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|one| *one == large));

    // They go in all ways that there are; the last one takes it along.
    commit(
        &store,
        [
            Operation::MarkInflight {
                session: key("one"),
                sequence: 1,
                packet_id: PacketId::MIN,
                stage: InflightStage::Released,
            },
            Operation::DropRetained {
                topic: "a/b".into(),
            },
            Operation::DropWill {
                session: key("one"),
            },
            Operation::DropSession {
                session: key("two"),
            },
        ],
    );
    await_clean(&store);
    assert_eq!(database.count("chunks"), 6);
    assert_eq!(found(), [Arc::clone(&large)]);
    commit(
        &store,
        [Operation::Dequeue {
            session: key("one"),
            sequence: 2,
        }],
    );
    drop(store);
    // Another process finds what is left to be removed.
    let other = database.open();
    await_clean(&other);
    wait_until("the chunks to be removed", || database.count("chunks") == 0);
    assert_eq!(database.count("messages"), 0);
}

#[test]
fn what_a_process_leaves_undone_another_one_removes() {
    let database = Database::new();
    let store = database.open();
    let shared = message("a", b"x", Timestamp::MAX);
    commit(&store, [put("one"), put("two")]);
    for first in (0..10_000).step_by(1_000) {
        let numbers = first..first + 1_000;
        commit(
            &store,
            numbers.flat_map(|number| {
                [
                    enqueue("one", number, &shared),
                    enqueue("two", number, &shared),
                ]
            }),
        );
    }
    commit(
        &store,
        [Operation::DropSession {
            session: key("one"),
        }],
    );
    drop(store);
    let other = database.open();
    let queue = |client| {
        runtime()
            .block_on(async { other.queue(client).await })
            .unwrap()
    };
    assert_eq!(queue("one").messages, 0);
    await_clean(&other);
    assert_eq!(database.count("outgoing"), 10_000);
    assert_eq!(
        (queue("two").messages, database.count("queues")),
        (10_000, 1)
    );
    // One for each batch, each counted for the one who still waits.
    assert_eq!(database.count("messages"), 10);
    commit(
        &other,
        [Operation::DropSession {
            session: key("two"),
        }],
    );
    await_clean(&other);
    for collection in ["outgoing", "messages", "queues", "sessions"] {
        assert_eq!(database.count(collection), 0, "{collection}");
    }
}

fn hours_ago(hours: i64) -> Timestamp {
    let millis = DateTime::now().timestamp_millis() - hours * 3_600_000;
    Timestamp::from_millis(u64::try_from(millis).unwrap())
}

#[test]
fn what_expired_long_ago_goes_with_its_count_and_what_is_under_way_stays() {
    let database = Database::new();
    let store = database.open();
    let old = message("a/old", b"old", hours_ago(2));
    let new = message("a/new", b"new", hours_ago(-1));
    let just = message("a/just", b"just", hours_ago(0));
    let begun = |sequence| Operation::MarkInflight {
        session: key("one"),
        sequence,
        packet_id: PacketId::MIN,
        stage: InflightStage::Published,
    };
    let mut operations = vec![put("one"), put("two")];
    for (sequence, message) in (1..).zip([&old, &new, &just, &old]) {
        operations.push(enqueue("one", sequence, message));
        operations.push(enqueue("two", sequence, message));
        operations.push(Operation::PutRetained {
            message: Arc::clone(message),
        });
    }
    operations.push(begun(4));
    commit(&store, operations);
    drop(store);
    // It looks when it is opened.
    let store = database.open();
    let sequences = |client| {
        let page = runtime()
            .block_on(async { store.outgoing(client, None, 9).await })
            .unwrap();
        page.iter().map(|one| one.sequence).collect::<Vec<_>>()
    };
    wait_until("the old messages to go", || sequences("two") == [2, 3]);
    // Of the one whose delivery has begun the client may know already.
    assert_eq!(sequences("one"), [2, 3, 4]);
    let queue = |client| {
        runtime()
            .block_on(async { store.queue(client).await })
            .unwrap()
    };
    assert_eq!((queue("one").messages, queue("two").messages), (3, 2));
    assert_eq!(
        queue("two").bytes,
        (new.size_bytes() + just.size_bytes()) as u64
    );
    // The database itself removes the retained one.
    wait_until("the retained message to go", || {
        database.count("retained") == 2
    });
    let topics = runtime()
        .block_on(async { store.retained(None, None, 9).await })
        .unwrap();
    let topics: Vec<_> = topics.iter().map(|one| one.topic()).collect();
    assert_eq!(topics, ["a/just", "a/new"]);
}
