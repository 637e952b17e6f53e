//! The engine by itself, without anything of the store around it. A commit of a caller is three records
//! here too, of the sizes that the store writes: the place in the queue, the message, the size of the
//! queue.
//!
//! [`full`] is a limit that nobody reaches: nobody waits for an answer, and each batch has a record of each
//! caller. [`grouped`] has the same callers as the store: each waits for its answer before it comes again,
//! and a thread writes whatever is waiting as one batch.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tokio::sync::oneshot;

/// As in the options of the store.
const MEMTABLE_BYTES: u64 = 16 << 20;

pub struct Engine {
    contents: Keyspace,
    messages: Keyspace,
    database: Database,
}

impl Engine {
    pub fn open(folder: &Path) -> Self {
        let database = Database::builder(folder)
            .manual_journal_persist(true)
            .open()
            .expect("the engine");
        let part = |name| {
            let options = || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(MEMTABLE_BYTES)
                    .manual_journal_persist(true)
            };
            database.keyspace(name, options).expect("a part")
        };
        let (contents, messages) = (part("contents"), part("messages"));
        Self {
            contents,
            messages,
            database,
        }
    }

    /// Writes one commit of each of these callers, with one sync.
    fn write(&self, callers: impl Iterator<Item = u64>, number: &mut u64) {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for caller in callers {
            let queue = [&caller.to_be_bytes()[..], b"q"].concat();
            let place = [&caller.to_be_bytes()[..], b"o", &number.to_be_bytes()].concat();
            batch.insert(&self.contents, place, [7; 14]);
            batch.insert(&self.contents, queue, [7; 24]);
            batch.insert(&self.messages, number.to_be_bytes(), [7; 130]);
            *number += 1;
        }
        batch.commit().expect("a commit");
    }
}

/// Commits per second with as many of them in a batch as there are callers. `number` goes on from round
/// to round.
pub fn full(engine: &Engine, callers: usize, time: Duration, number: &mut u64) -> f64 {
    let (start, first) = (Instant::now(), *number);
    while start.elapsed() < time {
        engine.write(0..callers as u64, number);
    }
    (*number - first) as f64 / start.elapsed().as_secs_f64()
}

type Waiting = (u64, oneshot::Sender<()>);

/// Commits per second with what is waiting in a batch.
pub async fn grouped(
    engine: &Arc<Engine>,
    callers: usize,
    time: Duration,
    number: &mut u64,
) -> f64 {
    let (sender, receiver) = mpsc::channel::<Waiting>();
    let (writing, mut next) = (Arc::clone(engine), *number);
    let writer = thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let group: Vec<Waiting> = std::iter::once(first).chain(receiver.try_iter()).collect();
            writing.write(group.iter().map(|(caller, _)| *caller), &mut next);
            for (_, answer) in group {
                let _ = answer.send(());
            }
        }
        next
    });
    let start = Instant::now();
    let local = tokio::task::LocalSet::new();
    for caller in 0..callers as u64 {
        let sender = sender.clone();
        local.spawn_local(async move {
            while start.elapsed() < time {
                let (answer, answered) = oneshot::channel();
                sender.send((caller, answer)).expect("the writer");
                answered.await.expect("an answer");
            }
        });
    }
    drop(sender);
    local.await;
    let elapsed = start.elapsed();
    let first = core::mem::replace(number, writer.join().expect("the writer"));
    (*number - first) as f64 / elapsed.as_secs_f64()
}
