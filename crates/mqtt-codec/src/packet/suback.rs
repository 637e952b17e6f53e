//! SUBACK: one answer per topic filter of a SUBSCRIBE (section 3.9).
//!
//! ```text
//! | packet identifier (2) | properties (5.0) | reason code (1) | … |
//! ```

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ReasonCode, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode},
    packet::ReasonCodes,
    property_set::allowed,
};

/// SUBACK: answers SUBSCRIBE (section 3.9).
///
/// MQTT 3.x has the granted QoS or 0x80 for each filter: any other error is written as
/// 0x80 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// Reason string and user properties (MQTT 5.0).
    pub properties: Properties<'a>,
    /// One code per filter, in their order.
    pub reason_codes: ReasonCodes<'a>,
}

impl<'a> SubAck<'a> {
    /// A SUBACK without properties.
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
        let properties = if version.is_v5() {
            Properties::decode(&mut body, allowed::ACKNOWLEDGEMENT)?
        } else {
            Properties::EMPTY
        };
        let reason_codes = ReasonCodes::validate(body.remaining(), |code| {
            code.is_for_suback() && (version.is_v5() || code == before_v5(code))
        })
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

/// The code that says in MQTT 3.x what this one says in 5.0 (3.1.1 section 3.9.3).
const fn before_v5(code: ReasonCode) -> ReasonCode {
    if code.is_error() {
        ReasonCode::UnspecifiedError
    } else {
        code
    }
}

impl_encode!(SubAck<'_>);

impl Encode for SubAck<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::SubAck.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if self.reason_codes.is_empty() {
            return Err(EncodeError::NoReasonCode);
        }
        if !self.reason_codes.iter().all(ReasonCode::is_for_suback) {
            return Err(EncodeError::ReasonCodeNotAllowed);
        }
        let mut len = 2 + self.reason_codes.len();
        if version.is_v5() {
            len += self.properties.checked_len(allowed::ACKNOWLEDGEMENT)?;
        }
        Ok(len)
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        buf.put_u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.put(buf);
        }
        for code in self.reason_codes {
            let code = if version.is_v5() {
                code
            } else {
                before_v5(code)
            };
            buf.put_u8(code.as_u8());
        }
    }
}
