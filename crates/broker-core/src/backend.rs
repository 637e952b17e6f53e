//! What carries messages between brokers that stand for one another, and the promises of whatever does.
//!
//! A *node* is one broker among several. It publishes what it has accepted to an *engine* (a server for
//! publishing and subscribing, such as Redis or NATS), asks the engine for the topic filters that its own
//! sessions have, and hands what comes to those sessions as if it had been published here. The engine is
//! behind two traits: [`Backend`], by which a node comes to it, and [`Membership`], what the node has then.
//!
//! ```text
//!  node A                          engine                          node B
//!  Membership::publish ──────────►        ──────────► Inbound::put
//!                                  filters ◄────────── Membership::subscribe
//! ```
//!
//! What travels is an [`Envelope`]. It has a [`Tag`], by which every node knows what it has had before and
//! what is its own; so an engine may deliver too much, and twice, and no message goes round in a circle:
//! what came from the engine is never published to it.
//!
//! # What an engine needs not be able to do
//!
//! The traits ask for what the weakest of the engines can do that they are meant for:
//!
//! | engine | how it does its part |
//! | --- | --- |
//! | in the process | hands envelopes to the [`Inbound`] of each node whose filters match |
//! | Redis | PUBLISH in a pipeline, accepted when the server has replied; a pattern for each filter, which matches too much and, where patterns overlap, twice; another channel for [`Audience::AllNodes`]; a connection that breaks is a loss |
//! | NATS | the levels of a topic are the tokens of a subject, with the characters escaped that have a meaning there; `a/#` is two subscriptions, `a` and `a.>`; accepted when the server has answered a PING behind the messages; what a slow node misses NATS says, and so does the engine ([`Inbound::note_missed`]) |
//! | AMQP | a topic exchange with publisher confirms, which are the acceptance; a queue for each node, its bindings are the filters, with the characters escaped that have a meaning there; what is delivered is confirmed once [`Inbound::put`] has it; [`Audience::AllNodes`] has a key that every node binds, and so have topics that are too long for a routing key; what is dropped from a queue that is full goes to another one, where it is counted ([`Inbound::note_missed`]); payloads are bodies, and what has no header of ours has [no tag](Envelope::tag) |
//! | MongoDB | a capped collection that every node reads whole: `subscribe` has nothing to do; accepted when the write is |
//! | another MQTT broker | a client of it, at each message's own quality of service: PUBACK, PUBCOMP, and the answer to a PINGREQ behind what is at QoS 0 are the acceptance; a user property at the end of a message is the tag, and the topic `$mosca/nodes` carries whole envelopes for [`Audience::AllNodes`]; what its own clients publish has [no tag](Envelope::tag) |
//!
//! # How it is called
//!
//! A node makes one call of [`publish`](Membership::publish) at a time, and one of `subscribe` or
//! `unsubscribe`: each when the one before was answered, for which it waits as long as it takes. So an engine
//! need not put several calls of one node in order.

mod envelope;
mod inbound;
mod prefix;
mod wire;

#[cfg(feature = "contract")]
pub mod contract;

use core::future::Future;
use core::pin::Pin;
use std::fmt;
use std::sync::Arc;

use topic_trie::TopicFilterBuf;

pub(crate) use envelope::arrived;
pub use envelope::{Audience, Content, Crossing, Envelope, Tag};
pub use inbound::{Arrival, Inbound, InboundLimits, Incoming, NotTaken, inbound};
pub use prefix::{Prefix, PrefixError};
pub use wire::WireError;

pub use crate::nodes::StampClock;

/// An answer that an engine will give.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send>>;

/// Names a node, and tells it from the one that bore the name before it was started again.
///
/// Two nodes of one name that run at the same time are two nodes: the number keeps them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    /// What the operator calls it.
    pub name: Arc<str>,
    /// Drawn anew each time it starts.
    pub start: u64,
}

impl NodeId {
    /// The node of this name with the number that was drawn when it started.
    pub fn new(name: impl Into<Arc<str>>, start: u64) -> Self {
        let name = name.into();
        Self { name, start }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:016x}", self.name, self.start)
    }
}

/// An engine between nodes.
///
/// # Promises
///
/// Every engine keeps these, by this trait and by [`Membership`]; the suite in the module `contract` (of
/// the feature by that name) holds each to them.
///
/// 1. **What is accepted is on its way**: when [`publish`](Membership::publish) answers `Ok`, every node
///    that is a member, not lost, and [asked for it](Envelope::audience) gets each envelope, whole as it
///    was, or is told that it has [missed](Inbound::note_missed) some. An engine stores nothing for nodes
///    that are not there.
/// 2. **Order.** Of the messages that one node publishes on one topic, whichever nodes they are for, another
///    gets the first copies in the order of the calls and of the batches; and so it is with what is said of
///    clients. There is no order between topics or nodes.
/// 3. **Too much is harmless**: an engine may deliver an envelope to a node that has not asked for it, to
///    the node that has published it, and more than once.
/// 4. **Filters.** When [`subscribe`](Membership::subscribe) answers `Ok`, what other nodes publish from
///    then on is delivered if it matches. To subscribe to what is there already, or unsubscribe from what
///    is not, changes nothing. Filters are those of MQTT (section 4.7), of any length and any characters,
///    never those of shared subscriptions.
/// 5. **Loss is said**, and so is that it is over ([`Inbound::set_state`]): before calls fail because of
///    it, or with the first that does. The engine finds its way back by itself, for as long as it takes.
///    It forgets the filters with the loss: the node says again all that it needs by then.
/// 6. **Nodes are separate.** One that takes what it gets slowly may hold up others for a limited time;
///    afterwards it misses messages, and is told.
/// 7. **[`leave`](Membership::leave) is the end**: nothing is delivered afterwards. Dropping the membership
///    is the same without the answer.
/// 8. **Nothing is grown without a limit** by nodes that publish faster than others take.
///
/// A minimal one is the example `custom_backend` of the crate `mosca`.
pub trait Backend: Send + Sync + 'static {
    /// Makes a node a member: from now on what it is to have goes into `inbound`. The state is
    /// [`Connected`](BackendState::Connected) until the engine says otherwise. A node joins once; an
    /// engine may have several nodes of one process as members.
    ///
    /// # Errors
    /// When the engine cannot be reached, or does not admit the node. A server then does not start.
    ///
    /// # Cancel safety
    /// Dropping the answer leaves no member behind.
    fn join(&self, node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>>;
}

/// What a node has that is a member; see [`Backend`] for the promises by number.
pub trait Membership: Send + Sync + 'static {
    /// Publishes envelopes to other nodes, in their order (promises 1 to 3). The node acknowledges what it
    /// has from publishers when this has answered. Answers how many of them the engine cannot carry, because
    /// they are too large for it: those are lost to other nodes, and all others accepted.
    ///
    /// # Errors
    /// When the engine is lost, or does not accept them. Some of them may have been delivered
    /// nevertheless; the node does not publish them again.
    ///
    /// # Cancel safety
    /// Dropping the answer may leave any of them published.
    fn publish(&self, batch: Vec<Envelope>) -> Answer<usize>;

    /// Adds topic filters to those that the node needs (promise 4).
    ///
    /// # Errors
    /// When the engine is lost, or does not have some of these filters. The node says them again when the
    /// engine is back.
    ///
    /// # Cancel safety
    /// Dropping the answer may leave any of them added.
    fn subscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()>;

    /// Removes topic filters from those that the node needs. What matches may still come for a while.
    ///
    /// # Errors
    /// When the engine is lost. The filters are then needed no more all the same.
    ///
    /// # Cancel safety
    /// Dropping the answer may leave any of them removed.
    fn unsubscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()>;

    /// Ends the membership once what was accepted is on its way (promise 7). Calls made afterwards fail.
    ///
    /// # Errors
    /// When the engine could not be told. The membership is over all the same.
    ///
    /// # Cancel safety
    /// Dropping the answer ends the membership all the same.
    fn leave(&self) -> Answer<()>;
}

/// How a node stands with its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BackendState {
    /// Messages go to and fro.
    #[default]
    Connected,
    /// The engine cannot be reached, and is being looked for. The node serves its own clients.
    Lost,
}

impl fmt::Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::Lost => "lost",
        })
    }
}

/// Why an engine could not do what it was asked for.
///
/// `Display` is for the operator: name the engine, what was tried, and what went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The engine cannot be reached or does not answer; trying again later may help.
    #[error("the engine between nodes is unavailable: {0}")]
    Unavailable(Box<dyn core::error::Error + Send + Sync>),
    /// The engine does not do this: not for this node, or not at all.
    #[error("the engine between nodes refuses: {0}")]
    Refused(Box<dyn core::error::Error + Send + Sync>),
}

/// An engine that several have is an engine.
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn join(&self, node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        (**self).join(node, inbound)
    }
}
