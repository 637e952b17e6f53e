//! Publishers and subscribers of a flow: what comes in for them is answered, checked and counted.
//!
//! Connections 0 to P - 1 are the publishers, those behind them the subscribers.

use mqtt_codec::{Packet, PacketId, PacketType, Publish, QoS};

use crate::block::{Block, Message};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::latency::Latency;
use crate::net::{Handler, Net};
use crate::packet_ids::PacketIds;
use crate::sequences::Verdict;
use crate::stamp::Stamp;

/// Who should get what, and whether he did.
pub trait Audience {
    /// Enters a delivery to `subscriber`. Its publisher has sent so many messages.
    fn take(&mut self, subscriber: usize, stamp: &Stamp, sent: u32);

    /// All messages of `source` before this number were delivered to all who should get them, or
    /// can no longer come.
    fn reached(&self, source: usize) -> u32;

    /// What is wrong with the deliveries, when so many messages were sent by each source.
    fn verdict(&self, sent: &[u32]) -> Verdict;

    /// Deliveries that each message makes.
    fn deliveries_per_message(&self) -> usize;

    /// The topic of a message, if its publisher has more than one; all are of the same length.
    #[inline]
    fn topic(&self, source: usize, sequence: u32) -> Option<&str> {
        let _ = (source, sequence);
        None
    }
}

/// One who publishes.
#[derive(Debug)]
pub struct Publisher {
    /// How many messages.
    pub sent: u32,
    /// `None` at QoS 0.
    ids: Option<PacketIds>,
}

impl Publisher {
    /// How many more messages the unacknowledged ones allow.
    #[inline]
    pub fn room(&self) -> usize {
        self.ids.as_ref().map_or(usize::MAX, PacketIds::room)
    }
}

/// All who take part.
pub struct Parties<A> {
    pub publishers: Vec<Publisher>,
    pub audience: A,
    pub latency: Latency,
    /// Deliveries so far.
    pub delivered: u64,
    /// Acknowledgements that finished a message, so far.
    pub acknowledged: u64,
    /// Publishes that were acknowledged with an error.
    refused: u64,
    /// Payloads that are not as long as they were sent.
    damaged: u64,
    payload_len: usize,
}

impl<A: Audience> Parties<A> {
    pub fn new(audience: A, payload_len: usize) -> Result<Self, Failure> {
        Ok(Self {
            publishers: Vec::new(),
            audience,
            latency: Latency::new()?,
            delivered: 0,
            acknowledged: 0,
            refused: 0,
            damaged: 0,
            payload_len,
        })
    }

    /// Adds the publisher on the next connection, with at most `most` packets in a row, and
    /// at most `inflight` that are not acknowledged.
    pub fn add_publisher(
        &mut self,
        net: &mut Net,
        topic: &str,
        qos: QoS,
        limits: (u32, u16),
    ) -> Result<(), Failure> {
        let id = self.publishers.len();
        let message = Message {
            topic,
            qos,
            retain: false,
            payload_len: self.payload_len,
            source: id as u32,
        };
        let block = Block::new(&message, net.version(), limits.0 as usize)?;
        if let Some(connection) = net.connection(id) {
            connection.set_block(block);
        }
        self.publishers.push(Publisher {
            sent: 0,
            ids: (qos != QoS::AtMostOnce).then(|| PacketIds::new(limits.1)),
        });
        Ok(())
    }

    /// Publishes up to `count` messages of one publisher, as many as the connection takes now.
    /// `stamp_ns` tells when each of them (by its number) was due. Returns how many it were.
    #[inline]
    pub fn publish(
        &mut self,
        net: &mut Net,
        source: usize,
        count: usize,
        stamp_ns: impl Fn(u32) -> u64,
    ) -> Result<usize, Failure> {
        let publisher = &mut self.publishers[source];
        let Some(connection) = net.connection(source) else {
            return Ok(0);
        };
        let mut done = 0;
        while done < count && !connection.is_blocked() {
            let Some(block) = connection.block() else {
                break;
            };
            let before = done;
            while done < count {
                let Some(mut slot) = block.push() else { break };
                // The caller has asked how much room there is.
                if let Some(id) = publisher.ids.as_mut().and_then(PacketIds::take) {
                    slot.identify(id);
                }
                slot.stamp(stamp_ns(publisher.sent), publisher.sent);
                if let Some(topic) = self.audience.topic(source, publisher.sent) {
                    slot.name(topic);
                }
                publisher.sent += 1;
                done += 1;
            }
            if done == before {
                break;
            }
            connection
                .flush()
                .map_err(|error| Failure::Broken(format!("publisher {source}: {error}")))?;
        }
        Ok(done)
    }

    /// How many messages each has sent.
    pub fn sent(&self) -> Vec<u32> {
        self.publishers
            .iter()
            .map(|publisher| publisher.sent)
            .collect()
    }

    /// Messages that all have sent.
    pub fn published(&self) -> u64 {
        self.publishers
            .iter()
            .map(|publisher| u64::from(publisher.sent))
            .sum()
    }

    /// Whether everything was delivered and acknowledged.
    pub fn is_complete(&self) -> bool {
        let is_there = |source: usize, publisher: &Publisher| {
            self.audience.reached(source) >= publisher.sent
                && publisher
                    .ids
                    .as_ref()
                    .is_none_or(|ids| ids.under_way() == 0)
        };
        self.publishers
            .iter()
            .enumerate()
            .all(|(source, publisher)| is_there(source, publisher))
            && self.audience.verdict(&self.sent()).lost == 0
    }

    /// Whether something is sent and not delivered, or not acknowledged: [`Self::is_complete`] at a glance, which
    /// losses and duplicates deceive.
    pub fn is_under_way(&self) -> bool {
        let expected = self.published() * self.audience.deliveries_per_message() as u64;
        self.delivered < expected || self.unacknowledged() > 0
    }

    /// Publishes that are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        let ids = |publisher: &Publisher| publisher.ids.as_ref().map_or(0, PacketIds::under_way);
        self.publishers.iter().map(ids).sum()
    }

    /// Publishes that were acknowledged before an earlier one.
    pub fn acknowledged_out_of_order(&self) -> u64 {
        let ids = |publisher: &Publisher| publisher.ids.as_ref().map_or(0, PacketIds::out_of_order);
        self.publishers.iter().map(ids).sum()
    }

    /// Publishes that were acknowledged with an error.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What is wrong with the deliveries.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.audience.verdict(&self.sent());
        verdict.extra += self.damaged;
        verdict
    }

    #[inline]
    fn deliver(
        &mut self,
        connection: &mut Connection,
        id: usize,
        publish: &Publish<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        connection.queue_answer(publish);
        self.delivered += 1;
        let stamp = Stamp::read(publish.payload);
        let publisher = stamp.and_then(|stamp| self.publishers.get(stamp.source as usize));
        let (Some(stamp), Some(publisher), Some(subscriber)) =
            (stamp, publisher, id.checked_sub(self.publishers.len()))
        else {
            self.damaged += 1;
            return Ok(());
        };
        if publish.payload.len() != self.payload_len {
            self.damaged += 1;
        }
        self.latency.record(now_ns.saturating_sub(stamp.sent_ns));
        self.audience.take(subscriber, &stamp, publisher.sent);
        Ok(())
    }

    fn acknowledge(
        &mut self,
        id: usize,
        step: impl FnOnce(&mut PacketIds) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let ids = self
            .publishers
            .get_mut(id)
            .and_then(|publisher| publisher.ids.as_mut())
            .ok_or_else(|| Failure::broken("an acknowledgement came that nobody waits for"))?;
        step(ids)?;
        self.acknowledged += 1;
        Ok(())
    }

    fn received(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet_id: PacketId,
        is_error: bool,
    ) -> Result<(), Failure> {
        if is_error {
            self.refused += 1;
            return self.acknowledge(id, |ids| ids.acknowledged(packet_id.get()));
        }
        connection.queue_acknowledgement(PUBREL, packet_id.get());
        self.acknowledge(id, |ids| ids.received(packet_id.get()))
    }
}

/// First bytes of the acknowledgements.
pub const PUBACK: u8 = (PacketType::PubAck as u8) << 4;
pub const PUBREC: u8 = (PacketType::PubRec as u8) << 4;
pub const PUBREL: u8 = (PacketType::PubRel as u8) << 4 | PacketType::PubRel.flags();
pub const PUBCOMP: u8 = (PacketType::PubComp as u8) << 4;

impl<A: Audience> Handler for Parties<A> {
    #[inline]
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) => self.deliver(connection, id, &publish, now_ns),
            Packet::PubAck(answer) => {
                self.refused += u64::from(answer.reason_code.is_error());
                self.acknowledge(id, |ids| ids.acknowledged(answer.packet_id.get()))
            }
            Packet::PubRec(answer) => self.received(
                connection,
                id,
                answer.packet_id,
                answer.reason_code.is_error(),
            ),
            Packet::PubComp(answer) => {
                self.acknowledge(id, |ids| ids.completed(answer.packet_id.get()))
            }
            Packet::PubRel(release) => {
                connection.queue_acknowledgement(PUBCOMP, release.packet_id.get());
                Ok(())
            }
            other => Err(Failure::Broken(format!(
                "connection {id}: the broker sent {other:?}"
            ))),
        }
    }
}
