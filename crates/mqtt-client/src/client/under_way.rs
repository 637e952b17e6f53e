//! Several things under way at a time: sent, and not answered yet (MQTT 5.0, section 4.4).

use std::collections::{HashMap, HashSet, VecDeque};

use mqtt_codec::{
    OwnedPacket, OwnedPubAck, OwnedPubRec, OwnedPublish, Packet, PacketId, Properties,
    PropertiesBuf, Property, PubRel, Publish, QoS, ReasonCode, Subscribe, SubscribeFiltersBuf,
    Unsubscribe, UnsubscribeFiltersBuf,
};

use super::exchange::Ping;
use super::{Client, Subscription};
use crate::error::ClientError;

/// What the server says while things are under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// SUBACK.
    Subscribed {
        /// Which one: what [`Client::queue_subscribe`] has returned.
        packet_id: PacketId,
        /// For each filter, in their order: the QoS that is granted, or why nothing is. There may be fewer than
        /// there were filters, if the server breaks the rules.
        reason_codes: Vec<ReasonCode>,
    },
    /// UNSUBACK.
    Unsubscribed {
        /// Which one: what [`Client::queue_unsubscribe`] has returned.
        packet_id: PacketId,
    },
    /// The server has answered the PINGREQ of [`Client::queue_ping`].
    Pong,
    /// The server has taken all that was queued.
    Sent,
}

/// What nobody waits for one by one.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// Messages that wait for PUBACK, or for PUBREC and PUBCOMP.
    ids: HashMap<PacketId, QoS>,
    /// What waits for SUBACK or UNSUBACK.
    requests: HashSet<PacketId>,
    /// What does not any more, and of which nobody has heard.
    done: VecDeque<ClientEvent>,
}

impl UnderWay {
    pub(super) fn contains(&self, id: PacketId) -> bool {
        self.ids.contains_key(&id) || self.requests.contains(&id)
    }

    fn ends(&mut self, packet_id: PacketId, reason_code: ReasonCode) {
        self.ids.remove(&packet_id);
        self.done.push_back(ClientEvent::Acknowledged {
            packet_id,
            reason_code,
        });
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
            OwnedPacket::SubAck(ack) if self.requests.remove(&ack.packet_id) => {
                self.done.push_back(ClientEvent::Subscribed {
                    packet_id: ack.packet_id,
                    reason_codes: ack.as_suback().reason_codes.iter().collect(),
                });
                Some(Answer::Nothing)
            }
            OwnedPacket::UnsubAck(ack) if self.requests.remove(&ack.packet_id) => {
                let packet_id = ack.packet_id;
                self.done.push_back(ClientEvent::Unsubscribed { packet_id });
                Some(Answer::Nothing)
            }
            OwnedPacket::PingResp => {
                self.done.push_back(ClientEvent::Pong);
                Some(Answer::Nothing)
            }
            _ => None,
        }
    }
}

/// What has to be answered to a packet that was about something under way.
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
        let tells_sent = self.tells_sent;
        let packet_id = self.queue_publish(message)?;
        self.tells_sent = tells_sent;
        self.flush().await?;
        Ok(packet_id)
    }

    /// As [`begin_publish`](Self::begin_publish), but does not send: the message goes behind what is to be sent
    /// already, and [`event`](Self::event) sends it. Nothing is waited for, so that one task can publish and
    /// receive at full speed; [`Sent`](ClientEvent::Sent) tells when there is room.
    ///
    /// What is queued is kept in memory: the caller limits it by [`queued_bytes`](Self::queued_bytes).
    ///
    /// # Errors
    /// The message cannot be expressed, or [`TooMany`](ClientError::TooMany) are under way. Nothing is queued then,
    /// and the connection goes on.
    pub fn queue_publish(
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
        self.queue(&Packet::Publish(message))?;
        if let Some(id) = packet_id {
            self.under_way.ids.insert(id, message.qos);
        }
        Ok(packet_id)
    }

    /// Queues a SUBSCRIBE (MQTT 5.0, section 3.8) to be sent by [`event`](Self::event), which tells as
    /// [`Subscribed`](ClientEvent::Subscribed) what the server answers to the one with the identifier that is
    /// returned. Messages that match by these filters carry `subscription_id`, 1 to 268,435,455, where there is one:
    /// in MQTT 5.0, and if the server
    /// [has them](crate::ServerLimits::subscription_identifiers_available).
    ///
    /// # Errors
    /// There is no filter, or one that cannot be expressed, or [`TooMany`](ClientError::TooMany) things are under
    /// way. Nothing is queued then, and the connection goes on.
    pub fn queue_subscribe(
        &mut self,
        subscriptions: &[Subscription],
        subscription_id: Option<u32>,
    ) -> Result<PacketId, ClientError> {
        let mut filters = SubscribeFiltersBuf::new();
        for Subscription { filter, options } in subscriptions {
            filters.push(filter, *options)?;
        }
        let mut properties = PropertiesBuf::new();
        if let Some(id) = subscription_id {
            properties.push(Property::SubscriptionIdentifier(id))?;
        }
        let packet_id = self.next_packet_id()?;
        self.queue(&Packet::Subscribe(Subscribe {
            packet_id,
            properties: properties.as_properties(),
            filters: filters.as_filters(),
        }))?;
        self.under_way.requests.insert(packet_id);
        Ok(packet_id)
    }

    /// Queues an UNSUBSCRIBE (MQTT 5.0, section 3.10) to be sent by [`event`](Self::event), which tells as
    /// [`Unsubscribed`](ClientEvent::Unsubscribed) that the server has answered the one with the identifier that is
    /// returned.
    ///
    /// # Errors
    /// There is no filter, or one that cannot be expressed, or [`TooMany`](ClientError::TooMany) things are under
    /// way. Nothing is queued then, and the connection goes on.
    pub fn queue_unsubscribe(&mut self, filters: &[&str]) -> Result<PacketId, ClientError> {
        let mut some = UnsubscribeFiltersBuf::new();
        for filter in filters {
            some.push(filter)?;
        }
        let packet_id = self.next_packet_id()?;
        self.queue(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: some.as_filters(),
        }))?;
        self.under_way.requests.insert(packet_id);
        Ok(packet_id)
    }

    /// Queues a PINGREQ to be sent by [`event`](Self::event), which tells as [`Pong`](ClientEvent::Pong) that the
    /// server has answered: it has then seen all that was queued before, messages at QoS 0 among them.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn queue_ping(&mut self) -> Result<(), ClientError> {
        self.tells_sent = true;
        self.ping(Ping::Asked)
    }

    /// Bytes that the server has not taken yet of what is to be sent.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.output.len()
    }

    fn queue(&mut self, packet: &Packet<'_>) -> Result<(), ClientError> {
        self.put(packet)?;
        self.tells_sent = true;
        Ok(())
    }

    /// The next thing that the server says, however long it takes; sends meanwhile what is to be sent.
    ///
    /// Nothing is lost if this is not waited for to the end.
    ///
    /// # Errors
    /// The connection is lost, or the server says that it ends it.
    pub async fn event(&mut self) -> Result<ClientEvent, ClientError> {
        loop {
            if let Some(event) = self.under_way.done.pop_front() {
                return Ok(event);
            }
            if let Some(message) = self.inbox.pop_front() {
                return Ok(ClientEvent::Message(message));
            }
            if let Some(packet) = self.decoded()? {
                self.take_any(packet)?;
                continue;
            }
            if self.tells_sent && self.all_is_sent() {
                self.tells_sent = false;
                return Ok(ClientEvent::Sent);
            }
            self.exchange().await?;
        }
    }
}
