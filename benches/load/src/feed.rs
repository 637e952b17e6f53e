//! Publishes a list of messages as fast as the window of acknowledgements allows, and returns when
//! all are acknowledged. Nobody need listen.

use std::time::Duration;

use mqtt_codec::{Packet, PacketId, Properties, Publish, QoS};

use crate::connection::Connection;
use crate::dial::Patience;
use crate::failure::Failure;
use crate::net::{Handler, Net};
use crate::packet_ids::PacketIds;
use crate::parties::PUBREL;
use crate::stamp::{STAMP_LEN, Stamp};

const WAIT: Duration = Duration::from_millis(20);
/// Bytes that wait on one connection at a time, at QoS 0.
const BATCH_BYTES: usize = 64 * 1024;

/// What is to be published, message by message.
pub struct Feed<'a> {
    /// Message n goes to the topic of this name.
    pub topic: &'a dyn Fn(u32) -> String,
    /// What message n carries as its source and sequence number.
    pub stamp: &'a dyn Fn(u32) -> (u32, u32),
    pub count: u32,
    pub qos: QoS,
    pub retain: bool,
    /// Bytes; 0 clears what is retained.
    pub payload_len: usize,
    /// Connections that publish, numbered from 0. Message n is always published by connection
    /// n modulo this, in its turn.
    pub publishers: u32,
    /// Unacknowledged messages of each.
    pub inflight: u16,
    pub timeout: Duration,
}

/// Receives the acknowledgements, and passes on all else.
struct Acknowledgements<'a, H> {
    inner: &'a mut H,
    ids: Vec<PacketIds>,
    finished: u64,
    refused: u64,
    pongs: u32,
}

impl<H: Handler> Handler for Acknowledgements<'_, H> {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        let Some(ids) = self.ids.get_mut(id) else {
            return self.inner.packet(connection, id, packet, now_ns);
        };
        match packet {
            Packet::PubAck(answer) => {
                self.refused += u64::from(answer.reason_code.is_error());
                self.finished += 1;
                ids.acknowledged(answer.packet_id.get())
            }
            Packet::PubRec(answer) if answer.reason_code.is_error() => {
                self.refused += 1;
                self.finished += 1;
                ids.acknowledged(answer.packet_id.get())
            }
            Packet::PubRec(answer) => {
                connection.queue_acknowledgement(PUBREL, answer.packet_id.get());
                ids.received(answer.packet_id.get())
            }
            Packet::PubComp(answer) => {
                self.finished += 1;
                ids.completed(answer.packet_id.get())
            }
            Packet::PingResp => {
                self.pongs += 1;
                Ok(())
            }
            _ => self.inner.packet(connection, id, packet, now_ns),
        }
    }

    fn closed(&mut self, id: usize, reason: &str) -> Result<(), Failure> {
        self.inner.closed(id, reason)
    }
}

impl Feed<'_> {
    /// Publishes all. Returns how many the broker refused. At QoS 0 nothing is acknowledged: there a
    /// ping behind the last message tells that the broker has read them.
    pub fn run(&self, net: &mut Net, inner: &mut impl Handler) -> Result<u64, Failure> {
        let window = match self.qos {
            QoS::AtMostOnce => u16::MAX,
            _ => self.inflight,
        };
        let mut answers = Acknowledgements {
            inner,
            ids: (0..self.publishers)
                .map(|_| PacketIds::new(window))
                .collect(),
            finished: 0,
            refused: 0,
            pongs: 0,
        };
        let mut patience = Patience::new(self.timeout, net.now_ns());
        let mut payload = vec![0; self.payload_len];
        // The next message of each publisher.
        let mut next: Vec<u32> = (0..self.publishers).collect();
        let mut pings = 0;
        loop {
            for (publisher, next) in next.iter_mut().enumerate() {
                self.publish(net, publisher, &mut answers, next, &mut payload)?;
            }
            let is_sent = next.iter().all(|next| *next >= self.count);
            if is_sent && self.qos == QoS::AtMostOnce && pings == 0 {
                pings = self.publishers;
                self.ping(net)?;
            }
            let is_finished = match self.qos {
                QoS::AtMostOnce => pings > 0 && answers.pongs >= pings,
                _ => answers.finished >= u64::from(self.count),
            };
            if is_sent && is_finished {
                return Ok(answers.refused);
            }
            net.turn(WAIT, &mut answers)?;
            let sent: u64 = next.iter().map(|next| u64::from(*next)).sum();
            let progress = answers.finished + u64::from(answers.pongs) + sent;
            patience.check(net.now_ns(), progress, "PUBLISH")?;
        }
    }

    fn ping(&self, net: &mut Net) -> Result<(), Failure> {
        for publisher in 0..self.publishers as usize {
            if let Some(connection) = net.connection(publisher) {
                connection.queue(&Packet::PingReq)?;
            }
            net.flush(publisher)?;
        }
        Ok(())
    }

    /// Publishes as much as one connection may.
    fn publish<H>(
        &self,
        net: &mut Net,
        publisher: usize,
        answers: &mut Acknowledgements<'_, H>,
        next: &mut u32,
        payload: &mut [u8],
    ) -> Result<(), Failure> {
        let now_ns = net.now_ns();
        let Some(connection) = net.connection(publisher) else {
            return Ok(());
        };
        let mut queued = 0;
        while *next < self.count && !connection.is_blocked() {
            let packet_id = match self.qos {
                QoS::AtMostOnce => None,
                _ => match answers.ids[publisher].take() {
                    None => break,
                    id => id.and_then(PacketId::new),
                },
            };
            let (source, sequence) = (self.stamp)(*next);
            if payload.len() >= STAMP_LEN {
                let stamp = Stamp {
                    sent_ns: now_ns,
                    source,
                    sequence,
                };
                stamp.write(payload);
            }
            connection.queue(&Packet::Publish(Publish {
                dup: false,
                qos: self.qos,
                retain: self.retain,
                topic: &(self.topic)(*next),
                packet_id,
                properties: Properties::EMPTY,
                payload,
            }))?;
            *next += self.publishers;
            queued += payload.len() + STAMP_LEN;
            if queued >= BATCH_BYTES {
                connection.flush().map_err(Failure::broken)?;
                queued = 0;
            }
        }
        connection.flush().map_err(Failure::broken)
    }
}
