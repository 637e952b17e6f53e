//! How much a store may hold, and how much it does.

use broker_core::Message;
use broker_core::persistence::PersistenceError;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::sync::Arc;

/// How much a store may hold at most, all sessions together. [`usize::MAX`], the default of each,
/// stands for no limit.
///
/// ```
/// use persistence_memory::{MemoryLimits, MemoryPersistence};
///
/// let limits = MemoryLimits { max_message_bytes: 512 << 20, ..MemoryLimits::default() };
/// let store = MemoryPersistence::with_limits(limits);
/// assert_eq!(store.sizes().message_bytes, Some(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Sessions.
    pub max_sessions: usize,
    /// Subscriptions.
    pub max_subscriptions: usize,
    /// Messages in queues. One that waits for several sessions counts for each.
    pub max_queued_messages: usize,
    /// Bytes of topics, properties and payloads of queued and retained messages and of wills. A
    /// message that is referred to more than once counts once.
    pub max_message_bytes: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            max_sessions: usize::MAX,
            max_subscriptions: usize::MAX,
            max_queued_messages: usize::MAX,
            max_message_bytes: usize::MAX,
        }
    }
}

impl MemoryLimits {
    /// Whether a store of these sizes is within the limits.
    pub(crate) fn check(&self, sizes: &MemorySizes) -> Result<(), PersistenceError> {
        let table = [
            (sizes.sessions, self.max_sessions, "sessions"),
            (sizes.subscriptions, self.max_subscriptions, "subscriptions"),
            (
                sizes.queued_messages,
                self.max_queued_messages,
                "queued messages",
            ),
            (
                sizes.message_bytes.unwrap_or(0),
                self.max_message_bytes,
                "bytes of messages",
            ),
        ];
        match table.into_iter().find(|(size, limit, _)| size > limit) {
            None => Ok(()),
            Some((_, limit, what)) => Err(PersistenceError::Full(Box::new(LimitExceeded {
                what,
                limit,
            }))),
        }
    }
}

/// Why a store in memory is full; found inside of [`PersistenceError::Full`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store in memory may hold {limit} {what} and no more")]
pub struct LimitExceeded {
    /// What there would be too many of, in the plural.
    pub what: &'static str,
    /// How many there may be.
    pub limit: usize,
}

/// How much there is in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemorySizes {
    /// Sessions.
    pub sessions: usize,
    /// Subscriptions of all sessions.
    pub subscriptions: usize,
    /// Messages in the queues of all sessions; one that waits for several counts for each.
    pub queued_messages: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Wills.
    pub wills: usize,
    /// Bytes of topics, properties and payloads of all messages, each counted once. Only a store
    /// with [limits](MemoryLimits) counts them.
    pub message_bytes: Option<usize>,
}

/// Counts the bytes of messages that are referred to from several places.
#[derive(Debug, Default)]
pub(crate) struct MessageBytes {
    /// How often a message is referred to, by its address: while it is referred to from here it
    /// stays where it is.
    references: HashMap<usize, usize>,
    bytes: usize,
}

impl MessageBytes {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, message: &Arc<Message>) {
        let references = self.references.entry(address(message)).or_insert(0);
        if *references == 0 {
            self.bytes += message.size_bytes();
        }
        *references += 1;
    }

    pub(crate) fn remove(&mut self, message: &Arc<Message>) {
        if let Entry::Occupied(mut entry) = self.references.entry(address(message)) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
                self.bytes -= message.size_bytes();
            }
        }
    }
}

fn address(message: &Arc<Message>) -> usize {
    Arc::as_ptr(message).addr()
}
