//! The store on MongoDB: every batch atomic and on the disks of most members of a replica set before
//! it is acknowledged, and one store for as many brokers as like to share it.
//!
//! [`MongoPersistence`] keeps all promises of [`Persistence`]. It needs a replica set, which may have
//! one member: a standalone server has no transactions, and is refused.
//!
//! ```no_run
//! use persistence_mongodb::{MongoOptions, MongoPersistence};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = MongoOptions::new("mongodb://db1,db2,db3/mosca?replicaSet=rs0");
//! let store = MongoPersistence::connect(options).await?;
//! # drop(store);
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! `commit` puts the batch into a line. One task takes all that waits, up to a limit, reads what it
//! touches, applies the operations in their order and in memory, and writes what has changed: one
//! transaction, with one write to the disk, for all of them. So one client alone waits for a round of
//! messages and a disk, and a thousand share one. Then all are answered, in their order.
//!
//! Each transaction is committed with write concern `majority` and `journal`, whatever the address
//! says: what was acknowledged outlives the loss of any minority of the members. While there is no
//! primary (a fail-over, a restart) batches wait and are tried again. A commit whose answer was lost
//! is never simply repeated: the next attempt finds out whether it had come into force.
//!
//! A lookup is a transaction too, so it sees one moment; and never an earlier one than any lookup or
//! commit before it, also when another member has become primary in between.
//!
//! A session that ends leaves what it had to be removed in the background, in small steps; it cannot
//! be found from the moment on in which the session has ended.
//!
//! What is in which collection is said in the source, in `schema.rs`; all but the messages themselves
//! are plain fields.

mod abandoned;
mod bodies;
mod changes;
mod cleaner;
mod connect;
mod error;
mod health;
mod import;
mod inner;
mod load;
mod lookup;
mod options;
mod plan;
mod queue;
mod retained;
mod row;
mod schema;
mod transaction;
mod writer;

use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{
    Answer, Batch, Persistence, PersistenceError, StoredOutgoing, StoredQueue, StoredSession,
    StoredSubscription, StoredWill,
};
use mqtt_codec::PacketId;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use topic_trie::TopicFilter;

pub use error::ConnectError;
pub use import::{ImportError, ImportOptions, Imported, Unreadable, import_mosca};
pub use options::MongoOptions;

use inner::Inner;
use lookup::Lookup;
use queue::Refusal;
use writer::Writer;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A store in a MongoDB; see the [crate's text](crate).
///
/// It works on the runtime on which it was connected; its answers may be awaited anywhere. When it is
/// dropped, what was given to [`commit`](Persistence::commit) is still written.
pub struct MongoPersistence {
    inner: Arc<Inner>,
    runtime: Handle,
    cleaner: JoinHandle<()>,
}

impl MongoPersistence {
    /// Connects, and makes sure that the database is one of ours: an empty one is made one.
    ///
    /// # Errors
    /// See [`ConnectError`]. No server is waited for longer than
    /// [`connect_timeout_ms`](MongoOptions::connect_timeout_ms).
    ///
    /// # Panics
    /// Outside of a tokio runtime with time and input and output.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a database that can be connected to.
    pub async fn connect(options: MongoOptions) -> Result<Self, ConnectError> {
        let inner = Arc::new(connect::connect(options).await?);
        let runtime = Handle::current();
        runtime.spawn(Writer::new(Arc::clone(&inner)).run());
        let cleaner = runtime.spawn(cleaner::run(Arc::clone(&inner)));
        Ok(Self {
            inner,
            runtime,
            cleaner,
        })
    }

    /// Whether everything has been removed that sessions which have ended left behind. It happens in
    /// the background, by whichever process comes to it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_clean(&self) -> Result<bool, PersistenceError> {
        cleaner::is_clean(&self.inner)
            .await
            .map_err(|failure| failure.into_error("reading"))
    }

    fn ask<L: Lookup>(&self, lookup: L) -> Answer<L::Answer> {
        let task = self
            .runtime
            .spawn(lookup::ask(Arc::clone(&self.inner), lookup));
        Answer::pending(async move {
            match task.await {
                Ok(answer) => answer,
                Err(_) => Err(ended()),
            }
        })
    }
}

impl Drop for MongoPersistence {
    fn drop(&mut self) {
        self.inner.health.close();
        self.inner.queue.close();
        self.cleaner.abort();
    }
}

impl core::fmt::Debug for MongoPersistence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MongoPersistence")
            .field("database", &self.inner.database.name())
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

/// The runtime has ended, and all that ran on it.
fn ended() -> PersistenceError {
    PersistenceError::Unavailable("MongoDB: the runtime on which the store worked has ended".into())
}

impl Persistence for MongoPersistence {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        match self.inner.queue.push(batch.drain().collect()) {
            Ok(answered) => {
                Answer::pending(async move { answered.await.unwrap_or_else(|_| Err(ended())) })
            }
            Err(Refusal::Closed) => Answer::Ready(Err(ended())),
            Err(Refusal::Full) => Answer::Ready(Err(PersistenceError::Unavailable(
                "MongoDB does not keep up: too many batches wait to be written".into(),
            ))),
        }
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        let after = after.map(str::to_owned);
        self.ask(lookup::Sessions { after, limit })
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        let client = client.to_owned();
        self.ask(lookup::Session { client })
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        let (client, after) = (client.to_owned(), after.map(str::to_owned));
        self.ask(lookup::Subscriptions {
            client,
            after,
            limit,
        })
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        let client = client.to_owned();
        self.ask(lookup::Outgoing {
            client,
            after,
            limit,
        })
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let client = client.to_owned();
        self.ask(lookup::Queue { client })
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        let client = client.to_owned();
        self.ask(lookup::Incoming { client })
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let filter = filter.map(TopicFilter::to_buf);
        let after = after.map(str::to_owned);
        self.ask(retained::Retained {
            filter,
            after,
            limit,
        })
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let (node, after) = (node.to_owned(), after.map(str::to_owned));
        self.ask(lookup::Wills { node, after, limit })
    }
}
