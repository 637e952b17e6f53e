//! The store in a folder, and its engine by itself. A commit is three records there too, of the sizes that
//! the store writes: the place in the queue, the message, the size of the queue.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use persistence_fjall::{FjallOptions, FjallPersistence};
use tempfile::TempDir;

use super::{Arm, Opening};

pub struct Fjall {
    store: TempDir,
    raw: TempDir,
}

impl Fjall {
    pub fn new(folder: &Path) -> Self {
        let new = || tempfile::tempdir_in(folder).expect("a folder");
        Self {
            store: new(),
            raw: new(),
        }
    }
}

impl Arm for Fjall {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let store = FjallPersistence::open(self.store.path(), FjallOptions::default());
            Arc::new(store.unwrap_or_else(|error| panic!("{error}"))) as _
        })
    }

    fn raw(&self, callers: usize, time: Duration) -> Option<f64> {
        let database = Database::builder(self.raw.path())
            .open()
            .expect("the engine");
        let part = |name| {
            database
                .keyspace(name, KeyspaceCreateOptions::default)
                .expect("a part")
        };
        let (contents, messages) = (part("contents"), part("messages"));
        let start = Instant::now();
        let mut commits: u64 = 0;
        while start.elapsed() < time {
            let mut batch = database.batch().durability(Some(PersistMode::SyncData));
            for caller in 0..callers as u64 {
                let queue = [&caller.to_be_bytes()[..], b"q"].concat();
                let place = [&caller.to_be_bytes()[..], b"o", &commits.to_be_bytes()].concat();
                batch.insert(&contents, place, [7; 14]);
                batch.insert(&contents, queue, [7; 24]);
                batch.insert(&messages, commits.to_be_bytes(), [7; 130]);
                commits += 1;
            }
            batch.commit().expect("a commit");
        }
        Some(commits as f64 / start.elapsed().as_secs_f64())
    }
}
