//! One way through each codec: read a buffer full of packets to its end and return how many
//! there were. Each packet is shown to `black_box` where the codec put it, so that no field of
//! it is free and none is copied once more.
//!
//! Each codec gets its input in the form that it asks for, prepared before the clock
//! starts: a slice, a `BytesMut`, or (mqtt-protocol-core) bodies already cut out, those of
//! PUBLISH already in an `Arc`, with its fixed header already parsed.

use std::hint::black_box;
use std::sync::Arc;

use mqtt_codec::{Decoded, Packet, Version};
use ntex_codec::Decoder as _;
use tokio_util::codec::Decoder as _;

/// This crate. Lists and properties are lazy, so they are walked to their ends here.
pub fn ours(mut stream: &[u8], version: Version) -> usize {
    let mut count = 0;
    loop {
        let decoded = mqtt_codec::decode(stream, version, usize::MAX);
        let Ok(Decoded::Packet { packet, size }) = &decoded else {
            return count;
        };
        stream = &stream[*size..];
        black_box(packet);
        match packet {
            Packet::Subscribe(subscribe) => {
                for entry in subscribe.filters {
                    black_box(entry);
                }
            }
            Packet::Publish(publish) => walk(&publish.properties),
            Packet::Connect(connect) => {
                walk(&connect.properties);
                if let Some(will) = &connect.will {
                    walk(&will.properties);
                }
            }
            _ => {}
        }
        count += 1;
    }
}

fn walk(properties: &mqtt_codec::Properties<'_>) {
    for property in properties.iter() {
        black_box(property);
    }
}

/// This crate, without a look at lists and properties: what is validated but not yet read.
pub fn ours_unread(mut stream: &[u8], version: Version) -> usize {
    let mut count = 0;
    loop {
        let decoded = mqtt_codec::decode(stream, version, usize::MAX);
        let Ok(Decoded::Packet { packet, size }) = &decoded else {
            return count;
        };
        stream = &stream[*size..];
        black_box(packet);
        count += 1;
    }
}

/// This crate without its short way for PUBLISH.
pub fn ours_by_parsers(mut stream: &[u8], version: Version) -> usize {
    let mut count = 0;
    loop {
        let decoded = mqtt_codec::decode_by_parsers(stream, version, usize::MAX);
        let Ok(Decoded::Packet { packet, size }) = &decoded else {
            return count;
        };
        stream = &stream[*size..];
        black_box(packet);
        count += 1;
    }
}

/// mqttrs: borrows, knows 3.1.1 only. It does not tell how long the packet was, so its user
/// has to look at the remaining length once more.
pub fn mqttrs(mut stream: &[u8]) -> usize {
    let mut count = 0;
    loop {
        let decoded = mqttrs::decode_slice(stream);
        let Ok(Some(packet)) = &decoded else {
            return count;
        };
        black_box(packet);
        let (mut size, mut shift, mut header) = (0, 0, 1);
        for byte in &stream[1..] {
            size |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            header += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        stream = &stream[header + size..];
        count += 1;
    }
}

pub fn rumqttc_v4(stream: &mut bytes::BytesMut) -> usize {
    let mut count = 0;
    loop {
        let decoded = rumqttc::mqttbytes::v4::Packet::read(stream, usize::MAX);
        let Ok(packet) = &decoded else {
            return count;
        };
        black_box(packet);
        count += 1;
    }
}

pub fn rumqttc_v5(stream: &mut bytes::BytesMut) -> usize {
    let mut count = 0;
    loop {
        let decoded = rumqttc::v5::mqttbytes::v5::Packet::read(stream, None);
        let Ok(packet) = &decoded else {
            return count;
        };
        black_box(packet);
        count += 1;
    }
}

pub fn ntex_v3(stream: &mut ntex_bytes::BytesMut) -> usize {
    let codec = ntex_mqtt::v3::codec::Codec::new();
    let mut count = 0;
    loop {
        let decoded = codec.decode(stream);
        let Ok(Some(packet)) = &decoded else {
            return count;
        };
        black_box(packet);
        count += 1;
    }
}

pub fn ntex_v5(stream: &mut ntex_bytes::BytesMut) -> usize {
    let codec = ntex_mqtt::v5::codec::Codec::new();
    let mut count = 0;
    loop {
        let decoded = codec.decode(stream);
        let Ok(Some(packet)) = &decoded else {
            return count;
        };
        black_box(packet);
        count += 1;
    }
}

pub fn rmqtt_v3(stream: &mut bytes::BytesMut) -> usize {
    let mut codec = rmqtt_codec::v3::Codec::new(1 << 28);
    let mut count = 0;
    loop {
        let decoded = codec.decode(stream);
        let Ok(Some(packet)) = &decoded else {
            return count;
        };
        black_box(packet);
        count += 1;
    }
}

pub fn rmqtt_v5(stream: &mut bytes::BytesMut) -> usize {
    let mut codec = rmqtt_codec::v5::Codec::new(1 << 28, 1 << 28);
    let mut count = 0;
    loop {
        let decoded = codec.decode(stream);
        let Ok(Some(packet)) = &decoded else {
            return count;
        };
        black_box(packet);
        count += 1;
    }
}

pub fn protocol_core_publish_v3(flags: u8, bodies: &[Arc<[u8]>]) -> usize {
    use mqtt_protocol_core::mqtt::packet::v3_1_1::Publish;
    let parse = |body: &Arc<[u8]>| black_box(&Publish::parse(flags, body.clone())).is_ok();
    bodies.iter().filter(|body| parse(body)).count()
}

pub fn protocol_core_publish_v5(flags: u8, bodies: &[Arc<[u8]>]) -> usize {
    use mqtt_protocol_core::mqtt::packet::v5_0::Publish;
    let parse = |body: &Arc<[u8]>| black_box(&Publish::parse(flags, body.clone())).is_ok();
    bodies.iter().filter(|body| parse(body)).count()
}

pub fn protocol_core_subscribe_v3(bodies: &[Arc<[u8]>]) -> usize {
    use mqtt_protocol_core::mqtt::packet::v3_1_1::Subscribe;
    let parse = |body: &Arc<[u8]>| black_box(&Subscribe::parse(body)).is_ok();
    bodies.iter().filter(|body| parse(body)).count()
}

pub fn protocol_core_subscribe_v5(bodies: &[Arc<[u8]>]) -> usize {
    use mqtt_protocol_core::mqtt::packet::v5_0::Subscribe;
    let parse = |body: &Arc<[u8]>| black_box(&Subscribe::parse(body)).is_ok();
    bodies.iter().filter(|body| parse(body)).count()
}

pub fn protocol_core_connect_v5(bodies: &[Arc<[u8]>]) -> usize {
    use mqtt_protocol_core::mqtt::packet::v5_0::Connect;
    let parse = |body: &Arc<[u8]>| black_box(&Connect::parse(body)).is_ok();
    bodies.iter().filter(|body| parse(body)).count()
}
