//! Several messages under way at a time: sent, and not acknowledged yet (MQTT 5.0, section 4.4).

use std::collections::{HashMap, VecDeque};

use mqtt_codec::{
    OwnedPacket, OwnedPubAck, OwnedPubRec, OwnedPublish, Packet, PacketId, PubRel, Publish, QoS,
    ReasonCode,
};

use super::Client;
use crate::error::ClientError;

/// What the server says while messages are under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// A message of a subscription. It is acknowledged when the next event is waited for.
    Message(OwnedPublish),
    /// The server is done with a message of this client's.
    Acknowledged {
        /// Which one: what [`Client::begin_publish`] has returned. It may stand for another message from now on.
        packet_id: PacketId,
        /// [`is_error`](ReasonCode::is_error) if the server has not taken the message (MQTT 5.0).
        reason_code: ReasonCode,
    },
}

/// Messages at QoS 1 and 2 that nobody waits for one by one.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// Those that wait for PUBACK, or for PUBREC and PUBCOMP.
    ids: HashMap<PacketId, QoS>,
    /// Those that do not any more, and of which nobody has heard.
    done: VecDeque<(PacketId, ReasonCode)>,
}

impl UnderWay {
    pub(super) fn contains(&self, id: PacketId) -> bool {
        self.ids.contains_key(&id)
    }

    fn ends(&mut self, id: PacketId, reason_code: ReasonCode) {
        self.ids.remove(&id);
        self.done.push_back((id, reason_code));
    }

    /// What has to be answered, if the packet is about one of these.
    pub(super) fn take(&mut self, packet: &OwnedPacket) -> Option<Answer> {
        match packet {
            OwnedPacket::PubAck(OwnedPubAck {
                packet_id,
                reason_code,
                ..
            }) if self.ids.get(packet_id) == Some(&QoS::AtLeastOnce) => {
                self.ends(*packet_id, *reason_code);
                Some(Answer::Nothing)
            }
            OwnedPacket::PubRec(OwnedPubRec {
                packet_id,
                reason_code,
                ..
            }) if self.ids.get(packet_id) == Some(&QoS::ExactlyOnce) => {
                if reason_code.is_error() {
                    self.ends(*packet_id, *reason_code);
                    return Some(Answer::Nothing);
                }
                Some(Answer::Release(PubRel::new(*packet_id)))
            }
            OwnedPacket::PubComp(complete)
                if self.ids.get(&complete.packet_id) == Some(&QoS::ExactlyOnce) =>
            {
                self.ends(complete.packet_id, complete.reason_code);
                Some(Answer::Nothing)
            }
            _ => None,
        }
    }
}

/// What has to be answered to a packet that was about a message under way.
#[derive(Debug)]
pub(super) enum Answer {
    Nothing,
    Release(PubRel<'static>),
}

impl Client {
    /// Sends a message, and does not wait until the server is done with it: [`event`](Self::event) tells. Its
    /// packet identifier is chosen here, and returned at QoS 1 and 2; what the message says of it, and of DUP, does
    /// not count.
    ///
    /// How many are under way at one time is the caller's to limit: in MQTT 5.0 to
    /// [`receive_maximum`](Self::receive_maximum).
    ///
    /// If this is not waited for to the end, the message may or may not have been sent.
    ///
    /// # Errors
    /// The connection is lost, or the message cannot be expressed, or [`TooMany`](ClientError::TooMany) are under
    /// way.
    pub async fn begin_publish(
        &mut self,
        message: &Publish<'_>,
    ) -> Result<Option<PacketId>, ClientError> {
        let packet_id = match message.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(self.next_packet_id()?),
        };
        let message = Publish {
            dup: false,
            packet_id,
            ..*message
        };
        self.put(&Packet::Publish(message))?;
        if let Some(id) = packet_id {
            self.under_way.ids.insert(id, message.qos);
        }
        self.flush().await?;
        Ok(packet_id)
    }

    /// The next message, or the next end of one that is under way, however long it takes.
    ///
    /// Nothing is lost if this is not waited for to the end.
    ///
    /// # Errors
    /// The connection is lost, or the server says that it ends it.
    pub async fn event(&mut self) -> Result<ClientEvent, ClientError> {
        loop {
            if let Some((packet_id, reason_code)) = self.under_way.done.pop_front() {
                return Ok(ClientEvent::Acknowledged {
                    packet_id,
                    reason_code,
                });
            }
            if let Some(message) = self.inbox.pop_front() {
                return Ok(ClientEvent::Message(message));
            }
            self.take_next().await?;
        }
    }

    /// Messages at QoS 1 and 2 that the server takes at one time (MQTT 5.0, section 3.2.2.3.3); 65,535 where it
    /// does not say.
    #[must_use]
    pub fn receive_maximum(&self) -> u16 {
        self.receive_maximum
    }
}
