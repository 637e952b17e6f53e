//! The packets, as bytes. Every codec gets the same ones.

use mqtt_codec::{
    Connect, PacketId, PayloadFormat, PropertiesBuf, Property, Publish, QoS, Subscribe,
    SubscribeFiltersBuf, SubscriptionOptions, Version, Will,
};

/// A topic name as devices use them: 34 bytes of ASCII.
const TOPIC: &str = "building/7/floor/3/room/21/climate";

/// A PUBLISH of QoS 1 with a payload of so many bytes, without properties.
#[must_use]
pub fn publish(version: Version, payload_bytes: usize) -> Vec<u8> {
    let payload = vec![b'x'; payload_bytes];
    let mut frame = Vec::new();
    Publish {
        qos: QoS::AtLeastOnce,
        packet_id: PacketId::new(4711),
        ..Publish::new(TOPIC, &payload)
    }
    .encode(version, &mut frame)
    .expect("a valid packet");
    frame
}

/// The same with the properties of a request: four of them, one a user property.
#[must_use]
pub fn publish_with_properties(payload_bytes: usize) -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    for property in [
        Property::PayloadFormatIndicator(PayloadFormat::Utf8),
        Property::ResponseTopic("building/7/answers"),
        Property::CorrelationData(b"0123456789abcdef"),
        Property::UserProperty("unit", "kelvin"),
    ] {
        properties.push(property).expect("a valid property");
    }
    let payload = vec![b'x'; payload_bytes];
    let mut frame = Vec::new();
    Publish {
        qos: QoS::AtLeastOnce,
        packet_id: PacketId::new(4711),
        properties: properties.as_properties(),
        ..Publish::new(TOPIC, &payload)
    }
    .encode(Version::V5, &mut frame)
    .expect("a valid packet");
    frame
}

/// A SUBSCRIBE with ten filters of 20 to 31 bytes.
#[must_use]
pub fn subscribe(version: Version) -> Vec<u8> {
    let mut filters = SubscribeFiltersBuf::new();
    for floor in 0..10 {
        let filter = match floor % 3 {
            0 => format!("building/7/floor/{floor}/room/+/light"),
            1 => format!("building/7/floor/{floor}/#"),
            _ => format!("building/7/floor/{floor}/climate"),
        };
        let options = SubscriptionOptions::new(QoS::AtLeastOnce);
        filters.push(&filter, options).expect("a valid filter");
    }
    let mut frame = Vec::new();
    Subscribe {
        packet_id: PacketId::MIN,
        properties: Default::default(),
        filters: filters.as_filters(),
    }
    .encode(version, &mut frame)
    .expect("a valid packet");
    frame
}

/// A CONNECT of MQTT 5.0 with four properties, a will with two, user name and password.
#[must_use]
pub fn connect_v5() -> Vec<u8> {
    let (mut properties, mut of_will) = (PropertiesBuf::new(), PropertiesBuf::new());
    for property in [
        Property::SessionExpiryInterval(3600),
        Property::ReceiveMaximum(100),
        Property::MaximumPacketSize(65_536),
        Property::UserProperty("firmware", "4.2.1"),
    ] {
        properties.push(property).expect("a valid property");
    }
    for property in [
        Property::WillDelayInterval(10),
        Property::ContentType("text/plain"),
    ] {
        of_will.push(property).expect("a valid property");
    }
    let mut frame = Vec::new();
    Connect {
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
    }
    .encode(Version::V5, &mut frame)
    .expect("a valid packet");
    frame
}

/// So many copies, one behind the other, as they stand in a read buffer.
#[must_use]
pub fn stream(frame: &[u8], count: usize) -> Vec<u8> {
    frame.repeat(count)
}
