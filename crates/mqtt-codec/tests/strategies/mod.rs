//! proptest strategies: every packet that a version can carry, as its sender may send it.

use mqtt_codec::{
    OwnedAuth, OwnedConnAck, OwnedConnect, OwnedDisconnect, OwnedPacket, OwnedPubAck, OwnedPubComp,
    OwnedPubRec, OwnedPubRel, OwnedPublish, OwnedSubAck, OwnedSubscribe, OwnedUnsubAck,
    OwnedUnsubscribe, OwnedWill, PacketId, PayloadFormat, PropertiesBuf, Property,
    PropertyId as Id, QoS, ReasonCode as Code, RetainHandling, SubscribeFiltersBuf,
    SubscriptionOptions, UnsubscribeFiltersBuf, Version,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

const ACK: &[Id] = &[Id::ReasonString, Id::UserProperty];

/// Text without U+0000, of one to four bytes per character; at times long enough for a
/// length in two bytes to matter.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z/+#$]{0,12}",
        4 => "[^\u{0}]{0,12}",
        1 => "[^\u{0}]{250,300}",
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 100..20_000)]
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).expect("not zero"))
}

fn qos() -> impl Strategy<Value = QoS> {
    select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..])
}

/// Some property of this identifier, its value made from a number and two texts.
fn property<'a>(id: Id, n: u32, a: &'a str, b: &'a str) -> Property<'a> {
    let (bit, short) = (n & 1 != 0, n as u16);
    match id {
        Id::PayloadFormatIndicator => Property::PayloadFormatIndicator(if bit {
            PayloadFormat::Utf8
        } else {
            PayloadFormat::Bytes
        }),
        Id::MessageExpiryInterval => Property::MessageExpiryInterval(n),
        Id::ContentType => Property::ContentType(a),
        Id::ResponseTopic => Property::ResponseTopic(a),
        Id::CorrelationData => Property::CorrelationData(a.as_bytes()),
        Id::SubscriptionIdentifier => {
            Property::SubscriptionIdentifier((n >> (n % 28)).clamp(1, 268_435_455))
        }
        Id::SessionExpiryInterval => Property::SessionExpiryInterval(n),
        Id::AssignedClientIdentifier => Property::AssignedClientIdentifier(a),
        Id::ServerKeepAlive => Property::ServerKeepAlive(short),
        Id::AuthenticationMethod => Property::AuthenticationMethod(a),
        Id::AuthenticationData => Property::AuthenticationData(b.as_bytes()),
        Id::RequestProblemInformation => Property::RequestProblemInformation(bit),
        Id::WillDelayInterval => Property::WillDelayInterval(n),
        Id::RequestResponseInformation => Property::RequestResponseInformation(bit),
        Id::ResponseInformation => Property::ResponseInformation(a),
        Id::ServerReference => Property::ServerReference(a),
        Id::ReasonString => Property::ReasonString(a),
        Id::ReceiveMaximum => Property::ReceiveMaximum(short.max(1)),
        Id::TopicAliasMaximum => Property::TopicAliasMaximum(short),
        Id::TopicAlias => Property::TopicAlias(short.max(1)),
        Id::MaximumQos => Property::MaximumQos(if bit {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        }),
        Id::RetainAvailable => Property::RetainAvailable(bit),
        Id::UserProperty => Property::UserProperty(a, b),
        Id::MaximumPacketSize => Property::MaximumPacketSize(n.max(1)),
        Id::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(bit),
        Id::SubscriptionIdentifiersAvailable => Property::SubscriptionIdentifiersAvailable(bit),
        Id::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(bit),
    }
}

/// A block of some of these properties, in any order; empty before MQTT 5.0.
fn properties(version: Version, ids: &'static [Id]) -> BoxedStrategy<PropertiesBuf> {
    if !version.is_v5() {
        return Just(PropertiesBuf::new()).boxed();
    }
    vec((select(ids), any::<u32>(), text(), text()), 0..8)
        .prop_map(|values| {
            let mut block = PropertiesBuf::new();
            for (id, n, a, b) in &values {
                let method = Id::AuthenticationMethod;
                if *id == Id::AuthenticationData && !block.as_properties().contains(method) {
                    block
                        .push(property(method, 0, b, a))
                        .expect("first of its kind");
                }
                // What may be there once is there already at times.
                let _ = block.push(property(*id, *n, a, b));
            }
            block
        })
        .boxed()
}

/// One of these codes in MQTT 5.0, success before it.
fn code(version: Version, codes: &'static [Code]) -> BoxedStrategy<Code> {
    if version.is_v5() {
        select(codes).boxed()
    } else {
        Just(Code::Success).boxed()
    }
}

fn connect(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const CONNECT: &[Id] = &[
        Id::SessionExpiryInterval,
        Id::AuthenticationMethod,
        Id::AuthenticationData,
        Id::RequestProblemInformation,
        Id::RequestResponseInformation,
        Id::ReceiveMaximum,
        Id::TopicAliasMaximum,
        Id::UserProperty,
        Id::MaximumPacketSize,
    ];
    const WILL: &[Id] = &[
        Id::PayloadFormatIndicator,
        Id::MessageExpiryInterval,
        Id::ContentType,
        Id::ResponseTopic,
        Id::CorrelationData,
        Id::WillDelayInterval,
        Id::UserProperty,
    ];
    let will = (
        qos(),
        any::<bool>(),
        text(),
        bytes(),
        properties(version, WILL),
    )
        .prop_map(|(qos, retain, topic, payload, properties)| OwnedWill {
            qos,
            retain,
            topic,
            payload: payload.into(),
            properties,
        });
    (
        any::<bool>(),
        any::<u16>(),
        text(),
        option::of(will),
        option::of(text()),
        option::of(bytes()),
        properties(version, CONNECT),
    )
        .prop_map(
            move |(clean_start, keep_alive, client_id, will, username, password, properties)| {
                let password = password.filter(|_| version.is_v5() || username.is_some());
                OwnedPacket::Connect(OwnedConnect {
                    version,
                    clean_start,
                    keep_alive,
                    client_id,
                    will,
                    username,
                    password,
                    properties,
                })
            },
        )
}

fn connack(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const CONNACK: &[Id] = &[
        Id::SessionExpiryInterval,
        Id::AssignedClientIdentifier,
        Id::ServerKeepAlive,
        Id::AuthenticationMethod,
        Id::AuthenticationData,
        Id::ResponseInformation,
        Id::ServerReference,
        Id::ReasonString,
        Id::ReceiveMaximum,
        Id::TopicAliasMaximum,
        Id::MaximumQos,
        Id::RetainAvailable,
        Id::UserProperty,
        Id::MaximumPacketSize,
        Id::WildcardSubscriptionAvailable,
        Id::SubscriptionIdentifiersAvailable,
        Id::SharedSubscriptionAvailable,
    ];
    // The first five are those of MQTT 3.x.
    const CODES: &[Code] = &[
        Code::UnsupportedProtocolVersion,
        Code::ClientIdentifierNotValid,
        Code::ServerUnavailable,
        Code::BadUserNameOrPassword,
        Code::NotAuthorized,
        Code::MalformedPacket,
        Code::Banned,
        Code::ConnectionRateExceeded,
    ];
    let codes = if version.is_v5() { CODES } else { &CODES[..5] };
    let code = prop_oneof![Just(Code::Success), select(codes)];
    (any::<bool>(), code, properties(version, CONNACK)).prop_map(
        move |(present, reason_code, properties)| {
            OwnedPacket::ConnAck(OwnedConnAck {
                session_present: present && !reason_code.is_error() && version != Version::V31,
                reason_code,
                properties,
            })
        },
    )
}

fn publish(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const PUBLISH: &[Id] = &[
        Id::PayloadFormatIndicator,
        Id::MessageExpiryInterval,
        Id::ContentType,
        Id::ResponseTopic,
        Id::CorrelationData,
        Id::SubscriptionIdentifier,
        Id::TopicAlias,
        Id::UserProperty,
    ];
    (
        any::<(bool, bool)>(),
        qos(),
        text(),
        packet_id(),
        properties(version, PUBLISH),
        bytes(),
    )
        .prop_map(
            |((dup, retain), qos, mut topic, packet_id, properties, payload)| {
                if topic.is_empty() && !properties.as_properties().contains(Id::TopicAlias) {
                    topic.push('t');
                }
                let acknowledged = qos != QoS::AtMostOnce;
                OwnedPacket::Publish(OwnedPublish {
                    dup: dup && acknowledged,
                    qos,
                    retain,
                    topic,
                    packet_id: acknowledged.then_some(packet_id),
                    properties,
                    payload: payload.into(),
                })
            },
        )
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP.
fn acknowledgement(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const PUBACK: &[Code] = &[
        Code::Success,
        Code::NoMatchingSubscribers,
        Code::NotAuthorized,
        Code::QuotaExceeded,
    ];
    const PUBREL: &[Code] = &[Code::Success, Code::PacketIdentifierNotFound];
    (
        0..4,
        packet_id(),
        code(version, PUBACK),
        code(version, PUBREL),
        properties(version, ACK),
    )
        .prop_map(|(kind, packet_id, puback, pubrel, properties)| match kind {
            0 => OwnedPacket::PubAck(OwnedPubAck {
                packet_id,
                reason_code: puback,
                properties,
            }),
            1 => OwnedPacket::PubRec(OwnedPubRec {
                packet_id,
                reason_code: puback,
                properties,
            }),
            2 => OwnedPacket::PubRel(OwnedPubRel {
                packet_id,
                reason_code: pubrel,
                properties,
            }),
            _ => OwnedPacket::PubComp(OwnedPubComp {
                packet_id,
                reason_code: pubrel,
                properties,
            }),
        })
}

fn subscribe(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const HANDLING: &[RetainHandling] = &[
        RetainHandling::Send,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ];
    let options = (qos(), any::<(bool, bool)>(), select(HANDLING)).prop_map(
        move |(qos, (no_local, retain_as_published), retain_handling)| {
            if !version.is_v5() {
                return SubscriptionOptions::new(qos);
            }
            SubscriptionOptions {
                qos,
                no_local,
                retain_as_published,
                retain_handling,
            }
        },
    );
    let ids = &[Id::UserProperty][..];
    (
        packet_id(),
        option::of(1..=268_435_455u32),
        properties(version, ids),
        vec((text(), options), 1..6),
    )
        .prop_map(move |(packet_id, identifier, mut properties, entries)| {
            if let Some(id) = identifier.filter(|_| version.is_v5()) {
                properties
                    .push(Property::SubscriptionIdentifier(id))
                    .expect("the only one");
            }
            let mut filters = SubscribeFiltersBuf::new();
            for (filter, options) in &entries {
                filters.push(filter, *options).expect("short");
            }
            OwnedPacket::Subscribe(OwnedSubscribe {
                packet_id,
                properties,
                filters,
            })
        })
}

fn suback(version: Version) -> impl Strategy<Value = OwnedPacket> {
    // The first four are those of MQTT 3.x.
    const CODES: &[Code] = &[
        Code::Success,
        Code::GrantedQos1,
        Code::GrantedQos2,
        Code::UnspecifiedError,
        Code::NotAuthorized,
        Code::TopicFilterInvalid,
        Code::SharedSubscriptionsNotSupported,
    ];
    let codes = if version.is_v5() { CODES } else { &CODES[..4] };
    (
        packet_id(),
        properties(version, ACK),
        vec(select(codes), 1..6),
    )
        .prop_map(|(packet_id, properties, reason_codes)| {
            OwnedPacket::SubAck(OwnedSubAck {
                packet_id,
                properties,
                reason_codes,
            })
        })
}

fn unsubscribe(version: Version) -> impl Strategy<Value = OwnedPacket> {
    let ids = &[Id::UserProperty][..];
    (packet_id(), properties(version, ids), vec(text(), 1..6)).prop_map(
        |(packet_id, properties, entries)| {
            let mut filters = UnsubscribeFiltersBuf::new();
            for filter in &entries {
                filters.push(filter).expect("short");
            }
            OwnedPacket::Unsubscribe(OwnedUnsubscribe {
                packet_id,
                properties,
                filters,
            })
        },
    )
}

fn unsuback(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const CODES: &[Code] = &[
        Code::Success,
        Code::NoSubscriptionExisted,
        Code::NotAuthorized,
    ];
    let count = if version.is_v5() { 1..6 } else { 0..1 };
    (
        packet_id(),
        properties(version, ACK),
        vec(select(CODES), count),
    )
        .prop_map(|(packet_id, properties, reason_codes)| {
            OwnedPacket::UnsubAck(OwnedUnsubAck {
                packet_id,
                properties,
                reason_codes,
            })
        })
}

fn disconnect(version: Version) -> impl Strategy<Value = OwnedPacket> {
    const CODES: &[Code] = &[
        Code::Success,
        Code::DisconnectWithWill,
        Code::SessionTakenOver,
        Code::WildcardSubscriptionsNotSupported,
    ];
    const IDS: &[Id] = &[
        Id::SessionExpiryInterval,
        Id::ServerReference,
        Id::ReasonString,
        Id::UserProperty,
    ];
    (code(version, CODES), properties(version, IDS)).prop_map(|(reason_code, properties)| {
        OwnedPacket::Disconnect(OwnedDisconnect {
            reason_code,
            properties,
        })
    })
}

fn auth() -> impl Strategy<Value = OwnedPacket> {
    const CODES: &[Code] = &[
        Code::Success,
        Code::ContinueAuthentication,
        Code::ReAuthenticate,
    ];
    const IDS: &[Id] = &[
        Id::AuthenticationMethod,
        Id::AuthenticationData,
        Id::ReasonString,
        Id::UserProperty,
    ];
    (select(CODES), properties(Version::V5, IDS), text()).prop_map(
        |(reason_code, mut properties, method)| {
            let block = properties.as_properties();
            let short = reason_code == Code::Success && block.is_empty();
            if !short && !block.contains(Id::AuthenticationMethod) {
                properties
                    .push(Property::AuthenticationMethod(&method))
                    .expect("the only one");
            }
            OwnedPacket::Auth(OwnedAuth {
                reason_code,
                properties,
            })
        },
    )
}

/// Any packet of this version, each type about as often as the others.
pub(crate) fn packet(version: Version) -> impl Strategy<Value = OwnedPacket> {
    let pings = select(&[OwnedPacket::PingReq, OwnedPacket::PingResp][..]);
    let last = if version.is_v5() {
        auth().boxed()
    } else {
        pings.clone().boxed()
    };
    prop_oneof![
        2 => connect(version),
        1 => connack(version),
        3 => publish(version),
        2 => acknowledgement(version),
        1 => subscribe(version),
        1 => suback(version),
        1 => unsubscribe(version),
        1 => unsuback(version),
        1 => disconnect(version),
        1 => pings,
        1 => last,
    ]
}

/// Any version.
pub(crate) fn version() -> impl Strategy<Value = Version> {
    select(&[Version::V31, Version::V311, Version::V5][..])
}

/// Any packet of any version.
pub(crate) fn versioned_packet() -> impl Strategy<Value = (Version, OwnedPacket)> {
    version().prop_flat_map(|version| (Just(version), packet(version)))
}

/// The packets of one connection, one after the other.
pub(crate) fn stream() -> impl Strategy<Value = (Version, Vec<OwnedPacket>)> {
    version().prop_flat_map(|version| (Just(version), vec(packet(version), 0..6)))
}
