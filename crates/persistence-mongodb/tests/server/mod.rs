//! What the tests on a real MongoDB share: a server, a runtime, a database for each.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses some of it, and ends where a server does not answer"
)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::{Document, doc};
use persistence_mongodb::{MongoOptions, MongoPersistence};
use test_servers::mongod::Mongod;
use tokio::runtime::Runtime;

/// The runtime on which all stores of a test program work.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// The server of all tests that do not make it fail.
pub(crate) fn server() -> &'static Mongod {
    static SERVER: OnceLock<Mongod> = OnceLock::new();
    SERVER.get_or_init(|| Mongod::new().start())
}

/// A database of one's own on the common server, removed when it is dropped.
pub(crate) struct Database {
    pub(crate) name: String,
}

impl Database {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("test_{count}"),
        }
    }

    pub(crate) fn options(&self) -> MongoOptions {
        MongoOptions {
            database: Some(self.name.clone()),
            ..MongoOptions::new(server().url())
        }
    }

    pub(crate) fn open(&self) -> MongoPersistence {
        match runtime().block_on(MongoPersistence::connect(self.options())) {
            Ok(store) => store,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn command(&self, command: Document) -> Document {
        server().command(&self.name, command)
    }

    /// The number of documents in a collection.
    pub(crate) fn count(&self, collection: &str) -> i32 {
        let answer = self.command(doc! { "count": collection, "query": {} });
        answer.get_i32("n").unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A store that was dropped may still be writing; what it writes then is in nobody's way.
        let _ = server().try_command(&self.name, doc! { "dropDatabase": 1 });
    }
}
