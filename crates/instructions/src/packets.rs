//! The packets of the steps, as bytes.

use mqtt_codec::{
    Connect, Packet, PacketId, PayloadFormat, PropertiesBuf, Property, PubAck, PubComp, PubRec,
    PubRel, Publish, QoS, Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe,
    UnsubscribeFiltersBuf, Version, Will,
};

/// A topic name as devices use them: 34 bytes of ASCII.
pub const TOPIC: &str = "building/7/floor/3/room/21/climate";

/// 64 bytes.
pub const PAYLOAD: &[u8; 64] = &[b'x'; 64];

/// Any packet.
pub fn bytes(version: Version, packet: Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet
        .encode(version, &mut bytes)
        .expect("a packet that can be encoded");
    bytes
}

/// A PUBLISH with [`PAYLOAD`].
pub fn publish(version: Version, qos: QoS, topic: &str, retain: bool) -> Vec<u8> {
    let packet_id = (qos != QoS::AtMostOnce).then_some(PacketId::MIN);
    let publish = Publish {
        qos,
        packet_id,
        retain,
        ..Publish::new(topic, PAYLOAD)
    };
    bytes(version, Packet::Publish(publish))
}

/// A PUBLISH with the four properties of a request.
pub fn request() -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    for property in [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::ResponseTopic("building/7/answers"),
        Property::CorrelationData(b"0123456789abcdef"),
        Property::UserProperty("unit", "kelvin"),
    ] {
        properties.push(property).expect("a property that fits");
    }
    let publish = Publish {
        qos: QoS::AtLeastOnce,
        packet_id: Some(PacketId::MIN),
        properties: properties.as_properties(),
        ..Publish::new(TOPIC, PAYLOAD)
    };
    bytes(Version::V5, Packet::Publish(publish))
}

/// A SUBSCRIBE.
pub fn subscribe(version: Version, qos: QoS, filters: &[&str]) -> Vec<u8> {
    let mut list = SubscribeFiltersBuf::new();
    for filter in filters {
        list.push(filter, SubscriptionOptions::new(qos))
            .expect("a filter that fits");
    }
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: Default::default(),
        filters: list.as_filters(),
    };
    bytes(version, Packet::Subscribe(subscribe))
}

/// An UNSUBSCRIBE.
pub fn unsubscribe(version: Version, filters: &[&str]) -> Vec<u8> {
    let mut list = UnsubscribeFiltersBuf::new();
    for filter in filters {
        list.push(filter).expect("a filter that fits");
    }
    let unsubscribe = Unsubscribe {
        packet_id: PacketId::MIN,
        properties: Default::default(),
        filters: list.as_filters(),
    };
    bytes(version, Packet::Unsubscribe(unsubscribe))
}

/// A CONNECT of a session that ends with its connection, or of one that is kept for an hour.
pub fn connect(version: Version, client_id: &str, keep: bool) -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    if keep && version == Version::V5 {
        properties
            .push(Property::SessionExpiryInterval(3_600))
            .expect("a property that fits");
    }
    let connect = Connect {
        clean_start: !keep,
        keep_alive: 60,
        properties: properties.as_properties(),
        ..Connect::new(version, client_id)
    };
    bytes(version, Packet::Connect(connect))
}

/// A CONNECT of MQTT 5.0 with four properties, a will with two, user name and password.
pub fn connect_with_everything() -> Vec<u8> {
    let (mut properties, mut of_will) = (PropertiesBuf::new(), PropertiesBuf::new());
    for property in [
        Property::SessionExpiryInterval(3_600),
        Property::ReceiveMaximum(100),
        Property::MaximumPacketSize(65_536),
        Property::UserProperty("firmware", "4.2.1"),
    ] {
        properties.push(property).expect("a property that fits");
    }
    for property in [
        Property::WillDelayInterval(10),
        Property::ContentType("text/plain"),
    ] {
        of_will.push(property).expect("a property that fits");
    }
    let connect = Connect {
        keep_alive: 60,
        will: Some(Will {
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: of_will.as_properties(),
            ..Will::new("building/7/floor/3/state", b"offline")
        }),
        username: Some("sensor-21"),
        password: Some(b"correct horse battery staple"),
        properties: properties.as_properties(),
        ..Connect::new(Version::V5, "sensor-21-climate")
    };
    bytes(Version::V5, Packet::Connect(connect))
}

/// What a receiver answers: PUBACK, PUBREC, PUBCOMP, and what a sender says in between, PUBREL.
pub fn acknowledgement(version: Version, kind: u8, packet_id: PacketId) -> [u8; 4] {
    let packet = match kind {
        4 => Packet::PubAck(PubAck::new(packet_id)),
        5 => Packet::PubRec(PubRec::new(packet_id)),
        6 => Packet::PubRel(PubRel::new(packet_id)),
        _ => Packet::PubComp(PubComp::new(packet_id)),
    };
    let mut bytes = [0; 4];
    packet
        .encode(version, &mut bytes.as_mut_slice())
        .expect("four bytes");
    bytes
}
