//! A broker that ends in the middle of a transaction leaves it open in MongoDB, which keeps it for a
//! minute. Nobody waits for that.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where a store cannot answer"
)]

mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::{
    Answer, Batch, Operation, Persistence, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use bson::{Document, doc};
use mongodb::Client;
use mqtt_codec::QoS;
use persistence_mongodb::{MongoOptions, MongoPersistence};
use test_servers::mongod::{Mongod, MongodBuilder};

use server::runtime;

/// What the one that dies is called at the server.
const DYING: &str = "dying";

/// The server's own limit, which nobody has changed, is twice that.
const LONGEST: Duration = Duration::from_secs(30);

fn message(sequence: u64) -> Batch {
    let session = SessionKey {
        client: "client".into(),
        incarnation: 1,
    };
    let put = Operation::PutSession(StoredSession {
        session: session.clone(),
        expiry_interval_secs: u32::MAX,
        disconnected_at: None,
    });
    let enqueue = Operation::Enqueue {
        session,
        sequence,
        message: Message::new(MessageParts {
            topic: "a/b",
            properties: &[],
            payload: b"x",
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
    [put, enqueue].into_iter().collect()
}

fn connect(url: &str) -> MongoPersistence {
    let options = MongoOptions {
        // Who waits for the server's limit succeeds, too late.
        unavailable_timeout_ms: 120_000,
        ..MongoOptions::new(url)
    };
    runtime()
        .block_on(MongoPersistence::connect(options))
        .unwrap()
}

fn command(administrator: &Client, command: Document) -> Document {
    let database = administrator.database("admin");
    let answer = database.run_command(command).into_future();
    runtime().block_on(answer).unwrap()
}

/// A broker in the middle of a transaction, which it cannot commit.
struct Stuck {
    process: tokio::runtime::Runtime,
    store: MongoPersistence,
    committed: Answer<()>,
}

fn be_stuck(administrator: &Client, url: &str) -> Stuck {
    // The server answers each attempt to commit with an error, and does nothing.
    command(
        administrator,
        doc! {
            "configureFailPoint": "failCommand",
            "mode": "alwaysOn",
            "data": { "failCommands": ["commitTransaction"], "errorCode": 8, "appName": DYING },
        },
    );
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let options = MongoOptions::new(format!("{url}&appName={DYING}"));
    let store = process
        .block_on(MongoPersistence::connect(options))
        .unwrap();
    let committed = store.commit(&mut message(1));
    test_servers::wait_until("the transaction to be open", || {
        let status = command(administrator, doc! { "serverStatus": 1 });
        let transactions = status.get_document("transactions").unwrap();
        transactions.get_i64("currentInactive").unwrap() > 0
    });
    Stuck {
        process,
        store,
        committed,
    }
}

/// It dies. The connections break, as they do when a process is killed; nothing is sent any more.
fn die_in_a_transaction(administrator: &Client, url: &str) {
    let stuck = be_stuck(administrator, url);
    stuck.process.shutdown_timeout(Duration::from_secs(30));
}

fn sequences(store: &MongoPersistence) -> Vec<u64> {
    let queue = runtime().block_on(async { store.outgoing("client", None, 10).await });
    queue.unwrap().iter().map(|one| one.sequence).collect()
}

/// Somebody dies, and another one writes the same documents.
fn check(administrator: &str, url: &str) {
    let administrator = runtime()
        .block_on(Client::with_uri_str(administrator))
        .unwrap();
    let limit = command(
        &administrator,
        doc! { "getParameter": 1, "transactionLifetimeLimitSeconds": 1 },
    );
    let limit = limit.get_i32("transactionLifetimeLimitSeconds").unwrap();
    assert_eq!(limit, 60, "the server's own");
    let witness = connect(url);
    runtime()
        .block_on(async { witness.commit(&mut message(2)).await })
        .unwrap();

    // One that came before him is held up for a moment, and so is one that comes behind him.
    for (early, sequence) in [(Some(witness), 3), (None, 4)] {
        die_in_a_transaction(&administrator, url);
        let store = early.unwrap_or_else(|| connect(url));
        let start = Instant::now();
        runtime()
            .block_on(async { store.commit(&mut message(sequence)).await })
            .unwrap();
        let waited = start.elapsed();
        println!("held up for {waited:.1?}");
        assert!(waited < LONGEST, "waited for {waited:.1?}");
        // What was never acknowledged has not happened.
        assert_eq!(sequences(&store), (2..=sequence).collect::<Vec<_>>());
    }
}

/// With the commands that make a server fail.
fn fallible() -> MongodBuilder {
    Mongod::new().arguments(["--setParameter", "enableTestCommands=1"])
}

#[test]
fn a_transaction_that_its_broker_has_left_open_holds_up_others_for_seconds_at_most() {
    let server = fallible().start();
    check(&server.url(), &server.url());
}

#[test]
fn who_may_read_and_write_one_database_alone_can_end_what_was_left_open_there() {
    let server = fallible().user("root", "secret").start();
    let as_user = |user: &str, path: &str| {
        server
            .url()
            .replace("mongodb://", &format!("mongodb://{user}:secret@"))
            .replace("/?", path)
    };
    let root = as_user("root", "/?");
    let administrator = runtime().block_on(Client::with_uri_str(&root)).unwrap();
    command(
        &administrator,
        doc! {
            "createUser": "broker",
            "pwd": "secret",
            "roles": [{ "role": "readWrite", "db": "mosca" }],
        },
    );
    check(&root, &as_user("broker", "/mosca?authSource=admin&"));
}

/// It has its connections still, so it is known by its standing still.
#[test]
fn who_stands_still_in_a_transaction_is_not_waited_for_and_loses_nothing() {
    let server = fallible().start();
    let administrator = runtime()
        .block_on(Client::with_uri_str(server.url()))
        .unwrap();
    let other = connect(&server.url());
    runtime()
        .block_on(async { other.commit(&mut message(2)).await })
        .unwrap();
    let stuck = be_stuck(&administrator, &server.url());
    let start = Instant::now();
    runtime()
        .block_on(async { other.commit(&mut message(3)).await })
        .unwrap();
    let waited = start.elapsed();
    println!("held up for {waited:.1?}");
    assert!(waited < LONGEST, "waited for {waited:.1?}");
    assert_eq!(sequences(&other), [2, 3]);
    command(
        &administrator,
        doc! { "configureFailPoint": "failCommand", "mode": "off" },
    );
    // The one that was ended finds out, and writes it again.
    let Stuck {
        process,
        store,
        committed,
    } = stuck;
    process.block_on(committed).unwrap();
    assert_eq!(sequences(&other), [1, 2, 3]);
    drop(store);
}

/// A note that is of no use any more is not left behind.
#[test]
fn who_ends_in_order_leaves_no_notes() {
    let database = server::Database::new();
    let store = Arc::new(database.open());
    runtime()
        .block_on(async { store.commit(&mut message(1)).await })
        .unwrap();
    assert!(database.count("writers") > 0);
    drop(store);
    test_servers::wait_until("the notes to be gone", || database.count("writers") == 0);
}
