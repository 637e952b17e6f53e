//! The JSON in which the Node.js mosca keeps packets and subscriptions.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use serde::Deserialize;
use topic_trie::TopicName;

/// A packet, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
}

/// The filters of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subscriptions {
    /// Each with the QoS that was granted; `None` where it is none of MQTT's.
    pub(super) filters: BTreeMap<String, Option<QoS>>,
}

#[derive(Deserialize)]
struct PacketFields {
    topic: String,
    #[serde(default)]
    payload: Option<Payload>,
    // Missing for what the server itself has published without saying.
    #[serde(default)]
    qos: u64,
}

/// A buffer as Node.js turns it into JSON, in its form of today and in that of before version 4; or
/// text, as of what the server itself has published.
#[derive(Deserialize)]
#[serde(untagged)]
enum Payload {
    Buffer { data: Vec<u8> },
    Bytes(Vec<u8>),
    Text(String),
}

#[derive(Deserialize)]
struct SubscriptionFields {
    #[serde(default)]
    qos: u64,
}

impl Packet {
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let fields: PacketFields = serde_json::from_slice(text).map_err(unreadable)?;
        Ok(Self {
            topic: fields.topic,
            payload: match fields.payload {
                None => Vec::new(),
                Some(Payload::Buffer { data } | Payload::Bytes(data)) => data,
                Some(Payload::Text(text)) => text.into_bytes(),
            },
            qos: qos(fields.qos).ok_or_else(|| format!("its QoS is {}", fields.qos))?,
        })
    }
}

impl Subscriptions {
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let fields: BTreeMap<String, SubscriptionFields> =
            serde_json::from_slice(text).map_err(unreadable)?;
        let filters = fields
            .into_iter()
            .map(|(filter, fields)| (filter, qos(fields.qos)));
        Ok(Self {
            filters: filters.collect(),
        })
    }
}

/// The message of a packet of mosca.
pub(super) fn message(text: &[u8], retain: bool) -> Result<Arc<Message>, String> {
    let packet = Packet::parse(text)?;
    TopicName::new(&packet.topic).map_err(|error| format!("{:?}: {error}", packet.topic))?;
    Ok(Message::new(MessageParts {
        topic: &packet.topic,
        properties: &[],
        payload: &packet.payload,
        qos: packet.qos,
        retain,
        expires: Timestamp::MAX,
    }))
}

fn qos(number: u64) -> Option<QoS> {
    match number {
        0 => Some(QoS::AtMostOnce),
        1 => Some(QoS::AtLeastOnce),
        2 => Some(QoS::ExactlyOnce),
        _ => None,
    }
}

fn unreadable(error: serde_json::Error) -> String {
    format!("this is not the JSON that mosca writes: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_of_every_form_are_read() {
        let payload = |json: &str| {
            let text = format!(r#"{{"topic":"a/b","payload":{json},"qos":1,"x":[{{}}]}}"#);
            Packet::parse(text.as_bytes()).map(|packet| packet.payload)
        };
        assert_eq!(
            payload(r#"{"type":"Buffer","data":[0,255,7]}"#),
            Ok(vec![0, 255, 7])
        );
        assert_eq!(payload("[1,2]"), Ok(vec![1, 2]));
        assert_eq!(payload(r#""é""#), Ok("é".as_bytes().to_vec()));
        assert_eq!(payload("null"), Ok(vec![]));
        for wrong in ["256", "[256]", r#"{"data":"x"}"#, "{}"] {
            assert!(payload(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_found() {
        let packet = |text: &str| Packet::parse(text.as_bytes());
        let plain = packet(r#"{"topic":"a"}"#).unwrap();
        assert_eq!((plain.qos, plain.payload), (QoS::AtMostOnce, vec![]));
        for wrong in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"topic":"a","qos":3}"#,
            r#"{"topic":1}"#,
        ] {
            assert!(packet(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn subscriptions_are_read() {
        let text = r#"{"a/#":{"qos":1},"b":{"qos":9},"c":{}}"#;
        let found = Subscriptions::parse(text.as_bytes()).unwrap().filters;
        let wanted = [
            ("a/#".to_owned(), Some(QoS::AtLeastOnce)),
            ("b".to_owned(), None),
            ("c".to_owned(), Some(QoS::AtMostOnce)),
        ];
        assert_eq!(found, wanted.into());
        for wrong in ["null", "[]", r#"{"a":1}"#] {
            assert!(Subscriptions::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
