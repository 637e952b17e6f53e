//! From a stream's bytes to its next packet.

use crate::{
    Connect, DecodeError, FixedHeader, Packet, PacketType, Peeked, Version, fast_ack, fast_publish,
};

/// What [`decode`] found at the start of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole packet that breaks no rule.
    Packet {
        /// The packet, borrowing from the input.
        packet: Packet<'a>,
        /// Bytes of the input that it took; the next packet begins behind them.
        size: usize,
    },
    /// The packet goes on behind the input. This is not an error.
    Incomplete {
        /// At least so many more bytes are needed. Once the fixed header has arrived this
        /// is exactly what is missing of the packet.
        needed: usize,
    },
}

/// Decodes the packet at the start of `input`, which may hold more, or not yet all of it.
///
/// The input is not copied, and nothing is allocated. `max_packet_size` is the largest
/// packet, fixed header included, that the caller accepts, in bytes; a larger one is
/// refused as soon as its fixed header is there.
///
/// A CONNECT is accepted under every `version`, and tells its own in
/// [`Connect::version`]; any `version` will do until it has arrived. That it comes first
/// and once is for the caller to check, as is who may send which packet.
///
/// # Errors
///
/// The first rule that the packet breaks. What more bytes cannot heal is reported without
/// waiting for them.
// Into its caller, who then looks at a PUBLISH where it was decoded: 5.6 ns, not 6.7.
#[inline(always)]
pub fn decode(
    input: &[u8],
    version: Version,
    max_packet_size: usize,
) -> Result<Decoded<'_>, DecodeError> {
    if let Some((publish, size)) = fast_publish::decode(input, version, max_packet_size) {
        let packet = Packet::Publish(publish);
        return Ok(Decoded::Packet { packet, size });
    }
    if let Some(packet) = fast_ack::decode(input, max_packet_size) {
        let size = fast_ack::SIZE;
        return Ok(Decoded::Packet { packet, size });
    }
    // Taken apart and put together again, so that the result of the call is copied and the
    // PUBLISH above stays in registers.
    match decode_by_parsers(input, version, max_packet_size) {
        Ok(Decoded::Packet { packet, size }) => Ok(Decoded::Packet { packet, size }),
        Ok(Decoded::Incomplete { needed }) => Ok(Decoded::Incomplete { needed }),
        Err(error) => Err(error),
    }
}

/// [`decode`] without the short ways for PUBLISH and acknowledgements: every packet by the parsers of
/// its file.
///
/// Public for the fuzz targets, which hold the two to the same answer, and for the bench
/// that says what the short ways are worth. There is no other reason to call it.
///
/// # Errors
///
/// As for [`decode`].
#[doc(hidden)]
#[inline(never)]
pub fn decode_by_parsers(
    input: &[u8],
    version: Version,
    max_packet_size: usize,
) -> Result<Decoded<'_>, DecodeError> {
    let header = match FixedHeader::peek(input, version, max_packet_size)? {
        Peeked::Header(header) => header,
        Peeked::Incomplete { needed } => return Ok(Decoded::Incomplete { needed }),
    };
    let size = header.packet_size();
    let Some(body) = input.get(header.header_len()..size) else {
        let needed = size - input.len();
        return Ok(Decoded::Incomplete { needed });
    };
    let packet = Packet::decode_body(header, body, version)?;
    Ok(Decoded::Packet { packet, size })
}

/// What [`decode_connect`] found at the start of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodedConnect<'a> {
    /// A CONNECT.
    Connect {
        /// The packet, borrowing from the input.
        connect: Connect<'a>,
        /// Bytes of the input that it took.
        size: usize,
    },
    /// Some other packet, whose body was not looked at: a client has to begin with
    /// CONNECT \[MQTT-3.1.0-1\].
    Other(PacketType),
    /// The packet goes on behind the input.
    Incomplete {
        /// At least so many more bytes are needed.
        needed: usize,
    },
}

/// Decodes the first packet that a client sends; a server knows no version before it.
///
/// Anything but CONNECT is recognised by its first byte, before its body has arrived.
/// `max_packet_size` is in bytes, as in [`decode`].
///
/// # Errors
///
/// The first rule that the CONNECT, or the fixed header of another packet, breaks.
pub fn decode_connect(
    input: &[u8],
    max_packet_size: usize,
) -> Result<DecodedConnect<'_>, DecodeError> {
    if let Some(first) = input.first()
        && let Some(other) = PacketType::from_u8(first >> 4)
        && other != PacketType::Connect
    {
        return Ok(DecodedConnect::Other(other));
    }
    Ok(match decode(input, Version::V5, max_packet_size)? {
        Decoded::Packet {
            packet: Packet::Connect(connect),
            size,
        } => DecodedConnect::Connect { connect, size },
        Decoded::Packet { packet, .. } => DecodedConnect::Other(packet.packet_type()),
        Decoded::Incomplete { needed } => DecodedConnect::Incomplete { needed },
    })
}
