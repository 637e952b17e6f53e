//! An envelope as bytes, for engines that carry bytes: the same whichever engine it is.
//!
//! One byte for the version of the format, one for flags and kind, then what there is, in this order: the
//! tag; of a message its retain stamp, the time that it has left, its publisher, topic, properties, payload;
//! of a connected client the stamp and its identifier. Numbers are big-endian; texts and bytes have their
//! length in front, in four bytes, but for the payload, which is the rest.

use core::time::Duration;

use mqtt_codec::{Properties, PropertySet, QoS};
use topic_trie::TopicName;

use super::{Content, Envelope, NodeId, Tag};
use crate::{Message, MessageParts, Timestamp};

/// The version of the format.
const VERSION: u8 = 1;

const CONNECTED: u8 = 1;
const TAGGED: u8 = 1 << 1;
const RETAIN: u8 = 1 << 2;
const EXPIRES: u8 = 1 << 3;
const HAS_PUBLISHER: u8 = 1 << 4;
/// Where the quality of service is.
const QOS_SHIFT: u8 = 5;

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// They are of a version of the format that is not known here: of a node that is newer.
    #[error("an envelope in version {0} of the format, which is not known")]
    Version(u8),
    /// They are none, or not all of it.
    #[error("not an envelope")]
    Malformed,
}

impl Envelope {
    /// Appends the envelope as bytes.
    ///
    /// ```
    /// use broker_core::backend::{Content, Envelope};
    ///
    /// let content = Content::Connected { client: "sensor-7".into(), at: 17 };
    /// let envelope = Envelope { tag: None, content };
    /// let mut bytes = Vec::new();
    /// envelope.encode(&mut bytes);
    /// assert_eq!(Envelope::decode(&bytes), Ok(envelope));
    /// assert!(Envelope::decode(b"from elsewhere").is_err());
    /// ```
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut flags = if self.tag.is_some() { TAGGED } else { 0 };
        match &self.content {
            Content::Connected { .. } => flags |= CONNECTED,
            Content::Message {
                message,
                expires_in,
                publisher,
                ..
            } => {
                flags |= message.qos().as_u8() << QOS_SHIFT;
                flags |= if message.retain() { RETAIN } else { 0 };
                flags |= if expires_in.is_some() { EXPIRES } else { 0 };
                flags |= if publisher.is_some() {
                    HAS_PUBLISHER
                } else {
                    0
                };
            }
        }
        bytes.extend([VERSION, flags]);
        if let Some(Tag { node, number }) = &self.tag {
            put_text(bytes, node.name.as_bytes());
            put_number(bytes, node.start);
            put_number(bytes, *number);
        }
        match &self.content {
            Content::Connected { client, at } => {
                put_number(bytes, *at);
                put_text(bytes, client.as_bytes());
            }
            Content::Message {
                message,
                expires_in,
                publisher,
                retained_at,
            } => {
                put_number(bytes, *retained_at);
                if let Some(left) = expires_in {
                    put_number(bytes, u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                }
                if let Some(publisher) = publisher {
                    put_text(bytes, publisher.as_bytes());
                }
                put_text(bytes, message.topic().as_bytes());
                put_text(bytes, message.properties());
                bytes.extend_from_slice(message.payload());
            }
        }
    }

    /// Reads an envelope that [`encode`](Self::encode) has written. Whatever the bytes are, what comes out
    /// is valid: its topic is a topic name, and its properties are those of messages.
    ///
    /// # Errors
    /// If they are not one whole envelope of a known version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        match bytes {
            [VERSION, flags, rest @ ..] => {
                decode_rest(*flags, Reader(rest)).ok_or(WireError::Malformed)
            }
            [version, _, ..] => Err(WireError::Version(*version)),
            _ => Err(WireError::Malformed),
        }
    }
}

fn decode_rest(flags: u8, mut reader: Reader<'_>) -> Option<Envelope> {
    let has = |flag: u8| flags & flag != 0;
    let tag = has(TAGGED).then(|| {
        let node = NodeId::new(reader.text()?, reader.number()?);
        let number = reader.number()?;
        Some(Tag { node, number })
    });
    let tag = match tag {
        Some(read) => Some(read?),
        None => None,
    };
    if has(CONNECTED) {
        let at = reader.number()?;
        let client = reader.text()?.into();
        let content = Content::Connected { client, at };
        return reader.0.is_empty().then_some(Envelope { tag, content });
    }
    let retained_at = reader.number()?;
    let expires_in = match has(EXPIRES) {
        true => Some(Duration::from_millis(reader.number()?)),
        false => None,
    };
    let publisher = match has(HAS_PUBLISHER) {
        true => Some(reader.text()?.into()),
        false => None,
    };
    let topic = reader.text()?;
    TopicName::new(topic).ok()?;
    let properties = reader.bytes()?;
    Properties::from_raw(properties, PropertySet::FORWARDED).ok()?;
    let message = Message::new(MessageParts {
        topic,
        properties,
        payload: reader.0,
        qos: QoS::from_u8(flags >> QOS_SHIFT)?,
        retain: has(RETAIN),
        expires: Timestamp::MAX,
    });
    let content = Content::Message {
        message,
        expires_in,
        publisher,
        retained_at,
    };
    Some(Envelope { tag, content })
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_be_bytes());
}

/// With its length in front; MQTT has nothing that is longer than four bytes can say.
fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(text);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let bytes = self.take(size_of::<u64>())?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.take(size_of::<u32>())?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn qos() -> impl Strategy<Value = QoS> {
        prop::sample::select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
    }

    prop_compose! {
        fn tag()(name in ".{0,20}", start: u64, number: u64) -> Tag {
            Tag { node: NodeId::new(name, start), number }
        }
    }

    prop_compose! {
        fn message()(
            topic in "[a-z/]{1,20}",
            payload: Vec<u8>,
            (qos, retain, retained_at) in (qos(), any::<bool>(), any::<u64>()),
            publisher in prop::option::of(".{0,20}"),
            left in prop::option::of(any::<u64>()),
            indicator in prop::option::of(0..2_u8),
        ) -> Content {
            let properties = indicator.map(|it| vec![1, it]).unwrap_or_default();
            let message = Message::new(MessageParts {
                topic: &topic,
                properties: &properties,
                payload: &payload,
                qos,
                retain,
                expires: Timestamp::MAX,
            });
            Content::Message {
                message,
                expires_in: left.map(Duration::from_millis),
                publisher: publisher.map(Into::into),
                retained_at,
            }
        }
    }

    prop_compose! {
        fn connected()(client in ".{0,20}", at: u64) -> Content {
            Content::Connected { client: client.into(), at }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_and_no_part_of_it_is_an_envelope(
            tag in prop::option::of(tag()),
            content in prop_oneof![message(), connected()],
        ) {
            let envelope = Envelope { tag, content };
            let mut bytes = Vec::new();
            envelope.encode(&mut bytes);
            let payload = match &envelope.content {
                Content::Message { message, .. } => message.payload().len(),
                Content::Connected { .. } => 0,
            };
            prop_assert_eq!(Envelope::decode(&bytes), Ok(envelope));
            for length in 0..bytes.len() - payload {
                prop_assert!(Envelope::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_an_envelope_or_an_error(mut bytes: Vec<u8>, known: bool) {
            if let Some(first) = bytes.first_mut().filter(|_| known) {
                *first = VERSION;
            }
            if let Ok(Envelope { content: Content::Message { message, .. }, .. }) = Envelope::decode(&bytes) {
                prop_assert!(TopicName::new(message.topic()).is_ok());
            }
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        assert_eq!(Envelope::decode(&[2, 0]), Err(WireError::Version(2)));
    }
}
