//! Packets byte for byte as the specification lays them out, read and written; and what is
//! read in more than one spelling.

#![allow(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use mqtt_codec::{
    Auth, ConnAck, Connect, Decoded, Disconnect, Packet, PacketId, PropertiesBuf, Property, PubAck,
    PubRel, Publish, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeFiltersBuf,
    SubscriptionOptions, UnsubAck, Unsubscribe, UnsubscribeFiltersBuf, Version, Will, decode,
};

const V3: &[Version] = &[Version::V31, Version::V311];
const V5: &[Version] = &[Version::V5];
const ALL: &[Version] = &[Version::V31, Version::V311, Version::V5];

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn properties(list: &[Property<'_>]) -> PropertiesBuf {
    let mut block = PropertiesBuf::new();
    for property in list {
        block.push(*property).expect("a valid property");
    }
    block
}

/// Reads as this packet, in these versions.
fn reads(wire: &[u8], versions: &[Version], packet: impl Into<Packet<'static>> + Copy) {
    for &version in versions {
        let (packet, size) = (packet.into(), wire.len());
        let found = decode(wire, version, size);
        assert_eq!(found, Ok(Decoded::Packet { packet, size }), "{version:?}");
    }
}

/// Reads as this packet, and is what this packet is written as.
fn is<'a>(wire: &[u8], versions: &[Version], packet: impl Into<Packet<'a>>) {
    let packet = packet.into();
    for &version in versions {
        let size = wire.len();
        let found = decode(wire, version, size);
        assert_eq!(found, Ok(Decoded::Packet { packet, size }), "{version:?}");
        let mut written = Vec::new();
        assert_eq!(packet.encode(version, &mut written), Ok(size));
        assert_eq!(written, wire, "{version:?}");
    }
}

#[test]
fn connect_tells_its_version() {
    is(
        b"\x10\x0F\0\x06MQIsdp\x03\x02\0\x3C\0\x01c",
        ALL,
        Connect {
            keep_alive: 60,
            ..Connect::new(Version::V31, "c")
        },
    );
    is(
        b"\x10\x0D\0\x04MQTT\x04\x02\0\x3C\0\x01c",
        ALL,
        Connect {
            keep_alive: 60,
            ..Connect::new(Version::V311, "c")
        },
    );
    is(
        b"\x10\x0E\0\x04MQTT\x05\0\0\x3C\0\0\x01c",
        ALL,
        Connect {
            keep_alive: 60,
            clean_start: false,
            ..Connect::new(Version::V5, "c")
        },
    );
}

/// [MQTT-3.1.3-1]: client identifier, will properties, topic and payload, user name, password.
#[test]
fn connect_with_everything() {
    let of_connect = properties(&[
        Property::SessionExpiryInterval(10),
        Property::ReceiveMaximum(20),
    ]);
    let of_will = properties(&[Property::WillDelayInterval(5)]);
    is(
        b"\x10\x2B\0\x04MQTT\x05\xEC\0\x3C\x08\x11\0\0\0\x0A\x21\0\x14\0\x01c\
          \x05\x18\0\0\0\x05\0\x03w/t\0\x02by\0\x01u\0\x01p",
        V5,
        Connect {
            clean_start: false,
            keep_alive: 60,
            will: Some(Will {
                qos: QoS::AtLeastOnce,
                retain: true,
                properties: of_will.as_properties(),
                ..Will::new("w/t", b"by")
            }),
            username: Some("u"),
            password: Some(b"p"),
            properties: of_connect.as_properties(),
            ..Connect::new(Version::V5, "c")
        },
    );
    // 5.0 allows a password without a user name (section 3.1.2.9).
    is(
        b"\x10\x10\0\x04MQTT\x05\x42\0\0\0\0\0\0\x01p",
        V5,
        Connect {
            password: Some(b"p"),
            ..Connect::new(Version::V5, "")
        },
    );
}

/// MQTT 3.1 disregards will QoS and retain without a will, leaves bit 0 unused, and accepts
/// credentials that are flagged but missing.
#[test]
fn connect_of_3_1_is_read_as_3_1_says() {
    let connect = Connect::new(Version::V31, "c");
    reads(b"\x10\x0F\0\x06MQIsdp\x03\x02\0\0\0\x01c", ALL, connect);
    reads(b"\x10\x0F\0\x06MQIsdp\x03\x03\0\0\0\x01c", ALL, connect);
    reads(b"\x10\x0F\0\x06MQIsdp\x03\x3A\0\0\0\x01c", ALL, connect);
    reads(b"\x10\x0F\0\x06MQIsdp\x03\xC2\0\0\0\x01c", ALL, connect);
    reads(
        b"\x10\x12\0\x06MQIsdp\x03\xC2\0\0\0\x01c\0\x01u",
        ALL,
        Connect {
            username: Some("u"),
            ..connect
        },
    );
}

#[test]
fn connack_speaks_the_words_of_its_version() {
    let refused = ConnAck::new(false, ReasonCode::NotAuthorized);
    is(b"\x20\x02\0\x05", V3, refused);
    is(b"\x20\x03\0\x87\0", V5, refused);
    let resumed = ConnAck::new(true, ReasonCode::Success);
    is(b"\x20\x02\x01\0", &[Version::V311], resumed);
    is(b"\x20\x03\x01\0\0", V5, resumed);
    // 3.1 has no session present: the byte is unused there, and written as zero.
    reads(
        b"\x20\x02\xFF\0",
        &[Version::V31],
        ConnAck::new(false, ReasonCode::Success),
    );
    let mut written = Vec::new();
    resumed.encode(Version::V31, &mut written).expect("valid");
    assert_eq!(written, b"\x20\x02\0\0");
}

#[test]
fn publish_in_each_version() {
    is(b"\x30\x07\0\x03a/bhi", V3, Publish::new("a/b", b"hi"));
    is(b"\x30\x08\0\x03a/b\0hi", V5, Publish::new("a/b", b"hi"));
    is(
        b"\x31\x05\0\x03a/b",
        V3,
        Publish {
            retain: true,
            ..Publish::new("a/b", b"")
        },
    );
    let again = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        packet_id: Some(id(0x1234)),
        ..Publish::new("a/b", b"hi")
    };
    is(b"\x3C\x09\0\x03a/b\x12\x34hi", V3, again);
    is(b"\x3C\x0A\0\x03a/b\x12\x34\0hi", V5, again);
    // An alias may stand for the topic name (section 3.3.2.3.4).
    let alias = properties(&[Property::TopicAlias(5)]);
    let publish = Publish {
        properties: alias.as_properties(),
        ..Publish::new("", b"hi")
    };
    is(b"\x30\x08\0\0\x03\x23\0\x05hi", V5, publish);
}

/// [MQTT-1.5.4-3]: U+FEFF is a character like others. Control characters may be accepted.
#[test]
fn unusual_text_arrives_untouched() {
    is(
        b"\x30\x05\0\x03\xEF\xBB\xBF",
        V3,
        Publish::new("\u{FEFF}", b""),
    );
    is(b"\x30\x03\0\x01\x1F", V3, Publish::new("\u{1F}", b""));
    is(
        b"\x30\x05\0\x03\xEF\xBF\xBF",
        V3,
        Publish::new("\u{FFFF}", b""),
    );
    is(
        b"\x30\x06\0\x04\xF0\xAA\x9B\x94",
        V3,
        Publish::new("\u{2A6D4}", b""),
    );
}

/// [MQTT-3.3.4-4]: a PUBLISH to a client has any number of subscription identifiers.
#[test]
fn publish_with_many_properties() {
    let block = properties(&[
        Property::SubscriptionIdentifier(129),
        Property::UserProperty("k", "1"),
        Property::SubscriptionIdentifier(2),
        Property::UserProperty("k", "2"),
    ]);
    let publish = Publish {
        properties: block.as_properties(),
        ..Publish::new("t", b"!")
    };
    is(
        b"\x30\x18\0\x01t\x13\x0B\x81\x01\x26\0\x01k\0\x011\x0B\x02\x26\0\x01k\0\x012!",
        V5,
        publish,
    );
    assert!(publish.properties.subscription_identifiers().eq([129, 2]));
    // [MQTT-3.3.2-18]
    assert!(
        publish
            .properties
            .user_properties()
            .eq([("k", "1"), ("k", "2")])
    );
    assert_eq!(publish.properties.subscription_identifier(), Some(129));
    assert_eq!(publish.properties.content_type(), None);
}

/// Sections 3.4.2.1 and 3.4.2.2.1: what says nothing may be left out.
#[test]
fn acknowledgements_have_short_forms() {
    is(b"\x40\x02\0\x07", ALL, PubAck::new(id(7)));
    reads(b"\x40\x03\0\x07\0", V5, PubAck::new(id(7)));
    reads(b"\x40\x04\0\x07\0\0", V5, PubAck::new(id(7)));
    let refused = PubAck {
        reason_code: ReasonCode::QuotaExceeded,
        ..PubAck::new(id(7))
    };
    is(b"\x40\x03\0\x07\x97", V5, refused);
    reads(b"\x40\x04\0\x07\x97\0", V5, refused);
    let why = properties(&[Property::ReasonString("why")]);
    let explained = PubAck {
        properties: why.as_properties(),
        ..refused
    };
    is(b"\x40\x0A\0\x07\x97\x06\x1F\0\x03why", V5, explained);
}

/// MQTT 3.1 lets DUP be set on every packet that it repeats.
#[test]
fn dup_is_no_error_in_3_1() {
    is(b"\x62\x02\0\x07", ALL, PubRel::new(id(7)));
    reads(b"\x6A\x02\0\x07", &[Version::V31], PubRel::new(id(7)));
    for wire in [&b"\x8A\x06\0\x01\0\x01#\x01"[..], b"\xAA\x05\0\x01\0\x01#"] {
        assert!(matches!(
            decode(wire, Version::V31, 64),
            Ok(Decoded::Packet { .. })
        ));
    }
}

#[test]
fn subscriptions_and_their_answers() {
    let mut filters = SubscribeFiltersBuf::new();
    filters
        .push("a/#", SubscriptionOptions::new(QoS::AtLeastOnce))
        .expect("valid");
    filters
        .push("+", SubscriptionOptions::new(QoS::AtMostOnce))
        .expect("valid");
    let subscribe = Subscribe {
        packet_id: id(10),
        properties: Default::default(),
        filters: filters.as_filters(),
    };
    is(b"\x82\x0C\0\x0A\0\x03a/#\x01\0\x01+\0", V3, subscribe);
    is(b"\x82\x0D\0\x0A\0\0\x03a/#\x01\0\x01+\0", V5, subscribe);

    let options = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let mut filters = SubscribeFiltersBuf::new();
    filters.push("t", options).expect("valid");
    let identifier = properties(&[Property::SubscriptionIdentifier(7)]);
    let subscribe = Subscribe {
        packet_id: id(10),
        properties: identifier.as_properties(),
        filters: filters.as_filters(),
    };
    is(b"\x82\x09\0\x0A\x02\x0B\x07\0\x01t\x2E", V5, subscribe);

    let granted = [
        ReasonCode::GrantedQos2,
        ReasonCode::GRANTED_QOS_0,
        ReasonCode::UnspecifiedError,
    ];
    is(
        b"\x90\x05\0\x0A\x02\0\x80",
        V3,
        SubAck::new(id(10), &granted),
    );
    is(
        b"\x90\x06\0\x0A\0\x02\0\x80",
        V5,
        SubAck::new(id(10), &granted),
    );

    let mut filters = UnsubscribeFiltersBuf::new();
    filters.push("a/#").expect("valid");
    filters.push("+").expect("valid");
    let unsubscribe = Unsubscribe {
        packet_id: id(11),
        properties: Default::default(),
        filters: filters.as_filters(),
    };
    is(b"\xA2\x0A\0\x0B\0\x03a/#\0\x01+", V3, unsubscribe);
    is(b"\xA2\x0B\0\x0B\0\0\x03a/#\0\x01+", V5, unsubscribe);

    is(b"\xB0\x02\0\x0B", V3, UnsubAck::new(id(11), &[]));
    let gone = [ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    is(b"\xB0\x05\0\x0B\0\0\x11", V5, UnsubAck::new(id(11), &gone));
}

#[test]
fn the_short_packets() {
    is(b"\xC0\0", ALL, Packet::PingReq);
    is(b"\xD0\0", ALL, Packet::PingResp);
    let normal = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    is(b"\xE0\0", ALL, normal);
    reads(b"\xE0\x01\0", V5, normal);
    reads(b"\xE0\x02\0\0", V5, normal);
    is(
        b"\xE0\x01\x8E",
        V5,
        Disconnect::new(ReasonCode::SessionTakenOver),
    );
    let method = properties(&[
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(b"d"),
    ]);
    is(
        b"\xF0\x0A\x18\x08\x15\0\x01m\x16\0\x01d",
        V5,
        Auth {
            reason_code: ReasonCode::ContinueAuthentication,
            properties: method.as_properties(),
        },
    );
    is(
        b"\xF0\0",
        V5,
        Auth {
            reason_code: ReasonCode::Success,
            properties: Default::default(),
        },
    );
}

/// A server forwards from any version to any other: what the receiver's version has no
/// place for stays away.
#[test]
fn fields_of_5_0_are_left_out_before_it() {
    let block = properties(&[Property::ContentType("text/plain")]);
    let publish = Publish {
        properties: block.as_properties(),
        ..Publish::new("t", b"!")
    };
    let reason = PubAck {
        reason_code: ReasonCode::NotAuthorized,
        ..PubAck::new(id(1))
    };
    let codes = [ReasonCode::GrantedQos1, ReasonCode::TopicFilterInvalid];
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions {
        no_local: true,
        ..SubscriptionOptions::new(QoS::AtLeastOnce)
    };
    filters.push("t", options).expect("valid");
    let subscribe = Subscribe {
        packet_id: id(1),
        properties: Default::default(),
        filters: filters.as_filters(),
    };
    let table: &[(Packet<'_>, &[u8])] = &[
        (publish.into(), b"\x30\x04\0\x01t!"),
        (reason.into(), b"\x40\x02\0\x01"),
        (SubAck::new(id(1), &codes).into(), b"\x90\x04\0\x01\x01\x80"),
        (
            UnsubAck::new(id(1), &[ReasonCode::Success]).into(),
            b"\xB0\x02\0\x01",
        ),
        (Disconnect::new(ReasonCode::ServerBusy).into(), b"\xE0\0"),
        (subscribe.into(), b"\x82\x06\0\x01\0\x01t\x01"),
        (
            ConnAck::new(false, ReasonCode::ServerBusy).into(),
            b"\x20\x02\0\x03",
        ),
    ];
    for (packet, wire) in table {
        for &version in V3 {
            let mut written = Vec::new();
            assert_eq!(packet.encode(version, &mut written), Ok(wire.len()));
            assert_eq!(written, *wire, "{packet:?}");
        }
    }
}
