//! What the Node.js mosca has left in Redis is taken over.
//!
//! `mosca_2.8.3.txt` is what mosca 2.8.3 had in Redis after three clients with clean session 0 had
//! subscribed and gone, and another had published: commands that put it there again.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

mod place;

use std::sync::Arc;

use broker_core::persistence::{Batch, Operation, Persistence, StoredSession};
use mqtt_codec::QoS;
use persistence_memory::MemoryPersistence;
use persistence_redis::RedisPersistence;
use persistence_redis::import::{self, ImportError, Imported, Progress};
use place::work::{key, message};
use place::{options, runtime};
use test_servers::redis::Redis;

const LEFT: &str = include_str!("mosca_2.8.3.txt");

/// Imports, and returns what was skipped as well.
fn import(server: &Redis, store: &dyn Persistence) -> (Imported, Vec<(String, String)>) {
    let mut skipped = Vec::new();
    let imported = runtime().block_on(import::read(&server.url(), store, 3_600, |progress| {
        if let Progress::Skipped { key, reason } = progress {
            skipped.push((key, reason));
        }
    }));
    (imported.unwrap(), skipped)
}

/// Payloads and qualities of service in a queue.
fn queue(store: &dyn Persistence, client: &str) -> Vec<(String, Vec<u8>, QoS)> {
    let page = runtime()
        .block_on(store.outgoing(client, None, 10_000))
        .unwrap();
    let entry = |message: &Arc<broker_core::Message>, qos| {
        (message.topic().to_owned(), message.payload().to_vec(), qos)
    };
    page.iter()
        .map(|one| entry(one.message.as_ref().unwrap(), one.qos))
        .collect()
}

/// What is there after the import of what mosca left.
fn assert_imported(store: &dyn Persistence) {
    let sessions = runtime().block_on(store.sessions(None, 10)).unwrap();
    let clients: Vec<&str> = sessions.iter().map(|one| &*one.session.client).collect();
    assert_eq!(clients, ["plain", "sensor:1", "x{y}"]);
    for session in &sessions {
        assert_eq!(session.expiry_interval_secs, 3_600);
        assert!(
            session
                .disconnected_at
                .is_some_and(|at| at.as_millis() > 1_000_000)
        );
    }
    let filters = runtime()
        .block_on(store.subscriptions("sensor:1", None, 10))
        .unwrap();
    let filters: Vec<_> = filters
        .iter()
        .map(|one| (&*one.filter, one.options.qos))
        .collect();
    assert_eq!(
        filters,
        [("a/#", QoS::AtLeastOnce), ("b/+", QoS::AtMostOnce)]
    );

    let mut wanted = vec![
        ("a/1".to_owned(), b"one".to_vec(), QoS::AtLeastOnce),
        ("a/2".to_owned(), vec![0, 255, 128, 10], QoS::AtLeastOnce),
    ];
    wanted.extend((3..15).map(|number| {
        let text = format!("message {number}");
        ("a/b".to_owned(), text.into_bytes(), QoS::AtLeastOnce)
    }));
    assert_eq!(queue(store, "sensor:1"), wanted);
    let all = queue(store, "x{y}");
    assert_eq!(all.get(..14), Some(&wanted[..]));
    let rest: Vec<&str> = all
        .iter()
        .skip(14)
        .map(|(topic, ..)| topic.as_str())
        .collect();
    assert_eq!(rest, ["b/x", "kept/one", "kept/gone", "kept/gone"]);
    assert!(queue(store, "plain").is_empty());

    let retained = runtime().block_on(store.retained(None, None, 10)).unwrap();
    let retained: Vec<_> = retained
        .iter()
        .map(|one| (one.topic(), one.payload(), one.qos()))
        .collect();
    assert_eq!(
        retained,
        [
            ("kept/one", &b"retained"[..], QoS::AtLeastOnce),
            ("kept/two", &[1, 2, 3], QoS::AtMostOnce)
        ]
    );
}

#[test]
fn what_mosca_has_left_is_taken_over_into_any_store() {
    let server = Redis::new().start();
    server.commands(LEFT);
    let before = server.command(&["DBSIZE"]);
    let memory = MemoryPersistence::new();
    let (imported, skipped) = import(&server, &memory);
    let counts = (
        imported.sessions,
        imported.subscriptions,
        imported.messages,
        imported.retained,
    );
    assert_eq!(counts, (3, 4, 32, 2));
    // Five messages of the server's own, and one to a subscription that was granted QoS 0.
    assert_eq!(skipped.len(), 6, "{skipped:?}");
    assert!(
        skipped.iter().all(|(_, reason)| reason.contains("QoS 0")),
        "{skipped:?}"
    );
    assert_imported(&memory);
    assert_eq!(server.command(&["DBSIZE"]), before, "nothing was changed");

    // Into the same Redis, beside what is imported.
    let store = runtime()
        .block_on(RedisPersistence::connect(options(&server)))
        .unwrap();
    import(&server, &store);
    assert_imported(&store);
    // Again.
    let (again, _) = import(&server, &store);
    assert_eq!(
        (
            again.present,
            again.sessions,
            again.messages,
            again.retained
        ),
        (5, 0, 0, 0)
    );
    assert_imported(&store);
}

#[test]
fn what_is_there_is_left_alone_and_what_was_cut_off_is_done_again() {
    let server = Redis::new().start();
    server.commands(LEFT);
    let memory = MemoryPersistence::new();
    let session = |client, disconnected_at: Option<u64>| {
        Operation::PutSession(StoredSession {
            session: key(client),
            expiry_interval_secs: 1,
            disconnected_at: disconnected_at.map(broker_core::Timestamp::from_millis),
        })
    };
    let mut batch: Batch = [
        session("plain", Some(5_000)),
        // As an import that was ended leaves it.
        session("sensor:1", Some(1)),
        place::work::enqueue("sensor:1", 1, &message("a", b"half")),
        Operation::PutRetained {
            message: message("kept/one", b"newer"),
        },
    ]
    .into_iter()
    .collect();
    runtime().block_on(memory.commit(&mut batch)).unwrap();
    let (imported, _) = import(&server, &memory);
    assert_eq!(
        (imported.present, imported.sessions, imported.retained),
        (2, 2, 1)
    );
    assert_eq!(queue(&memory, "sensor:1").len(), 14);
    let plain = runtime()
        .block_on(memory.session("plain"))
        .unwrap()
        .unwrap();
    assert_eq!(plain.expiry_interval_secs, 1);
    let filters = runtime()
        .block_on(memory.subscriptions("plain", None, 10))
        .unwrap();
    assert!(filters.is_empty());
}

#[test]
fn what_cannot_be_read_is_named_and_left_out() {
    let server = Redis::new().start();
    server.commands(
        r##"SET "client:sub:a" "{\"ok\":{\"qos\":1},\"a/#/b\":{\"qos\":1},\"odd\":{\"qos\":7}}"
RPUSH "packets:a" "packets:a:1" "packets:a:2" "packets:a:3" "packets:a:gone" "packets:a:4"
SET "packets:a:1" "{\"topic\":\"ok\",\"payload\":{\"type\":\"Buffer\",\"data\":[49]},\"qos\":1}"
SET "packets:a:2" "no JSON"
SET "packets:a:3" "{\"topic\":\"a/+\",\"payload\":\"x\",\"qos\":1}"
SET "packets:a:4" "{\"topic\":\"ok\",\"payload\":\"\xc3\xa9\",\"qos\":1}"
SET "client:sub:broken" "{"
HSET "client:sub:hash" "a" "b"
SET "client:sub:" "{}"
SET "client:sub:\xff" "{}"
SET "client:sub:\xc3\xa9:#+/" "{}"
SET "packets:\xc3\xa9:#+/" "no list"
RPUSH "packets:nobody" "packets:nobody:1"
HSET "retained" "a" "{\"topic\":\"b\"}"
HSET "retained" "c" "x"
"##,
    );
    let memory = MemoryPersistence::new();
    let (imported, mut skipped) = import(&server, &memory);
    skipped.sort();
    let keys: Vec<&str> = skipped.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "client:sub:",
            "client:sub:a a/#/b",
            "client:sub:a odd",
            "client:sub:broken",
            "client:sub:hash",
            "client:sub:\u{fffd}",
            "packets:a:2",
            "packets:a:3",
            "packets:nobody",
            "packets:é:#+/",
            "retained a",
            "retained c",
        ]
    );
    assert_eq!(
        (imported.sessions, imported.messages, imported.skipped),
        (2, 2, 12)
    );
    let payloads: Vec<Vec<u8>> = queue(&memory, "a")
        .into_iter()
        .map(|(_, payload, _)| payload)
        .collect();
    assert_eq!(payloads, [b"1".to_vec(), "é".as_bytes().to_vec()]);
    assert!(
        runtime()
            .block_on(memory.session("é:#+/"))
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_source_that_is_not_there_is_an_error() {
    let memory = MemoryPersistence::new();
    let refusing = test_servers::RefusingPort::take();
    let url = format!("redis://127.0.0.1:{}", refusing.number());
    let read = |url: &str| {
        runtime()
            .block_on(import::read(url, &memory, 0, |_| {}))
            .unwrap_err()
    };
    assert!(matches!(read(&url), ImportError::Source(_)));
    assert!(matches!(read("http://x"), ImportError::Url(_)));
}
