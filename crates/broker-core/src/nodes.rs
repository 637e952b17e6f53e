//! What a broker knows as one of several nodes: what it needs from others, what it has had of them, and what
//! was later. What it does with it is in `broker/nodes.rs`.

mod interests;
mod seen;
mod stamps;

use core::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use topic_trie::{TopicFilterBuf, TopicName};

use crate::backend::{NodeId, Tag};
use crate::own_topics::is_of_the_broker;
use crate::persistence::ClientId;
pub use interests::FilterChanges;
pub(crate) use interests::Interests;
use seen::Seen;
pub use stamps::StampClock;
pub(crate) use stamps::{RetainedStamps, Stamp};

/// What makes a broker one of several nodes; see
/// [`BrokerOptions::node`](crate::BrokerOptions::node).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// Its name among them.
    pub id: NodeId,
    /// Topics that stay at this node: messages on them are neither sent to others nor taken from them.
    /// Beside them `$SYS` and what is below it stays, whatever is said here.
    pub local_topics: Vec<TopicFilterBuf>,
}

/// The state of a node.
#[derive(Debug)]
pub(crate) struct Nodes {
    options: NodeOptions,
    next: AtomicU64,
    pub(crate) clock: StampClock,
    pub(crate) interests: Interests,
    seen: Mutex<Seen>,
    /// When retained messages became such. Held while one does, so that the order of the stamps is that in
    /// which they have replaced each other here.
    pub(crate) retained: Mutex<RetainedStamps>,
    /// When the clients that are connected here were let in.
    pub(crate) connected: Mutex<HashMap<ClientId, Stamp>>,
}

impl Nodes {
    pub(crate) fn new(options: NodeOptions) -> Self {
        Self {
            options,
            next: AtomicU64::new(1),
            clock: StampClock::default(),
            interests: Interests::default(),
            seen: Mutex::default(),
            retained: Mutex::default(),
            connected: Mutex::default(),
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &NodeId {
        &self.options.id
    }

    /// One of its stamps.
    pub(crate) fn stamp(&self, at: u64) -> Stamp {
        Stamp::new(at, Some(self.id()))
    }

    /// The tag of a new envelope.
    pub(crate) fn tag(&self) -> Tag {
        Tag {
            node: self.options.id.clone(),
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Whether an envelope with this tag comes for the first time.
    pub(crate) fn is_new(&self, tag: &Tag) -> bool {
        self.seen.lock().note(tag)
    }

    /// Whether messages on the topic stay at the node.
    pub(crate) fn keeps(&self, topic: TopicName<'_>) -> bool {
        let mut local = self.options.local_topics.iter();
        is_of_the_broker(topic) || local.any(|filter| filter.as_filter().matches(topic))
    }
}
