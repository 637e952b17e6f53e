//! What must outlive the process, and the promises of whatever keeps it.
//!
//! The core changes durable state in one way only: it appends [`Operation`]s to a [`Batch`], and
//! the driver commits the batch. So a store has one method that writes, and it writes batches
//! rather than answering calls for single values, for two reasons: what belongs together (a
//! message queued for twenty sessions and the packet identifier that it arrived with) is atomic
//! without transactions that a caller could forget, and a disk gets to sync once for many
//! publishes. The price is that a store must be able to apply a mixed batch atomically.
//!
//! Lookups are few and paged: nothing that a client can make large is ever returned whole.

mod answer;
#[cfg(feature = "contract")]
pub mod contract;
mod operation;
mod shared;

use std::sync::Arc;

pub use answer::Answer;
pub use operation::{Batch, InflightStage, Operation, SubscriptionIds};

use mqtt_codec::{PacketId, QoS};
use topic_trie::TopicFilter;

use crate::subscription::SubscriptionOptions;
use crate::{Message, Timestamp};

/// A client identifier, shared by all that refers to it.
pub type ClientId = Arc<str>;

/// Names a session, and tells it from earlier ones of the same client.
///
/// A client that starts clean gets a new session under the same identifier, while batches of the old
/// one may still be on their way to the store. The incarnation keeps them apart: what names an
/// incarnation that is not there any more has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Whose session it is.
    pub client: ClientId,
    /// Which of the client's sessions; later ones have greater numbers.
    pub incarnation: u64,
}

/// A store of sessions, their subscriptions and messages, retained messages and wills.
///
/// # Promises
///
/// Every store keeps these; the suite in the module `contract` (of the feature by that name) holds
/// each to them.
///
/// 1. **A batch is atomic.** [`commit`](Self::commit) applies all operations of a batch or none,
///    in their order; no lookup ever sees a part of one. Two lookups, the pages of one list among
///    them, may see different states, but the second never an earlier one.
/// 2. **Committed means durable**, as far as the store promises durability at all (a store in
///    memory does not outlive its process). When the answer is `Ok`, a crash loses nothing of the
///    batch. The broker sends no acknowledgement before that.
/// 3. **Batches apply in the order of the calls of [`commit`](Self::commit)**, also when several are
///    under way, whichever threads make the calls and whether or not anyone waits for the answers. A
///    batch whose answer is an error is left out, and one whose answer was dropped may be; neither
///    moves another. A lookup made after an answer was `Ok` sees the batch and all before it. After a
///    crash what is there is a prefix of that order: where a store promises less than that every
///    batch is durable, the last ones may be missing, never one in between. (Several processes on
///    one store each have an order of their own.)
/// 4. **Order.** [`outgoing`](Self::outgoing) returns a session's messages by ascending sequence
///    number, whatever the order in which they were written. Lists by name are in ascending order of
///    the names' bytes. What is in a list from its first page to its last is found exactly once,
///    whatever comes and goes meanwhile.
/// 5. **Repetition and lateness are harmless.** Putting what is there replaces it; dropping what is
///    not there changes nothing. An operation on the contents of a session that is not there, or is
///    there in another [incarnation](SessionKey), changes nothing. None of this is an error, nor is
///    a lookup of what is not there.
/// 6. **Sessions are separate.** Client identifiers are opaque: 1 to 65,535 bytes of any Unicode but
///    U+0000, `/`, `:`, `+`, `#` included, one a prefix of the other. So are the filters of
///    subscriptions. No operation on one session touches another. Sequence numbers and incarnations
///    are of any value that their type can hold.
/// 7. **[`DropSession`](Operation::DropSession) leaves nothing** of the session: subscriptions,
///    messages, packet identifiers and its will go with it. (A will of another incarnation is not
///    its will.)
/// 8. **A message that one batch queues for many sessions is stored once**, for as long as any of
///    them keeps it. It is one message if it is one [`Arc`].
/// 9. **Filters match exactly** as section 4.7 of the specification says, in
///    [`retained`](Self::retained) as elsewhere.
/// 10. **Expiry.** A message whose time has come may be dropped by the store or returned; the broker
///     checks again. A session is removed only by the broker, which knows whether it is in use.
/// 11. **A store that cannot answer says so**: an error, never a value made up, never silence.
pub trait Persistence: Send + Sync + 'static {
    /// Applies the batch atomically and durably. The batch is empty when the call returns, whatever
    /// the answer will be, and keeps its memory.
    ///
    /// # Errors
    /// When the store cannot be written to. Nothing of the batch has been applied then.
    ///
    /// # Cancel safety
    /// Dropping the answer may leave the batch applied or not, but never in part.
    fn commit(&self, batch: &mut Batch) -> Answer<()>;

    /// Sessions in ascending byte order of their client identifiers: at most `limit` of those
    /// behind `after` (from the first one when `None`), which need not be there itself. A page may
    /// be shorter than `limit`, but is empty only if there are no more; so it is with all lists.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>>;

    /// One session, if it is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn session(&self, client: &str) -> Answer<Option<StoredSession>>;

    /// Subscriptions of one session in ascending byte order of their filters: at most `limit` of
    /// those behind `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>>;

    /// Messages on their way to one session, in ascending order of their sequence numbers: at
    /// most `limit` of those with a number greater than `after`. A store may well end a page early
    /// that has become large in bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>>;

    /// How much there is on its way to one session: what [`outgoing`](Self::outgoing) would list,
    /// counted. The broker asks for it once for each session when it starts, instead of reading
    /// queues; so the cost must not grow with the length of the queue, or hardly.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn queue(&self, client: &str) -> Answer<StoredQueue>;

    /// Packet identifiers of QoS 2 messages received from this client and not yet released,
    /// ascending. There are at most 65,535.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>>;

    /// Retained messages whose topics match `filter`, in ascending byte order of their topics: at
    /// most `limit` of those behind `after`. Without a filter all of them, those whose topics
    /// begin with `$` included.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>>;

    /// Wills that the node has stored, in ascending byte order of their client identifiers: at
    /// most `limit` of those behind `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>>;

    /// Whether what was committed is there when the process has ended. A store for which that is
    /// false keeps messages in the memory of the broker, which gains nothing then by leaving a long
    /// queue to the store and reading it as it drains; so it does not.
    fn outlives_process(&self) -> bool {
        true
    }
}

/// What is known of a session apart from its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Its name.
    pub session: SessionKey,
    /// Seconds for which it outlives its connection (MQTT 5 session expiry interval);
    /// `u32::MAX` for ever.
    pub expiry_interval_secs: u32,
    /// When the connection ended; `None` while there is one. After a crash that is what is found
    /// although there is none any more: the interval then counts from the start of the broker.
    pub disconnected_at: Option<Timestamp>,
}

/// One subscription of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSubscription {
    /// The topic filter, as it came in SUBSCRIBE.
    pub filter: Box<str>,
    /// What was granted.
    pub options: SubscriptionOptions,
}

/// A message on its way to one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutgoing {
    /// Its place in the session's order.
    pub sequence: u64,
    /// The message; `None` once the client has taken it with PUBREC.
    pub message: Option<Arc<Message>>,
    /// The quality of service of this delivery.
    pub qos: QoS,
    /// The retain flag of this delivery.
    pub retain: bool,
    /// Identifiers of the subscriptions that it matched (MQTT 5).
    pub subscription_ids: SubscriptionIds,
    /// The shared subscription through which it came, whole as in SUBSCRIBE (`$share/…`): when the
    /// session ends before it has the message, another member is to get it (MQTT 5.0 4.8.2).
    pub shared: Option<Arc<str>>,
    /// Packet identifier and stage once it is inflight.
    pub inflight: Option<(PacketId, InflightStage)>,
}

/// How much is on its way to one session. That of a session that is not there is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredQueue {
    /// Messages, with those whose contents the client has taken already.
    pub messages: u64,
    /// Bytes of them: [`Message::size_bytes`] of each that is still kept, counted for each place
    /// that it has in the queue, however it is stored. Nothing for one that was released.
    pub bytes: u64,
    /// The greatest sequence number; `None` if there is no message.
    pub last: Option<u64>,
}

/// The will of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWill {
    /// Whose will it is, and of which of the client's sessions.
    pub session: SessionKey,
    /// The node that publishes it, and on whose behalf another may do so when it is gone.
    pub node: Arc<str>,
    /// What is to be published.
    pub message: Arc<Message>,
    /// Seconds between the end of the connection and the publication (MQTT 5 will delay interval).
    pub delay_secs: u32,
    /// The message expiry interval in seconds, counted from the publication.
    pub expiry_interval_secs: Option<u32>,
}

/// Why a store could not do what it was asked for.
///
/// `Display` is for the operator: name the store, what was tried, and what went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersistenceError {
    /// The store cannot be reached or does not answer; trying again later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(Box<dyn core::error::Error + Send + Sync>),
    /// The store is full; what is in it is safe.
    #[error("the store is full: {0}")]
    Full(Box<dyn core::error::Error + Send + Sync>),
    /// The store holds something that it should not, or cannot read.
    #[error("the store is damaged: {0}")]
    Damaged(Box<dyn core::error::Error + Send + Sync>),
}
