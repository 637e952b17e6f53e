//! The fixed header: what a packet is and how long, before its body has arrived.
//!
//! Everything that the first two to five bytes can tell is judged here, so that an
//! oversized or impossible packet is refused before anyone buffers it
//! (MQTT 5.0 section 2.1).

use crate::{DecodeError, QoS, Version};

/// The largest remaining length that the wire can express, in bytes.
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;

/// The packet types of table 2-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "the names are the specification's, see `Packet`"
)]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type with this number, 1 to 15.
    #[must_use]
    #[inline]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The flags that table 2-2 prescribes; for PUBLISH those of QoS 0.
    #[must_use]
    pub const fn flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// The first byte of such a packet, without the flags of PUBLISH.
    pub(crate) const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.flags()
    }
}

/// A fixed header that breaks no rule by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FixedHeader {
    packet_type: PacketType,
    flags: u8,
    header_len: u8,
    remaining_length: u32,
}

/// What [`FixedHeader::peek`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peeked {
    /// The fixed header is there; the body may or may not be.
    Header(FixedHeader),
    /// The fixed header goes on behind the input.
    Incomplete {
        /// At least so many more bytes are needed, for the packet and not only for its header.
        needed: usize,
    },
}

impl FixedHeader {
    /// Reads the fixed header at the start of `input`.
    ///
    /// `max_packet_size` is the largest whole packet, header included, that the caller
    /// accepts, in bytes.
    ///
    /// # Errors
    ///
    /// The type or its flags are reserved, the remaining length is not a variable byte
    /// integer in its shortest form, or the packet is larger than `max_packet_size`.
    #[inline(always)]
    pub fn peek(
        input: &[u8],
        version: Version,
        max_packet_size: usize,
    ) -> Result<Peeked, DecodeError> {
        let [first, length @ ..] = input else {
            return Ok(Peeked::Incomplete { needed: 2 });
        };
        let packet_type = check_first_byte(*first, version)?;
        let Some((remaining_length, length_len)) = remaining_length(length)? else {
            return Ok(Peeked::Incomplete { needed: 1 });
        };
        let header = Self {
            packet_type,
            flags: first & 0x0F,
            header_len: 1 + length_len,
            remaining_length,
        };
        if header.packet_size() > max_packet_size {
            return Err(DecodeError::PacketTooLarge);
        }
        Ok(Peeked::Header(header))
    }

    /// The packet's type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The low four bits of the first byte.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Bytes of the fixed header itself, 2 to 5.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len as usize
    }

    /// Bytes behind the fixed header.
    #[must_use]
    pub const fn remaining_length(&self) -> usize {
        self.remaining_length as usize
    }

    /// Bytes of the whole packet.
    #[must_use]
    pub const fn packet_size(&self) -> usize {
        self.header_len() + self.remaining_length()
    }
}

/// The type in the first byte, if its flags are those of table 2-2 \[MQTT-2.1.3-1\].
///
/// MQTT 3.1 lets a sender set DUP on what it repeats, which there includes PUBREL,
/// SUBSCRIBE and UNSUBSCRIBE.
#[inline(always)]
fn check_first_byte(first: u8, version: Version) -> Result<PacketType, DecodeError> {
    const DUP: u8 = 0b1000;
    let packet_type = PacketType::from_u8(first >> 4).ok_or(DecodeError::ReservedPacketType)?;
    let flags = first & 0x0F;
    match packet_type {
        PacketType::Publish => match QoS::from_u8((flags >> 1) & 0b11) {
            None => return Err(DecodeError::QosReserved),
            Some(QoS::AtMostOnce) if flags & DUP != 0 => return Err(DecodeError::DupOnQos0),
            Some(_) => {}
        },
        PacketType::Auth if !version.is_v5() => return Err(DecodeError::ReservedPacketType),
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe
            if version == Version::V31 && flags & !DUP == packet_type.flags() => {}
        _ if flags != packet_type.flags() => return Err(DecodeError::ReservedHeaderFlags),
        _ => {}
    }
    Ok(packet_type)
}

/// The remaining length and how many bytes it takes; `None` if it goes on behind `input`.
#[inline(always)]
fn remaining_length(input: &[u8]) -> Result<Option<(u32, u8)>, DecodeError> {
    match *input {
        [a, ..] if a < 0x80 => Ok(Some((u32::from(a), 1))),
        [_, 0, ..] | [_, 0x80..=0xFF, 0, ..] | [_, 0x80..=0xFF, 0x80..=0xFF, 0, ..] => {
            Err(DecodeError::VariableByteIntegerNotMinimal)
        }
        [a, b, ..] if b < 0x80 => Ok(Some((digits([a, b, 0, 0]), 2))),
        [a, b, c, ..] if c < 0x80 => Ok(Some((digits([a, b, c, 0]), 3))),
        [a, b, c, d, ..] if d < 0x80 => Ok(Some((digits([a, b, c, d]), 4))),
        [_, _, _, _, ..] => Err(DecodeError::VariableByteIntegerTooLong),
        _ => Ok(None),
    }
}

/// Four groups of seven bits, the lowest first.
const fn digits([a, b, c, d]: [u8; 4]) -> u32 {
    (a & 0x7F) as u32
        | ((b & 0x7F) as u32) << 7
        | ((c & 0x7F) as u32) << 14
        | ((d & 0x7F) as u32) << 21
}
