//! What cannot be written, and that trying leaves no trace; what can be changed in place.

#![allow(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, EncodeError as E, MAX_REMAINING_LENGTH, Packet, PacketId,
    PatchError, PropertiesBuf, Property, PropertySet, PubAck, Publish, QoS, ReasonCode, SubAck,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, UnsubAck, Unsubscribe,
    UnsubscribeFiltersBuf, Version, Will, patch_dup, patch_packet_id,
};

const V3: &[Version] = &[Version::V31, Version::V311];
const V5: &[Version] = &[Version::V5];
const ALL: &[Version] = &[Version::V31, Version::V311, Version::V5];

fn refused<'a>(packet: impl Into<Packet<'a>>, versions: &[Version], error: E) {
    let packet = packet.into();
    for &version in versions {
        let mut written = vec![1, 2, 3];
        assert_eq!(
            packet.encode(version, &mut written),
            Err(error),
            "{packet:?}"
        );
        assert_eq!(packet.encoded_len(version), Err(error));
        assert_eq!(written, [1, 2, 3]);
    }
}

fn block(list: &[Property<'_>]) -> PropertiesBuf {
    let mut block = PropertiesBuf::new();
    for property in list {
        block.push(*property).expect("a valid property");
    }
    block
}

#[test]
fn fields_that_do_not_fit() {
    let long = "x".repeat(65_536);
    let fits = &long[..65_535];
    refused(Publish::new(&long, b""), ALL, E::FieldTooLong);
    assert_eq!(
        Publish::new(fits, b"").encoded_len(Version::V311),
        Ok(1 + 3 + 2 + 65_535)
    );
    refused(Publish::new("a\0b", b""), ALL, E::StringContainsNul);
    for version in [Version::V31, Version::V311, Version::V5] {
        let connect = Connect::new(version, "c");
        refused(Connect::new(version, &long), ALL, E::FieldTooLong);
        refused(Connect::new(version, "\0"), ALL, E::StringContainsNul);
        refused(
            Connect {
                username: Some(&long),
                ..connect
            },
            ALL,
            E::FieldTooLong,
        );
        let password = Some(long.as_bytes());
        refused(
            Connect {
                username: Some("u"),
                password,
                ..connect
            },
            ALL,
            E::FieldTooLong,
        );
        let will = Some(Will::new("t", long.as_bytes()));
        refused(Connect { will, ..connect }, ALL, E::FieldTooLong);
        let will = Some(Will::new("t\0", b""));
        refused(Connect { will, ..connect }, ALL, E::StringContainsNul);
    }
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions::default();
    assert_eq!(filters.push(&long, options), Err(E::FieldTooLong));
    assert_eq!(filters.push("\0", options), Err(E::StringContainsNul));
    assert!(filters.as_filters().is_empty());
    let mut filters = UnsubscribeFiltersBuf::new();
    assert_eq!(filters.push(&long), Err(E::FieldTooLong));
    assert!(filters.as_filters().is_empty());
}

/// The remaining length ends at 268,435,455 bytes (table 1-1).
#[test]
fn a_packet_beyond_the_protocol() {
    let payload = vec![0; MAX_REMAINING_LENGTH - 2];
    let publish = Publish::new("t", &payload);
    refused(publish, V3, E::PacketTooLarge);
    let publish = Publish::new("t", &payload[1..]);
    assert_eq!(
        publish.encoded_len(Version::V311),
        Ok(MAX_REMAINING_LENGTH + 5)
    );
    let mut head = Vec::new();
    let layout = publish
        .encode_head(Version::V311, &mut head)
        .expect("just fits");
    assert_eq!(head, b"\x30\xFF\xFF\xFF\x7F\0\x01t");
    assert_eq!(layout.len, head.len());
    assert_eq!(layout.packet_id_offset, None);
    refused(publish, V5, E::PacketTooLarge);
}

#[test]
fn fields_that_do_not_go_together() {
    let publish = Publish::new("t", b"");
    refused(
        Publish {
            packet_id: Some(PacketId::MIN),
            ..publish
        },
        ALL,
        E::PacketIdentifierMismatch,
    );
    refused(
        Publish {
            qos: QoS::AtLeastOnce,
            ..publish
        },
        ALL,
        E::PacketIdentifierMismatch,
    );
    refused(
        Publish {
            dup: true,
            ..publish
        },
        ALL,
        E::DupOnQos0,
    );
    refused(Publish::new("", b""), ALL, E::TopicNameEmpty);
    let alias = block(&[Property::TopicAlias(1)]);
    let aliased = Publish {
        properties: alias.as_properties(),
        ..Publish::new("", b"")
    };
    refused(aliased, V3, E::TopicNameEmpty);

    for version in [Version::V31, Version::V311] {
        let connect = Connect {
            password: Some(b"p"),
            ..Connect::new(version, "c")
        };
        refused(connect, ALL, E::PasswordWithoutUserName);
    }
    refused(
        ConnAck::new(true, ReasonCode::NotAuthorized),
        ALL,
        E::SessionPresentOnRefusal,
    );
    // [MQTT-3.2.2-6] of 3.1.1: no return code says this, so there is no CONNACK.
    refused(
        ConnAck::new(false, ReasonCode::MalformedPacket),
        V3,
        E::ReasonCodeNotAllowed,
    );
    refused(
        ConnAck::new(false, ReasonCode::GrantedQos1),
        ALL,
        E::ReasonCodeNotAllowed,
    );

    let (filters, leaving) = (SubscribeFiltersBuf::new(), UnsubscribeFiltersBuf::new());
    let packet_id = PacketId::MIN;
    let properties = Default::default();
    refused(
        Subscribe {
            packet_id,
            properties,
            filters: filters.as_filters(),
        },
        ALL,
        E::NoTopicFilter,
    );
    refused(
        Unsubscribe {
            packet_id,
            properties,
            filters: leaving.as_filters(),
        },
        ALL,
        E::NoTopicFilter,
    );
    refused(SubAck::new(packet_id, &[]), ALL, E::NoReasonCode);
    refused(UnsubAck::new(packet_id, &[]), V5, E::NoReasonCode);
    refused(
        SubAck::new(packet_id, &[ReasonCode::Banned]),
        ALL,
        E::ReasonCodeNotAllowed,
    );
    refused(
        UnsubAck::new(packet_id, &[ReasonCode::GrantedQos1]),
        V5,
        E::ReasonCodeNotAllowed,
    );
    let puback = PubAck {
        reason_code: ReasonCode::GrantedQos1,
        ..PubAck::new(packet_id)
    };
    refused(puback, V5, E::ReasonCodeNotAllowed);
    refused(
        Disconnect::new(ReasonCode::Banned),
        V5,
        E::ReasonCodeNotAllowed,
    );
}

#[test]
fn properties_that_do_not_go_with_the_packet() {
    let alias = block(&[Property::TopicAlias(1)]);
    let connect = Connect {
        properties: alias.as_properties(),
        ..Connect::new(Version::V5, "")
    };
    refused(connect, V5, E::PropertyNotAllowed);
    let delay = block(&[Property::WillDelayInterval(1)]);
    let publish = Publish {
        properties: delay.as_properties(),
        ..Publish::new("t", b"")
    };
    refused(publish, V5, E::PropertyNotAllowed);
    let expiry = block(&[Property::SessionExpiryInterval(1)]);
    let will = Will {
        properties: expiry.as_properties(),
        ..Will::new("t", b"")
    };
    refused(
        Connect {
            will: Some(will),
            ..Connect::new(Version::V5, "")
        },
        V5,
        E::PropertyNotAllowed,
    );

    // One subscription identifier is for SUBSCRIBE, several are for PUBLISH.
    let several = block(&[
        Property::SubscriptionIdentifier(1),
        Property::SubscriptionIdentifier(2),
    ]);
    let mut filters = SubscribeFiltersBuf::new();
    filters
        .push("t", SubscriptionOptions::default())
        .expect("valid");
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: several.as_properties(),
        filters: filters.as_filters(),
    };
    refused(subscribe, V5, E::PropertyNotAllowed);
    let publish = Publish {
        properties: several.as_properties(),
        ..Publish::new("t", b"")
    };
    assert!(publish.encoded_len(Version::V5).is_ok());

    let data = block(&[Property::AuthenticationData(b"d")]);
    let connect = Connect {
        properties: data.as_properties(),
        ..Connect::new(Version::V5, "")
    };
    refused(connect, V5, E::AuthenticationMethodMissing);
    let auth = Auth {
        reason_code: ReasonCode::ContinueAuthentication,
        properties: Default::default(),
    };
    refused(auth, V5, E::AuthenticationMethodMissing);
    refused(
        Auth {
            reason_code: ReasonCode::NotAuthorized,
            ..auth
        },
        V5,
        E::ReasonCodeNotAllowed,
    );
    refused(auth, V3, E::NotInVersion);
}

#[test]
fn property_values_out_of_range() {
    let long = "x".repeat(65_536);
    let mut properties = PropertiesBuf::new();
    for (property, error) in [
        (Property::ReceiveMaximum(0), E::PropertyOutOfRange),
        (Property::TopicAlias(0), E::PropertyOutOfRange),
        (Property::MaximumPacketSize(0), E::PropertyOutOfRange),
        (Property::SubscriptionIdentifier(0), E::PropertyOutOfRange),
        (
            Property::SubscriptionIdentifier(268_435_456),
            E::PropertyOutOfRange,
        ),
        (
            Property::MaximumQos(QoS::ExactlyOnce),
            E::PropertyOutOfRange,
        ),
        (Property::ContentType("\0"), E::StringContainsNul),
        (Property::UserProperty("k", "\0"), E::StringContainsNul),
        (Property::UserProperty(&long, ""), E::FieldTooLong),
        (Property::CorrelationData(long.as_bytes()), E::FieldTooLong),
    ] {
        assert_eq!(properties.push(property), Err(error), "{property:?}");
        assert!(properties.is_empty());
    }
    properties.push(Property::TopicAlias(1)).expect("in range");
    assert_eq!(
        properties.push(Property::TopicAlias(1)),
        Err(E::PropertyDuplicate)
    );
    assert_eq!(properties.as_properties().iter().count(), 1);
    properties.clear();
    properties
        .push(Property::TopicAlias(2))
        .expect("forgotten, so not twice");
    assert_eq!(properties.as_properties().topic_alias(), Some(2));
}

/// What a server passes on, and what it replaces (sections 3.3.2.3.2 to 3.3.2.3.9).
#[test]
fn forwarding_keeps_what_is_the_publishers() {
    let received = block(&[
        Property::TopicAlias(9),
        Property::UserProperty("a", "1"),
        Property::MessageExpiryInterval(100),
        Property::ResponseTopic("back"),
        Property::UserProperty("a", "2"),
        Property::SubscriptionIdentifier(3),
    ]);
    let mut sent = PropertiesBuf::new();
    sent.push(Property::MessageExpiryInterval(90))
        .expect("valid");
    sent.extend(received.as_properties(), PropertySet::FORWARDED)
        .expect("no duplicates");
    let expected = [
        Property::MessageExpiryInterval(90),
        Property::UserProperty("a", "1"),
        Property::ResponseTopic("back"),
        Property::UserProperty("a", "2"),
    ];
    assert!(sent.as_properties().iter().eq(expected));
    assert_eq!(
        sent.extend(received.as_properties(), PropertySet::FORWARDED),
        Err(E::PropertyDuplicate)
    );
    // Into an empty block, all of it.
    let plain = block(&expected[1..]);
    sent.clear();
    sent.extend(plain.as_properties(), PropertySet::FORWARDED)
        .expect("nothing there yet");
    assert_eq!(sent, plain);
}

/// One frame for many receivers: each gets its packet identifier, a repetition its DUP.
#[test]
fn an_encoded_publish_can_be_patched() {
    for version in [Version::V31, Version::V311, Version::V5] {
        for payload_len in [0, 200, 20_000] {
            let payload = vec![7; payload_len];
            let publish = Publish {
                qos: QoS::AtLeastOnce,
                packet_id: Some(PacketId::MIN),
                ..Publish::new("some/topic", &payload)
            };
            let (mut frame, mut head) = (Vec::new(), Vec::new());
            publish.encode(version, &mut frame).expect("valid");
            let layout = publish.encode_head(version, &mut head).expect("valid");
            assert_eq!(&frame[..layout.len], head);

            let second = PacketId::new(0xBEEF).expect("not zero");
            patch_packet_id(&mut frame, second).expect("QoS 1");
            patch_dup(&mut frame, true).expect("QoS 1");
            let expected = Publish {
                dup: true,
                packet_id: Some(second),
                ..publish
            };
            let mut anew = Vec::new();
            expected.encode(version, &mut anew).expect("valid");
            assert_eq!(frame, anew);

            // The head alone is enough, and the offset leads to the same place.
            patch_packet_id(&mut head, second).expect("QoS 1");
            let at = layout.packet_id_offset.expect("QoS 1");
            assert_eq!(head[at..at + 2], [0xBE, 0xEF]);
            patch_dup(&mut frame, false).expect("QoS 1");
            assert_eq!(frame[0], 0x32);
        }
    }
}

#[test]
fn what_is_no_acknowledged_publish_is_not_patched() {
    let cases: &[(&[u8], PatchError)] = &[
        (b"", PatchError::NotPublish),
        (b"\x32", PatchError::NotPublish),
        (b"\x40\x02\0\x01", PatchError::NotPublish),
        (b"\x36\x05\0\x01t\0\x01", PatchError::NotPublish),
        (b"\x30\x03\0\x01t", PatchError::Qos0),
        (b"\x32\x05\0\x01t\0", PatchError::NotPublish),
        (b"\x32\x05\0\x09t\0\x01aaaaaaaaa", PatchError::NotPublish),
        (b"\x32\x00", PatchError::NotPublish),
    ];
    for (frame, error) in cases {
        let mut patched = frame.to_vec();
        assert_eq!(
            patch_packet_id(&mut patched, PacketId::MAX),
            Err(*error),
            "{frame:x?}"
        );
        assert_eq!(patched, *frame);
    }
    let mut qos0 = b"\x30\x03\0\x01t".to_vec();
    assert_eq!(patch_dup(&mut qos0, true), Err(PatchError::Qos0));
    assert_eq!(qos0, b"\x30\x03\0\x01t");
}

/// 3.x has a word for some reasons only, and its words are ours.
#[test]
fn return_codes_and_reason_codes() {
    use mqtt_codec::ConnectReturnCode;
    for &code in ConnectReturnCode::ALL {
        assert_eq!(ReasonCode::from(code).connect_return_code(), Some(code));
        assert_eq!(ConnectReturnCode::from_u8(code.as_u8()), Some(code));
    }
    assert_eq!(ConnectReturnCode::from_u8(6), None);
    for value in 0..=u8::MAX {
        if let Some(code) = ReasonCode::from_u8(value) {
            assert_eq!(code.as_u8(), value);
            assert_eq!(code.is_error(), value >= 0x80);
        }
    }
    assert_eq!(ReasonCode::ALL.len(), 43);
    assert_eq!(ReasonCode::MalformedPacket.connect_return_code(), None);
}
