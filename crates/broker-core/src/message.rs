//! An application message as the broker keeps it: immutable, and shared by all who wait for it.
//!
//! A message that goes straight from one socket to another never becomes a [`Message`]; one that
//! has to wait (queued, inflight with a lasting session, retained, a will) becomes exactly one,
//! however many sessions wait for it.

use std::sync::Arc;

use mqtt_codec::{Properties, PropertySet, QoS};
use topic_trie::HasTopic;

use crate::Timestamp;

/// An application message: topic name, payload, and what MQTT 5 lets travel with them.
///
/// Topic, properties and payload lie in one allocation.
#[derive(PartialEq, Eq)]
pub struct Message {
    body: Box<[u8]>,
    expires: Timestamp,
    properties_bytes: u32,
    topic_bytes: u16,
    qos: QoS,
    retain: bool,
}

/// The parts from which a [`Message`] is made.
#[derive(Clone, Copy, Debug)]
pub struct MessageParts<'a> {
    /// The topic name, 65,535 bytes at most.
    pub topic: &'a str,
    /// Encoded MQTT 5 properties that travel unchanged from publisher to subscriber: payload
    /// format indicator, content type, response topic, correlation data, user properties; in
    /// the order in which they came, without the length in front. Empty for 3.x publishers.
    pub properties: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
    /// The quality of service with which it was published.
    pub qos: QoS,
    /// Whether it was published to be retained.
    pub retain: bool,
    /// When it expires (MQTT 5 message expiry interval); [`Timestamp::MAX`] for never.
    pub expires: Timestamp,
}

impl Message {
    /// Copies the parts into one message.
    ///
    /// ```
    /// use broker_core::{Message, MessageParts, Timestamp};
    /// use mqtt_codec::QoS;
    ///
    /// let message = Message::new(MessageParts {
    ///     topic: "a/b",
    ///     properties: &[],
    ///     payload: b"hello",
    ///     qos: QoS::AtLeastOnce,
    ///     retain: false,
    ///     expires: Timestamp::MAX,
    /// });
    /// assert_eq!(message.topic(), "a/b");
    /// assert_eq!(message.payload(), b"hello");
    /// ```
    pub fn new(parts: MessageParts<'_>) -> Arc<Self> {
        let size = parts.topic.len() + parts.properties.len() + parts.payload.len();
        let mut body = Vec::with_capacity(size);
        body.extend_from_slice(parts.topic.as_bytes());
        body.extend_from_slice(parts.properties);
        body.extend_from_slice(parts.payload);
        Arc::new(Self {
            body: body.into_boxed_slice(),
            topic_bytes: u16::try_from(parts.topic.len()).unwrap_or(u16::MAX),
            properties_bytes: u32::try_from(parts.properties.len()).unwrap_or(u32::MAX),
            qos: parts.qos,
            retain: parts.retain,
            expires: parts.expires,
        })
    }

    /// The topic name.
    pub fn topic(&self) -> &str {
        // Checked once more rather than trusted: it costs nanoseconds on paths that wait anyway.
        core::str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    /// The encoded properties that travel with it; see [`MessageParts::properties`].
    pub fn properties(&self) -> &[u8] {
        let start = usize::from(self.topic_bytes);
        self.body
            .get(start..start + self.properties_bytes as usize)
            .unwrap_or_default()
    }

    /// The same, to be looked at one by one.
    ///
    /// ```
    /// use broker_core::{Message, MessageParts, Timestamp};
    /// use mqtt_codec::{PropertiesBuf, Property, QoS};
    ///
    /// let mut properties = PropertiesBuf::new();
    /// properties.push(Property::ContentType("text/plain"))?;
    /// let message = Message::new(MessageParts {
    ///     topic: "a/b",
    ///     properties: properties.as_properties().raw(),
    ///     payload: b"hello",
    ///     qos: QoS::AtMostOnce,
    ///     retain: false,
    ///     expires: Timestamp::MAX,
    /// });
    /// assert_eq!(message.as_properties().content_type(), Some("text/plain"));
    /// # Ok::<(), mqtt_codec::EncodeError>(())
    /// ```
    pub fn as_properties(&self) -> Properties<'_> {
        // They were encoded here, or decoded before.
        Properties::from_raw(self.properties(), PropertySet::FORWARDED).unwrap_or(Properties::EMPTY)
    }

    /// The application's bytes.
    pub fn payload(&self) -> &[u8] {
        let start = usize::from(self.topic_bytes) + self.properties_bytes as usize;
        self.body.get(start..).unwrap_or_default()
    }

    /// The quality of service with which it was published.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether it was published to be retained.
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// When it expires; [`Timestamp::MAX`] for never.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Bytes of topic, properties and payload together: what counts against limits in bytes.
    pub fn size_bytes(&self) -> usize {
        self.body.len()
    }

    /// All of it, borrowed.
    pub fn parts(&self) -> MessageParts<'_> {
        MessageParts {
            topic: self.topic(),
            properties: self.properties(),
            payload: self.payload(),
            qos: self.qos,
            retain: self.retain,
            expires: self.expires,
        }
    }
}

impl HasTopic for Message {
    #[inline]
    fn topic_bytes(&self) -> &[u8] {
        self.body
            .get(..usize::from(self.topic_bytes))
            .unwrap_or_default()
    }
}

impl core::fmt::Debug for Message {
    /// Without the payload: it may be large, and it is nobody's business in a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("payload_bytes", &self.payload().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_back_its_parts() {
        let parts = MessageParts {
            topic: "é/b",
            properties: &[1, 1],
            payload: b"xyz",
            qos: QoS::ExactlyOnce,
            retain: true,
            expires: Timestamp::from_millis(7),
        };
        let message = Message::new(parts);
        assert_eq!(message.topic(), "é/b");
        assert_eq!(message.properties(), &[1, 1]);
        assert_eq!(message.payload(), b"xyz");
        assert_eq!(message.size_bytes(), 4 + 2 + 3);
        assert_eq!(Message::new(message.parts()), message);
    }
}
