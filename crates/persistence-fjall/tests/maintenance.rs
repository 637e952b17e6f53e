//! Stores are checked, printed and compacted, with progress, and left as they were when that is
//! cancelled; what nobody needs any more goes by itself.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    Batch, InflightStage, Operation, Persistence, SessionKey, StoredSession, StoredWill,
    SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_fjall::maintenance::{MaintenanceError, Progress, Verified, compact, dump, verify};
use persistence_fjall::{FjallOptions, FjallPersistence};

fn key(client: &str) -> SessionKey {
    SessionKey {
        client: client.into(),
        incarnation: 7,
    }
}

fn put_session(client: &str) -> Operation {
    Operation::PutSession(StoredSession {
        session: key(client),
        expiry_interval_secs: 60,
        disconnected_at: Some(Timestamp::from_millis(5)),
    })
}

fn message(topic: &str, payload: &[u8], expires: Timestamp) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        expires,
    })
}

fn enqueue(client: &str, sequence: u64, message: &Arc<Message>, packet_id: u16) -> Operation {
    Operation::Enqueue {
        session: key(client),
        sequence,
        message: Arc::clone(message),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::One(3),
        shared: None,
        packet_id: PacketId::new(packet_id),
    }
}

fn commit(store: &FjallPersistence, operations: impl IntoIterator<Item = Operation>) {
    let mut batch: Batch = operations.into_iter().collect();
    block_on(store.commit(&mut batch)).unwrap();
}

/// Something of each kind.
fn furnish(path: &Path) {
    let store = FjallPersistence::open(path, FjallOptions::default()).unwrap();
    let shared = message("a/b", b"for both", Timestamp::MAX);
    commit(&store, ["one", "two"].map(put_session));
    commit(
        &store,
        [
            Operation::PutSubscription {
                session: key("one"),
                filter: "a/+".into(),
                options: SubscriptionOptions {
                    qos: QoS::AtLeastOnce,
                    no_local: true,
                    retain_as_published: false,
                    identifier: 3,
                },
            },
            enqueue("one", 1, &shared, 9),
            enqueue("one", 2, &message("a/b", b"\xFF\x00", Timestamp::MAX), 0),
            enqueue("two", 1, &shared, 0),
            enqueue("two", 2, &message("a/b", b"taken", Timestamp::MAX), 0),
            Operation::MarkInflight {
                session: key("two"),
                sequence: 2,
                packet_id: PacketId::new(5).unwrap(),
                stage: InflightStage::Released,
            },
            Operation::IncomingReceived {
                session: key("two"),
                packet_id: PacketId::new(4).unwrap(),
            },
            Operation::PutRetained {
                message: message("r", b"kept", Timestamp::from_millis(1 << 50)),
            },
            Operation::PutWill(StoredWill {
                session: key("two"),
                node: "node".into(),
                message: message("w", b"dead", Timestamp::MAX),
                delay_secs: 1,
                expiry_interval_secs: None,
            }),
        ],
    );
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn dumped(path: &Path) -> String {
    let mut output = Vec::new();
    let dumped = dump(path, &mut output, &mut go_on).unwrap();
    let text = String::from_utf8(output).unwrap();
    assert_eq!(dumped.lines, text.lines().count() as u64);
    text
}

const DUMP: &str = r#"
{"client":"one","disconnected_at":5,"expiry_interval_secs":60,"incarnation":7,"record":"session"}
{"client":"one","message":{"expires":null,"payload":"for both","properties":"","qos":1,"retain":false,"topic":"a/b"},"packet_id":9,"qos":1,"record":"outgoing","retain":false,"sequence":1,"shared":null,"stage":"published","subscription_ids":[3]}
{"client":"one","message":{"expires":null,"payload_hex":"ff00","properties":"","qos":1,"retain":false,"topic":"a/b"},"packet_id":null,"qos":1,"record":"outgoing","retain":false,"sequence":2,"shared":null,"stage":null,"subscription_ids":[3]}
{"client":"one","filter":"a/+","identifier":3,"no_local":true,"qos":1,"record":"subscription","retain_as_published":false}
{"client":"two","disconnected_at":5,"expiry_interval_secs":60,"incarnation":7,"record":"session"}
{"client":"two","packet_id":4,"record":"incoming"}
{"client":"two","message":{"expires":null,"payload":"for both","properties":"","qos":1,"retain":false,"topic":"a/b"},"packet_id":null,"qos":1,"record":"outgoing","retain":false,"sequence":1,"shared":null,"stage":null,"subscription_ids":[3]}
{"client":"two","message":null,"packet_id":5,"qos":1,"record":"outgoing","retain":false,"sequence":2,"shared":null,"stage":"released","subscription_ids":[3]}
{"message":{"expires":1125899906842624,"payload":"kept","properties":"","qos":1,"retain":false,"topic":"r"},"record":"retained"}
{"client":"two","delay_secs":1,"expiry_interval_secs":null,"incarnation":7,"message":{"expires":null,"payload":"dead","properties":"","qos":1,"retain":false,"topic":"w"},"node":"node","record":"will"}
"#;

/// As JSON, so that the order of members does not matter.
fn values(lines: &str) -> Vec<serde_json::Value> {
    let lines = lines.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_store_is_checked_printed_and_compacted() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let wanted = Verified {
        sessions: 2,
        subscriptions: 1,
        queued: 4,
        incoming: 1,
        messages: 2,
        retained: 1,
        wills: 1,
        ..Verified::default()
    };
    assert_eq!(verify(folder.path(), &mut go_on).unwrap(), wanted);
    assert_eq!(values(&dumped(folder.path())), values(DUMP));

    let mut told = Vec::new();
    let compacted = compact(folder.path(), &mut |progress| {
        told.push((progress.done, progress.total));
        ControlFlow::Continue(())
    });
    assert!(compacted.unwrap().bytes_after > 0);
    assert!(told.is_sorted() && told.last().is_some_and(|(done, total)| done == total));
    assert_eq!(verify(folder.path(), &mut go_on).unwrap(), wanted);
    assert_eq!(values(&dumped(folder.path())), values(DUMP));
}

#[test]
fn what_is_cancelled_leaves_the_store_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    for stop_at in 0..4 {
        let cancel = |told: &mut u32| {
            *told += 1;
            match *told > stop_at {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let (mut one, mut two, mut three) = (0, 0, 0);
        let path = folder.path();
        let ends = [
            verify(path, &mut |_| cancel(&mut one)).map(drop),
            dump(path, &mut Vec::new(), &mut |_| cancel(&mut two)).map(drop),
            compact(path, &mut |_| cancel(&mut three)).map(drop),
        ];
        for end in ends {
            assert!(matches!(end, Err(MaintenanceError::Cancelled)), "{stop_at}");
        }
    }
    assert_eq!(values(&dumped(folder.path())), values(DUMP));
}

/// A session with many messages goes at once, and what it leaves goes afterwards, also if the process
/// ends in between.
#[test]
fn what_a_session_leaves_is_removed_also_after_a_restart() {
    // A machine may be so busy with something else that there was time for all of them.
    let interrupted = [30_000, 100_000, 300_000, 1_000_000]
        .into_iter()
        .any(what_a_session_leaves_is_removed);
    assert!(interrupted, "it never ended in between");
}

/// Whether something was left at the end of the process.
fn what_a_session_leaves_is_removed(messages: u64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    commit(&store, ["long", "short"].map(put_session));
    let shared = message("a/b", b"both", Timestamp::MAX);
    commit(
        &store,
        [
            enqueue("long", 0, &shared, 0),
            enqueue("short", 0, &shared, 0),
        ],
    );
    for first in (1..messages).step_by(1_000) {
        let own = |number| enqueue("long", number, &message("a/b", b"own", Timestamp::MAX), 0);
        commit(&store, (first..first + 1_000).map(own));
    }
    let session = key("long");
    commit(&store, [Operation::DropSession { session }]);
    assert_eq!(block_on(store.outgoing("long", None, 1)).unwrap(), []);
    commit(&store, [put_session("long")]);
    assert_eq!(block_on(store.outgoing("long", None, 1)).unwrap(), []);
    drop(store);

    let left = verify(folder.path(), &mut go_on).unwrap();
    assert_eq!(left.faults, [] as [String; 0]);
    let interrupted = left.remains > 1_000;

    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    // It waits until nothing is left.
    block_on(store.message_bytes()).unwrap();
    let queue = block_on(store.outgoing("short", None, 10)).unwrap();
    let queued = queue.first().unwrap().message.clone();
    assert_eq!(queued, Some(shared));
    drop(store);
    let left = verify(folder.path(), &mut go_on).unwrap();
    let counts = (left.remains, left.queued, left.messages, left.fault_count);
    assert_eq!(counts, (0, 1, 1, 0));
    interrupted
}

/// Messages whose time has come go by themselves; what is inflight stays.
#[test]
fn what_has_expired_goes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    let past = |topic: &str| message(topic, b"x", Timestamp::from_millis(1_000));
    let shared = past("a/b");
    commit(&store, ["c", "d"].map(put_session));
    commit(
        &store,
        [
            enqueue("c", 1, &past("a/b"), 0),
            enqueue("c", 2, &shared, 0),
            enqueue("c", 3, &past("a/b"), 1),
            enqueue("c", 4, &message("a/b", b"stays", Timestamp::MAX), 0),
            enqueue("d", 1, &shared, 2),
            Operation::PutRetained {
                message: past("r/gone"),
            },
            Operation::PutRetained {
                message: message("r/stays", b"x", Timestamp::MAX),
            },
        ],
    );
    let deadline = Instant::now() + Duration::from_secs(120);
    let sequences = |client: &str| -> Vec<u64> {
        let queue = block_on(store.outgoing(client, None, 10)).unwrap();
        queue.iter().map(|one| one.sequence).collect()
    };
    let retained = || block_on(store.retained(None, None, 10)).unwrap().len();
    while (sequences("c"), retained()) != (vec![3, 4], 1) {
        assert!(
            Instant::now() < deadline,
            "{:?} {}",
            sequences("c"),
            retained()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(sequences("d"), [1]);
    assert_eq!(block_on(store.queue("c")).unwrap().messages, 2);
    drop(store);
    let left = verify(folder.path(), &mut go_on).unwrap();
    assert_eq!((left.messages, left.fault_count), (3, 0));
}
