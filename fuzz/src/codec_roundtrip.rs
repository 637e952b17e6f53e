//! What was accepted can be sent again: decode, encode, decode gives the same packet, the
//! announced length is the written one, and the owned form loses nothing.
//!
//! Patching an encoded PUBLISH gives the bytes that encoding the changed packet gives.

use mqtt_codec::{
    Decoded, EncodeError, Packet, PacketId, Publish, QoS, Version, decode, patch_dup,
    patch_packet_id,
};

/// The first byte chooses the version, the others are the packet.
pub fn roundtrip(data: &[u8]) {
    let Some((choice, wire)) = data.split_first() else {
        return;
    };
    let version = match choice % 3 {
        0 => Version::V31,
        1 => Version::V311,
        _ => Version::V5,
    };
    let Ok(Decoded::Packet { packet, size }) = decode(wire, version, usize::MAX) else {
        return;
    };
    let version = match &packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    let owned = packet.to_owned();
    assert_eq!(owned.as_packet(), packet);

    let mut again = Vec::new();
    let written = owned.as_packet().encode(version, &mut again);
    assert_eq!(written, Ok(again.len()));
    assert_eq!(packet.encoded_len(version), Ok(again.len()));
    // There is no shorter way to say the same than ours.
    assert!(again.len() <= size);
    let len = again.len();
    assert_eq!(
        decode(&again, version, len),
        Ok(Decoded::Packet { packet, size: len })
    );

    // In its shortest form a packet has only one spelling.
    let mut third = Vec::new();
    packet
        .encode(version, &mut third)
        .expect("it was written before");
    assert_eq!(third, again);

    refuses_a_small_buffer(&packet, version, &again);
    writes_in_other_versions(&packet);
    if let Packet::Publish(publish) = packet {
        patches(publish, version, &again);
    }
}

fn refuses_a_small_buffer(packet: &Packet<'_>, version: Version, frame: &[u8]) {
    let mut space = vec![0xAA; frame.len() - 1];
    let refused = packet.encode(version, &mut space.as_mut_slice());
    let needed = frame.len();
    assert_eq!(refused, Err(EncodeError::BufferTooSmall { needed }));
    assert!(space.iter().all(|&byte| byte == 0xAA));
}

/// A packet of one version may be written in another, as a broker does between its clients:
/// either it is refused or what comes out is a packet of that version.
fn writes_in_other_versions(packet: &Packet<'_>) {
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut frame = Vec::new();
        match packet.encode(version, &mut frame) {
            Ok(len) => {
                let decoded = decode(&frame, version, len);
                let Ok(Decoded::Packet {
                    packet: other,
                    size,
                }) = decoded
                else {
                    panic!("{packet:?} written for {version:?} is {decoded:?}");
                };
                assert_eq!((other.packet_type(), size), (packet.packet_type(), len));
            }
            Err(_) => assert!(frame.is_empty()),
        }
    }
}

fn patches(publish: Publish<'_>, version: Version, frame: &[u8]) {
    let mut head = Vec::new();
    let layout = publish
        .encode_head(version, &mut head)
        .expect("it was written before");
    assert_eq!(layout.len, head.len());
    assert_eq!([&head, publish.payload].concat(), frame);

    let new = PacketId::new(0xA5C3).expect("not zero");
    let mut patched = frame.to_vec();
    if publish.qos == QoS::AtMostOnce {
        assert!(patch_packet_id(&mut patched, new).is_err());
        assert!(patch_dup(&mut patched, true).is_err());
        assert_eq!(patched, frame);
        return;
    }
    let at = layout.packet_id_offset.expect("QoS 1 and 2 have one");
    let old = publish.packet_id.expect("QoS 1 and 2 have one").get();
    assert_eq!(frame[at..at + 2], old.to_be_bytes());

    patch_packet_id(&mut patched, new).expect("a PUBLISH of QoS 1 or 2");
    patch_dup(&mut patched, !publish.dup).expect("a PUBLISH of QoS 1 or 2");
    let changed = Publish {
        dup: !publish.dup,
        packet_id: Some(new),
        ..publish
    };
    let mut expected = Vec::new();
    changed
        .encode(version, &mut expected)
        .expect("as the one before");
    assert_eq!(patched, expected);
}
