//! Encoding the same PUBLISH with each codec into memory that is there already, or, where a
//! codec knows no such thing (mqtt-protocol-core), into memory of its own.

use std::hint::black_box;
use std::time::Duration;

use codec_bench::packets;
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use mqtt_codec::{Decoded, Packet, PacketId, Version};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn encode(c: &mut Criterion) {
    let frame = packets::publish(Version::V311, 64);
    let mut group = c.benchmark_group("encode/publish 64 B, 3.1.1");
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(40);

    ours(&mut group, &frame);
    mqttrs(&mut group, &frame);
    rumqttc(&mut group, &frame);
    protocol_core(&mut group, &frame);
    group.finish();
}

fn ours(group: &mut Group<'_>, frame: &[u8]) {
    let version = Version::V311;
    let Ok(Decoded::Packet {
        packet: Packet::Publish(publish),
        ..
    }) = mqtt_codec::decode(frame, version, usize::MAX)
    else {
        unreachable!("a PUBLISH")
    };
    let mut buf = Vec::with_capacity(1024);
    group.bench_function("mqtt-codec", |b| {
        b.iter(|| {
            buf.clear();
            let written = black_box(&publish).encode(version, &mut buf);
            black_box(&buf);
            written
        });
    });
    assert_eq!(buf, frame);
    group.bench_function("mqtt-codec, head only", |b| {
        b.iter(|| {
            buf.clear();
            let head = black_box(&publish).encode_head(version, &mut buf);
            black_box(&buf);
            head
        });
    });
    let mut patched = frame.to_vec();
    group.bench_function("mqtt-codec, patch packet id", |b| {
        let packet_id = PacketId::new(4712).expect("not zero");
        b.iter(|| mqtt_codec::patch_packet_id(black_box(&mut patched), packet_id));
    });
}

fn mqttrs(group: &mut Group<'_>, frame: &[u8]) {
    let packet = mqttrs::decode_slice(frame).expect("valid").expect("whole");
    let mut space = [0; 1024];
    group.bench_function("mqttrs", |b| {
        b.iter(|| {
            let written = mqttrs::encode_slice(black_box(&packet), &mut space);
            black_box(&space);
            written
        });
    });
    assert_eq!(space[..frame.len()], *frame);
}

fn rumqttc(group: &mut Group<'_>, frame: &[u8]) {
    let mut stream = bytes::BytesMut::from(frame);
    let packet = rumqttc::mqttbytes::v4::Packet::read(&mut stream, 1024).expect("valid");
    let mut buf = bytes::BytesMut::with_capacity(1024);
    group.bench_function("rumqttc", |b| {
        b.iter(|| {
            buf.clear();
            let written = black_box(&packet).write(&mut buf, 1024);
            black_box(&buf);
            written.is_ok()
        });
    });
    assert_eq!(buf, frame);
}

fn protocol_core(group: &mut Group<'_>, frame: &[u8]) {
    let body: std::sync::Arc<[u8]> = frame[2..].into();
    let (packet, _) =
        mqtt_protocol_core::mqtt::packet::v3_1_1::Publish::parse(frame[0] & 0x0F, body)
            .expect("valid");
    assert_eq!(packet.to_continuous_buffer(), frame);
    group.bench_function("mqtt-protocol-core", |b| {
        b.iter(|| black_box(&packet).to_continuous_buffer());
    });
}

criterion_group!(benches, encode);
criterion_main!(benches);
