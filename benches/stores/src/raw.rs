//! The engine by itself: as many records in a batch as there are callers, one sync for each batch.
//! A commit of a caller is three records here too, of the sizes that the store writes: the place in
//! the queue, the message, the size of the queue.

use std::path::Path;
use std::time::{Duration, Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

pub fn commits(folder: &Path, callers: usize, time: Duration) {
    let database = Database::builder(folder).open().expect("the engine");
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
    let rate = commits as f64 / start.elapsed().as_secs_f64();
    println!("raw      commits, {callers:>5} in a batch  {rate:>10.0} /s");
}
