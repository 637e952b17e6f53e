//! The store on MongoDB keeps what every store promises.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

mod server;

use core::future::Future;
use std::time::Duration;

use broker_core::persistence::contract::{Factory, Scale};
use bson::{Bson, doc};
use persistence_mongodb::MongoPersistence;

use server::{Database, runtime};

/// Makes stores in databases of their own on one server.
struct Mongo;

impl Factory for Mongo {
    type Place = Database;
    type Store = MongoPersistence;

    fn scale(&self) -> Scale {
        match test_servers::at_full_scale() {
            true => Scale::FULL,
            false => Scale::SERVER,
        }
    }

    fn create(&self) -> Database {
        Database::new()
    }

    fn open(&self, place: &Database) -> MongoPersistence {
        place.open()
    }

    fn try_open(&self, place: &Database) -> Result<MongoPersistence, String> {
        let store = MongoPersistence::connect(place.options());
        runtime().block_on(store).map_err(|error| error.to_string())
    }

    fn spoil_version(&self, place: &Database, version: u32) -> Option<u32> {
        place.command(doc! {
            "update": "meta",
            "updates": [{
                "q": { "_id": "format" },
                "u": { "$set": { "version": i64::from(version) } },
            }],
            "writeConcern": { "w": "majority" },
        });
        Some(1)
    }

    /// The server outlives the handle; `tests/faults.rs` kills it.
    fn crash_image(&self, _: &Database) -> Option<Database> {
        None
    }

    /// All records of messages, wherever they are, once nothing is left to be removed.
    fn stored_message_bytes(&self, place: &Database, store: &MongoPersistence) -> Option<u64> {
        runtime().block_on(async {
            while !store.is_clean().await.unwrap() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut sum = 0;
        for (collection, field) in [
            ("outgoing", "$body"),
            ("messages", "$body"),
            ("chunks", "$data"),
            ("retained", "$body"),
            ("wills", "$body"),
        ] {
            let answer = place.command(doc! {
                "aggregate": collection,
                "pipeline": [{ "$group": { "_id": 0, "bytes": { "$sum": { "$binarySize": field } } } }],
                "cursor": {},
            });
            let rows = answer
                .get_document("cursor")
                .unwrap()
                .get_array("firstBatch");
            if let Some(Bson::Document(row)) = rows.unwrap().first() {
                let bytes = row.get("bytes").unwrap();
                let bytes = bytes.as_i64().or_else(|| bytes.as_i32().map(i64::from));
                sum += u64::try_from(bytes.unwrap_or_default()).unwrap();
            }
        }
        Some(sum)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        runtime().block_on(future)
    }
}

broker_core::persistence_contract!(Mongo);
