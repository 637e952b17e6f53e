//! AUTH: one step of the enhanced authentication (section 3.15), MQTT 5.0 only.
//!
//! ```text
//! | reason code (1) | properties |     both may be absent: success without properties
//! ```

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketType, Properties, PropertyId, ReasonCode, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode},
    property_set::allowed,
};

/// AUTH: a step of the enhanced authentication (section 3.15).
///
/// The authentication method is mandatory (section 3.15.2.2.2), except in the short form
/// of section 3.15.2.1, which says success and has no properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success, continue authentication, or re-authenticate.
    pub reason_code: ReasonCode,
    /// Method, data, reason string, user properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    #[inline(never)]
    pub(crate) fn decode_body(mut body: Cursor<'a>) -> Result<Self, DecodeError> {
        if body.is_empty() {
            return Ok(Self {
                reason_code: ReasonCode::Success,
                properties: Properties::EMPTY,
            });
        }
        let reason_code = ReasonCode::from_u8(body.u8()?)
            .filter(|code| code.is_for_auth())
            .ok_or(DecodeError::ReasonCodeNotAllowed)?;
        let properties = Properties::decode(&mut body, allowed::AUTH)?;
        body.finish()?;
        if !properties.contains(PropertyId::AuthenticationMethod) {
            return Err(DecodeError::AuthenticationMethodMissing);
        }
        Ok(Self {
            reason_code,
            properties,
        })
    }

    fn is_short(&self) -> bool {
        self.reason_code == ReasonCode::Success && self.properties.is_empty()
    }
}

impl_encode!(Auth<'_>);

impl Encode for Auth<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Auth.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion);
        }
        if !self.reason_code.is_for_auth() {
            return Err(EncodeError::ReasonCodeNotAllowed);
        }
        if self.is_short() {
            return Ok(0);
        }
        if !self.properties.contains(PropertyId::AuthenticationMethod) {
            return Err(EncodeError::AuthenticationMethodMissing);
        }
        Ok(1 + self.properties.checked_len(allowed::AUTH)?)
    }

    fn write_body(&self, _: Version, buf: &mut impl BufMut) {
        if !self.is_short() {
            buf.put_u8(self.reason_code.as_u8());
            self.properties.put(buf);
        }
    }
}
