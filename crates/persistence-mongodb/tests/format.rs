//! What the first version of the format wrote is read by every later one: a fixture of it lies beside
//! this file, as documents of BSON one behind the other, each with the name of its collection.
//!
//! `MOSCA_WRITE_FIXTURE=1` writes it anew, which is right only for a new format with a new name.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

mod server;

use std::path::PathBuf;
use std::sync::Arc;

use broker_core::persistence::{
    Batch, InflightStage, Operation, Persistence, SessionKey, StoredOutgoing, StoredQueue,
    StoredSession, StoredSubscription, StoredWill, SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use bson::{Bson, Document, doc};
use mqtt_codec::{PacketId, QoS};
use persistence_mongodb::MongoPersistence;

use server::{Database, runtime};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/format-1.bson")
}

fn key() -> SessionKey {
    SessionKey {
        client: "sensor/é:1".into(),
        incarnation: u64::MAX - 1,
    }
}

fn session() -> StoredSession {
    StoredSession {
        session: key(),
        expiry_interval_secs: 3_600,
        disconnected_at: Some(Timestamp::from_millis(1_700_000_000_001)),
    }
}

fn subscription() -> StoredSubscription {
    StoredSubscription {
        filter: "a/+/#".into(),
        options: SubscriptionOptions {
            qos: QoS::ExactlyOnce,
            no_local: true,
            retain_as_published: true,
            identifier: 268_435_455,
        },
    }
}

fn message(payload: &[u8]) -> Arc<Message> {
    Message::new(MessageParts {
        topic: "a/b",
        properties: b"\x01\x01",
        payload,
        qos: QoS::ExactlyOnce,
        retain: true,
        expires: Timestamp::from_millis(4_102_444_800_000),
    })
}

fn will() -> StoredWill {
    StoredWill {
        session: key(),
        node: "node".into(),
        message: message(b"will"),
        delay_secs: 7,
        expiry_interval_secs: Some(9),
    }
}

/// A queue with a message inline, one that is shared, one under way, one released.
fn queue() -> Vec<StoredOutgoing> {
    let shared = message(b"shared");
    let one = |sequence, message: &Arc<Message>| StoredOutgoing {
        sequence,
        message: Some(Arc::clone(message)),
        qos: QoS::ExactlyOnce,
        retain: true,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        inflight: None,
    };
    vec![
        StoredOutgoing {
            message: None,
            inflight: Some((PacketId::MAX, InflightStage::Released)),
            ..one(1, &shared)
        },
        StoredOutgoing {
            inflight: Some((PacketId::MIN, InflightStage::Published)),
            subscription_ids: SubscriptionIds::Many([1, 2].into()),
            ..one(2, &message(b"inline"))
        },
        StoredOutgoing {
            shared: Some("$share/g/a".into()),
            subscription_ids: SubscriptionIds::One(5),
            ..one(3, &shared)
        },
        one(u64::MAX, &shared),
    ]
}

fn operations() -> Batch {
    let mut operations = vec![
        Operation::PutSession(session()),
        Operation::PutSubscription {
            session: key(),
            filter: subscription().filter,
            options: subscription().options,
        },
        Operation::IncomingReceived {
            session: key(),
            packet_id: PacketId::MAX,
        },
        Operation::PutRetained {
            message: message(b"retained"),
        },
        Operation::PutWill(will()),
    ];
    for outgoing in queue() {
        operations.push(Operation::Enqueue {
            session: key(),
            sequence: outgoing.sequence,
            message: outgoing.message.unwrap_or_else(|| message(b"gone")),
            qos: outgoing.qos,
            retain: outgoing.retain,
            subscription_ids: outgoing.subscription_ids,
            shared: outgoing.shared,
            packet_id: outgoing.inflight.map(|(id, _)| id),
        });
    }
    operations.push(Operation::MarkInflight {
        session: key(),
        sequence: 1,
        packet_id: PacketId::MAX,
        stage: InflightStage::Released,
    });
    operations.into_iter().collect()
}

/// Writes what there is into the file.
fn write_fixture() {
    let database = Database::new();
    let store = database.open();
    // Two, so that what is shared is so.
    runtime()
        .block_on(async { store.commit(&mut operations()).await })
        .unwrap();
    let mut bytes = Vec::new();
    for collection in [
        "sessions",
        "subscriptions",
        "outgoing",
        "incoming",
        "retained",
        "wills",
        "messages",
        "chunks",
        "queues",
        "meta",
    ] {
        let answer = database.command(doc! { "find": collection });
        let rows = answer
            .get_document("cursor")
            .unwrap()
            .get_array("firstBatch")
            .unwrap();
        for row in rows {
            let line = doc! { "collection": collection, "document": row.clone() };
            line.to_writer(&mut bytes).unwrap();
        }
    }
    std::fs::write(file(), bytes).unwrap();
}

fn load_fixture(database: &Database) {
    let bytes = std::fs::read(file()).unwrap();
    let mut rest = &*bytes;
    while !rest.is_empty() {
        let line = Document::from_reader(&mut rest).unwrap();
        let collection = line.get_str("collection").unwrap();
        let document = line.get_document("document").unwrap().clone();
        database.command(doc! { "insert": collection, "documents": [document], "writeConcern": { "w": "majority" } });
    }
}

fn assert_all_is_there(store: &MongoPersistence) {
    let client = key().client;
    runtime().block_on(async {
        assert_eq!(store.sessions(None, 9).await.unwrap(), [session()]);
        assert_eq!(
            store.subscriptions(&client, None, 9).await.unwrap(),
            [subscription()]
        );
        assert_eq!(store.outgoing(&client, None, 9).await.unwrap(), queue());
        assert_eq!(store.incoming(&client).await.unwrap(), [PacketId::MAX]);
        assert_eq!(
            store.retained(None, None, 9).await.unwrap(),
            [message(b"retained")]
        );
        assert_eq!(store.wills("node", None, 9).await.unwrap(), [will()]);
        let bytes = message(b"inline").size_bytes() + 2 * message(b"shared").size_bytes();
        let size = StoredQueue {
            messages: 4,
            bytes: bytes as u64,
            last: Some(u64::MAX),
        };
        assert_eq!(store.queue(&client).await.unwrap(), size);
    });
}

#[test]
fn what_format_1_wrote_is_read_and_goes_whole() {
    if std::env::var_os("MOSCA_WRITE_FIXTURE").is_some() {
        write_fixture();
    }
    let database = Database::new();
    load_fixture(&database);
    let store = database.open();
    assert_all_is_there(&store);
    let mut batch: Batch = [Operation::DropSession { session: key() }]
        .into_iter()
        .collect();
    runtime()
        .block_on(async { store.commit(&mut batch).await })
        .unwrap();
    test_servers::wait_until("everything to be removed", || {
        runtime().block_on(store.is_clean()).unwrap()
    });
    for collection in [
        "sessions",
        "subscriptions",
        "outgoing",
        "incoming",
        "messages",
        "queues",
        "wills",
    ] {
        assert_eq!(database.count(collection), 0, "{collection}");
    }
}

/// Promise 11: a document that is not as it should be is an error that names it.
#[test]
fn what_is_damaged_is_named() {
    for (collection, change, word) in [
        (
            "sessions",
            doc! { "$set": { "incarnation": "x" } },
            "incarnation",
        ),
        ("outgoing", doc! { "$set": { "qos": 7 } }, "qos"),
        (
            "messages",
            doc! { "$set": { "body": Bson::Int32(7) } },
            "body",
        ),
        ("retained", doc! { "$unset": { "body": 1 } }, "missing"),
        ("incoming", doc! { "$set": { "other": 1 } }, ""),
    ] {
        let database = Database::new();
        load_fixture(&database);
        let store = database.open();
        database.command(doc! {
            "update": collection,
            "updates": [{ "q": {}, "u": change, "multi": true }],
            "writeConcern": { "w": "majority" },
        });
        let client = key().client;
        let outcome = runtime().block_on(async {
            store.session(&client).await?;
            store.outgoing(&client, None, 9).await?;
            store.retained(None, None, 9).await?;
            Ok::<(), broker_core::persistence::PersistenceError>(())
        });
        let text = outcome
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(text.contains(word), "{collection}: {text:?}");
        assert_eq!(text.is_empty(), word.is_empty(), "{collection}: {text}");
    }
}
