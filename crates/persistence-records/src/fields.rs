//! Values that several records have, as they stand in a record.

use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::RecordError;

/// The fields of a message.
#[derive(Serialize, Deserialize)]
pub(crate) struct MessageFields<'a> {
    topic: &'a str,
    #[serde(with = "serde_bytes")]
    properties: &'a [u8],
    #[serde(with = "serde_bytes")]
    payload: &'a [u8],
    qos: u8,
    retain: bool,
    expires: Option<u64>,
}

impl<'a> MessageFields<'a> {
    pub(crate) fn of(message: &'a Message) -> Self {
        let parts = message.parts();
        Self {
            topic: parts.topic,
            properties: parts.properties,
            payload: parts.payload,
            qos: parts.qos.as_u8(),
            retain: parts.retain,
            expires: from_expires(parts.expires),
        }
    }

    pub(crate) fn into_message(self) -> Result<Arc<Message>, RecordError> {
        within(
            self.topic.len(),
            u64::from(u16::MAX),
            "the topic's length",
            "0 to 65,535 bytes",
        )?;
        let most = u64::from(u32::MAX);
        within(
            self.properties.len(),
            most,
            "the properties' length",
            "0 to 4,294,967,295 bytes",
        )?;
        Ok(Message::new(MessageParts {
            topic: self.topic,
            properties: self.properties,
            payload: self.payload,
            qos: to_qos(self.qos)?,
            retain: self.retain,
            expires: to_expires(self.expires),
        }))
    }
}

/// Bytes that a message takes up in a record, roughly: to be reserved.
pub(crate) fn size_hint(message: &Message) -> usize {
    message.size_bytes() + 32
}

/// "Never" is what most messages say, and takes one byte instead of nine.
pub(crate) fn from_expires(expires: Timestamp) -> Option<u64> {
    (expires != Timestamp::MAX).then_some(expires.as_millis())
}

pub(crate) fn to_expires(expires: Option<u64>) -> Timestamp {
    expires.map_or(Timestamp::MAX, Timestamp::from_millis)
}

pub(crate) fn to_qos(qos: u8) -> Result<QoS, RecordError> {
    QoS::from_u8(qos).ok_or(RecordError::OutOfRange {
        field: "the quality of service",
        found: u64::from(qos),
        allowed: "0, 1 or 2",
    })
}

fn within(
    length: usize,
    most: u64,
    field: &'static str,
    allowed: &'static str,
) -> Result<(), RecordError> {
    let found = u64::try_from(length).unwrap_or(u64::MAX);
    if found <= most {
        return Ok(());
    }
    Err(RecordError::OutOfRange {
        field,
        found,
        allowed,
    })
}
