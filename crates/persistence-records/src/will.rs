//! The record of a will, with its message.

use broker_core::persistence::{ClientId, SessionKey, StoredWill};
use serde::{Deserialize, Serialize};

use crate::fields::{MessageFields, size_hint};
use crate::{RecordError, record};

#[derive(Serialize, Deserialize)]
struct Fields<'a> {
    incarnation: u64,
    node: &'a str,
    delay_secs: u32,
    expiry_interval_secs: Option<u32>,
    #[serde(borrow)]
    message: MessageFields<'a>,
}

/// The record of a will. Whose it is stands in the key.
///
/// # Errors
/// If a part of it is 4 GiB or longer, which no MQTT packet can bring.
pub fn encode_will(will: &StoredWill) -> Result<Vec<u8>, RecordError> {
    let fields = Fields {
        incarnation: will.session.incarnation,
        node: &will.node,
        delay_secs: will.delay_secs,
        expiry_interval_secs: will.expiry_interval_secs,
        message: MessageFields::of(&will.message),
    };
    record::encode(&fields, size_hint(&will.message) + will.node.len() + 32)
}

/// Reads the record of a client's will.
///
/// # Errors
/// If it is not one.
pub fn decode_will(client: ClientId, bytes: &[u8]) -> Result<StoredWill, RecordError> {
    let fields: Fields<'_> = record::decode(bytes)?;
    Ok(StoredWill {
        session: SessionKey {
            client,
            incarnation: fields.incarnation,
        },
        node: fields.node.into(),
        message: fields.message.into_message()?,
        delay_secs: fields.delay_secs,
        expiry_interval_secs: fields.expiry_interval_secs,
    })
}
