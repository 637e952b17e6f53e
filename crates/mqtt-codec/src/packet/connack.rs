//! CONNACK: the server's answer to CONNECT (section 3.2).
//!
//! ```text
//! | 0000000 session present (1) | reason code or return code (1) | properties (5.0) |
//! ```

use bytes::BufMut;

use crate::{
    ConnectReturnCode, DecodeError, EncodeError, PacketType, Properties, ReasonCode, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode},
    property_set::allowed,
};

/// CONNACK: answers CONNECT (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server has a session of this client; never on a refusal
    /// \[MQTT-3.2.2-6\]. MQTT 3.1 has no such flag: it is not written, and read as false.
    pub session_present: bool,
    /// Accepted or why not. In MQTT 3.x the return code of the same meaning is on the
    /// wire, see [`ReasonCode::connect_return_code`].
    pub reason_code: ReasonCode,
    /// Limits and features of the server (MQTT 5.0).
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    /// A CONNACK without properties.
    #[must_use]
    pub const fn new(session_present: bool, reason_code: ReasonCode) -> Self {
        Self {
            session_present,
            reason_code,
            properties: Properties::EMPTY,
        }
    }

    #[inline(never)]
    pub(crate) fn decode_body(mut body: Cursor<'a>, version: Version) -> Result<Self, DecodeError> {
        let session_present = match (body.u8()?, version) {
            (_, Version::V31) | (0, _) => false,
            (1, _) => true,
            _ => return Err(DecodeError::ConnAckFlagsReserved),
        };
        let code = body.u8()?;
        let (reason_code, properties) = if version.is_v5() {
            let code = ReasonCode::from_u8(code).filter(|code| code.is_for_connack());
            let properties = Properties::decode(&mut body, allowed::CONNACK)?;
            (code, properties)
        } else {
            let code = ConnectReturnCode::from_u8(code).map(ReasonCode::from);
            (code, Properties::EMPTY)
        };
        let reason_code = reason_code.ok_or(DecodeError::ReasonCodeNotAllowed)?;
        if session_present && reason_code.is_error() {
            return Err(DecodeError::SessionPresentOnRefusal);
        }
        body.finish()?;
        Ok(Self {
            session_present,
            reason_code,
            properties,
        })
    }

    /// The second byte, if the version has one for this reason.
    fn code(&self, version: Version) -> Option<u8> {
        if version.is_v5() {
            Some(self.reason_code.as_u8()).filter(|_| self.reason_code.is_for_connack())
        } else {
            self.reason_code
                .connect_return_code()
                .map(ConnectReturnCode::as_u8)
        }
    }
}

impl_encode!(ConnAck<'_>);

impl Encode for ConnAck<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::ConnAck.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if self.code(version).is_none() {
            return Err(EncodeError::ReasonCodeNotAllowed);
        }
        if self.session_present && self.reason_code.is_error() {
            return Err(EncodeError::SessionPresentOnRefusal);
        }
        if version.is_v5() {
            return Ok(2 + self.properties.checked_len(allowed::CONNACK)?);
        }
        Ok(2)
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        buf.put_u8(u8::from(self.session_present && version != Version::V31));
        buf.put_u8(self.code(version).unwrap_or_default());
        if version.is_v5() {
            self.properties.put(buf);
        }
    }
}
