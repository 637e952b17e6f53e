//! The documents of the Node.js mosca, read with the tolerance that their writers need: numbers of any
//! type, payloads as binary or as text.

use std::sync::Arc;

use broker_core::{Message, MessageParts, Timestamp};
use bson::{RawBsonRef, RawDocument};
use mqtt_codec::QoS;
use topic_trie::{TopicFilter, TopicName};

pub(super) const SUBSCRIPTIONS: &str = "subscriptions";
pub(super) const PACKETS: &str = "packets";
pub(super) const RETAINED: &str = "retained";

/// Bits of a sequence number that tell messages of one millisecond apart.
const WITHIN_MS: u32 = 22;

/// The collection by its name.
pub(super) fn name_of(name: &str) -> &'static str {
    if name == PACKETS {
        PACKETS
    } else {
        SUBSCRIPTIONS
    }
}

/// The `_id` as text.
pub(super) fn id(document: &RawDocument) -> String {
    match document.get("_id") {
        Ok(Some(RawBsonRef::ObjectId(id))) => id.to_hex(),
        Ok(Some(RawBsonRef::String(id))) => id.to_owned(),
        Ok(Some(other)) => format!("{other:?}"),
        _ => "none".to_owned(),
    }
}

/// What a client has subscribed to.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) filter: Box<str>,
    pub(super) qos: QoS,
}

impl Subscription {
    pub(super) fn read(document: &RawDocument) -> Result<Self, String> {
        let filter = text(document, "topic")?;
        TopicFilter::new(filter).map_err(|error| format!("topic {filter:?}: {error}"))?;
        Ok(Self {
            filter: filter.into(),
            qos: qos(document)?,
        })
    }
}

/// A message that waits for a client.
#[derive(Debug)]
pub(super) struct Packet {
    /// Follows from the document, and is in the order in which messages were queued.
    pub(super) sequence: u64,
    /// The server's name for it, which all copies have.
    pub(super) id: Option<String>,
    pub(super) message: Arc<Message>,
}

impl Packet {
    pub(super) fn read_queued(document: &RawDocument) -> Result<Self, String> {
        let packet = match get(document, "packet")? {
            Some(RawBsonRef::Document(packet)) => packet,
            _ => return Err("packet is no document".to_owned()),
        };
        // A number is what one connection called it, and the next one may call another so.
        let id = match get(packet, "messageId")? {
            Some(RawBsonRef::String(id)) => Some(id.to_owned()),
            _ => None,
        };
        Ok(Self {
            sequence: sequence(document)?,
            id,
            message: message(packet, false)?,
        })
    }

    pub(super) fn read_retained(document: &RawDocument) -> Result<Arc<Message>, String> {
        let message = message(document, true)?;
        if message.payload().is_empty() {
            return Err("a retained message without a payload is none".to_owned());
        }
        Ok(message)
    }
}

fn message(packet: &RawDocument, retain: bool) -> Result<Arc<Message>, String> {
    let topic = text(packet, "topic")?;
    TopicName::new(topic).map_err(|error| format!("topic {topic:?}: {error}"))?;
    let payload = match get(packet, "payload")? {
        Some(RawBsonRef::Binary(binary)) => binary.bytes,
        Some(RawBsonRef::String(text)) => text.as_bytes(),
        None | Some(RawBsonRef::Null) => &[],
        Some(_) => return Err("payload is neither binary nor text".to_owned()),
    };
    Ok(Message::new(MessageParts {
        topic,
        properties: &[],
        payload,
        qos: qos(packet)?,
        retain,
        expires: Timestamp::MAX,
    }))
}

/// The millisecond in which it was queued, and the counter that is in an ObjectId.
fn sequence(document: &RawDocument) -> Result<u64, String> {
    let millis = match get(document, "added")? {
        Some(RawBsonRef::DateTime(added)) => added.timestamp_millis(),
        _ => return Err("added is no date".to_owned()),
    };
    let millis = u64::try_from(millis).map_err(|_| "added is before 1970".to_owned())?;
    if millis >= 1 << (63 - WITHIN_MS) {
        return Err("added is too late".to_owned());
    }
    let counter = match get(document, "_id")? {
        Some(RawBsonRef::ObjectId(id)) => {
            let [.., a, b, c] = id.bytes();
            u64::from(u32::from_be_bytes([0, a, b, c]))
        }
        _ => return Err("_id is no ObjectId".to_owned()),
    };
    Ok((millis << WITHIN_MS) | (counter & ((1 << WITHIN_MS) - 1)))
}

fn get<'d>(document: &'d RawDocument, field: &str) -> Result<Option<RawBsonRef<'d>>, String> {
    document.get(field).map_err(|error| error.to_string())
}

fn text<'d>(document: &'d RawDocument, field: &str) -> Result<&'d str, String> {
    match get(document, field)? {
        Some(RawBsonRef::String(text)) => Ok(text),
        _ => Err(format!("{field} is no text")),
    }
}

fn qos(document: &RawDocument) -> Result<QoS, String> {
    let number = match get(document, "qos")? {
        Some(RawBsonRef::Int32(number)) => u8::try_from(number).ok(),
        Some(RawBsonRef::Int64(number)) => u8::try_from(number).ok(),
        Some(RawBsonRef::Double(0.0)) => Some(0),
        Some(RawBsonRef::Double(1.0)) => Some(1),
        Some(RawBsonRef::Double(2.0)) => Some(2),
        _ => None,
    };
    number
        .and_then(QoS::from_u8)
        .ok_or_else(|| "qos is none".to_owned())
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::{DateTime, rawdoc};

    use super::*;

    #[test]
    fn places_in_a_queue_follow_from_the_documents_in_their_order() {
        let place = |millis, counter: u8| {
            let id = ObjectId::from_bytes([0, 0, 0, 0, 9, 9, 9, 9, 9, 0, 0, counter]);
            sequence(&rawdoc! { "_id": id, "added": DateTime::from_millis(millis) })
        };
        let places = [(1_000, 1), (1_000, 2), (1_001, 0), (1_700_000_000_000, 0)];
        let places: Vec<u64> = places
            .map(|(ms, counter)| place(ms, counter).unwrap())
            .into();
        assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
        assert!(place(-1, 0).is_err() && place(i64::MAX, 0).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (document, wanted) in [
            (rawdoc! { "qos": 1 }, "topic is no text"),
            (rawdoc! { "topic": "a/#/b", "qos": 1 }, "a/#/b"),
            (rawdoc! { "topic": "a", "qos": 3 }, "qos"),
            (rawdoc! { "topic": "a", "qos": 0.5 }, "qos"),
        ] {
            let error = Subscription::read(&document).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        assert_eq!(
            Subscription::read(&rawdoc! { "topic": "a", "qos": 1.0 })
                .unwrap()
                .qos,
            QoS::AtLeastOnce
        );
        for (document, wanted) in [
            (rawdoc! { "topic": "a/+", "qos": 1, "payload": "x" }, "a/+"),
            (rawdoc! { "topic": "a", "qos": 1, "payload": 7 }, "payload"),
            (
                rawdoc! { "topic": "a", "qos": 1, "payload": "" },
                "without a payload",
            ),
        ] {
            let error = Packet::read_retained(&document).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
