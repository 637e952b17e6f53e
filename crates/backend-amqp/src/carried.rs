//! Envelopes as messages of AMQP, and back.
//!
//! The body is the payload, as it is. All else that an envelope has is in the header `mosca`: the envelope as
//! bytes, without its payload. So another program reads a payload without knowing any of this, and what it
//! publishes without the header is a message, too. Headers have to fit into one frame; where they would not, the
//! body is the whole envelope, and the header is `true`.

use std::sync::Arc;

use broker_core::backend::{Content, Envelope, WireError};
use broker_core::{Message, MessageParts, Timestamp};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, FieldArray, FieldTable};
use mqtt_codec::QoS;

use crate::keys::{Keys, Place};

/// The header that has what is not in the body.
const HEADER: &str = "mosca";

/// The header of RabbitMQ's that has further keys, and that nobody receives.
const FURTHER_KEYS: &str = "BCC";

/// A key of 255 bytes, and what else is in a frame of headers.
const FRAME_OVERHEAD_BYTES: usize = 1_024;

/// A message to be published.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) key: String,
    pub(crate) properties: BasicProperties,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Payload(Arc<Message>),
    Bytes(Vec<u8>),
}

impl Outgoing {
    /// An envelope as a message, for a server that takes frames of so many bytes.
    pub(crate) fn new(keys: &Keys, envelope: Envelope, frame_max: usize) -> Self {
        let tag = envelope.tag.clone();
        let (key, is_for_all, head, payload) = match &envelope.content {
            Content::Message {
                message,
                expires_in,
                publisher,
                retained_at,
            } => {
                let content = Content::Message {
                    message: with(message, message.topic(), &[]),
                    expires_in: *expires_in,
                    publisher: publisher.clone(),
                    retained_at: *retained_at,
                };
                let head = Envelope { tag, content };
                let key = keys.topic(message.topic());
                // The long key is bound by all nodes.
                let is_for_all = *retained_at > 0 && key.is_some();
                let key = key.unwrap_or_else(|| keys.long().to_owned());
                (key, is_for_all, head, Some(Arc::clone(message)))
            }
            _ => (keys.nodes().to_owned(), false, envelope.clone(), None),
        };
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        let (header, body) = if bytes.len() + FRAME_OVERHEAD_BYTES <= frame_max {
            let body = payload.map_or(Body::Bytes(Vec::new()), Body::Payload);
            (AMQPValue::ByteArray(ByteArray::from(bytes)), body)
        } else {
            let mut bytes = Vec::new();
            envelope.encode(&mut bytes);
            (AMQPValue::Boolean(true), Body::Bytes(bytes))
        };
        let mut headers = FieldTable::default();
        headers.insert(HEADER.into(), header);
        if is_for_all {
            let nodes = AMQPValue::LongString(keys.nodes().into());
            let further = FieldArray::from(vec![nodes]);
            headers.insert(FURTHER_KEYS.into(), AMQPValue::FieldArray(further));
        }
        Self {
            key,
            properties: BasicProperties::default().with_headers(headers),
            body,
        }
    }

    /// What other programs read.
    pub(crate) fn body(&self) -> &[u8] {
        match &self.body {
            Body::Payload(message) => message.payload(),
            Body::Bytes(bytes) => bytes,
        }
    }
}

/// Why what came is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotUnderstood {
    #[error("the header `mosca` has a strange type")]
    Header,
    #[error("{0}")]
    Envelope(#[from] WireError),
}

/// The envelope that came under a key; none if it is not for this node.
pub(crate) fn incoming(
    keys: &Keys,
    key: &str,
    properties: &BasicProperties,
    body: &[u8],
) -> Result<Option<Envelope>, NotUnderstood> {
    let place = keys.place(key);
    let headers = properties.headers().as_ref();
    let header = headers.and_then(|it| it.inner().get(HEADER));
    let (envelope, payload) = match header {
        None => return Ok(from_elsewhere(place, body)),
        Some(AMQPValue::ByteArray(head)) => (Envelope::decode(head.as_slice())?, Some(body)),
        Some(AMQPValue::LongString(head)) => (Envelope::decode(head.as_bytes())?, Some(body)),
        Some(AMQPValue::Boolean(true)) => (Envelope::decode(body)?, None),
        Some(_) => return Err(NotUnderstood::Header),
    };
    let Envelope { tag, content } = envelope;
    let content = match (content, place) {
        (content @ Content::Connected { .. }, Place::Ours) => content,
        (
            Content::Message {
                message,
                expires_in,
                publisher,
                retained_at,
            },
            place @ (Place::Ours | Place::Topic(_)),
        ) => {
            let topic = match &place {
                Place::Topic(topic) => topic,
                _ => message.topic(),
            };
            // Seen from another prefix it is another topic, of which nothing is retained.
            let is_ours = topic == message.topic();
            Content::Message {
                message: with(&message, topic, payload.unwrap_or(message.payload())),
                expires_in,
                publisher,
                retained_at: if is_ours { retained_at } else { 0 },
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(Envelope { tag, content }))
}

/// What another program has published.
fn from_elsewhere(place: Place, payload: &[u8]) -> Option<Envelope> {
    let Place::Topic(topic) = place else {
        return None;
    };
    let message = Message::new(MessageParts {
        topic: &topic,
        properties: &[],
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    let content = Content::Message {
        message,
        expires_in: None,
        publisher: None,
        retained_at: 0,
    };
    Some(Envelope { tag: None, content })
}

/// The message with another topic and payload.
fn with(message: &Message, topic: &str, payload: &[u8]) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        payload,
        ..message.parts()
    })
}

#[cfg(test)]
#[path = "carried/tests.rs"]
mod tests;
