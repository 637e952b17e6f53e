//! What is decided before the whole packet is there: how much is missing, and whether it
//! would be too large.

use mqtt_codec::{
    DecodeError, Decoded, FixedHeader, MAX_REMAINING_LENGTH, PacketType, Peeked, Publish, Version,
    decode,
};

/// The limit counts the fixed header, and needs nothing else to refuse.
#[test]
fn an_oversized_packet_is_refused_by_its_fixed_header() {
    let body = vec![b'x'; 197];
    let mut frame = Vec::new();
    Publish::new("t", &body)
        .encode(Version::V311, &mut frame)
        .expect("fits");
    assert_eq!(frame.len(), 203);
    for end in 3..=frame.len() {
        assert_eq!(
            decode(&frame[..end], Version::V311, 202),
            Err(DecodeError::PacketTooLarge),
            "{end} bytes"
        );
    }
    assert!(matches!(
        decode(&frame, Version::V311, 203),
        Ok(Decoded::Packet { size: 203, .. })
    ));
    // Before the remaining length is complete, nothing is known.
    assert_eq!(
        decode(&frame[..2], Version::V311, 202),
        Ok(Decoded::Incomplete { needed: 1 })
    );
}

/// "At least so many more bytes" is never more than what is really missing, and exact once
/// the fixed header is there.
#[test]
fn needed_is_what_is_missing() {
    let body = vec![b'x'; 20_000];
    let mut frame = Vec::new();
    Publish::new("t", &body)
        .encode(Version::V5, &mut frame)
        .expect("fits");
    for end in 0..frame.len() {
        match decode(&frame[..end], Version::V5, usize::MAX) {
            Ok(Decoded::Incomplete { needed }) if end >= 4 => assert_eq!(needed, frame.len() - end),
            Ok(Decoded::Incomplete { needed }) => {
                assert!(needed > 0 && needed <= frame.len() - end)
            }
            other => panic!("{end}: {other:?}"),
        }
    }
}

/// The borders of table 1-1 between one, two, three and four bytes of length.
#[test]
fn the_fixed_header_alone_tells_type_and_length() {
    for (wire, header_len, remaining) in [
        (&b"\x30\x00"[..], 2, 0),
        (b"\x30\x7F", 2, 127),
        (b"\x30\x80\x01", 3, 128),
        (b"\x30\xFF\x7F", 3, 16_383),
        (b"\x30\x80\x80\x01", 4, 16_384),
        (b"\x30\xFF\xFF\x7F", 4, 2_097_151),
        (b"\x30\x80\x80\x80\x01", 5, 2_097_152),
        (b"\x30\xFF\xFF\xFF\x7F", 5, MAX_REMAINING_LENGTH),
    ] {
        let size = header_len + remaining;
        match FixedHeader::peek(wire, Version::V311, size) {
            Ok(Peeked::Header(header)) => {
                assert_eq!(header.packet_type(), PacketType::Publish);
                assert_eq!(header.header_len(), header_len);
                assert_eq!(header.remaining_length(), remaining);
                assert_eq!(header.packet_size(), size);
            }
            other => panic!("{wire:x?}: {other:?}"),
        }
        assert_eq!(
            FixedHeader::peek(wire, Version::V311, size - 1),
            Err(DecodeError::PacketTooLarge)
        );
        for end in 0..wire.len() {
            let peeked = FixedHeader::peek(&wire[..end], Version::V311, size);
            assert!(
                matches!(peeked, Ok(Peeked::Incomplete { needed: 1 | 2 })),
                "{peeked:?}"
            );
        }
    }
}
