//! The layout that PUBACK, PUBREC, PUBREL and PUBCOMP share (sections 3.4 to 3.7):
//!
//! ```text
//! | packet identifier (2) | reason code (1) | properties |
//!   3.1, 3.1.1: ends here ^  5.0: may end here or there ^ if the rest says nothing
//! ```

/// Writes the struct of one acknowledgement, with its decoder and encoder.
macro_rules! ack_packet {
    ($(#[$meta:meta])* $name:ident, $is_allowed:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            /// The identifier of the PUBLISH that this is about \[MQTT-2.2.1-5\].
            pub packet_id: crate::PacketId,
            /// How it went; always success before MQTT 5.0.
            pub reason_code: crate::ReasonCode,
            /// Reason string and user properties (MQTT 5.0).
            pub properties: crate::Properties<'a>,
        }

        impl<'a> $name<'a> {
            /// Success, without properties.
            #[must_use]
            pub const fn new(packet_id: crate::PacketId) -> Self {
                Self {
                    packet_id,
                    reason_code: crate::ReasonCode::Success,
                    properties: crate::Properties::EMPTY,
                }
            }

            #[inline(never)]
            pub(crate) fn decode_body(
                mut body: crate::cursor::Cursor<'a>,
                version: crate::Version,
            ) -> Result<Self, crate::DecodeError> {
                let mut packet = Self::new(body.packet_id()?);
                if version.is_v5() && !body.is_empty() {
                    packet.reason_code = crate::ReasonCode::from_u8(body.u8()?)
                        .filter(|code| code.$is_allowed())
                        .ok_or(crate::DecodeError::ReasonCodeNotAllowed)?;
                    if !body.is_empty() {
                        let allowed = crate::property_set::allowed::ACKNOWLEDGEMENT;
                        packet.properties = crate::Properties::decode(&mut body, allowed)?;
                    }
                }
                body.finish()?;
                Ok(packet)
            }
        }

        crate::encode::impl_encode!($name<'_>);

        impl crate::encode::Encode for $name<'_> {
            #[inline]
            fn first_byte(&self) -> u8 {
                crate::PacketType::$name.first_byte()
            }

            #[inline]
            fn plain(&self) -> Option<[u8; 4]> {
                let success = self.reason_code == crate::ReasonCode::Success;
                let [high, low] = self.packet_id.get().to_be_bytes();
                (success && self.properties.is_empty()).then(|| [self.first_byte(), 2, high, low])
            }

            #[inline]
            fn body_len(&self, version: crate::Version) -> Result<usize, crate::EncodeError> {
                if !version.is_v5() {
                    return Ok(2);
                }
                if !self.reason_code.$is_allowed() {
                    return Err(crate::EncodeError::ReasonCodeNotAllowed);
                }
                if !self.properties.is_empty() {
                    let allowed = crate::property_set::allowed::ACKNOWLEDGEMENT;
                    return Ok(3 + self.properties.checked_len(allowed)?);
                }
                Ok(if self.reason_code == crate::ReasonCode::Success { 2 } else { 3 })
            }

            #[inline]
            fn write_body(&self, version: crate::Version, buf: &mut impl bytes::BufMut) {
                buf.put_u16(self.packet_id.get());
                let success = self.reason_code == crate::ReasonCode::Success;
                if version.is_v5() && !(success && self.properties.is_empty()) {
                    buf.put_u8(self.reason_code.as_u8());
                    if !self.properties.is_empty() {
                        self.properties.put(buf);
                    }
                }
            }
        }
    };
}
pub(super) use ack_packet;
