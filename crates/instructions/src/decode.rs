//! Bytes to packets.

use std::hint::black_box;

use mqtt_codec::{Decoded, Packet, QoS, Version, decode};

use instructions::packets::{self, TOPIC};

pub(crate) fn publish_v311() -> Box<dyn FnMut()> {
    let bytes = packets::publish(Version::V311, QoS::AtLeastOnce, TOPIC, false);
    each(Version::V311, bytes)
}

pub(crate) fn publish_v5() -> Box<dyn FnMut()> {
    let bytes = packets::publish(Version::V5, QoS::AtLeastOnce, TOPIC, false);
    each(Version::V5, bytes)
}

pub(crate) fn publish_properties() -> Box<dyn FnMut()> {
    each(Version::V5, packets::request())
}

/// Ten filters, and a look at each.
pub(crate) fn subscribe() -> Box<dyn FnMut()> {
    let filters: Vec<String> = (0..10)
        .map(|floor| match floor % 3 {
            0 => format!("building/7/floor/{floor}/room/+/light"),
            1 => format!("building/7/floor/{floor}/#"),
            _ => format!("building/7/floor/{floor}/climate"),
        })
        .collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let bytes = packets::subscribe(Version::V5, QoS::AtLeastOnce, &filters);
    Box::new(move || {
        let decoded = decode(black_box(&bytes), Version::V5, usize::MAX);
        let Ok(Decoded::Packet {
            packet: Packet::Subscribe(subscribe),
            ..
        }) = black_box(decoded)
        else {
            unreachable!("it is a SUBSCRIBE");
        };
        assert_eq!(subscribe.filters.iter().map(black_box).count(), 10);
    })
}

pub(crate) fn connect() -> Box<dyn FnMut()> {
    each(Version::V5, packets::connect_with_everything())
}

fn each(version: Version, bytes: Vec<u8>) -> Box<dyn FnMut()> {
    Box::new(move || {
        let decoded = decode(black_box(&bytes), black_box(version), usize::MAX);
        let decoded = black_box(decoded);
        assert!(matches!(decoded, Ok(Decoded::Packet { size, .. }) if size == bytes.len()));
    })
}
