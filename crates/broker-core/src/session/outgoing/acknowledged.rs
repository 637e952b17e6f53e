//! What PUBACK, PUBREC and PUBCOMP do to the message that they are about (section 4.3).

use std::sync::Arc;

use mqtt_codec::{PacketId, QoS};

use super::{Outgoing, Stage};
use crate::Message;

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// The delivery with this sequence number is complete.
    Done(u64),
    /// It goes on with PUBREL.
    Release(u64),
    /// PUBREC once more: only PUBREL is to be sent again.
    ReleaseAgain,
    /// No delivery under way has this identifier. Nothing has changed.
    Unknown,
    /// A delivery has it, and this is not the packet that comes next in it. Nothing has changed.
    OutOfOrder,
}

/// A message that is acknowledged now for the first time.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
}

impl Outgoing {
    /// What PUBACK or PUBREC with this identifier acknowledges, if it is
    /// [kept](crate::session::Rules::keeps_sent).
    pub(crate) fn delivery(&self, id: PacketId) -> Option<Delivery> {
        let (index, Stage::Publish, qos) = self.find(id)? else {
            return None;
        };
        let message = Arc::clone(self.entries.get(index)?.packet_message()?);
        Some(Delivery { message, qos })
    }

    /// PUBACK.
    #[inline]
    pub(crate) fn puback(&mut self, id: PacketId) -> Acknowledged {
        match self.find(id) {
            Some((index, Stage::Publish, QoS::AtLeastOnce)) => self.complete(index),
            Some((_, Stage::Publish | Stage::Release, _)) => Acknowledged::OutOfOrder,
            _ => Acknowledged::Unknown,
        }
    }

    /// PUBREC. With `refused` (an MQTT 5 reason code of 0x80 or above) the delivery ends here.
    /// With `pending` the new stage has to become durable before a new connection may see it.
    pub(crate) fn pubrec(&mut self, id: PacketId, refused: bool, pending: bool) -> Acknowledged {
        match self.find(id) {
            Some((index, Stage::Publish, QoS::ExactlyOnce)) if refused => self.complete(index),
            Some((index, Stage::Publish, QoS::ExactlyOnce)) => {
                let Some(entry) = self.entries.get_mut(index) else {
                    return Acknowledged::Unknown;
                };
                entry.stage = Stage::Release;
                entry.pending += u8::from(pending);
                let sequence = entry.sequence;
                if let Some(message) = entry.take_message() {
                    self.bytes -= message.size_bytes();
                }
                // The answer is PUBREL.
                self.note_ahead(index);
                Acknowledged::Release(sequence)
            }
            Some((index, Stage::Release, _)) => {
                self.note_ahead(index);
                Acknowledged::ReleaseAgain
            }
            Some((_, Stage::Publish, _)) => Acknowledged::OutOfOrder,
            _ => Acknowledged::Unknown,
        }
    }

    /// PUBCOMP.
    pub(crate) fn pubcomp(&mut self, id: PacketId) -> Acknowledged {
        match self.find(id) {
            Some((index, Stage::Release, _)) => self.complete(index),
            Some((_, Stage::Publish, _)) => Acknowledged::OutOfOrder,
            _ => Acknowledged::Unknown,
        }
    }

    #[inline]
    fn complete(&mut self, index: usize) -> Acknowledged {
        let sequence = self.entries.get(index).map_or(0, |entry| entry.sequence);
        self.finish(index);
        Acknowledged::Done(sequence)
    }
}
