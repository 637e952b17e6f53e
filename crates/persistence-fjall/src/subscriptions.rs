//! Filters that are too long for a key.
//!
//! The engine takes keys of 65,535 bytes, and a filter may be as long by itself. So those of
//! [`MAX_FILTER_BYTES`] or more share a record with all of the same session that begin with the same
//! [`MAX_FILTER_BYTES`] bytes; what is left of each, nine bytes at most, stands in the record, in
//! order.

use std::collections::BTreeMap;

use broker_core::SubscriptionOptions;
use persistence_records::{RecordError, decode_subscription, encode_subscription};

use crate::error::{Failure, damaged};
use crate::keys::MAX_FILTER_BYTES;

/// What is left of the filters, and what they were granted.
pub(crate) type Shared = BTreeMap<Vec<u8>, SubscriptionOptions>;

/// What of a filter does not fit into a key; `None` if its key has it whole.
pub(crate) fn rest(filter: &str) -> Option<&[u8]> {
    filter.as_bytes().get(MAX_FILTER_BYTES..)
}

/// The record: for each filter the length of its rest in a byte, the rest, the length of the
/// subscription's record in a byte, and that record.
pub(crate) fn encode(shared: &Shared) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::new();
    for (rest, options) in shared {
        for part in [rest.as_slice(), &encode_subscription(options)?] {
            // Nine bytes at most, and less than twenty.
            bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(part);
        }
    }
    Ok(bytes)
}

pub(crate) fn decode(mut bytes: &[u8]) -> Result<Shared, Failure> {
    let mut shared = Shared::new();
    while !bytes.is_empty() {
        let (rest, behind) = part(bytes)?;
        let (record, behind) = part(behind)?;
        let options = decode_subscription(record).map_err(|error| damaged(NAME, error))?;
        shared.insert(rest.to_vec(), options);
        bytes = behind;
    }
    Ok(shared)
}

const NAME: &str = "subscriptions with long filters";

fn part(bytes: &[u8]) -> Result<(&[u8], &[u8]), Failure> {
    let parts = bytes
        .split_first()
        .and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)));
    parts.ok_or_else(|| damaged(NAME, "the record ends too early"))
}
