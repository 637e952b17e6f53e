//! The operations of which a batch is made: all that the broker ever asks a store to remember.

use std::sync::Arc;

use mqtt_codec::{PacketId, QoS};

use super::{SessionKey, StoredSession, StoredWill};
use crate::Message;
use crate::subscription::SubscriptionOptions;

/// One change of durable state.
///
/// Those on the contents of a session (subscriptions, messages, packet identifiers) have no effect
/// unless the session is there in the same incarnation.
///
/// A store matches all of them: when there is a new one, what a store would silently lose is an
/// error of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creates a session or replaces what is known of it; its contents stay. If the one that is there
    /// is of an earlier incarnation it is removed first with all its contents; if it is of a later
    /// one the operation has no effect.
    PutSession(StoredSession),
    /// Removes a session with all that belongs to it, its will included, if it is there in this
    /// incarnation.
    DropSession {
        /// Whose session.
        session: SessionKey,
    },
    /// Adds a subscription to a session or replaces it.
    PutSubscription {
        /// Whose session.
        session: SessionKey,
        /// The topic filter.
        filter: Box<str>,
        /// What was granted.
        options: SubscriptionOptions,
    },
    /// Removes a subscription.
    DropSubscription {
        /// Whose session.
        session: SessionKey,
        /// The topic filter.
        filter: Box<str>,
    },
    /// Makes this the retained message of its topic.
    PutRetained {
        /// The message. Its topic is a valid topic name.
        message: Arc<Message>,
    },
    /// Removes the retained message of a topic.
    DropRetained {
        /// The topic name.
        topic: Box<str>,
    },
    /// Puts a message into a session's queue, inflight already if it has a packet identifier. One
    /// with the same number, should there be one, is replaced.
    Enqueue {
        /// Whose session.
        session: SessionKey,
        /// Its place in the session's order; never used twice while it is there.
        sequence: u64,
        /// The message, shared with all other sessions that it goes to.
        message: Arc<Message>,
        /// The quality of service of this delivery.
        qos: QoS,
        /// The retain flag of this delivery.
        retain: bool,
        /// Identifiers of the subscriptions that it matched.
        subscription_ids: SubscriptionIds,
        /// The shared subscription through which it comes, whole as in SUBSCRIBE (`$share/…`).
        shared: Option<Arc<str>>,
        /// The packet identifier if it goes out at once.
        packet_id: Option<PacketId>,
    },
    /// Notes how far the delivery of a queued message has come; no effect if it is not in the queue.
    MarkInflight {
        /// Whose session.
        session: SessionKey,
        /// Which message.
        sequence: u64,
        /// The packet identifier under which it goes out.
        packet_id: PacketId,
        /// How far it has come. From [`InflightStage::Released`] on the message itself is no
        /// longer needed.
        stage: InflightStage,
    },
    /// Removes a message that has been delivered, or has expired, from a session's queue.
    Dequeue {
        /// Whose session.
        session: SessionKey,
        /// Which message.
        sequence: u64,
    },
    /// Remembers the packet identifier of a QoS 2 message that has been received.
    IncomingReceived {
        /// From whom.
        session: SessionKey,
        /// Its packet identifier, chosen by the client.
        packet_id: PacketId,
    },
    /// Forgets it: the client has released it with PUBREL.
    IncomingReleased {
        /// From whom.
        session: SessionKey,
        /// Its packet identifier.
        packet_id: PacketId,
    },
    /// Stores the will of a client in place of the one that is there, whichever node that is of; no
    /// effect if that one is of a later incarnation. It needs no session: one that ends with its
    /// connection has a will too.
    PutWill(StoredWill),
    /// Removes the will of a client, if it is of this incarnation.
    DropWill {
        /// Whose will.
        session: SessionKey,
    },
}

/// How far the delivery of an outgoing message has come (section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InflightStage {
    /// PUBLISH is under way: waiting for PUBACK or PUBREC.
    Published,
    /// PUBREL is under way: waiting for PUBCOMP.
    Released,
}

/// Subscription identifiers that a delivery carries (MQTT 5.0 3.3.2.3.8), each 1 to 268,435,455.
///
/// Most deliveries carry none or one, which then takes no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubscriptionIds {
    /// None of the matching subscriptions has an identifier.
    #[default]
    None,
    /// One has.
    One(u32),
    /// Several have, in no particular order.
    Many(Box<[u32]>),
}

impl SubscriptionIds {
    /// All identifiers.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(id) => core::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

impl From<Vec<u32>> for SubscriptionIds {
    fn from(ids: Vec<u32>) -> Self {
        match *ids {
            [] => Self::None,
            [id] => Self::One(id),
            _ => Self::Many(ids.into_boxed_slice()),
        }
    }
}

/// Operations that are committed together: all of them or none.
#[derive(Debug, Default)]
pub struct Batch {
    operations: Vec<Operation>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an operation.
    pub fn push(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// The operations in their order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Takes all operations out, in their order; the batch keeps its memory for the next ones.
    pub fn drain(&mut self) -> impl Iterator<Item = Operation> + '_ {
        self.operations.drain(..)
    }
}

impl FromIterator<Operation> for Batch {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        Self {
            operations: operations.into_iter().collect(),
        }
    }
}
