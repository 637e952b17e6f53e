//! From the bytes of one read to packets, handed over one by one.

use broker_core::{Connection, Effects, Timestamp};
use mqtt_codec::{
    DecodeError, Decoded, DecodedConnect, FixedHeader, Packet, PacketType, Peeked, Version, decode,
    decode_connect,
};

/// Hands over packet by packet, until one has to be decided on first. Returns how many bytes were
/// used, and how many are missing of the packet that begins behind them, if one does.
pub(super) fn handle_input(
    connection: &mut Connection,
    input: &[u8],
    now: Timestamp,
    effects: &mut Effects,
) -> (usize, usize) {
    let mut used = 0;
    let mut missing = 0;
    while let Some(rest) = input.get(used..)
        && !rest.is_empty()
    {
        if connection.closing().is_some() {
            return (input.len(), 0);
        }
        if connection.is_deciding() {
            break;
        }
        let max_packet_size = connection.max_packet_size();
        let decoded = if connection.awaits_connect() {
            decode_first(rest, max_packet_size)
        } else {
            decode(rest, connection.version(), max_packet_size)
        };
        match decoded {
            Ok(Decoded::Packet { packet, size }) => {
                effects.note_received(size);
                connection.handle_packet(now, packet, effects);
                used += size;
            }
            Ok(Decoded::Incomplete { needed }) => {
                missing = needed;
                break;
            }
            Err(error) if connection.awaits_connect() => {
                connection.handle_malformed_connect(version_named(rest), error);
            }
            // What is wrong inside a packet that no client may send does not matter any more.
            Err(_) if is_from_server(rest) => {
                connection.handle_packet(now, Packet::PingResp, effects);
            }
            Err(error) => connection.handle_malformed(now, error, effects),
        }
    }
    if used > 0 {
        connection.hear(now, used);
    }
    (used, missing)
}

/// Whether a packet of this type is sent by servers alone: from a client it is not malformed but out
/// of order, whatever is in it (MQTT 5.0 section 2.1.2).
fn is_from_server(packet: &[u8]) -> bool {
    let packet_type = packet
        .first()
        .and_then(|first| PacketType::from_u8(first >> 4));
    matches!(
        packet_type,
        Some(
            PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck | PacketType::PingResp
        )
    )
}

/// The packet that should be CONNECT. Any other is as good as any other: it ends the connection.
fn decode_first(input: &[u8], max_packet_size: usize) -> Result<Decoded<'_>, DecodeError> {
    Ok(match decode_connect(input, max_packet_size)? {
        DecodedConnect::Connect { connect, size } => Decoded::Packet {
            packet: Packet::Connect(connect),
            size,
        },
        DecodedConnect::Other(_) => Decoded::Packet {
            packet: Packet::PingReq,
            size: input.len(),
        },
        DecodedConnect::Incomplete { needed } => Decoded::Incomplete { needed },
    })
}

/// The version that a CONNECT names of which something else is wrong.
pub(super) fn version_named(connect: &[u8]) -> Option<Version> {
    let Ok(Peeked::Header(header)) = FixedHeader::peek(connect, Version::V5, usize::MAX) else {
        return None;
    };
    let body = connect.get(header.header_len()..)?;
    let (length, rest) = body.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    [Version::V31, Version::V311, Version::V5]
        .into_iter()
        .find(|version| {
            name == version.protocol_name().as_bytes() && rest.first() == Some(&version.level())
        })
        .filter(|_| header.packet_type() == PacketType::Connect)
}
