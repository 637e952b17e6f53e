//! What the Node.js mosca stored in MongoDB is brought over: all of it, once, however often it is tried.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a server does not answer"
)]

mod server;

use broker_core::persistence::{Operation, Persistence, StoredSession};
use broker_core::{MessageParts, Timestamp};
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, doc};
use mqtt_codec::QoS;
use persistence_memory::MemoryPersistence;
use persistence_mongodb::{ImportOptions, Imported, Unreadable, import_mosca};

use server::{Database, runtime, server};

fn binary(text: &str) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: text.as_bytes().to_vec(),
    }
}

fn at(millis: i64) -> DateTime {
    DateTime::from_millis(1_500_000_000_000 + millis)
}

fn packet(client: &str, millis: i64, id: impl Into<Bson>, payload: impl Into<Bson>) -> Document {
    doc! {
        "_id": ObjectId::new(),
        "client": client,
        "packet": { "topic": "hello/42", "payload": payload, "qos": 1, "retain": false, "messageId": id },
        "added": at(millis),
    }
}

/// Makes the collections and the indexes that the Node.js mosca made.
fn furnish(database: &Database) {
    for (collection, keys, unique) in [
        ("subscriptions", doc! { "client": 1 }, false),
        ("packets", doc! { "client": 1 }, false),
        ("retained", doc! { "topic": 1 }, true),
    ] {
        let index = doc! { "key": keys, "name": "by", "unique": unique };
        database.command(doc! { "createIndexes": collection, "indexes": [index] });
    }
    let subscription = |client: &str, topic: &str, qos: i32| {
        doc! { "client": client, "topic": topic, "qos": qos, "added": at(0) }
    };
    database.command(doc! { "insert": "subscriptions", "documents": [
        subscription("b", "#", 1),
        subscription("b", "hello/+", 0),
        subscription("a:1", "a/#", 1),
        subscription("a:1", "a/#/b", 1),
        { "client": 7, "topic": "x", "qos": 1, "added": at(0) },
    ] });
    database.command(doc! { "insert": "packets", "documents": [
        packet("b", 30, "id3", binary("three")),
        packet("b", 10, "id1", binary("one")),
        // One copy for each subscription that matched.
        packet("b", 10, "id1", binary("one")),
        packet("b", 20, "id2", "two"),
        // The same number on two connections: two messages.
        packet("b", 40, 5, binary("four")),
        packet("b", 50, 5, binary("five")),
        packet("only packets", 10, "id4", binary("x")),
        { "client": "b", "packet": { "topic": "$SYS/x", "qos": 1, "payload": "y" }, "added": at(60) },
        { "client": "b", "packet": 7, "added": at(70) },
    ] });
    database.command(doc! { "insert": "retained", "documents": [
        { "topic": "r/1", "payload": binary("one"), "qos": 1.0, "retain": true, "messageId": "x" },
        { "topic": "r/2", "payload": "two", "qos": 0, "retain": true },
        { "topic": "r/3", "payload": "three", "qos": 0, "retain": true },
        { "topic": "r/+", "payload": "none", "qos": 0, "retain": true },
    ] });
}

fn run(database: &Database, target: &dyn Persistence) -> (Imported, Vec<Unreadable>) {
    let options = ImportOptions {
        database: Some(database.name.clone()),
        ..ImportOptions::new(server().url())
    };
    let mut reported = Vec::new();
    let done = runtime().block_on(import_mosca(&options, target, |one| reported.push(one)));
    (done.unwrap(), reported)
}

fn texts(target: &dyn Persistence, client: &str) -> Vec<String> {
    let queue = runtime().block_on(async { target.outgoing(client, None, 100).await });
    let text = |one: broker_core::persistence::StoredOutgoing| {
        assert_eq!(
            (one.qos, one.inflight, one.retain),
            (QoS::AtLeastOnce, None, false)
        );
        String::from_utf8(one.message.unwrap().payload().to_vec()).unwrap()
    };
    queue.unwrap().into_iter().map(text).collect()
}

fn retained(target: &dyn Persistence) -> Vec<(String, Vec<u8>)> {
    let found = runtime().block_on(async { target.retained(None, None, 100).await });
    let found = found.unwrap().into_iter();
    found
        .map(|one| (one.topic().to_owned(), one.payload().to_vec()))
        .collect()
}

/// Into the store in memory, and into this one.
fn targets(database: &Database) -> [Box<dyn Persistence>; 2] {
    [
        Box::new(MemoryPersistence::new()),
        Box::new(database.open()),
    ]
}

#[test]
fn all_that_can_be_read_comes_over_and_the_rest_is_named() {
    let (source, own) = (Database::new(), Database::new());
    furnish(&source);
    for target in targets(&own) {
        let target = &*target;
        // Twice: the second time changes nothing.
        for round in 0..2 {
            let (done, reported) = run(&source, target);
            assert_eq!(
                (done.sessions, done.subscriptions, done.messages),
                (3, 3, 6)
            );
            let kept = if round == 0 { (3, 0) } else { (0, 3) };
            assert_eq!((done.retained, done.retained_in_use), kept);
            assert_eq!(
                (done.left_out, done.unreadable, done.sessions_in_use),
                (2, 4, 0)
            );
            let reasons: Vec<_> = reported
                .iter()
                .map(|one| (one.collection, &*one.reason))
                .collect();
            assert_eq!(reasons.len(), 4);
            for (collection, word) in [
                ("subscriptions", "a/#/b"),
                ("subscriptions", "client"),
                ("packets", "packet"),
                ("retained", "r/+"),
            ] {
                let named = |one: &(&str, &str)| one.0 == collection && one.1.contains(word);
                assert!(reasons.iter().any(named), "{word}: {reasons:?}");
            }
            assert!(
                reported.iter().all(|one| one.id.len() == 24),
                "{reported:?}"
            );

            assert_eq!(texts(target, "b"), ["one", "two", "three", "four", "five"]);
            assert_eq!(texts(target, "only packets"), ["x"]);
            let filters = runtime().block_on(async { target.subscriptions("b", None, 9).await });
            let filters: Vec<_> = filters
                .unwrap()
                .into_iter()
                .map(|one| (one.filter, one.options.qos))
                .collect();
            assert_eq!(
                filters,
                [
                    ("#".into(), QoS::AtLeastOnce),
                    ("hello/+".into(), QoS::AtMostOnce)
                ]
            );
            let wanted = [("r/1", "one"), ("r/2", "two"), ("r/3", "three")];
            assert!(
                retained(target)
                    .into_iter()
                    .eq(wanted.map(|(topic, text)| (topic.to_owned(), text.into())))
            );
            let session = runtime()
                .block_on(async { target.session("b").await })
                .unwrap()
                .unwrap();
            assert_eq!(session.expiry_interval_secs, u32::MAX);
            assert_eq!(
                session.disconnected_at,
                Some(Timestamp::from_millis(1_500_000_000_070))
            );
        }
    }
}

/// However long ago its client was there.
#[test]
fn a_session_expires_so_long_after_its_import() {
    let source = Database::new();
    furnish(&source);
    let target = MemoryPersistence::new();
    let options = ImportOptions {
        database: Some(source.name.clone()),
        session_expiry_secs: 3_600,
        ..ImportOptions::new(server().url())
    };
    let now = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs()
    };
    let before = now();
    runtime()
        .block_on(import_mosca(&options, &target, |_| {}))
        .unwrap();
    let possible = before + 3_600..=now() + 3_601;
    for client in ["b", "a:1", "only packets"] {
        let session = runtime().block_on(async { target.session(client).await });
        let session = session.unwrap().unwrap();
        let since = session.disconnected_at.unwrap().as_millis() / 1_000;
        let expires = since + u64::from(session.expiry_interval_secs);
        assert!(
            possible.contains(&expires),
            "{client}: {expires}, {possible:?}"
        );
    }
}

#[test]
fn what_has_been_used_since_is_left_alone() {
    let (source, own) = (Database::new(), Database::new());
    furnish(&source);
    for target in targets(&own) {
        let target = &*target;
        run(&source, target);
        let session = runtime()
            .block_on(async { target.session("b").await })
            .unwrap()
            .unwrap();
        let queue = runtime()
            .block_on(async { target.outgoing("b", None, 9).await })
            .unwrap();
        let newer = broker_core::Message::new(MessageParts {
            topic: "r/2",
            properties: &[],
            payload: b"newer",
            qos: QoS::AtMostOnce,
            retain: true,
            expires: Timestamp::MAX,
        });
        let mut batch = [
            // The client has been here, and taken all but one.
            Operation::PutSession(StoredSession {
                disconnected_at: None,
                ..session.clone()
            }),
            Operation::PutRetained { message: newer },
        ]
        .into_iter()
        .chain(queue.iter().take(4).map(|one| Operation::Dequeue {
            session: session.session.clone(),
            sequence: one.sequence,
        }))
        .collect();
        runtime()
            .block_on(async { target.commit(&mut batch).await })
            .unwrap();
        let (done, _) = run(&source, target);
        assert_eq!((done.sessions, done.sessions_in_use), (2, 1));
        assert_eq!(texts(target, "b"), ["five"]);
        assert_eq!(retained(target)[1], ("r/2".to_owned(), b"newer".to_vec()));
    }
}

#[test]
fn nobody_at_the_address_is_an_error_that_names_it() {
    let refusing = test_servers::RefusingPort::take();
    let port = refusing.number();
    let options = ImportOptions {
        connect_timeout_ms: 300,
        ..ImportOptions::new(format!("mongodb://me:secret@127.0.0.1:{port}"))
    };
    let target = MemoryPersistence::new();
    let error = runtime()
        .block_on(import_mosca(&options, &target, |_| {}))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&port.to_string()) && !error.contains("secret"),
        "{error}"
    );
    assert!(!format!("{options:?}").contains("secret"));
}
