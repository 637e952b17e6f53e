//! The record of a message: retained, or waiting for sessions.

use std::sync::Arc;

use broker_core::Message;

use crate::fields::{MessageFields, size_hint};
use crate::{RecordError, record};

/// The record of a message.
///
/// # Errors
/// If a part of it is 4 GiB or longer, which no MQTT packet can bring.
pub fn encode_message(message: &Message) -> Result<Vec<u8>, RecordError> {
    record::encode(&MessageFields::of(message), size_hint(message))
}

/// Reads the record of a message.
///
/// # Errors
/// If it is not one.
pub fn decode_message(bytes: &[u8]) -> Result<Arc<Message>, RecordError> {
    record::decode::<MessageFields<'_>>(bytes)?.into_message()
}
