//! PUBLISH packets encoded beforehand, in a row, to be sent with one large write.
//!
//! All packets of a publisher differ in the stamp and the packet identifier only (and, where it asks
//! for that, in a topic name of fixed length). So they are encoded once; sending patches these few
//! bytes in place and copies nothing.

use std::ops::Range;

use mqtt_codec::{PacketId, Properties, Publish, QoS, Version};

use crate::failure::Failure;
use crate::stamp::STAMP_LEN;

/// The most bytes in a row, unless one packet alone is longer.
const BLOCK_BYTES: usize = 128 * 1024;

/// What a publisher sends again and again.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Names of the same length may be written over it.
    pub topic: &'a str,
    pub qos: QoS,
    pub retain: bool,
    /// At least [`STAMP_LEN`] unless it is 0.
    pub payload_len: usize,
    pub source: u32,
}

/// A row of packets.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    packet_len: usize,
    topic: Range<usize>,
    packet_id: Option<usize>,
    payload: usize,
    /// Bytes of the packets that are to be sent.
    filled: usize,
    /// Of these, bytes that are sent.
    written: usize,
}

/// A packet of a block, to be patched.
pub struct Slot<'a> {
    packet: &'a mut [u8],
    topic: Range<usize>,
    packet_id: Option<usize>,
    payload: usize,
}

impl Block {
    /// A row of at most `most` packets.
    pub fn new(message: &Message<'_>, version: Version, most: usize) -> Result<Self, Failure> {
        let mut payload = vec![0x2E; message.payload_len];
        if let Some(source) = payload.get_mut(8..12) {
            source.copy_from_slice(&message.source.to_le_bytes());
        }
        let publish = Publish {
            dup: false,
            qos: message.qos,
            retain: message.retain,
            topic: message.topic,
            packet_id: (message.qos != QoS::AtMostOnce).then_some(PacketId::MIN),
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let mut packet = Vec::new();
        let head = publish
            .encode_head(version, &mut packet)
            .map_err(Failure::usage)?;
        packet.extend_from_slice(&payload);
        // The topic name ends where the packet identifier, the properties or the payload begin.
        let behind_topic = head
            .packet_id_offset
            .unwrap_or(head.len - usize::from(version.is_v5()));
        let count = (BLOCK_BYTES / packet.len()).clamp(1, most.max(1));
        Ok(Self {
            packet_len: packet.len(),
            topic: behind_topic - message.topic.len()..behind_topic,
            packet_id: head.packet_id_offset,
            payload: head.len,
            bytes: packet.repeat(count),
            filled: 0,
            written: 0,
        })
    }

    /// The next packet of the row, if there is room.
    #[inline]
    pub fn push(&mut self) -> Option<Slot<'_>> {
        let end = self.filled + self.packet_len;
        let packet = self.bytes.get_mut(self.filled..end)?;
        self.filled = end;
        Some(Slot {
            packet,
            topic: self.topic.clone(),
            packet_id: self.packet_id,
            payload: self.payload,
        })
    }

    /// What is to be sent.
    #[inline]
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.written..self.filled]
    }

    /// Whether a packet is sent in part, so that nothing else may be sent before its rest.
    pub fn is_amid_packet(&self) -> bool {
        !self.written.is_multiple_of(self.packet_len)
    }

    /// Bytes of the packet that is sent in part.
    pub fn rest_of_packet(&self) -> usize {
        self.written.next_multiple_of(self.packet_len) - self.written
    }

    /// `count` more bytes were sent.
    pub fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.filled {
            self.written = 0;
            self.filled = 0;
        }
    }
}

impl Slot<'_> {
    /// Writes the time at which it was sent, or due, and its number. Not for empty payloads.
    #[inline]
    pub fn stamp(&mut self, sent_ns: u64, sequence: u32) {
        if let Some(stamp) = self.packet.get_mut(self.payload..self.payload + STAMP_LEN) {
            stamp[..8].copy_from_slice(&sent_ns.to_le_bytes());
            stamp[12..].copy_from_slice(&sequence.to_le_bytes());
        }
    }

    /// Writes the packet identifier, if the packet has one.
    #[inline]
    pub fn identify(&mut self, id: u16) {
        if let Some(at) = self.packet_id
            && let Some(bytes) = self.packet.get_mut(at..at + 2)
        {
            bytes.copy_from_slice(&id.to_be_bytes());
        }
    }

    /// Writes a topic name of the same length.
    #[inline]
    pub fn name(&mut self, topic: &str) {
        self.packet[self.topic.clone()].copy_from_slice(topic.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{Decoded, Packet, decode};

    use super::*;
    use crate::stamp::Stamp;

    fn block(qos: QoS, version: Version, payload_len: usize) -> Block {
        let message = Message {
            topic: "a/0",
            qos,
            retain: false,
            payload_len,
            source: 5,
        };
        Block::new(&message, version, 3).unwrap()
    }

    #[test]
    fn what_is_patched_decodes_as_it_was_meant() {
        for version in [Version::V311, Version::V5] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let mut block = block(qos, version, 40);
                block.push().unwrap();
                let mut slot = block.push().unwrap();
                slot.stamp(77, 9);
                slot.identify(300);
                slot.name("b/1");
                let second = &block.unsent()[block.packet_len..];
                let Ok(Decoded::Packet { packet, size }) = decode(second, version, usize::MAX)
                else {
                    panic!("{qos:?} {version:?} does not decode");
                };
                assert_eq!(size, second.len());
                let Packet::Publish(publish) = packet else {
                    panic!("not a PUBLISH")
                };
                assert_eq!(publish.topic, "b/1");
                let id = (qos != QoS::AtMostOnce).then_some(300);
                assert_eq!(publish.packet_id.map(PacketId::get), id);
                let stamp = Stamp {
                    sent_ns: 77,
                    source: 5,
                    sequence: 9,
                };
                assert_eq!(Stamp::read(publish.payload), Some(stamp));
                assert_eq!(publish.payload.len(), 40);
            }
        }
    }

    #[test]
    fn a_row_that_is_sent_in_pieces_begins_anew_when_all_is_sent() {
        let mut block = block(QoS::AtMostOnce, Version::V311, 16);
        (0..3).for_each(|_| assert!(block.push().is_some()));
        assert!(block.push().is_none(), "a row of three");
        block.advance(block.packet_len + 1);
        assert!(block.is_amid_packet());
        assert!(block.push().is_none(), "what is being sent stays");
        block.advance(block.unsent().len());
        assert!(!block.is_amid_packet());
        assert!(block.unsent().is_empty());
        assert!(block.push().is_some());
    }

    #[test]
    fn an_empty_payload_has_no_stamp() {
        let mut block = block(QoS::AtMostOnce, Version::V311, 0);
        block.push().unwrap().stamp(1, 1);
        assert_eq!(block.unsent(), b"\x30\x05\x00\x03a/0");
    }
}
