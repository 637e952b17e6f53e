//! DISCONNECT: the connection ends on purpose (section 3.14).
//!
//! ```text
//! | reason code (1) | properties |     5.0; both may be absent, or the properties alone
//! ```

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketType, Properties, ReasonCode, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode},
    property_set::allowed,
};

/// DISCONNECT: ends the connection (section 3.14). Before MQTT 5.0 only clients send it,
/// and it is empty.
///
/// Which reason codes and properties a client or a server may send is not told apart
/// here; see \[MQTT-3.14.2-2\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; always normal disconnection before MQTT 5.0.
    pub reason_code: ReasonCode,
    /// Session expiry, server reference, reason string, user properties (MQTT 5.0).
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A DISCONNECT without properties.
    #[must_use]
    pub const fn new(reason_code: ReasonCode) -> Self {
        Self {
            reason_code,
            properties: Properties::EMPTY,
        }
    }

    #[inline(never)]
    pub(crate) fn decode_body(mut body: Cursor<'a>, version: Version) -> Result<Self, DecodeError> {
        let mut packet = Self::new(ReasonCode::NORMAL_DISCONNECTION);
        if version.is_v5() && !body.is_empty() {
            packet.reason_code = ReasonCode::from_u8(body.u8()?)
                .filter(|code| code.is_for_disconnect())
                .ok_or(DecodeError::ReasonCodeNotAllowed)?;
            if !body.is_empty() {
                packet.properties = Properties::decode(&mut body, allowed::DISCONNECT)?;
            }
        }
        body.finish()?;
        Ok(packet)
    }
}

impl_encode!(Disconnect<'_>);

impl Encode for Disconnect<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Disconnect.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if !version.is_v5() {
            return Ok(0);
        }
        if !self.reason_code.is_for_disconnect() {
            return Err(EncodeError::ReasonCodeNotAllowed);
        }
        if !self.properties.is_empty() {
            return Ok(1 + self.properties.checked_len(allowed::DISCONNECT)?);
        }
        Ok(usize::from(
            self.reason_code != ReasonCode::NORMAL_DISCONNECTION,
        ))
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        let normal = self.reason_code == ReasonCode::NORMAL_DISCONNECTION;
        if version.is_v5() && !(normal && self.properties.is_empty()) {
            buf.put_u8(self.reason_code.as_u8());
            if !self.properties.is_empty() {
                self.properties.put(buf);
            }
        }
    }
}
