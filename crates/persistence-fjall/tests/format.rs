//! What a version of the broker has written, every later one reads. `fixtures/format-1` is a store
//! that the first format was made for; it never changes.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    Batch, InflightStage, Operation, Persistence, SessionKey, StoredSession, StoredWill,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_fjall::maintenance::{compact, dump, verify};
use persistence_fjall::{FjallOptions, FjallPersistence};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A journal is a hole for the most part; what is written of it is little.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
            continue;
        }
        let mut bytes = fs::read(entry.path()).unwrap();
        if target.extension().is_some_and(|end| end == "jnl") {
            let end = bytes.iter().rposition(|byte| *byte != 0);
            bytes.truncate(end.map_or(0, |at| at + 1));
        }
        fs::write(target, bytes).unwrap();
    }
}

fn message(topic: &str, payload: &[u8], expires: Timestamp) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[1, 1],
        payload,
        qos: QoS::ExactlyOnce,
        retain: true,
        expires,
    })
}

/// Something of each kind, with names that say which part this is.
fn batch(part: &str) -> Batch {
    let session = SessionKey {
        client: format!("client/{part}").into(),
        incarnation: 300,
    };
    let enqueue = |sequence, message: &Arc<Message>| Operation::Enqueue {
        session: session.clone(),
        sequence,
        message: Arc::clone(message),
        qos: QoS::ExactlyOnce,
        retain: true,
        subscription_ids: vec![1, 268_435_455].into(),
        shared: Some("$share/g/a/#".into()),
        packet_id: PacketId::new(sequence as u16),
    };
    let subscribe = |filter: Box<str>| Operation::PutSubscription {
        session: session.clone(),
        filter,
        options: SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: true,
            retain_as_published: true,
            identifier: 12,
        },
    };
    let shared = message(&format!("a/{part}"), b"shared", Timestamp::MAX);
    let far = Timestamp::from_millis(1 << 52);
    let operations = [
        Operation::PutSession(StoredSession {
            session: session.clone(),
            expiry_interval_secs: 3_600,
            disconnected_at: Some(Timestamp::from_millis(1_700_000_000_000)),
        }),
        subscribe("a/#".into()),
        // Too long for a key; large, so once is enough.
        subscribe(match part {
            "in the journal" => format!("{}/{part}", "long".repeat(16_380)).into(),
            part => part.into(),
        }),
        enqueue(1, &shared),
        enqueue(2, &shared),
        enqueue(3, &message("a", &[0xFF; 5_000], far)),
        enqueue(0, &message("a", b"waits", Timestamp::MAX)),
        Operation::MarkInflight {
            session: session.clone(),
            sequence: 2,
            packet_id: PacketId::new(2).unwrap(),
            stage: InflightStage::Released,
        },
        Operation::IncomingReceived {
            session: session.clone(),
            packet_id: PacketId::new(77).unwrap(),
        },
        Operation::PutRetained {
            message: message(&format!("retained/{part}"), b"kept", far),
        },
        Operation::PutWill(StoredWill {
            session,
            node: "node".into(),
            message: message("will", part.as_bytes(), Timestamp::MAX),
            delay_secs: 5,
            expiry_interval_secs: Some(60),
        }),
    ];
    operations.into_iter().collect()
}

fn dumped(path: &Path) -> String {
    let mut output = Vec::new();
    dump(path, &mut output, &mut |_| ControlFlow::Continue(())).unwrap();
    String::from_utf8(output).unwrap()
}

/// A part of it stands in files, the rest in the journal.
fn write(path: &Path) {
    let open = || FjallPersistence::open(path, FjallOptions::default()).unwrap();
    block_on(open().commit(&mut batch("in files"))).unwrap();
    compact(path, &mut |_| ControlFlow::Continue(())).unwrap();
    block_on(open().commit(&mut batch("in the journal"))).unwrap();
}

/// Writes the fixture where the environment says so: once for each format, and never again.
#[test]
fn write_the_fixture() {
    if std::env::var_os("MOSCA_WRITE_FIXTURE").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    copy(folder.path(), &fixtures().join("format-1"));
    fs::write(fixtures().join("format-1.jsonl"), dumped(folder.path())).unwrap();
}

#[test]
fn the_first_format_is_read() {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixtures().join("format-1"), folder.path());
    // The engine insists on its folders, and git keeps none that are empty.
    for part in ["4", "6"] {
        let keyspace = folder.path().join("data/keyspaces").join(part);
        fs::create_dir_all(keyspace.join("blobs")).unwrap();
    }
    let wanted = fs::read_to_string(fixtures().join("format-1.jsonl")).unwrap();
    assert!(dumped(folder.path()) == wanted, "{}", dumped(folder.path()));
    let verified = verify(folder.path(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((verified.sessions, verified.faults), (2, vec![]));

    // It is gone on with as it is.
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    block_on(store.commit(&mut batch("new"))).unwrap();
    assert_eq!(block_on(store.sessions(None, 10)).unwrap().len(), 3);
}

/// What is written today is what the fixture has.
#[test]
fn the_first_format_is_still_written() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let wanted = fs::read_to_string(fixtures().join("format-1.jsonl")).unwrap();
    assert!(dumped(folder.path()) == wanted);
}
