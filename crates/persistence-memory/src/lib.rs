//! The store that keeps everything in memory: the default of the broker, and the reference for every
//! other store.
//!
//! [`MemoryPersistence`] keeps all promises of [`Persistence`] but one that memory cannot keep: it
//! does not outlive its process. Sessions survive their connections, not a restart.
//!
//! ```
//! use broker_core::persistence::{Batch, Operation, Persistence, PersistenceError};
//! use broker_core::persistence::{SessionKey, StoredSession};
//! use persistence_memory::MemoryPersistence;
//!
//! async fn example() -> Result<(), PersistenceError> {
//!     let store = MemoryPersistence::new();
//!     let session = SessionKey { client: "sensor-1".into(), incarnation: 1 };
//!     let mut batch = Batch::new();
//!     batch.push(Operation::PutSession(StoredSession {
//!         session: session.clone(),
//!         expiry_interval_secs: 3_600,
//!         disconnected_at: None,
//!     }));
//!     store.commit(&mut batch).await?;
//!
//!     let found = store.session("sensor-1").await?;
//!     assert_eq!(found.map(|stored| stored.session), Some(session));
//!     Ok(())
//! }
//! # broker_core::persistence::contract::block_on(example()).unwrap();
//! ```
//!
//! # How it works
//!
//! One lock around everything: a batch is applied under it from beginning to end, so no lookup sees
//! a part of one. Nothing waits inside, and every [`Answer`] is ready. What takes time in proportion
//! to its size, as giving back the memory of a session that was dropped, happens after the lock was
//! let go.
//!
//! Messages are shared, never copied: an [`Arc`] in each queue that a message waits in.
//!
//! | operation | cost |
//! | --- | --- |
//! | on the contents of a session | a hash lookup, then O(log n) in what the session has of that kind; for a queued message in front of all others, or behind them, no more |
//! | on a session | O(log n) in the number of sessions; dropping it, its size as well |
//! | on a retained message | O(log n) in their number |
//! | on a will | O(log n) in their number, for each node that has stored any |
//! | lookups | O(log n), and the size of the page; retained messages by a filter with wildcards as [`TopicMap`](topic_trie::TopicMap) says |
//!
//! # Limits
//!
//! The broker limits the queue of each session and all retained messages. [`MemoryLimits`] limits
//! the store as a whole; without them it takes what it is given.

mod limits;
mod lookup;
mod queue;
mod small_map;
mod state;
mod undo;
mod wills;

use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{
    Answer, Batch, Persistence, StoredOutgoing, StoredQueue, StoredSession, StoredSubscription,
    StoredWill,
};
use mqtt_codec::PacketId;
use parking_lot::RwLock;
use topic_trie::TopicFilter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use limits::{LimitExceeded, MemoryLimits, MemorySizes};

use state::State;
use undo::{Forget, Undo};

/// A store in memory; see the [crate's text](crate).
///
/// To be shared by [`Arc`]; it is a store for as many threads as like to use it.
#[derive(Debug, Default)]
pub struct MemoryPersistence {
    state: RwLock<State>,
    limits: Option<MemoryLimits>,
}

impl MemoryPersistence {
    /// An empty store without limits of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that is full when it has reached any of the limits.
    ///
    /// A batch after which it would hold more is refused with
    /// [`PersistenceError::Full`](broker_core::persistence::PersistenceError::Full) and a
    /// [`LimitExceeded`] in it; nothing of the batch has been applied then. Within a batch the order
    /// does not matter: one that removes as much as it adds always fits.
    pub fn with_limits(limits: MemoryLimits) -> Self {
        Self {
            state: RwLock::new(State::counting_messages()),
            limits: Some(limits),
        }
    }

    /// How much there is in the store.
    pub fn sizes(&self) -> MemorySizes {
        self.state.read().sizes()
    }
}

impl Persistence for MemoryPersistence {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        match &self.limits {
            None => {
                let mut removed = Forget::default();
                let mut state = self.state.write();
                for operation in batch.drain() {
                    state.apply(operation, &mut removed);
                }
                drop(state);
                drop(removed);
                Answer::ready(())
            }
            Some(limits) => {
                let mut done: Vec<Undo> = Vec::with_capacity(batch.len());
                let mut state = self.state.write();
                for operation in batch.drain() {
                    state.apply(operation, &mut done);
                }
                let outcome = limits.check(&state.sizes());
                if outcome.is_err() {
                    done.drain(..).rev().for_each(|undo| state.undo(undo));
                }
                drop(state);
                drop(done);
                Answer::Ready(outcome)
            }
        }
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        Answer::ready(self.state.read().session_page(after, limit))
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        Answer::ready(self.state.read().stored_session(client))
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        Answer::ready(self.state.read().subscription_page(client, after, limit))
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        Answer::ready(self.state.read().outgoing_page(client, after, limit))
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        Answer::ready(self.state.read().queue_size(client))
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        Answer::ready(self.state.read().incoming(client))
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        Answer::ready(self.state.read().retained_page(filter, after, limit))
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        Answer::ready(self.state.read().will_page(node, after, limit))
    }
    fn outlives_process(&self) -> bool {
        false
    }
}
