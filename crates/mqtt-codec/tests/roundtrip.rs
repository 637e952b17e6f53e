//! Properties of encoding and decoding that hold for every packet in every version.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod strategies;

use mqtt_codec::{DecodeError, Decoded, EncodeError, OwnedPacket, Packet, Version, decode};
use proptest::prelude::*;

fn encoded(packet: &OwnedPacket, version: Version) -> Vec<u8> {
    let mut wire = Vec::new();
    packet
        .as_packet()
        .encode(version, &mut wire)
        .expect("strategies make valid packets");
    wire
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1024,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// What was encoded decodes to the same packet, has the length that was announced, and
    /// keeps its contents when it is copied into memory of its own.
    #[test]
    fn a_packet_survives_the_wire((version, packet) in strategies::versioned_packet()) {
        let packet_ref = packet.as_packet();
        let mut wire = Vec::new();
        let written = packet_ref.encode(version, &mut wire);
        prop_assert_eq!(written, Ok(wire.len()));
        prop_assert_eq!(packet_ref.encoded_len(version), Ok(wire.len()));

        let size = wire.len();
        let decoded = decode(&wire, version, size);
        prop_assert_eq!(decoded, Ok(Decoded::Packet { packet: packet_ref, size }));
        let Ok(Decoded::Packet { packet: borrowed, .. }) = decoded else { unreachable!() };
        prop_assert_eq!(borrowed.to_owned(), packet);
        prop_assert_eq!(decode(&wire, version, size - 1), Err(DecodeError::PacketTooLarge));
    }

    /// Too small a buffer is refused before its first byte is written.
    #[test]
    fn a_small_buffer_stays_untouched(
        (version, packet) in strategies::versioned_packet(),
        missing in 1usize..64,
    ) {
        let needed = encoded(&packet, version).len();
        let mut space = vec![0xAA; needed.saturating_sub(missing)];
        let mut buf = &mut space[..];
        let refused = packet.as_packet().encode(version, &mut buf);
        prop_assert_eq!(refused, Err(EncodeError::BufferTooSmall { needed }));
        prop_assert!(space.iter().all(|&byte| byte == 0xAA));
    }

    /// However a stream is cut into chunks, the same packets come out of it.
    #[test]
    fn chunks_decode_as_the_whole(
        (version, packets) in strategies::stream(),
        cuts in proptest::collection::vec(1usize..40, 1..20),
    ) {
        let stream: Vec<u8> = packets.iter().flat_map(|packet| encoded(packet, version)).collect();
        let mut chunk_sizes = cuts.iter().cycle();
        let (mut arrived, mut taken, mut found) = (0, 0, Vec::new());
        while taken < stream.len() {
            match decode(&stream[taken..arrived], version, usize::MAX) {
                Ok(Decoded::Packet { packet, size }) => {
                    found.push(packet.to_owned());
                    taken += size;
                }
                Ok(Decoded::Incomplete { needed }) => {
                    prop_assert!(arrived + needed <= stream.len());
                    // Chunks are as small as the network likes, not as large as needed.
                    arrived = stream.len().min(arrived + chunk_sizes.next().expect("a cycle"));
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
        prop_assert_eq!(found, packets);
    }

    /// No prefix of a packet is a packet, and none is an error.
    #[test]
    fn a_prefix_is_incomplete((version, packet) in strategies::versioned_packet(), at: prop::sample::Index) {
        let wire = encoded(&packet, version);
        let end = at.index(wire.len());
        match decode(&wire[..end], version, usize::MAX) {
            Ok(Decoded::Incomplete { needed }) => prop_assert!((1..=wire.len() - end).contains(&needed)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Whatever bytes arrive, what is accepted can be written again and reads the same.
    #[test]
    fn what_is_accepted_can_be_sent(
        version in strategies::version(),
        first: u8,
        body in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..40),
    ) {
        let wire = [&[first, body.len() as u8][..], &body].concat();
        if let Ok(Decoded::Packet { packet, .. }) = decode(&wire, version, usize::MAX) {
            let version = match packet {
                Packet::Connect(connect) => connect.version,
                _ => version,
            };
            let again = encoded(&packet.to_owned(), version);
            prop_assert!(again.len() <= wire.len());
            let size = again.len();
            prop_assert_eq!(
                decode(&again, version, usize::MAX),
                Ok(Decoded::Packet { packet, size })
            );
        }
    }
}
