//! Packets to bytes.

use std::hint::black_box;

use mqtt_codec::{PacketId, Publish, QoS, Version};

use instructions::packets::{PAYLOAD, TOPIC};

pub(crate) fn publish() -> Box<dyn FnMut()> {
    let mut bytes = Vec::with_capacity(256);
    Box::new(move || {
        bytes.clear();
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(PacketId::MIN),
            ..Publish::new(black_box(TOPIC), black_box(PAYLOAD))
        };
        let written = publish.encode(Version::V5, &mut bytes);
        assert_eq!(written, Ok(bytes.len()));
        black_box(&bytes);
    })
}
