//! The broker as one of several nodes: what it tells others, and what it does with what they tell.
//!
//! Nothing that comes from another node is told to others. So no message goes round in a circle, whatever
//! the engine delivers.

use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use mqtt_codec::QoS;
use topic_trie::{TopicFilter, TopicName};

use super::Broker;
use crate::backend::{Content, Crossing, Envelope, NodeId, arrived};
use crate::close::CloseCause;
use crate::effects::{Effects, Release};
use crate::nodes::{FilterChanges, Nodes, Stamp};
use crate::persistence::{Batch, ClientId};
use crate::publication::Publication;
use crate::retained::Retained;
use crate::session::Session;
use crate::{Message, MessageParts, Timestamp};

/// A message on its way to other nodes.
pub(crate) struct Forwarded<'a> {
    pub(crate) message: Arc<Message>,
    pub(crate) publisher: Option<&'a ClientId>,
    /// When it became its topic's retained message; 0 if it did not.
    pub(crate) retained_at: u64,
}

impl Broker {
    /// What it is among other nodes, if there are any.
    pub fn node_id(&self) -> Option<&NodeId> {
        self.nodes.as_ref().map(|nodes| nodes.id())
    }

    /// Whether it is one of several nodes.
    #[inline]
    pub(crate) fn is_node(&self) -> bool {
        self.nodes.is_some()
    }

    /// Ready with topic filters that the engine has to be told of, once there are any: each that is in the
    /// router counts, of sessions that are connected or not, shared ones, and those of the program, but none
    /// for topics below `$SYS`. One task asks for them, and tells the engine in the order in which it gets
    /// them. Never ready if the broker is no node.
    pub fn poll_filter_changes(&self, task: &mut Context<'_>) -> Poll<FilterChanges> {
        let nodes = self.nodes.as_ref();
        nodes.map_or(Poll::Pending, |nodes| nodes.interests.poll_changes(task))
    }

    /// The version of the filters that are needed now: the engine has them when it was told of the changes
    /// that [lead to it](FilterChanges::version).
    pub fn filters_version(&self) -> u64 {
        let nodes = self.nodes.as_ref();
        nodes.map_or(0, |nodes| nodes.interests.version())
    }

    /// The engine has forgotten all filters: they are to be said again.
    pub fn repeat_filters(&self) {
        if let Some(nodes) = &self.nodes {
            nodes.interests.repeat();
        }
    }

    /// Counts messages that other nodes have been told of.
    pub fn note_forwarded(&self, messages: usize) {
        self.counters.forwarded_to_nodes.add(messages as u64);
    }

    /// Counts messages of which other nodes have not been told.
    pub fn note_not_forwarded(&self, messages: usize) {
        self.counters.not_forwarded_to_nodes.add(messages as u64);
    }

    /// Counts messages of other nodes that the engine could not deliver here.
    pub fn note_missed_from_nodes(&self, messages: u64) {
        self.counters.missed_from_nodes.add(messages);
    }

    /// Takes what another node tells. What comes a second time, is this node's own, or is against its limits,
    /// has no effect.
    pub fn receive_from_node(
        self: &Arc<Self>,
        now: Timestamp,
        envelope: Envelope,
        effects: &mut Effects,
    ) {
        let Some(nodes) = self.nodes.as_deref() else {
            return;
        };
        let Envelope { tag, content } = envelope;
        let origin = tag.as_ref().map(|tag| &tag.node);
        if let Some(tag) = &tag {
            if tag.node == *nodes.id() {
                return;
            }
            if !nodes.is_new(tag) {
                self.counters.repeated_from_nodes.add(1);
                return;
            }
        }
        match content {
            Content::Connected { client, at } => {
                nodes.clock.hear(at);
                self.give_way(nodes, &client, Stamp::new(at, origin), effects);
            }
            Content::Message {
                message,
                expires_in,
                publisher,
                retained_at,
            } => {
                nodes.clock.hear(retained_at);
                if expires_in == Some(Duration::ZERO) {
                    self.counters.dropped_expired.add(1);
                    return;
                }
                let message = arrived(message, expires_in, now);
                let retained = (retained_at > 0).then(|| Stamp::new(retained_at, origin));
                if self.take_from_node(nodes, now, message, publisher, retained, effects) {
                    self.counters.received_from_nodes.add(1);
                } else {
                    self.counters.refused_from_nodes.add(1);
                }
            }
        }
    }

    /// Retains a message of another node's and hands it to its receivers here. False if it may not come.
    fn take_from_node(
        self: &Arc<Self>,
        nodes: &Nodes,
        now: Timestamp,
        message: Arc<Message>,
        publisher: Option<ClientId>,
        retained: Option<Stamp>,
        effects: &mut Effects,
    ) -> bool {
        let options = &self.options;
        let Ok(topic) = TopicName::new(message.topic()) else {
            return false;
        };
        let is_too_large = message.size_bytes() > options.max_packet_size_bytes as usize;
        if is_too_large
            || nodes.keeps(topic)
            || !options.allows_topic(message.topic(), topic.levels())
        {
            return false;
        }
        let message = at_most(&message, options.max_qos);
        if let Some(stamp) = retained.filter(|_| options.retain_available) {
            let mut stamps = nodes.retained.lock();
            if stamps.is_later(message.topic(), stamp) {
                let (batch, releases) = (&mut effects.batch, &mut effects.ticket.releases);
                self.put_retained(topic, &message, batch, releases);
                stamps.note(message.topic(), stamp);
            }
        }
        let publisher = publisher.and_then(|client| self.sessions.get(&client));
        let publisher = publisher.map(|session| session.id());
        self.hand_out(topic, publisher, now, effects, |frames| {
            Publication::of(&message, frames, now)
        });
        true
    }

    /// A client was let in at another node: the connection that it has here ends, if it is older.
    fn give_way(&self, nodes: &Nodes, client: &str, there: Stamp, effects: &mut Effects) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        let mut state = session.state();
        let Some(here) = nodes.connected.lock().get(client).copied() else {
            return;
        };
        if here < there && state.link.as_ref().is_some_and(|link| link.close.is_none()) {
            self.counters.takeovers.add(1);
            effects
                .wakes
                .extend(state.ask_to_close(CloseCause::TakenOver));
        }
    }

    /// A client was let in here: other nodes are told. To be called with its session's state locked.
    pub(super) fn tell_connected(&self, now: Timestamp, session: &Session, effects: &mut Effects) {
        if let Some(nodes) = &self.nodes {
            let client = session.client();
            let at = nodes.clock.next(now);
            let stamp = nodes.stamp(at);
            nodes.connected.lock().insert(Arc::clone(client), stamp);
            effects.crossing.envelopes.push(Envelope {
                tag: Some(nodes.tag()),
                content: Content::Connected {
                    client: Arc::clone(client),
                    at,
                },
            });
        }
    }

    /// Its connection has ended. To be called with its session's state locked.
    pub(super) fn forget_connected(&self, session: &Session) {
        if let Some(nodes) = &self.nodes {
            nodes.connected.lock().remove(session.client());
        }
    }

    /// A filter has come into the router.
    pub(super) fn need_filter(&self, filter: TopicFilter<'_>) {
        if let Some(nodes) = &self.nodes {
            nodes.interests.add(filter);
        }
    }

    /// It has left it.
    pub(super) fn need_filter_no_more(&self, filter: TopicFilter<'_>) {
        if let Some(nodes) = &self.nodes {
            nodes.interests.remove(filter);
        }
    }

    /// Makes a message that was published here the retained one of its topic. Also returns when that was,
    /// as far as other nodes are to know.
    #[inline]
    pub(crate) fn retain(
        &self,
        topic: TopicName<'_>,
        message: &Arc<Message>,
        now: Timestamp,
        batch: &mut Batch,
        releases: &mut Vec<Release>,
    ) -> (Retained, u64) {
        let Some(nodes) = &self.nodes else {
            return (self.put_retained(topic, message, batch, releases), 0);
        };
        let mut stamps = nodes.retained.lock();
        match self.put_retained(topic, message, batch, releases) {
            Retained::Refused => (Retained::Refused, 0),
            Retained::Yes if nodes.keeps(topic) => (Retained::Yes, 0),
            Retained::Yes => {
                let at = nodes.clock.next(now);
                stamps.note(topic.as_str(), nodes.stamp(at));
                (Retained::Yes, at)
            }
        }
    }

    #[inline]
    fn put_retained(
        &self,
        topic: TopicName<'_>,
        message: &Arc<Message>,
        batch: &mut Batch,
        releases: &mut Vec<Release>,
    ) -> Retained {
        let (options, counters) = (&self.options, &self.counters);
        self.retained
            .put(topic, message, options, counters, batch, releases)
    }

    /// Adds a message that was published here to what other nodes are told. False if it stays here.
    #[cold]
    pub(crate) fn forward(
        &self,
        topic: TopicName<'_>,
        forwarded: Forwarded<'_>,
        now: Timestamp,
        crossing: &mut Crossing,
    ) -> bool {
        let Some(nodes) = self.nodes.as_deref().filter(|nodes| !nodes.keeps(topic)) else {
            return false;
        };
        let Forwarded {
            mut message,
            publisher,
            retained_at,
        } = forwarded;
        if message.retain() && retained_at == 0 {
            // It was not retained here, and is not elsewhere.
            message = Message::new(MessageParts {
                retain: false,
                ..message.parts()
            });
        }
        let expires = message.expires();
        crossing.is_awaited |= message.qos() != QoS::AtMostOnce;
        crossing.envelopes.push(Envelope {
            tag: Some(nodes.tag()),
            content: Content::Message {
                expires_in: (expires != Timestamp::MAX).then(|| expires - now),
                message,
                publisher: publisher.cloned(),
                retained_at,
            },
        });
        true
    }
}

/// The message, at this quality of service at most.
fn at_most(message: &Arc<Message>, max_qos: QoS) -> Arc<Message> {
    if message.qos() <= max_qos {
        return Arc::clone(message);
    }
    Message::new(MessageParts {
        qos: max_qos,
        ..message.parts()
    })
}
