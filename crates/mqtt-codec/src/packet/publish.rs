//! PUBLISH: one application message (section 3.3).
//!
//! ```text
//! | 0011 DUP QoS RETAIN | remaining length | topic name | packet identifier | properties | payload |
//!                                                         QoS 1 and 2 only    5.0 only
//! ```
//!
//! A server writes the same message to many receivers. [`Publish::encode_head`] writes all
//! but the payload and tells where the packet identifier is; [`patch_packet_id`] and
//! [`patch_dup`] turn the frame of one receiver into that of the next.

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, FixedHeader, PacketId, PacketType, Peeked, Properties, PropertyId,
    QoS, Version,
    cursor::Cursor,
    encode::{
        Encode, impl_encode, packet_len, put_fixed_header, put_string, string_len,
        variable_byte_integer_len,
    },
    property_set::allowed,
};

const DUP: u8 = 0b1000;
pub(super) const RETAIN: u8 = 0b0001;

/// PUBLISH: one application message (section 3.3).
///
/// The topic name is checked as a string only: whether it has wildcards is for the
/// topic matcher to say \[MQTT-3.3.2-2\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether this may be a second attempt; never on QoS 0.
    pub dup: bool,
    /// The delivery promise.
    pub qos: QoS,
    /// From a client: keep the message; to a client: it was kept.
    pub retain: bool,
    /// Empty only together with a topic alias (MQTT 5.0).
    pub topic: &'a str,
    /// Present exactly if the QoS is 1 or 2.
    pub packet_id: Option<PacketId>,
    /// Properties of the message (MQTT 5.0).
    pub properties: Properties<'a>,
    /// Any bytes, also none.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// A QoS 0 message, not retained, without properties.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            properties: Properties::EMPTY,
            payload,
        }
    }

    /// `flags` come from a fixed header that was checked.
    #[inline]
    pub(crate) fn decode_body(
        flags: u8,
        mut body: Cursor<'a>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let qos = QoS::from_u8((flags >> 1) & 0b11).ok_or(DecodeError::QosReserved)?;
        let topic = body.string()?;
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(body.packet_id()?),
        };
        let properties = if version.is_v5() {
            Properties::decode(&mut body, allowed::PUBLISH)?
        } else {
            Properties::EMPTY
        };
        if topic.is_empty() && !properties.contains(PropertyId::TopicAlias) {
            return Err(DecodeError::TopicNameEmpty);
        }
        Ok(Self {
            dup: flags & DUP != 0,
            qos,
            retain: flags & RETAIN != 0,
            topic,
            packet_id,
            properties,
            payload: body.remaining(),
        })
    }

    /// Appends everything but the payload, whose length the fixed header announces; the
    /// payload is then written by the caller, straight behind.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode); `buf` needs room for the head only.
    #[inline]
    pub fn encode_head(
        &self,
        version: Version,
        buf: &mut impl BufMut,
    ) -> Result<PublishHead, EncodeError> {
        let body = self.body_len(version)?;
        let head = PublishHead {
            len: packet_len(body)? - self.payload.len(),
            packet_id_offset: self
                .packet_id
                .map(|_| 1 + variable_byte_integer_len(body) + 2 + self.topic.len()),
        };
        if buf.remaining_mut() < head.len {
            return Err(EncodeError::BufferTooSmall { needed: head.len });
        }
        put_fixed_header(buf, self.first_byte(), body);
        self.write_head(version, buf);
        Ok(head)
    }

    #[inline]
    fn write_head(&self, version: Version, buf: &mut impl BufMut) {
        put_string(buf, self.topic);
        if let Some(packet_id) = self.packet_id {
            buf.put_u16(packet_id.get());
        }
        if version.is_v5() {
            self.properties.put(buf);
        }
    }
}

impl_encode!(Publish<'_>);

impl Encode for Publish<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        let dup = if self.dup { DUP } else { 0 };
        let retain = if self.retain { RETAIN } else { 0 };
        PacketType::Publish.first_byte() | dup | self.qos.as_u8() << 1 | retain
    }

    #[inline]
    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        let at_most_once = self.qos == QoS::AtMostOnce;
        if at_most_once != self.packet_id.is_none() {
            return Err(EncodeError::PacketIdentifierMismatch);
        }
        if at_most_once && self.dup {
            return Err(EncodeError::DupOnQos0);
        }
        if self.topic.is_empty()
            && !(version.is_v5() && self.properties.contains(PropertyId::TopicAlias))
        {
            return Err(EncodeError::TopicNameEmpty);
        }
        let mut len = string_len(self.topic)? + if at_most_once { 0 } else { 2 };
        if version.is_v5() {
            len += self.properties.checked_len(allowed::PUBLISH)?;
        }
        Ok(len + self.payload.len())
    }

    #[inline]
    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        self.write_head(version, buf);
        buf.put_slice(self.payload);
    }
}

/// Where things are in the head that [`Publish::encode_head`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishHead {
    /// Bytes of the head; the payload follows.
    pub len: usize,
    /// Bytes between the head's first and its packet identifier; `None` at QoS 0.
    pub packet_id_offset: Option<usize>,
}

/// Why a frame cannot be patched; the frame is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The bytes do not begin with the head of a PUBLISH.
    #[error("frame does not begin with the head of a PUBLISH")]
    NotPublish,
    /// A QoS 0 message has neither a packet identifier nor a DUP flag.
    #[error("PUBLISH is of QoS 0")]
    Qos0,
}

/// Overwrites the packet identifier of an encoded PUBLISH, of any version.
///
/// `frame` begins at the packet's first byte and needs to reach as far as the identifier.
/// If [`PublishHead::packet_id_offset`] is at hand, writing there is the same.
///
/// # Errors
///
/// There is no PUBLISH at the start of `frame`, or it is of QoS 0.
pub fn patch_packet_id(frame: &mut [u8], packet_id: PacketId) -> Result<(), PatchError> {
    let header = publish_header(frame)?;
    let at = header.header_len();
    let topic_len = match frame.get(at..at + 2) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(PatchError::NotPublish),
    };
    if 2 + topic_len + 2 > header.remaining_length() {
        return Err(PatchError::NotPublish);
    }
    let at = at + 2 + topic_len;
    let field = frame.get_mut(at..at + 2).ok_or(PatchError::NotPublish)?;
    field.copy_from_slice(&packet_id.get().to_be_bytes());
    Ok(())
}

/// Sets or clears DUP in an encoded PUBLISH, of any version \[MQTT-3.3.1-1\].
///
/// # Errors
///
/// There is no PUBLISH at the start of `frame`, or it is of QoS 0 \[MQTT-3.3.1-2\].
pub fn patch_dup(frame: &mut [u8], dup: bool) -> Result<(), PatchError> {
    publish_header(frame)?;
    if let Some(first) = frame.first_mut() {
        *first = *first & !DUP | if dup { DUP } else { 0 };
    }
    Ok(())
}

/// The fixed header, if it is that of a PUBLISH of QoS 1 or 2.
fn publish_header(frame: &[u8]) -> Result<FixedHeader, PatchError> {
    match FixedHeader::peek(frame, Version::V5, usize::MAX) {
        Ok(Peeked::Header(header)) if header.packet_type() == PacketType::Publish => {
            match header.flags() & 0b0110 {
                0 => Err(PatchError::Qos0),
                _ => Ok(header),
            }
        }
        _ => Err(PatchError::NotPublish),
    }
}
