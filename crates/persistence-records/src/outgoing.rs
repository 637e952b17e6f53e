//! The record of a message on its way to one session: all but the message, which many may share.

use std::sync::Arc;

use broker_core::persistence::{InflightStage, StoredOutgoing, SubscriptionIds};
use broker_core::{Message, Timestamp};
use mqtt_codec::{PacketId, QoS};
use serde::{Deserialize, Serialize};

use crate::fields::{from_expires, to_expires, to_qos};
use crate::{RecordError, record};

/// A store's name for a message that it keeps once for all sessions that it waits for.
///
/// Small numbers take fewer bytes in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u128);

/// A message on its way to one session. Whose it is and its sequence number stand in the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Where the message is; `None` once the client has taken it with PUBREC.
    pub message: Option<MessageId>,
    /// When the message expires, known without reading it; [`Timestamp::MAX`] for never.
    pub expires: Timestamp,
    /// [`Message::size_bytes`], known without reading the message; 0 once it is taken,
    /// and in stores that count elsewhere.
    pub bytes: u64,
    /// The quality of service of this delivery.
    pub qos: QoS,
    /// The retain flag of this delivery.
    pub retain: bool,
    /// Identifiers of the subscriptions that it matched.
    pub subscription_ids: SubscriptionIds,
    /// The shared subscription through which it came, whole as in SUBSCRIBE.
    pub shared: Option<Arc<str>>,
    /// Packet identifier and stage once it is inflight.
    pub inflight: Option<(PacketId, InflightStage)>,
}

/// The bits of `flags`, from the lowest: two of the QoS, the retain flag, and whether PUBREL is
/// under way.
const QOS: u8 = 0b0011;
const RETAIN: u8 = 0b0100;
const RELEASED: u8 = 0b1000;

#[derive(Serialize)]
struct FieldsOut<'a> {
    message: Option<(u64, u64)>,
    expires: Option<u64>,
    flags: u8,
    /// 0 where there is none.
    packet_id: u16,
    subscription_ids: &'a [u32],
    shared: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    bytes: u64,
}

/// Stores that count bytes elsewhere do without the field.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Deserialize)]
struct FieldsIn<'a> {
    message: Option<(u64, u64)>,
    expires: Option<u64>,
    flags: u8,
    packet_id: u16,
    subscription_ids: Vec<u32>,
    #[serde(borrow)]
    shared: Option<&'a str>,
    #[serde(default)]
    bytes: u64,
}

impl OutgoingRecord {
    /// Its bytes.
    ///
    /// # Errors
    /// If it has 2^32 subscription identifiers or more; no session has as many subscriptions.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let released = matches!(self.inflight, Some((_, InflightStage::Released)));
        let mut flags = self.qos.as_u8();
        if self.retain {
            flags |= RETAIN;
        }
        if released {
            flags |= RELEASED;
        }
        let ids = self.subscription_ids.as_slice();
        let fields = FieldsOut {
            message: self
                .message
                .map(|MessageId(id)| ((id >> 64) as u64, id as u64)),
            expires: from_expires(self.expires),
            flags,
            packet_id: self.inflight.map_or(0, |(packet_id, _)| packet_id.get()),
            subscription_ids: ids,
            shared: self.shared.as_deref(),
            bytes: self.bytes,
        };
        let shared_bytes = self.shared.as_ref().map_or(0, |filter| filter.len());
        record::encode(&fields, 40 + ids.len() * 5 + shared_bytes)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If the bytes are not such a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let fields: FieldsIn<'_> = record::decode(bytes)?;
        let known = QOS | RETAIN | RELEASED;
        let packet_id = PacketId::new(fields.packet_id);
        let released = fields.flags & RELEASED != 0;
        if fields.flags & !known != 0 || (released && packet_id.is_none()) {
            return Err(RecordError::OutOfRange {
                field: "the flags of a delivery",
                found: u64::from(fields.flags),
                allowed: "QoS, retain, and released where there is a packet identifier",
            });
        }
        let stage = match released {
            true => InflightStage::Released,
            false => InflightStage::Published,
        };
        Ok(Self {
            message: fields
                .message
                .map(|(high, low)| MessageId(u128::from(high) << 64 | u128::from(low))),
            expires: to_expires(fields.expires),
            bytes: fields.bytes,
            qos: to_qos(fields.flags & QOS)?,
            retain: fields.flags & RETAIN != 0,
            subscription_ids: fields.subscription_ids.into(),
            shared: fields.shared.map(Arc::from),
            inflight: packet_id.map(|packet_id| (packet_id, stage)),
        })
    }

    /// The delivery with its message, as the broker wants it.
    pub fn into_stored(self, sequence: u64, message: Option<Arc<Message>>) -> StoredOutgoing {
        StoredOutgoing {
            sequence,
            message,
            qos: self.qos,
            retain: self.retain,
            subscription_ids: self.subscription_ids,
            shared: self.shared,
            inflight: self.inflight,
        }
    }
}
