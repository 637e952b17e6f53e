//! A node of a test: a membership, and what comes.

use std::future::poll_fn;
use std::sync::Arc;

use backend_amqp::{AmqpBackend, AmqpBackendOptions};
use broker_core::backend::{
    Arrival, Backend, BackendState, Content, Envelope, InboundLimits, Incoming, Membership, NodeId,
    inbound,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use topic_trie::TopicFilter;

pub(crate) struct Node {
    pub(crate) membership: Arc<dyn Membership>,
    incoming: Incoming,
    pub(crate) missed: u64,
}

impl Node {
    pub(crate) async fn join(options: &AmqpBackendOptions, name: &str) -> Self {
        let limits = InboundLimits {
            envelopes: 100_000,
            bytes: 256 << 20,
        };
        let (way_in, incoming) = inbound(limits);
        let engine = AmqpBackend::new(options.clone());
        let membership = engine.join(NodeId::new(name, 1), way_in).await.unwrap();
        Self {
            membership,
            incoming,
            missed: 0,
        }
    }

    pub(crate) async fn subscribe(&self, filter: &str) {
        let filter = TopicFilter::new(filter).unwrap().to_buf();
        self.membership.subscribe(vec![filter]).await.unwrap();
    }

    /// Publishes one message; the number of those that are too large.
    pub(crate) async fn say(&self, topic: &str, payload: &[u8]) -> usize {
        let published = self.membership.publish(vec![message(topic, payload, 0)]);
        published.await.unwrap()
    }

    async fn next(&mut self) -> Arrival {
        poll_fn(|task| self.incoming.poll_next(task)).await.unwrap()
    }

    /// The next message, and whether it is from a node.
    pub(crate) async fn hear(&mut self) -> (Arc<Message>, bool) {
        loop {
            match self.next().await {
                Arrival::Envelope(Envelope {
                    content: Content::Message { message, .. },
                    tag,
                }) => return (message, tag.is_some()),
                Arrival::Missed(messages) => self.missed += messages,
                _ => {}
            }
        }
    }

    /// Waits until the engine says so.
    pub(crate) async fn stands(&mut self, expected: BackendState) {
        loop {
            if matches!(self.next().await, Arrival::State(state) if state == expected) {
                return;
            }
        }
    }

    /// Waits until something was missed.
    pub(crate) async fn misses(&mut self) {
        while self.missed == 0 {
            if let Arrival::Missed(messages) = self.next().await {
                self.missed += messages;
            }
        }
    }
}

/// A message from a node.
pub(crate) fn message(topic: &str, payload: &[u8], retained_at: u64) -> Envelope {
    let message = Message::new(MessageParts {
        topic,
        properties: &[],
        payload,
        qos: QoS::AtLeastOnce,
        retain: retained_at > 0,
        expires: Timestamp::MAX,
    });
    let content = Content::Message {
        message,
        expires_in: None,
        publisher: None,
        retained_at,
    };
    let tag = broker_core::backend::Tag {
        node: NodeId::new("somebody", 2),
        number: 1,
    };
    Envelope {
        tag: Some(tag),
        content,
    }
}
