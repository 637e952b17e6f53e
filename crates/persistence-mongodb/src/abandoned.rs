//! Transactions that were left open: by a broker that was killed, or cut off from the database. The
//! server keeps for itself what they have touched until it gives them up, which is after a minute unless
//! it is told otherwise, and refuses it to everybody else meanwhile.
//!
//! So each session that writes in transactions is noted in the database before its first one. Who is in
//! the way of another is looked at by the other: a transaction whose connection is gone is ended, and so
//! is one in which nothing has been done for a while, since a machine that is gone closes no connections.
//! To end one is always safe. If its owner lives after all (it was stopped, or its machine is very slow),
//! nothing of the transaction has come into force, and it is told so and tries again.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bson::{Bson, Document, Uuid, doc};
use mongodb::{ClientSession, Database};
use parking_lot::Mutex;

use crate::error::Attempt;
use crate::inner::Inner;
use crate::schema::WRITERS;

/// A transaction in which nothing has been done for so long is left alone by whoever began it: between
/// two statements of ours lie milliseconds.
const STILL: Duration = Duration::from_secs(2);

/// A note is made again after so long, before the database takes it for an old one.
const NOTE_AGAIN: Duration = Duration::from_secs(86_400);

/// The sessions of this process that write in transactions, and when that was noted.
#[derive(Default)]
pub(crate) struct WritingSessions(Mutex<BTreeMap<[u8; 16], Instant>>);

impl WritingSessions {
    /// Makes a note of this session, unless there is one.
    pub(crate) async fn note(&self, database: &Database, session: &ClientSession) -> Attempt<()> {
        let Some(id) = session.id().get("id").and_then(uuid) else {
            return Ok(());
        };
        let known = self.0.lock().get(&id.bytes()).copied();
        if known.is_some_and(|at| at.elapsed() < NOTE_AGAIN) {
            return Ok(());
        }
        let change = doc! { "$set": { "session": true }, "$currentDate": { "at": true } };
        database
            .collection::<Document>(WRITERS)
            .update_one(doc! { "_id": id }, change)
            .upsert(true)
            .await?;
        self.0.lock().insert(id.bytes(), Instant::now());
        Ok(())
    }

    /// The `_id`s of all notes, which are of no use any more when this process ends in order.
    pub(crate) fn take(&self) -> Vec<Bson> {
        let noted = core::mem::take(&mut *self.0.lock());
        let noted = noted.into_keys();
        noted.map(|id| Uuid::from_bytes(id).into()).collect()
    }
}

/// What is known of transactions under way in which nothing is being done.
#[derive(Default)]
pub(crate) struct Watch(BTreeMap<[u8; 16], Sight>);

#[derive(Clone, Copy)]
struct Sight {
    /// Which of the transactions of its session.
    number: i64,
    /// Microseconds that have been spent on it.
    spent: i64,
    /// When it was first seen with both.
    since: Instant,
    /// The connection on which its last statement came, where that is known.
    connection: Option<i64>,
}

impl Watch {
    /// Looks around, and ends transactions that nobody goes on with. Returns how many.
    ///
    /// A user of the database may see and end what he has begun himself; that of other users stays.
    pub(crate) async fn look(&mut self, inner: &Inner) -> Attempt<usize> {
        let noted = noted(&inner.database).await?;
        if noted.is_empty() {
            self.0.clear();
            return Ok(0);
        }
        let admin = inner.client.database("admin");
        // One by one: a connection that is made in between is missing in the first answer at most.
        let open = doc! { "idleSessions": true, "allUsers": false };
        let open = vec![
            doc! { "$currentOp": open },
            doc! { "$match": { "type": "idleSession", "lsid.id": { "$in": noted } } },
            doc! { "$project": {
                "lsid": 1,
                "connectionId": 1,
                "shard": 1,
                "number": "$transaction.parameters.txnNumber",
                "spent": "$transaction.timeActiveMicros",
            } },
        ];
        let open = aggregate(&admin, open).await?;
        let open: Vec<(Uuid, Sight)> = open.iter().filter_map(read).collect();
        if open.is_empty() {
            self.0.clear();
            return Ok(0);
        }
        let connections = connections(&admin).await?;
        let before = core::mem::take(&mut self.0);
        let mut abandoned = Vec::new();
        for (id, mut sight) in open {
            let earlier = before.get(&id.bytes());
            if let Some(same) = earlier.filter(|one| one.is_same(&sight)) {
                sight.since = same.since;
            }
            if sight.is_cut_off(&connections) || sight.since.elapsed() >= STILL {
                abandoned.push(Bson::from(doc! { "id": id }));
            } else {
                self.0.insert(id.bytes(), sight);
            }
        }
        let count = abandoned.len();
        if count > 0 {
            let command = doc! { "killSessions": abandoned };
            admin.run_command(command).await?;
        }
        Ok(count)
    }
}

impl Sight {
    fn is_same(&self, other: &Self) -> bool {
        (self.number, self.spent) == (other.number, other.spent)
    }

    fn is_cut_off(&self, connections: &BTreeSet<i64>) -> bool {
        let is_known = !connections.is_empty();
        self.connection
            .is_some_and(|one| is_known && !connections.contains(&one))
    }
}

/// All connections that the server has, as far as a user may see them.
async fn connections(admin: &Database) -> Attempt<BTreeSet<i64>> {
    let all = doc! { "idleConnections": true, "idleSessions": false, "allUsers": false };
    let pipeline = vec![
        doc! { "$currentOp": all },
        doc! { "$project": { "connectionId": 1 } },
    ];
    let rows = aggregate(admin, pipeline).await?;
    Ok(rows.iter().filter_map(connection).collect())
}

fn connection(row: &Document) -> Option<i64> {
    match row.get("connectionId")? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

/// What the server says of itself, of which there are some thousand entries at most.
async fn aggregate(admin: &Database, pipeline: Vec<Document>) -> Attempt<Vec<Document>> {
    let command = doc! {
        "aggregate": 1,
        "pipeline": pipeline,
        "cursor": { "batchSize": 1_000_000 },
    };
    let answer = admin.run_command(command).await?;
    let rows = answer
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    let rows = rows.map(Vec::as_slice).unwrap_or_default();
    Ok(rows.iter().filter_map(Bson::as_document).cloned().collect())
}

/// The sessions that any broker on this database has noted.
async fn noted(database: &Database) -> Attempt<Vec<Bson>> {
    let writers = database.collection::<Document>(WRITERS);
    let mut cursor = writers.find(doc! { "session": true }).await?;
    let mut noted = Vec::new();
    while cursor.advance().await? {
        if let Ok(Some(id)) = cursor.current().get("_id")
            && let Ok(id) = Bson::try_from(id)
        {
            noted.push(id);
        }
    }
    Ok(noted)
}

fn read(row: &Document) -> Option<(Uuid, Sight)> {
    let id = row.get_document("lsid").ok()?.get("id").and_then(uuid)?;
    let sight = Sight {
        number: row.get_i64("number").ok()?,
        spent: row.get_i64("spent").ok()?,
        since: Instant::now(),
        // Behind a router each shard has its own.
        connection: connection(row).filter(|_| !row.contains_key("shard")),
    };
    Some((id, sight))
}

fn uuid(id: &Bson) -> Option<Uuid> {
    match id {
        Bson::Binary(binary) => binary.to_uuid().ok(),
        _ => None,
    }
}
