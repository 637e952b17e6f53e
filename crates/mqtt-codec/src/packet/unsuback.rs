//! UNSUBACK: one answer per topic filter of an UNSUBSCRIBE (section 3.11).
//!
//! ```text
//! | packet identifier (2) | properties (5.0) | reason code (1) | … |
//!   3.1, 3.1.1: ends here ^
//! ```

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ReasonCode, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode},
    packet::ReasonCodes,
    property_set::allowed,
};

/// UNSUBACK: answers UNSUBSCRIBE (section 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The identifier of the UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason string and user properties (MQTT 5.0).
    pub properties: Properties<'a>,
    /// One code per filter, in their order; none before MQTT 5.0.
    pub reason_codes: ReasonCodes<'a>,
}

impl<'a> UnsubAck<'a> {
    /// An UNSUBACK without properties.
    #[must_use]
    pub const fn new(packet_id: PacketId, reason_codes: &'a [ReasonCode]) -> Self {
        Self {
            packet_id,
            properties: Properties::EMPTY,
            reason_codes: ReasonCodes::new(reason_codes),
        }
    }

    #[inline(never)]
    pub(crate) fn decode_body(mut body: Cursor<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = body.packet_id()?;
        if !version.is_v5() {
            body.finish()?;
            return Ok(Self::new(packet_id, &[]));
        }
        let properties = Properties::decode(&mut body, allowed::ACKNOWLEDGEMENT)?;
        let reason_codes = ReasonCodes::validate(body.remaining(), ReasonCode::is_for_unsuback)
            .ok_or(DecodeError::ReasonCodeNotAllowed)?;
        if reason_codes.is_empty() {
            return Err(DecodeError::NoReasonCode);
        }
        Ok(Self {
            packet_id,
            properties,
            reason_codes,
        })
    }
}

impl_encode!(UnsubAck<'_>);

impl Encode for UnsubAck<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::UnsubAck.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if !version.is_v5() {
            return Ok(2);
        }
        if self.reason_codes.is_empty() {
            return Err(EncodeError::NoReasonCode);
        }
        if !self.reason_codes.iter().all(ReasonCode::is_for_unsuback) {
            return Err(EncodeError::ReasonCodeNotAllowed);
        }
        let properties = self.properties.checked_len(allowed::ACKNOWLEDGEMENT)?;
        Ok(2 + properties + self.reason_codes.len())
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        buf.put_u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.put(buf);
            for code in self.reason_codes {
                buf.put_u8(code.as_u8());
            }
        }
    }
}
