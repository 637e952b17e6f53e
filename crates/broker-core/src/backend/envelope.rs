//! What travels between nodes.

use core::time::Duration;
use std::sync::Arc;

use super::NodeId;
use crate::inbox::Item;
use crate::persistence::ClientId;
use crate::{Message, MessageParts, Timestamp};

/// What an envelope takes in memory beyond its message, about.
const OVERHEAD_BYTES: usize = 128;

/// One thing that a node tells others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who has sent it, and which of his it is. `None` for what comes from elsewhere, such as from clients
    /// of a broker that serves as an engine: it is delivered each time that it comes.
    pub tag: Option<Tag>,
    /// What it says.
    pub content: Content,
}

/// Tells an envelope from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The node that has sent it.
    pub node: NodeId,
    /// Which of that node's it is: each has a greater number than those made before it.
    pub number: u64,
}

/// What an envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A message that was published.
    Message {
        /// The message. When it [expires](Message::expires) is in the time of the node that made it; what
        /// counts is `expires_in`.
        message: Arc<Message>,
        /// How long the message still has when the envelope was made, to the millisecond; `None` for ever.
        /// An engine that knows how long it has kept the envelope subtracts that.
        expires_in: Option<Duration>,
        /// The client that has published it, unless it was the program around the node: it does not get
        /// it by a subscription that has No Local (section 3.8.3.1 of MQTT 5.0).
        publisher: Option<ClientId>,
        /// When the retained message of its topic became this one; 0 where it did not. Greater is later,
        /// on whichever node.
        retained_at: u64,
    },
    /// A client was let in: nodes on which one of that name was let in before close its connection.
    Connected {
        /// The client identifier.
        client: ClientId,
        /// When that was. Greater is later, on whichever node.
        at: u64,
    },
}

/// Which nodes an envelope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// Those that have subscribed to a filter which matches this topic name.
    Subscribers(&'a str),
    /// All, whatever they have subscribed to, and once.
    AllNodes,
}

impl Envelope {
    /// Which nodes it is for. A message that changes what is retained is for all of them.
    pub fn audience(&self) -> Audience<'_> {
        match &self.content {
            Content::Message {
                message,
                retained_at: 0,
                ..
            } => Audience::Subscribers(message.topic()),
            Content::Message { .. } | Content::Connected { .. } => Audience::AllNodes,
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        OVERHEAD_BYTES
            + match &self.content {
                Content::Message { message, .. } => message.size_bytes(),
                Content::Connected { client, .. } => client.len(),
            }
    }

    /// Whether it is a message: what counts, where messages are counted.
    pub fn is_message(&self) -> bool {
        matches!(self.content, Content::Message { .. })
    }
}

impl Item for Envelope {
    fn size_bytes(&self) -> usize {
        Envelope::size_bytes(self)
    }
}
/// The message as a node has it that gets it now with so much time left.
pub(crate) fn arrived(
    message: Arc<Message>,
    expires_in: Option<Duration>,
    now: Timestamp,
) -> Arc<Message> {
    let expires = expires_in.map_or(Timestamp::MAX, |left| now + left);
    if message.expires() == expires {
        return message;
    }
    Message::new(MessageParts {
        expires,
        ..message.parts()
    })
}

/// What a batch of input has for other nodes, on its way from the core to the engine; see
/// [`Effects::take_crossing`](crate::Effects::take_crossing).
#[derive(Debug, Default)]
pub struct Crossing {
    /// What is to be published, in this order.
    pub envelopes: Vec<Envelope>,
    /// Whether what is acknowledged to the client with this batch waits until they are accepted.
    pub is_awaited: bool,
    /// Whether it waits until the engine has the topic filters that are needed by now.
    pub awaits_filters: bool,
}

impl Crossing {
    /// Whether there is nothing to publish and nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.envelopes.is_empty() && !self.awaits_filters
    }

    /// How many of the envelopes are messages.
    pub fn messages(&self) -> usize {
        let envelopes = self.envelopes.iter();
        envelopes.filter(|envelope| envelope.is_message()).count()
    }
}
