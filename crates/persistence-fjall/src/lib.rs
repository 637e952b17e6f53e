//! The store that keeps everything in a folder on disk, with nothing to install: an LSM tree
//! ([fjall](https://docs.rs/fjall)) inside the broker's process.
//!
//! ```
//! use broker_core::persistence::{Batch, Operation, Persistence, PersistenceError};
//! use broker_core::persistence::{SessionKey, StoredSession};
//! use persistence_fjall::{FjallOptions, FjallPersistence};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("store");
//! let store = FjallPersistence::open(&path, FjallOptions::default()).unwrap();
//! # async fn example(store: &FjallPersistence) -> Result<(), PersistenceError> {
//! let session = SessionKey { client: "sensor-1".into(), incarnation: 1 };
//! let mut batch = Batch::new();
//! batch.push(Operation::PutSession(StoredSession {
//!     session: session.clone(),
//!     expiry_interval_secs: 3_600,
//!     disconnected_at: None,
//! }));
//! // On the disk when the answer is there.
//! store.commit(&mut batch).await?;
//!
//! let found = store.session("sensor-1").await?;
//! assert_eq!(found.map(|stored| stored.session), Some(session));
//! # Ok(())
//! # }
//! # broker_core::persistence::contract::block_on(example(&store)).unwrap();
//! ```
//!
//! # How it works
//!
//! Batches go through one queue to one thread, in the order of the calls. It takes all that is
//! waiting, works out what they change, and writes that as one batch of the engine with one sync of
//! the journal; then it answers each. The more wait, the more share a sync. Lookups have threads of
//! their own, and see the store as it is at one moment. No runtime is needed; answers can be awaited
//! on any.
//!
//! A message that waits in several queues is stored once and counted. A session that is dropped is
//! gone at once; what it leaves, a million messages perhaps, is removed in small steps afterwards,
//! as are messages that have expired.
//!
//! When the disk is full or broken the engine stops; it is then opened again, and what was not
//! written is tried until it is or until [`FjallOptions::retry`] is over, after which the answer is an
//! error and nothing of the batch is there. Lookups go on meanwhile.
//!
//! One process at a time can have a store; another one is refused with an [`OpenError::InUse`].
//!
//! # Costs
//!
//! | operation | cost |
//! | --- | --- |
//! | on the contents of a session | writes of less than 100 bytes, for a new message its own size as well; what was touched lately is remembered, other records are read first |
//! | on a session | a write of less than 100 bytes, also if a million messages wait in it |
//! | lookups | O(log n), and the size of the page; retained messages by a filter with wildcards jump over what cannot match |
//!
//! Memory is bounded by [`FjallOptions`]: cache, memtables, and the queue.

mod cache;
mod changes;
mod engine;
mod error;
mod journal;
mod keys;
mod lookup;
pub mod maintenance;
mod manifest;
mod numbers;
mod options;
mod place;
mod queue;
mod queue_size;
mod readers;
mod retained;
mod seek;
mod shared;
mod subscriptions;
mod table;
mod upkeep;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use broker_core::Message;
use broker_core::persistence::{
    Answer, Batch, Persistence, StoredOutgoing, StoredQueue, StoredSession, StoredSubscription,
    StoredWill,
};
use mqtt_codec::PacketId;
use topic_trie::TopicFilter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use error::OpenError;
pub use options::{Durability, FjallOptions};
pub use place::FORMAT;

use engine::Engine;
use error::Failure;
use lookup::Lookup;
use place::Place;
use readers::Readers;
use shared::{Shared, guarded};
use writer::Writer;

/// A store in a folder; see the [crate's text](crate).
///
/// Dropping it waits until what was committed is written, and closes the store.
pub struct FjallPersistence {
    readers: Readers,
    writer: Option<JoinHandle<()>>,
}

impl core::fmt::Debug for FjallPersistence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FjallPersistence")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl FjallPersistence {
    /// Opens the store in a folder; makes both if there is none yet.
    ///
    /// After a crash this reads back what the journals have, which takes about a second for each
    /// 100 MB of them.
    ///
    /// # Errors
    /// If the folder contains something else, a store of another format, a store that another
    /// process has open, or one that is damaged; if the operating system refuses; or if an option is
    /// out of its range.
    pub fn open(path: impl AsRef<Path>, options: FjallOptions) -> Result<Self, OpenError> {
        options.check()?;
        let path = path.as_ref();
        let (place, engine) = open(path, &options, true)?;
        let shared = Arc::new(Shared::new(place, engine, options));
        let io = |error| OpenError::Io {
            path: path.to_owned(),
            error,
        };
        let writer = shared
            .engine()
            .and_then(|engine| guarded(|| Writer::new(Arc::clone(&shared), &engine)))
            .map_err(|failure| opening(path, failure))?;
        let readers = Readers::start(&shared).map_err(io)?;
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(|| writer.run())
            .map_err(io)?;
        Ok(Self {
            readers,
            writer: Some(writer),
        })
    }

    /// The folder.
    pub fn path(&self) -> std::path::PathBuf {
        self.readers.shared().path()
    }

    /// Bytes of all messages that wait in queues, each counted once however many queues it waits in,
    /// as they are before compression. Looks at each of them, once what dropped sessions have left is
    /// removed; waits for that for at most a minute.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn message_bytes(&self) -> Answer<u64> {
        self.readers.ask(|engine| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while Lookup::new(engine).has_remains()? && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            Lookup::new(engine).message_bytes()
        })
    }
}

impl Drop for FjallPersistence {
    fn drop(&mut self) {
        let shared = self.readers.shared();
        shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // It has caught its panics.
            let _ = writer.join();
        }
        self.readers.stop();
        self.readers.shared().close_engine();
    }
}

/// Opens folder and engine.
fn open(path: &Path, options: &FjallOptions, create: bool) -> Result<(Place, Engine), OpenError> {
    let place = Place::open(path, create)?;
    let engine = guarded(|| Engine::open(&place.data(), options))
        .map_err(|failure| opening(path, failure))?;
    place.complete().map_err(|error| OpenError::Io {
        path: path.to_owned(),
        error,
    })?;
    Ok((place, engine))
}

fn opening(path: &Path, failure: Failure) -> OpenError {
    use error::FailureKind;
    let path = path.to_owned();
    match failure.kind {
        FailureKind::Damaged => OpenError::Damaged {
            path,
            reason: failure.reason,
        },
        FailureKind::Full => OpenError::Io {
            path,
            error: std::io::Error::new(std::io::ErrorKind::StorageFull, failure.reason),
        },
        FailureKind::Unavailable | FailureKind::Stopped => OpenError::Io {
            path,
            error: std::io::Error::other(failure.reason),
        },
    }
}

impl Persistence for FjallPersistence {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        let operations = batch.drain().collect();
        self.readers.shared().queue.push(operations)
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        let after = after.map(Box::<str>::from);
        self.readers
            .ask(move |engine| Lookup::new(engine).sessions(after.as_deref(), limit))
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        let client: Box<str> = client.into();
        self.readers
            .ask(move |engine| Lookup::new(engine).session(&client))
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        let (client, after): (Box<str>, _) = (client.into(), after.map(Box::<str>::from));
        self.readers
            .ask(move |engine| Lookup::new(engine).subscriptions(&client, after.as_deref(), limit))
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        let client: Box<str> = client.into();
        self.readers
            .ask(move |engine| Lookup::new(engine).outgoing(&client, after, limit))
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let client: Box<str> = client.into();
        self.readers
            .ask(move |engine| Lookup::new(engine).queue(&client))
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        let client: Box<str> = client.into();
        self.readers
            .ask(move |engine| Lookup::new(engine).incoming(&client))
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let filter = filter.map(|filter| Box::<str>::from(filter.as_str()));
        let after = after.map(Box::<str>::from);
        self.readers.ask(move |engine| {
            Lookup::new(engine).retained(filter.as_deref(), after.as_deref(), limit)
        })
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let (node, after): (Box<str>, _) = (node.into(), after.map(Box::<str>::from));
        self.readers
            .ask(move |engine| Lookup::new(engine).wills(&node, after.as_deref(), limit))
    }
}
