//! What mosca keeps in a LevelDB: keys of its sublevels, and values in MessagePack.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use topic_trie::TopicName;

/// What a key is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// The subscriptions of this client.
    Session(&'a str),
    /// A message that waits.
    Queued {
        /// For whom.
        client: &'a str,
        /// When it was stored, in ms, and its number among those of the same time.
        place: (u64, u64),
    },
    /// A retained message of this topic.
    Retained(&'a str),
    /// Something that is said elsewhere, too.
    Other,
}

impl<'a> Key<'a> {
    /// Of a sublevel, `!name!key`, or `\xFFname\xFFkey` as older versions of level-sublevel write it. The error says what
    /// is wrong.
    pub(crate) fn read(key: &'a [u8]) -> Result<Self, &'static str> {
        let Some((&mark, rest)) = key.split_first() else {
            return Ok(Self::Other);
        };
        if !matches!(mark, b'!' | 0xFF) {
            return Ok(Self::Other);
        }
        let mut parts = rest.splitn(2, |&byte| byte == mark);
        let (name, key) = (parts.next(), parts.next().unwrap_or_default());
        let Ok(key) = core::str::from_utf8(key) else {
            return Err("its name is no text");
        };
        match name {
            Some(b"clientSubscriptions") => match is_client_id(key) {
                true => Ok(Self::Session(key)),
                false => Err("this is no client identifier of MQTT"),
            },
            Some(b"offlinePackets") => queued(key).ok_or("it is not named as mosca does"),
            Some(b"retained") => Ok(Self::Retained(key)),
            _ => Ok(Self::Other),
        }
    }
}

/// `CLIENT:MS:NUMBER`, where the client may have colons in its name.
fn queued(key: &str) -> Option<Key<'_>> {
    let mut parts = key.rsplitn(3, ':');
    let (number, ms, client) = (parts.next()?, parts.next()?, parts.next()?);
    let place = (ms.parse().ok()?, number.parse().ok()?);
    is_client_id(client).then_some(Key::Queued { client, place })
}

fn is_client_id(client: &str) -> bool {
    (1..=65_535).contains(&client.len()) && !client.contains('\0')
}

/// The filters of a client, each with the QoS that was granted; `None` where it is none of MQTT's.
pub(crate) fn subscriptions(value: &[u8]) -> Result<BTreeMap<String, Option<QoS>>, String> {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        qos: u64,
    }
    let fields: BTreeMap<String, Fields> = rmp_serde::from_slice(value).map_err(unreadable)?;
    let filters = fields.into_iter();
    Ok(filters.map(|(filter, it)| (filter, qos(it.qos))).collect())
}

/// The message of a packet.
pub(crate) fn message(value: &[u8], retain: bool) -> Result<Arc<Message>, String> {
    #[derive(Deserialize)]
    struct Fields {
        topic: String,
        #[serde(default)]
        payload: Payload,
        // Missing for what the server itself has published without saying.
        #[serde(default)]
        qos: u64,
    }
    let fields: Fields = rmp_serde::from_slice(value).map_err(unreadable)?;
    TopicName::new(&fields.topic).map_err(|error| format!("{:?}: {error}", fields.topic))?;
    Ok(Message::new(MessageParts {
        topic: &fields.topic,
        properties: &[],
        payload: &fields.payload.0,
        qos: qos(fields.qos).ok_or_else(|| format!("its QoS is {}", fields.qos))?,
        retain,
        expires: Timestamp::MAX,
    }))
}

/// A buffer, or text as of what the server itself has published.
#[derive(Debug, Default)]
struct Payload(Vec<u8>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a buffer or a text")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload(bytes.to_vec()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Payload, E> {
                Ok(Payload(text.as_bytes().to_vec()))
            }

            fn visit_unit<E: Error>(self) -> Result<Payload, E> {
                Ok(Payload::default())
            }
        }

        deserializer.deserialize_any(Bytes)
    }
}

fn qos(number: u64) -> Option<QoS> {
    QoS::from_u8(u8::try_from(number).ok()?)
}

fn unreadable(error: rmp_serde::decode::Error) -> String {
    format!("this is not the MessagePack that mosca writes: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_each_sublevel_are_told_apart_however_clients_are_called() {
        let queued = |client, ms, number| {
            let place = (ms, number);
            Ok(Key::Queued { client, place })
        };
        for (key, expected) in [
            (&b"!clientSubscriptions!a:b"[..], Ok(Key::Session("a:b"))),
            (b"\xFFclientSubscriptions\xFFa!", Ok(Key::Session("a!"))),
            (b"!offlinePackets!a:17:2", queued("a", 17, 2)),
            (b"!offlinePackets!a:7:!:17:20", queued("a:7:!", 17, 20)),
            (b"!retained!a/!b", Ok(Key::Retained("a/!b"))),
            (b"!subscriptions!a:b", Ok(Key::Other)),
            (b"something else", Ok(Key::Other)),
            (b"", Ok(Key::Other)),
            (
                b"!clientSubscriptions!",
                Err("this is no client identifier of MQTT"),
            ),
            (
                b"!offlinePackets!a:x:2",
                Err("it is not named as mosca does"),
            ),
            (
                b"!offlinePackets!:1:2",
                Err("it is not named as mosca does"),
            ),
            (b"!retained!\xFE", Err("its name is no text")),
        ] {
            assert_eq!(Key::read(key), expected, "{key:?}");
        }
    }

    #[test]
    fn payloads_are_buffers_or_texts_and_what_is_missing_or_wrong_is_found() {
        // A map of topic and payload, as msgpack5 writes it.
        let packet = |payload: &[u8]| [b"\x82\xA5topic\xA1a\xA7payload", payload].concat();
        let read = |payload: &[u8]| message(&packet(payload), false);
        let payload = |it: &[u8]| read(it).map(|message| message.payload().to_vec());
        assert_eq!(payload(b"\xC4\x02\x00\xFF"), Ok(vec![0, 0xFF]));
        assert_eq!(payload(b"\xA1x"), Ok(b"x".to_vec()));
        assert_eq!(payload(b"\xC0"), Ok(vec![]));
        assert_eq!(read(b"\xC0").map(|it| it.qos()), Ok(QoS::AtMostOnce));
        assert!(payload(b"\x07").is_err());
        for wrong in [
            &b""[..],
            b"\x80",
            b"\x81\xA5topic\xA3a/#",
            b"\x82\xA5topic\xA1a\xA3qos\x03",
            b"\x81\xA5topic\x01",
        ] {
            assert!(message(wrong, false).is_err(), "{wrong:?}");
        }
    }
}
