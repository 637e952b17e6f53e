//! The PUBLISH that nearly every PUBLISH is, read by hand up to its properties: complete,
//! its topic name in ASCII.
//!
//! Everything else, and everything that breaks a rule, is `None` here and goes the way of
//! all packets, which alone decides what is wrong. The two are tested to agree, and
//! `benches/codec` has what this one is worth.

use crate::{
    PacketId, Properties, Publish, QoS, Version, cursor::Cursor, property_set::allowed,
    text::ascii_text,
};

/// The PUBLISH at the start of `input` and its size in bytes, if it is of the plain kind.
#[inline(always)]
pub(crate) fn decode(
    input: &[u8],
    version: Version,
    max_packet_size: usize,
) -> Option<(Publish<'_>, usize)> {
    let (&first, rest) = input.split_first()?;
    if first >> 4 != 3 {
        return None;
    }
    let (remaining_length, rest) = remaining_length(rest)?;
    let size = input.len() - rest.len() + remaining_length;
    if size > max_packet_size {
        return None;
    }
    let body = rest.get(..remaining_length)?;
    let (&[high, low], body) = body.split_first_chunk()?;
    let topic_len = usize::from(u16::from_be_bytes([high, low]));
    let (topic, body) = body.split_at_checked(topic_len)?;
    let topic = ascii_text(topic).filter(|topic| !topic.is_empty())?;
    let dup = first & 0b1000 != 0;
    let (qos, packet_id, body) = match (first >> 1) & 0b11 {
        0 if dup => return None,
        0 => (QoS::AtMostOnce, None, body),
        3 => return None,
        qos => {
            let (&id, body) = body.split_first_chunk()?;
            let id = PacketId::new(u16::from_be_bytes(id))?;
            let qos = if qos == 1 {
                QoS::AtLeastOnce
            } else {
                QoS::ExactlyOnce
            };
            (qos, Some(id), body)
        }
    };
    let (properties, payload) = match body {
        payload if !version.is_v5() => (Properties::EMPTY, payload),
        [0, payload @ ..] => (Properties::EMPTY, payload),
        body => {
            let mut body = Cursor::new(body);
            let properties = Properties::decode(&mut body, allowed::PUBLISH).ok()?;
            (properties, body.remaining())
        }
    };
    let publish = Publish {
        dup,
        qos,
        retain: first & 1 != 0,
        topic,
        packet_id,
        properties,
        payload,
    };
    Some((publish, size))
}

/// A remaining length of up to three bytes, in its shortest form.
#[inline]
const fn remaining_length(input: &[u8]) -> Option<(usize, &[u8])> {
    Some(match input {
        [a, rest @ ..] if *a < 0x80 => (*a as usize, rest),
        [a, b, rest @ ..] if *b < 0x80 && *b > 0 => {
            ((*a & 0x7F) as usize | (*b as usize) << 7, rest)
        }
        [a, b, c, rest @ ..] if *b >= 0x80 && *c < 0x80 && *c > 0 => {
            let low = (*a & 0x7F) as usize | ((*b & 0x7F) as usize) << 7;
            (low | (*c as usize) << 14, rest)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::{Decoded, Packet, Version, decode::decode_by_parsers};
    use alloc::{string::String, vec::Vec};
    use proptest::prelude::*;

    const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

    /// What is read by hand is what the parsers read, under the same limit.
    fn assert_agreement(input: &[u8], max_packet_size: usize) -> bool {
        let mut any = false;
        for version in VERSIONS {
            if let Some((publish, size)) = decode(input, version, max_packet_size) {
                let packet = Packet::Publish(publish);
                assert_eq!(
                    decode_by_parsers(input, version, max_packet_size),
                    Ok(Decoded::Packet { packet, size }),
                    "{version:?}"
                );
                any = true;
            }
        }
        any
    }

    /// A frame of this payload length; `flags` and `property_length` may be anything.
    fn frame(flags: u8, topic: &[u8], id: [u8; 2], property_length: u8, payload: usize) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        body.extend_from_slice(topic);
        body.extend_from_slice(&id);
        body.push(property_length);
        body.resize(body.len() + payload, b'p');
        let mut frame = Vec::from([0x30 | flags]);
        crate::encode::put_variable_byte_integer(&mut frame, body.len());
        frame.extend(body);
        frame
    }

    /// Every remaining length of one to four bytes at its borders, and limits around it.
    #[test]
    fn lengths_at_their_borders() {
        for payload in [
            0, 118, 119, 120, 16_374, 16_375, 16_376, 2_097_142, 2_097_143,
        ] {
            let frame = frame(0b0010, b"t/x", [0, 9], 0, payload);
            assert_eq!(
                assert_agreement(&frame, frame.len()),
                frame.len() <= 4 + 2_097_151
            );
            assert!(!assert_agreement(&frame, frame.len() - 1));
            assert!(!assert_agreement(&frame[..frame.len() - 1], frame.len()));
        }
    }

    /// It is the plain PUBLISH that is taken, not none.
    #[test]
    fn a_plain_publish_is_taken() {
        for flags in [0b0000, 0b0001, 0b0010, 0b0100, 0b1010, 0b1101] {
            assert!(assert_agreement(&frame(flags, b"a/b", [1, 2], 0, 4), 1024));
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            flags in 0u8..16,
            topic in prop_oneof![
                4 => "[a-z/]{0,40}".prop_map(String::into_bytes),
                1 => proptest::collection::vec(any::<u8>(), 0..20),
            ],
            id in any::<[u8; 2]>(),
            property_length in prop_oneof![4 => Just(0u8), 1 => any::<u8>()],
            payload in 0usize..300,
            cut in 0usize..400,
            change in any::<(prop::sample::Index, u8, bool)>(),
        ) {
            let mut frame = frame(flags, &topic, id, property_length, payload);
            assert_agreement(&frame, usize::MAX);
            assert_agreement(&frame, cut);
            let (at, byte, change) = change;
            if change {
                let at = at.index(frame.len().min(8));
                frame[at] = byte;
            }
            assert_agreement(&frame, usize::MAX);
            frame.truncate(cut);
            assert_agreement(&frame, usize::MAX);
        }
    }
}
