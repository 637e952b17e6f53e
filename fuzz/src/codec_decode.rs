//! What `mqtt_codec::decode` promises of any input, beyond not panicking.
//!
//! - The size that it reports lies inside the input, and is what the fixed header said.
//! - What it borrows, it borrows from that packet and from nowhere else.
//! - Strings hold no U+0000; lists yield as many entries as they announce.
//! - Bytes behind the packet change nothing; a limit below its size refuses it.
//! - "More bytes needed" is honest: it comes only where the packet really goes on.
//! - Every error stays the same whatever bytes follow.
//! - The short way for PUBLISH answers as the parsers do.

use mqtt_codec::{
    Connect, DecodeError, Decoded, FixedHeader, Packet, Peeked, Properties, Property, Publish, QoS,
    Version, decode, decode_by_parsers,
};

/// MQTT 3.1 and 3.1.1; what 3.1.1 accepts, 3.1 reads as the same.
pub fn v3(data: &[u8]) {
    let v311 = check(data, Version::V311);
    let v31 = check(data, Version::V31);
    match (v311, v31) {
        (
            Ok(Decoded::Packet {
                packet: Packet::ConnAck(strict),
                ..
            }),
            other,
        ) => {
            // 3.1 has no session present, otherwise the two are the same.
            let Ok(Decoded::Packet {
                packet: Packet::ConnAck(loose),
                ..
            }) = other
            else {
                panic!("{strict:?} is {other:?} in 3.1");
            };
            assert_eq!(strict.reason_code, loose.reason_code);
            assert!(!loose.session_present);
        }
        (Ok(strict), loose) => assert_eq!(Ok(strict), loose),
        (Err(_), _) => {}
    }
    if let Ok(Decoded::Packet { packet, .. }) = v311 {
        let properties = properties_of(&packet);
        let v5_connect = matches!(&packet, Packet::Connect(c) if c.version.is_v5());
        assert!(v5_connect || properties.iter().all(Properties::is_empty));
    }
}

/// MQTT 5.0, with everything that its properties promise.
pub fn v5(data: &[u8]) {
    let Ok(Decoded::Packet { packet, .. }) = check(data, Version::V5) else {
        return;
    };
    for block in properties_of(&packet) {
        check_properties(&block);
    }
}

/// Decodes and asserts what holds in every version.
fn check(data: &[u8], version: Version) -> Result<Decoded<'_>, DecodeError> {
    let result = decode(data, version, usize::MAX);
    assert_eq!(decode_by_parsers(data, version, usize::MAX), result);
    let header = FixedHeader::peek(data, version, usize::MAX);
    match &result {
        Ok(Decoded::Packet { packet, size }) => {
            let Ok(Peeked::Header(header)) = header else {
                panic!("a packet, but its header is {header:?}");
            };
            assert_eq!(header.packet_size(), *size);
            assert_eq!(header.packet_type(), packet.packet_type());
            assert!(*size <= data.len());
            let frame = &data[..*size];
            // Compared without the fixed header, which nothing may borrow from.
            check_packet(packet, &frame[header.header_len()..]);
            assert_eq!(decode(frame, version, *size), result);
            assert_eq!(
                decode(frame, version, *size - 1),
                Err(DecodeError::PacketTooLarge)
            );
            for end in [0, 1, size / 2, size - 1] {
                let part = decode(&frame[..end], version, usize::MAX);
                let Ok(Decoded::Incomplete { needed }) = part else {
                    panic!("{end} of {size} bytes are {part:?}");
                };
                assert!(needed > 0 && end + needed <= *size);
            }
        }
        Ok(Decoded::Incomplete { needed }) => match header {
            Ok(Peeked::Header(header)) => {
                assert_eq!(data.len() + needed, header.packet_size());
            }
            Ok(Peeked::Incomplete { needed: of_header }) => assert_eq!(*needed, of_header),
            Err(error) => panic!("incomplete, but its header breaks a rule: {error}"),
        },
        Err(error) => {
            assert!(error.reason_code().is_error());
            let mut longer = data.to_vec();
            longer.extend_from_slice(&[0x30, 0x00, 0xFF]);
            // A second packet behind the first is no excuse for the first.
            let again = decode(&longer, version, usize::MAX);
            assert_eq!(again, Err(*error));
        }
    }
    result
}

fn check_packet(packet: &Packet<'_>, body: &[u8]) {
    for block in properties_of(packet) {
        assert!(within(block.raw(), body));
    }
    match packet {
        Packet::Publish(publish) => check_publish(publish, body),
        Packet::Connect(connect) => check_connect(connect, body),
        Packet::Subscribe(subscribe) => {
            assert!(!subscribe.filters.is_empty());
            assert_eq!(subscribe.filters.iter().count(), subscribe.filters.len());
            for entry in subscribe.filters {
                check_text(entry.filter, body);
                assert_eq!(entry.options.as_u8() & 0b1100_0000, 0);
            }
        }
        Packet::Unsubscribe(unsubscribe) => {
            assert!(!unsubscribe.filters.is_empty());
            assert_eq!(
                unsubscribe.filters.iter().count(),
                unsubscribe.filters.len()
            );
            for filter in unsubscribe.filters {
                check_text(filter, body);
            }
        }
        Packet::SubAck(suback) => {
            assert!(!suback.reason_codes.is_empty());
            assert_eq!(
                suback.reason_codes.iter().count(),
                suback.reason_codes.len()
            );
        }
        Packet::UnsubAck(unsuback) => {
            assert_eq!(
                unsuback.reason_codes.iter().count(),
                unsuback.reason_codes.len()
            );
        }
        Packet::ConnAck(connack) => {
            assert!(!(connack.session_present && connack.reason_code.is_error()));
        }
        Packet::PingReq | Packet::PingResp => assert!(body.is_empty()),
        _ => {}
    }
}

fn check_publish(publish: &Publish<'_>, body: &[u8]) {
    check_text(publish.topic, body);
    assert!(within(publish.payload, body));
    assert_eq!(publish.packet_id.is_some(), publish.qos != QoS::AtMostOnce);
    assert!(!publish.dup || publish.qos != QoS::AtMostOnce);
    assert!(!publish.topic.is_empty() || publish.properties.topic_alias().is_some());
    // The payload is what is left, to the last byte.
    assert!(publish.payload.is_empty() || body.ends_with(publish.payload));
}

fn check_connect(connect: &Connect<'_>, body: &[u8]) {
    check_text(connect.client_id, body);
    if let Some(will) = &connect.will {
        check_text(will.topic, body);
        assert!(within(will.payload, body));
    }
    if let Some(username) = connect.username {
        check_text(username, body);
    }
    if let Some(password) = connect.password {
        assert!(within(password, body));
        assert!(connect.version.is_v5() || connect.username.is_some());
    }
}

/// Every property block of a packet.
fn properties_of<'a>(packet: &Packet<'a>) -> Vec<Properties<'a>> {
    match packet {
        Packet::Connect(p) => {
            let will = p.will.map(|will| will.properties);
            [Some(p.properties), will].into_iter().flatten().collect()
        }
        Packet::ConnAck(p) => vec![p.properties],
        Packet::Publish(p) => vec![p.properties],
        Packet::PubAck(p) => vec![p.properties],
        Packet::PubRec(p) => vec![p.properties],
        Packet::PubRel(p) => vec![p.properties],
        Packet::PubComp(p) => vec![p.properties],
        Packet::Subscribe(p) => vec![p.properties],
        Packet::SubAck(p) => vec![p.properties],
        Packet::Unsubscribe(p) => vec![p.properties],
        Packet::UnsubAck(p) => vec![p.properties],
        Packet::Disconnect(p) => vec![p.properties],
        Packet::Auth(p) => vec![p.properties],
        Packet::PingReq | Packet::PingResp => Vec::new(),
    }
}

/// The iterator, the getters and the bytes of a block tell one story.
fn check_properties(block: &Properties<'_>) {
    let mut seen = Vec::new();
    let (mut user, mut subscriptions) = (Vec::new(), Vec::new());
    for property in block.iter() {
        let id = property.id();
        match property {
            Property::UserProperty(name, value) => {
                assert!(!name.contains('\0') && !value.contains('\0'));
                user.push((name, value));
            }
            Property::SubscriptionIdentifier(id) => {
                assert!((1..=268_435_455).contains(&id));
                subscriptions.push(id);
            }
            _ => assert!(!seen.contains(&id), "{id:?} twice"),
        }
        if !seen.contains(&id) {
            // The first of its kind is what the getters find.
            assert_eq!(block.get(id), Some(property));
            assert!(block.contains(id));
            seen.push(id);
        }
    }
    assert!(block.user_properties().eq(user));
    assert!(block.subscription_identifiers().eq(subscriptions));
    assert_eq!(block.is_empty(), seen.is_empty());
    let mut rebuilt = mqtt_codec::PropertiesBuf::new();
    for property in block.iter() {
        rebuilt
            .push(property)
            .expect("what was received can be sent");
    }
    assert_eq!(rebuilt.as_properties(), *block);
}

fn check_text(text: &str, body: &[u8]) {
    assert!(within(text.as_bytes(), body));
    assert!(!text.contains('\0'));
}

/// Whether `part` is a piece of `whole`; an empty piece may be anywhere.
fn within(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || {
        let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
        whole.start <= part.start && part.end <= whole.end
    }
}
