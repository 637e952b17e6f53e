//! The acknowledgement that nearly every acknowledgement is: four bytes that say success.
//!
//! As with `fast_publish.rs`, everything else is `None` here and goes the way of all packets; the two
//! are tested to agree.

use crate::{Packet, PacketId, PubAck, PubComp, PubRec, PubRel};

/// Bytes of such a packet, in every version.
pub(crate) const SIZE: usize = 4;

/// The acknowledgement at the start of `input`, if it is of the plain kind.
#[inline(always)]
pub(crate) fn decode(input: &[u8], max_packet_size: usize) -> Option<Packet<'_>> {
    let (&[first, 2, high, low], _) = input.split_first_chunk::<SIZE>()? else {
        return None;
    };
    if SIZE > max_packet_size {
        return None;
    }
    let packet_id = PacketId::new(u16::from_be_bytes([high, low]))?;
    match first {
        0x40 => Some(Packet::PubAck(PubAck::new(packet_id))),
        0x50 => Some(Packet::PubRec(PubRec::new(packet_id))),
        0x62 => Some(Packet::PubRel(PubRel::new(packet_id))),
        0x70 => Some(Packet::PubComp(PubComp::new(packet_id))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::{Decoded, PacketType, Version, decode::decode_by_parsers};

    /// All first bytes with all short bodies that differ in what is looked at.
    #[test]
    fn what_it_decodes_the_parsers_decode_alike() {
        let mut plain = 0;
        for first in 0..=u8::MAX {
            for (length, id) in [(2, 1_u16), (2, 0), (2, 0x1234), (3, 1), (1, 1)] {
                let [high, low] = id.to_be_bytes();
                let bytes = [first, length, high, low, 0, 0];
                let Some(packet) = decode(&bytes, 4) else {
                    continue;
                };
                plain += 1;
                assert!(matches!(
                    packet.packet_type(),
                    PacketType::PubAck
                        | PacketType::PubRec
                        | PacketType::PubRel
                        | PacketType::PubComp
                ));
                for version in [Version::V31, Version::V311, Version::V5] {
                    let slow = decode_by_parsers(&bytes, version, 4);
                    assert_eq!(slow, Ok(Decoded::Packet { packet, size: 4 }));
                }
            }
        }
        assert_eq!(plain, 8, "four types, two identifiers");
    }

    #[test]
    fn nothing_is_found_in_a_part_or_above_the_limit() {
        let puback = [0x40, 2, 0, 1];
        assert!(decode(&puback, 4).is_some());
        assert!(decode(&puback, 3).is_none());
        assert!(decode(&puback[..3], 4).is_none());
        assert!(decode(&[], 4).is_none());
    }
}
