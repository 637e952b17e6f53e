//! An entry of a queue as Redis orders it: the number first, then what the scripts need to know, then
//! what only this crate reads.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | the sequence number, the highest byte first |
//! | 1 | the form: where the message is, and whether it expires |
//! | 1 | the stage: 0 waiting, 1 PUBLISH is under way, 2 PUBREL is under way |
//! | 2 | the packet identifier, 0 where there is none |
//! | 4 | the size of the message in bytes, as it counts in the queue |
//! | 16 | the message's name, in the forms that refer to it |
//! | 4 | the length of the record |
//! | … | the record: quality of service, retain flag, subscriptions |
//! | … | the message, in the forms that have it inside |

use std::sync::Arc;

use broker_core::persistence::{InflightStage, PersistenceError, StoredOutgoing};
use broker_core::{Message, Timestamp};
use mqtt_codec::PacketId;
use persistence_records::{OutgoingRecord, RecordError, decode_message};

/// The message is inside of the entry.
const INSIDE: u8 = 1;
/// The message has a name, and may be that of other entries, too.
const REFERRED: u8 = 2;
/// As the first, and it expires while it waits.
const INSIDE_EXPIRING: u8 = 3;
/// As the second, and it expires while it waits.
const REFERRED_EXPIRING: u8 = 4;
/// There is none any more.
const RELEASED: u8 = 5;

/// Bytes of a message's name.
pub(crate) const NAME_BYTES: usize = 16;

/// Where the message of an entry to be written is.
pub(crate) enum Place<'a> {
    /// Its record goes into the entry.
    Inside(&'a [u8]),
    /// It is stored under this name.
    Named([u8; NAME_BYTES]),
}

/// What follows the number in an entry that is put into a queue.
pub(crate) fn encode_rest(
    packet_id: Option<PacketId>,
    message: &Message,
    place: &Place<'_>,
    record: &[u8],
) -> Vec<u8> {
    let expiring = packet_id.is_none() && message.expires() != Timestamp::MAX;
    let form = match (place, expiring) {
        (Place::Inside(_), false) => INSIDE,
        (Place::Named(_), false) => REFERRED,
        (Place::Inside(_), true) => INSIDE_EXPIRING,
        (Place::Named(_), true) => REFERRED_EXPIRING,
    };
    let stage = packet_id.map(|_| InflightStage::Published);
    let mut rest = Vec::with_capacity(32 + record.len());
    rest.push(form);
    rest.extend_from_slice(&encode_inflight(packet_id, stage));
    rest.extend_from_slice(&length(message.size_bytes()));
    if let Place::Named(name) = place {
        rest.extend_from_slice(name);
    }
    rest.extend_from_slice(
        &u32::try_from(record.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    rest.extend_from_slice(record);
    if let Place::Inside(message) = place {
        rest.extend_from_slice(message);
    }
    rest
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Stage and packet identifier.
pub(crate) fn encode_inflight(
    packet_id: Option<PacketId>,
    stage: Option<InflightStage>,
) -> [u8; 3] {
    let stage = match stage {
        None => 0,
        Some(InflightStage::Published) => 1,
        Some(InflightStage::Released) => 2,
    };
    let [high, low] = packet_id.map_or(0, PacketId::get).to_be_bytes();
    [stage, high, low]
}

/// An entry that was read.
pub(crate) struct Entry<'a> {
    pub(crate) sequence: u64,
    form: u8,
    inflight: Option<(PacketId, InflightStage)>,
    record: &'a [u8],
    message: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Takes the bytes apart; `None` if they are not an entry.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let ([form, stage, high, low], mut rest) = rest.split_first_chunk::<4>()?;
        let packet_id = PacketId::new(u16::from_be_bytes([*high, *low]));
        let inflight = match (stage, packet_id) {
            (0, None) => None,
            (1, Some(id)) => Some((id, InflightStage::Published)),
            (2, Some(id)) => Some((id, InflightStage::Released)),
            _ => return None,
        };
        (_, rest) = rest.split_first_chunk::<4>()?;
        if matches!(*form, REFERRED | REFERRED_EXPIRING) {
            (_, rest) = rest.split_first_chunk::<NAME_BYTES>()?;
        }
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (record, message) = rest.split_at_checked(length)?;
        (INSIDE..=RELEASED).contains(form).then_some(Self {
            sequence: u64::from_be_bytes(*number),
            form: *form,
            inflight,
            record,
            message,
        })
    }

    /// Whether its message is kept elsewhere.
    pub(crate) fn is_referring(&self) -> bool {
        matches!(self.form, REFERRED | REFERRED_EXPIRING)
    }

    /// The delivery; `referred` is the message of one that refers to it.
    pub(crate) fn into_stored(
        self,
        client: &str,
        referred: Option<Arc<Message>>,
    ) -> Result<StoredOutgoing, PersistenceError> {
        let sequence = self.sequence;
        let damaged =
            |error: RecordError| error.at(format_args!("message {sequence} of session {client:?}"));
        let mut record = OutgoingRecord::decode(self.record).map_err(damaged)?;
        record.inflight = self.inflight;
        let message = match self.form {
            RELEASED => None,
            INSIDE | INSIDE_EXPIRING => Some(decode_message(self.message).map_err(damaged)?),
            _ => referred,
        };
        Ok(record.into_stored(sequence, message))
    }
}
