//! How a packet is written: measure and judge first, then write what cannot fail.
//!
//! [`Encode::body_len`] refuses everything that has no place on the wire, so that a
//! refused packet leaves the buffer untouched and a written one is as long as announced.

use bytes::BufMut;

use crate::{EncodeError, Version, header::MAX_REMAINING_LENGTH, text::contains_nul};

/// What each packet type knows about its own layout.
pub(crate) trait Encode {
    /// Type and flags.
    fn first_byte(&self) -> u8;

    /// Checks every field and returns the remaining length in bytes.
    fn body_len(&self, version: Version) -> Result<usize, EncodeError>;

    /// Writes exactly [`body_len`](Self::body_len) bytes; called only after it succeeded.
    fn write_body(&self, version: Version, buf: &mut impl BufMut);

    /// All of it, if it is an acknowledgement that says success and nothing else, in which the versions
    /// are alike.
    #[inline]
    fn plain(&self) -> Option<[u8; 4]> {
        None
    }
}

/// Bytes of a whole packet with this remaining length.
#[inline]
pub(crate) const fn packet_len(remaining_length: usize) -> Result<usize, EncodeError> {
    if remaining_length > MAX_REMAINING_LENGTH {
        return Err(EncodeError::PacketTooLarge);
    }
    Ok(1 + variable_byte_integer_len(remaining_length) + remaining_length)
}

#[inline]
pub(crate) fn encoded_len(packet: &impl Encode, version: Version) -> Result<usize, EncodeError> {
    packet_len(packet.body_len(version)?)
}

#[inline]
pub(crate) fn encode(
    packet: &impl Encode,
    version: Version,
    buf: &mut impl BufMut,
) -> Result<usize, EncodeError> {
    if let Some(plain) = packet.plain()
        && buf.remaining_mut() >= plain.len()
    {
        buf.put_slice(&plain);
        return Ok(plain.len());
    }
    let body = packet.body_len(version)?;
    let needed = packet_len(body)?;
    if buf.remaining_mut() < needed {
        return Err(EncodeError::BufferTooSmall { needed });
    }
    put_fixed_header(buf, packet.first_byte(), body);
    packet.write_body(version, buf);
    Ok(needed)
}

/// Gives a packet type its public `encode` and `encoded_len`.
macro_rules! impl_encode {
    ($packet:ty) => {
        impl $packet {
            /// Bytes that [`encode`](Self::encode) writes for this version, exactly.
            ///
            /// # Errors
            ///
            /// As for [`encode`](Self::encode), the buffer aside.
            #[inline]
            pub fn encoded_len(
                &self,
                version: crate::Version,
            ) -> Result<usize, crate::EncodeError> {
                crate::encode::encoded_len(self, version)
            }

            /// Appends the packet to `buf` and returns how many bytes it took.
            ///
            /// Fields that `version` does not have (properties and reason codes before
            /// MQTT 5.0) are left out.
            ///
            /// # Errors
            ///
            /// The packet cannot be expressed, or `buf` has no room for it; `buf` is
            /// then untouched.
            #[inline]
            pub fn encode(
                &self,
                version: crate::Version,
                buf: &mut impl bytes::BufMut,
            ) -> Result<usize, crate::EncodeError> {
                crate::encode::encode(self, version, buf)
            }
        }
    };
}
pub(crate) use impl_encode;

/// Bytes of a variable byte integer; `value` is at most [`MAX_REMAINING_LENGTH`].
#[inline]
pub(crate) const fn variable_byte_integer_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Writes type and flags, and the remaining length; one or two bytes of it in one piece.
#[inline]
pub(crate) fn put_fixed_header(buf: &mut impl BufMut, first: u8, remaining_length: usize) {
    let low = (remaining_length & 0x7F) as u8;
    match remaining_length {
        0..0x80 => buf.put_slice(&[first, low]),
        0x80..0x4000 => buf.put_slice(&[first, low | 0x80, (remaining_length >> 7) as u8]),
        _ => {
            buf.put_u8(first);
            put_variable_byte_integer(buf, remaining_length);
        }
    }
}

#[inline]
pub(crate) fn put_variable_byte_integer(buf: &mut impl BufMut, mut value: usize) {
    while value >= 0x80 {
        buf.put_u8((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    buf.put_u8(value as u8);
}

/// Bytes of a string on the wire, if it may go there at all.
#[inline]
pub(crate) fn string_len(text: &str) -> Result<usize, EncodeError> {
    if contains_nul(text) {
        return Err(EncodeError::StringContainsNul);
    }
    binary_len(text.as_bytes())
}

/// Bytes of binary data on the wire.
#[inline]
pub(crate) fn binary_len(bytes: &[u8]) -> Result<usize, EncodeError> {
    match u16::try_from(bytes.len()) {
        Ok(len) => Ok(2 + usize::from(len)),
        Err(_) => Err(EncodeError::FieldTooLong),
    }
}

#[inline]
pub(crate) fn put_string(buf: &mut impl BufMut, text: &str) {
    put_binary(buf, text.as_bytes());
}

/// Writes a field that [`binary_len`] has measured.
#[inline]
pub(crate) fn put_binary(buf: &mut impl BufMut, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX), "measured before");
    buf.put_u16(bytes.len() as u16);
    buf.put_slice(bytes);
}
