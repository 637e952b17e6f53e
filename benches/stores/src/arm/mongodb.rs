//! The store in MongoDB, on a server that is a replica set of one and has its files in `TMPDIR`; and that
//! server by itself, through the same driver. A commit is two documents there: the message in its queue,
//! of the size that the store writes, and the size of the queue. Those of all callers go into one insert
//! and one update in a transaction, with write concern majority and journal; what they take without the
//! transaction, and the insert by itself, is printed as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Document, RawDocumentBuf, doc, rawdoc};
use mongodb::options::{Acknowledgment, WriteConcern};
use mongodb::{Client, ClientSession, Database};
use persistence_mongodb::{MongoOptions, MongoPersistence};
use test_servers::mongod::Mongod;

use super::{Arm, Opening};

pub struct InMongodb {
    server: Mongod,
    /// What the server had spent when it was ready, in seconds.
    spent: f64,
}

impl InMongodb {
    pub fn new() -> Self {
        // Less is for tests.
        let cache = ["--wiredTigerCacheSizeGB", "1"];
        let server = Mongod::new().arguments(cache).start();
        let spent = processor_secs(server.id());
        Self { server, spent }
    }
}

impl Arm for InMongodb {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let store = MongoPersistence::connect(MongoOptions::new(self.server.url()));
            Arc::new(store.await.unwrap_or_else(|error| panic!("{error}"))) as _
        })
    }

    fn raw(&self, callers: usize, time: Duration) -> Option<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let of = |way| runtime.block_on(raw(&self.server, way, callers, time / 3));
        let (insert, both) = (of(Way::Insert), of(Way::Both));
        println!(
            "mongodb  its engine without transactions: one insert {insert:.0} /s, insert and update {both:.0} /s"
        );
        Some(of(Way::Transaction))
    }

    fn spent(&self, commits: u64) -> Option<String> {
        let micros = (processor_secs(self.server.id()) - self.spent) * 1e6;
        Some(format!(
            "{:.0} us of the server's CPU each",
            micros / commits as f64
        ))
    }
}

/// What a process has had of the processors. The system counts in hundredths of a second.
fn processor_secs(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may have spaces in it.
    let (_, rest) = text.rsplit_once(')').unwrap_or_default();
    let ticks = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// How a group is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The messages alone, in one command.
    Insert,
    /// Two commands, of which one may be done without the other.
    Both,
    /// Two commands in a transaction.
    Transaction,
}

async fn raw(server: &Mongod, way: Way, callers: usize, time: Duration) -> f64 {
    let client = Client::with_uri_str(server.url()).await.expect("a client");
    let queues: Vec<ObjectId> = (0..callers).map(|_| ObjectId::new()).collect();
    let database = client.database("raw");
    database.drop().await.expect("an empty database");
    for collection in ["outgoing", "queues"] {
        let made = database.create_collection(collection).await;
        made.expect("a collection");
    }
    let mut session = client.start_session().await.expect("a session");
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < time {
        group(&database, &mut session, way, &queues, number).await;
        number += 1;
    }
    (number * callers as i64) as f64 / start.elapsed().as_secs_f64()
}

fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

fn message(queue: ObjectId, number: i64) -> RawDocumentBuf {
    let body = Binary {
        subtype: BinarySubtype::Generic,
        bytes: vec![7; 130],
    };
    rawdoc! {
        "_id": { "s": queue, "n": number },
        "qos": 1,
        "retain": false,
        "body": body,
        "bytes": 118_i64,
    }
}

async fn group(
    database: &Database,
    session: &mut ClientSession,
    way: Way,
    queues: &[ObjectId],
    number: i64,
) {
    let messages: Vec<RawDocumentBuf> =
        queues.iter().map(|queue| message(*queue, number)).collect();
    let counts: Vec<Document> = queues
        .iter()
        .map(|queue| {
            let change = doc! { "$inc": { "messages": 1_i64, "bytes": 118_i64 } };
            doc! { "q": { "_id": queue }, "u": change, "upsert": true }
        })
        .collect();
    let collection = database.collection::<RawDocumentBuf>("outgoing");
    let update = doc! { "update": "queues", "updates": counts };
    if way != Way::Transaction {
        let insert = collection.insert_many(messages).write_concern(durable());
        insert.await.expect("an insert");
        if way == Way::Both {
            let mut update = update;
            update.insert("writeConcern", doc! { "w": "majority", "j": true });
            database.run_command(update).await.expect("an update");
        }
        return;
    }
    let begin = session.start_transaction().write_concern(durable());
    begin.await.expect("a transaction");
    let insert = collection.insert_many(messages).session(&mut *session);
    insert.await.expect("an insert");
    let update = database.run_command(update).session(&mut *session);
    update.await.expect("an update");
    session.commit_transaction().await.expect("a commit");
}
