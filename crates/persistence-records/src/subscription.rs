//! The record of what a subscription was granted.

use broker_core::SubscriptionOptions;
use serde::{Deserialize, Serialize};

use crate::fields::to_qos;
use crate::{RecordError, record};

#[derive(Serialize, Deserialize)]
struct Fields {
    qos: u8,
    no_local: bool,
    retain_as_published: bool,
    identifier: u32,
}

/// The record of a subscription. Its filter stands in the key.
///
/// # Errors
/// None in practice: all fields are small.
pub fn encode_subscription(options: &SubscriptionOptions) -> Result<Vec<u8>, RecordError> {
    let fields = Fields {
        qos: options.qos.as_u8(),
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        identifier: options.identifier,
    };
    record::encode(&fields, 16)
}

/// Reads the record of a subscription.
///
/// # Errors
/// If it is not one.
pub fn decode_subscription(bytes: &[u8]) -> Result<SubscriptionOptions, RecordError> {
    let fields: Fields = record::decode(bytes)?;
    Ok(SubscriptionOptions {
        qos: to_qos(fields.qos)?,
        no_local: fields.no_local,
        retain_as_published: fields.retain_as_published,
        identifier: fields.identifier,
    })
}
