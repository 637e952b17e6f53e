//! A node as the suite plays it: it joins, publishes, and writes down what comes.

use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::Arc;

use mqtt_codec::QoS;
use topic_trie::TopicFilter;

use super::Factory;
use crate::backend::{
    Arrival, Backend, BackendError, BackendState, Content, Envelope, InboundLimits, Incoming,
    Membership, NodeId, Tag, inbound,
};
use crate::{Message, MessageParts, Timestamp};

pub(super) struct Member {
    pub(super) id: NodeId,
    pub(super) membership: Arc<dyn Membership>,
    incoming: Incoming,
    next: u64,
    seen: HashSet<Tag>,
    pub(super) missed: u64,
}

/// What comes next, of what is not the node's own and was not there before.
pub(super) enum Heard {
    Envelope(Envelope),
    State(BackendState),
    Missed,
}

impl Member {
    pub(super) async fn join<F: Factory>(factory: &F, engine: &F::Engine, name: &str) -> Self {
        Self::join_with(factory, engine, name, 10_000).await
    }

    /// A node for which so many envelopes may wait.
    pub(super) async fn join_with<F: Factory>(
        factory: &F,
        engine: &F::Engine,
        name: &str,
        envelopes: usize,
    ) -> Self {
        let start = u64::try_from(name.len()).unwrap() << 32 | u64::from(name.as_bytes()[0]);
        Self::join_as(factory, engine, NodeId::new(name, start), envelopes).await
    }

    pub(super) async fn join_as<F: Factory>(
        factory: &F,
        engine: &F::Engine,
        id: NodeId,
        envelopes: usize,
    ) -> Self {
        let bytes = 64 << 20;
        let (inbound, incoming) = inbound(InboundLimits { envelopes, bytes });
        let membership = factory
            .open(engine)
            .join(id.clone(), inbound)
            .await
            .unwrap();
        Self {
            id,
            membership,
            incoming,
            next: 0,
            seen: HashSet::new(),
            missed: 0,
        }
    }

    pub(super) async fn subscribe(&self, filters: &[&str]) -> Result<(), BackendError> {
        let filters = filters
            .iter()
            .map(|it| TopicFilter::new(it).unwrap().to_buf());
        self.membership.subscribe(filters.collect()).await
    }

    pub(super) async fn unsubscribe(&self, filters: &[&str]) -> Result<(), BackendError> {
        let filters = filters
            .iter()
            .map(|it| TopicFilter::new(it).unwrap().to_buf());
        self.membership.unsubscribe(filters.collect()).await
    }

    /// An envelope of this node's.
    pub(super) fn envelope(&mut self, content: Content) -> Envelope {
        self.next += 1;
        let (node, number) = (self.id.clone(), self.next);
        let tag = Some(Tag { node, number });
        Envelope { tag, content }
    }

    /// One message.
    pub(super) async fn say(&mut self, topic: &str, payload: &str) -> Result<usize, BackendError> {
        let envelope = self.envelope(message(topic, payload.as_bytes()));
        self.membership.publish(vec![envelope]).await
    }

    pub(super) async fn next(&mut self) -> Heard {
        poll_fn(|task| self.poll_heard(task)).await
    }

    fn poll_heard(&mut self, task: &mut core::task::Context<'_>) -> Poll<Heard> {
        loop {
            match core::task::ready!(self.incoming.poll_next(task)) {
                Some(Arrival::Envelope(envelope)) => {
                    let tag = envelope.tag.clone().unwrap();
                    if tag.node != self.id && self.seen.insert(tag) {
                        return Poll::Ready(Heard::Envelope(envelope));
                    }
                }
                Some(Arrival::State(state)) => return Poll::Ready(Heard::State(state)),
                Some(Arrival::Missed(messages)) => {
                    self.missed += messages;
                    return Poll::Ready(Heard::Missed);
                }
                None => panic!("nobody closes a node's queue but the node"),
            }
        }
    }

    /// What is there now, without waiting.
    pub(super) async fn rest(&mut self) -> Vec<Envelope> {
        let mut rest = Vec::new();
        poll_fn(|task| {
            while let Poll::Ready(heard) = self.poll_heard(task) {
                if let Heard::Envelope(envelope) = heard {
                    rest.push(envelope);
                }
            }
            Poll::Ready(())
        })
        .await;
        rest
    }

    /// The next envelope.
    pub(super) async fn receive(&mut self) -> Envelope {
        loop {
            if let Heard::Envelope(envelope) = self.next().await {
                return envelope;
            }
        }
    }

    /// The next message: topic and payload.
    pub(super) async fn hear(&mut self) -> (String, String) {
        let Content::Message { message, .. } = self.receive().await.content else {
            panic!("not a message");
        };
        let payload = String::from_utf8(message.payload().to_vec()).unwrap();
        (message.topic().to_owned(), payload)
    }
}

/// A plain message.
pub(super) fn message(topic: &str, payload: &[u8]) -> Content {
    Content::Message {
        message: Message::new(MessageParts {
            topic,
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            expires: Timestamp::MAX,
        }),
        expires_in: None,
        publisher: None,
        retained_at: 0,
    }
}

/// A message with all that a message may have.
pub(super) fn rich(topic: &str, qos: QoS, retained_at: u64) -> Content {
    let parts = MessageParts {
        topic,
        // Payload format indicator, and a user property.
        properties: &[1, 1, 38, 0, 1, b'k', 0, 2, b'v', b'w'],
        payload: b"\0\xff{}",
        qos,
        retain: retained_at > 0,
        expires: Timestamp::MAX,
    };
    Content::Message {
        message: Message::new(parts),
        expires_in: Some(Duration::from_millis(3_600_123)),
        publisher: Some("sensor/7 \u{fc}".into()),
        retained_at,
    }
}
