//! What a store says of a server or a database that it cannot use, and that it takes one that it can.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a server does not answer"
)]

mod server;

use std::time::{Duration, Instant};

use bson::doc;
use persistence_mongodb::{ConnectError, MongoOptions, MongoPersistence};
use test_servers::mongod::Mongod;

use server::{Database, runtime};

/// The error, which tells no password.
fn refused(options: MongoOptions) -> ConnectError {
    let error = runtime()
        .block_on(MongoPersistence::connect(options))
        .unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    error
}

fn options(url: &str) -> MongoOptions {
    MongoOptions {
        connect_timeout_ms: 1_000,
        ..MongoOptions::new(url)
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    for url in [
        "",
        "redis://a",
        "mongodb://",
        "mongodb://me:secret@a:x",
        "mongodb://a/?tls=maybe",
        "mongodb+srv://me:secret@a",
    ] {
        let error = refused(options(url));
        assert!(matches!(error, ConnectError::Url { .. }), "{url}: {error}");
    }
}

#[test]
fn nobody_at_the_address_is_an_error_in_time() {
    let start = Instant::now();
    let refusing = test_servers::RefusingPort::take();
    let port = refusing.number();
    let error = refused(options(&format!("mongodb://me:secret@127.0.0.1:{port}")));
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_standalone_server_is_refused_with_the_reason() {
    let server = Mongod::new().standalone().start();
    let error = refused(options(&server.url()));
    assert!(matches!(error, ConnectError::Standalone { .. }), "{error}");
    for word in ["transactions", "--replSet"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    let found = server.command("admin", doc! { "listDatabases": 1, "nameOnly": true });
    assert!(
        !found.to_string().contains("mosca"),
        "nothing was written: {found}"
    );
}

#[test]
fn a_password_is_sent_and_a_wrong_one_refused() {
    let server = Mongod::new().user("me", "secret").start();
    let rest = server.url().replace("mongodb://", "");
    let open = |user: &str| MongoPersistence::connect(options(&format!("mongodb://{user}@{rest}")));
    runtime().block_on(open("me:secret")).unwrap();
    for wrong in ["me:other", "you:secret"] {
        let error = runtime().block_on(open(wrong)).unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = refused(options(&server.url()));
    assert!(error.to_string().contains("authentication"), "{error}");
}

#[test]
fn the_database_is_the_one_in_the_options_or_the_address() {
    let server = Mongod::new().start();
    let with_path = server.url().replace("/?", "/by_address?");
    let names = [
        (MongoOptions::new(server.url()), "mosca"),
        (MongoOptions::new(with_path.clone()), "by_address"),
        (
            MongoOptions {
                database: Some("by_option".to_owned()),
                ..MongoOptions::new(with_path)
            },
            "by_option",
        ),
    ];
    for (options, name) in names {
        drop(
            runtime()
                .block_on(MongoPersistence::connect(options))
                .unwrap(),
        );
        let found = server.command(name, doc! { "find": "meta", "filter": { "_id": "format" } });
        assert!(
            found.to_string().contains("\"version\": 1"),
            "{name}: {found}"
        );
    }
}

#[test]
fn a_database_of_somebody_else_is_left_alone() {
    let database = Database::new();
    database.command(
        doc! { "insert": "subscriptions", "documents": [{ "client": "a", "topic": "b" }] },
    );
    let error = refused(database.options());
    assert!(matches!(error, ConnectError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("subscriptions"), "{error}");
    let found = database.command(doc! { "listCollections": 1, "nameOnly": true });
    assert!(!found.to_string().contains("meta"), "{found}");
}

#[test]
fn indexes_are_made_and_one_that_is_another_is_named() {
    let database = Database::new();
    drop(database.open());
    // One that is missing is made.
    database.command(doc! { "dropIndexes": "wills", "index": "mosca_node" });
    drop(database.open());
    let found = database.command(doc! { "listIndexes": "wills" });
    assert!(found.to_string().contains("mosca_node"), "{found}");
    // One that is another is not taken for ours.
    database.command(doc! { "dropIndexes": "retained", "index": "mosca_expires" });
    database.command(doc! { "createIndexes": "retained", "indexes": [
        { "key": { "expires": 1 }, "name": "mosca_expires", "sparse": true, "expireAfterSeconds": 1 },
    ] });
    let error = refused(database.options());
    assert!(matches!(error, ConnectError::Index { .. }), "{error}");
    for word in ["mosca_expires", "retained", "3600"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    database.command(doc! { "dropIndexes": "retained", "index": "mosca_expires" });
    drop(database.open());
}

#[test]
fn several_may_make_one_database_at_the_same_time() {
    let database = Database::new();
    runtime().block_on(async {
        let tasks: Vec<_> = (0..4)
            .map(|_| tokio::spawn(MongoPersistence::connect(database.options())))
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
}
