//! Decoding the same packets with each codec; see README.md for what the numbers mean.

use std::sync::Arc;
use std::time::Duration;

use codec_bench::{packets, readers};
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use mqtt_codec::{FixedHeader, Peeked, Version};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// A group of codecs on one packet, and how many of it stand in the buffer.
struct Case<'c> {
    group: Group<'c>,
    frame: Vec<u8>,
    count: usize,
}

impl<'c> Case<'c> {
    fn new(criterion: &'c mut Criterion, name: &str, frame: Vec<u8>) -> Self {
        let count = if frame.len() > 4096 { 32 } else { 256 };
        let mut group = criterion.benchmark_group(name);
        group
            .throughput(Throughput::Elements(count as u64))
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_millis(1500))
            .sample_size(40);
        Self {
            group,
            frame,
            count,
        }
    }

    /// A codec that reads from a slice.
    fn slice(&mut self, name: &str, read: impl Fn(&[u8]) -> usize) {
        let stream = packets::stream(&self.frame, self.count);
        assert_eq!(read(&stream), self.count, "{name}");
        self.group
            .bench_function(name, |b| b.iter(|| read(&stream)));
    }

    /// A codec that eats a `BytesMut`; filling it and dropping it are not measured.
    fn bytes(&mut self, name: &str, read: impl Fn(&mut bytes::BytesMut) -> usize) {
        let stream = packets::stream(&self.frame, self.count);
        let fill = || bytes::BytesMut::from(&stream[..]);
        assert_eq!(read(&mut fill()), self.count, "{name}");
        self.group.bench_function(name, |b| {
            b.iter_batched(
                fill,
                |mut buf| {
                    read(&mut buf);
                    buf
                },
                BatchSize::LargeInput,
            );
        });
    }

    /// The same for the `BytesMut` of ntex.
    fn ntex(&mut self, name: &str, read: impl Fn(&mut ntex_bytes::BytesMut) -> usize) {
        let stream = packets::stream(&self.frame, self.count);
        let fill = || ntex_bytes::BytesMut::copy_from_slice(&stream);
        assert_eq!(read(&mut fill()), self.count, "{name}");
        self.group.bench_function(name, |b| {
            b.iter_batched(
                fill,
                |mut buf| {
                    read(&mut buf);
                    buf
                },
                BatchSize::LargeInput,
            );
        });
    }

    /// A codec that wants bodies cut out by somebody else.
    fn bodies(&mut self, name: &str, read: impl Fn(&[Arc<[u8]>]) -> usize) {
        let Ok(Peeked::Header(header)) = FixedHeader::peek(&self.frame, Version::V5, usize::MAX)
        else {
            unreachable!("the frame is whole")
        };
        let body = &self.frame[header.header_len()..];
        let bodies: Vec<Arc<[u8]>> = (0..self.count).map(|_| body.into()).collect();
        assert_eq!(read(&bodies), self.count, "{name}");
        self.group
            .bench_function(name, |b| b.iter(|| read(&bodies)));
    }
}

fn publish_v3(c: &mut Criterion, name: &str, payload_bytes: usize) {
    let version = Version::V311;
    let frame = packets::publish(version, payload_bytes);
    let first = frame[0];
    let mut case = Case::new(c, name, frame);
    case.slice("mqtt-codec", |stream| readers::ours(stream, version));
    case.slice("mqtt-codec, by parsers", |stream| {
        readers::ours_by_parsers(stream, version)
    });
    case.slice("mqttrs", readers::mqttrs);
    case.bytes("rumqttc", readers::rumqttc_v4);
    case.bytes("rmqtt-codec", readers::rmqtt_v3);
    case.ntex("ntex-mqtt", readers::ntex_v3);
    case.bodies("mqtt-protocol-core", |bodies| {
        readers::protocol_core_publish_v3(first & 0x0F, bodies)
    });
}

fn publish_v5(c: &mut Criterion, name: &str, frame: Vec<u8>) {
    let first = frame[0];
    let mut case = Case::new(c, name, frame);
    case.slice("mqtt-codec", |stream| readers::ours(stream, Version::V5));
    case.slice("mqtt-codec, unread", |stream| {
        readers::ours_unread(stream, Version::V5)
    });
    case.bytes("rumqttc", readers::rumqttc_v5);
    case.bytes("rmqtt-codec", readers::rmqtt_v5);
    case.ntex("ntex-mqtt", readers::ntex_v5);
    case.bodies("mqtt-protocol-core", |bodies| {
        readers::protocol_core_publish_v5(first & 0x0F, bodies)
    });
}

fn subscribe_v3(c: &mut Criterion) {
    let version = Version::V311;
    let frame = packets::subscribe(version);
    let mut case = Case::new(c, "decode/subscribe 10 filters, 3.1.1", frame);
    case.slice("mqtt-codec", |stream| readers::ours(stream, version));
    case.slice("mqtt-codec, unread", |stream| {
        readers::ours_unread(stream, version)
    });
    case.slice("mqttrs", readers::mqttrs);
    case.bytes("rumqttc", readers::rumqttc_v4);
    case.bytes("rmqtt-codec", readers::rmqtt_v3);
    case.ntex("ntex-mqtt", readers::ntex_v3);
    case.bodies("mqtt-protocol-core", readers::protocol_core_subscribe_v3);
}

fn subscribe_v5(c: &mut Criterion) {
    let frame = packets::subscribe(Version::V5);
    let mut case = Case::new(c, "decode/subscribe 10 filters, 5.0", frame);
    case.slice("mqtt-codec", |stream| readers::ours(stream, Version::V5));
    case.slice("mqtt-codec, unread", |stream| {
        readers::ours_unread(stream, Version::V5)
    });
    case.bytes("rumqttc", readers::rumqttc_v5);
    case.bytes("rmqtt-codec", readers::rmqtt_v5);
    case.ntex("ntex-mqtt", readers::ntex_v5);
    case.bodies("mqtt-protocol-core", readers::protocol_core_subscribe_v5);
}

fn connect_v5(c: &mut Criterion) {
    let mut case = Case::new(c, "decode/connect with will, 5.0", packets::connect_v5());
    case.slice("mqtt-codec", |stream| readers::ours(stream, Version::V5));
    case.slice("mqtt-codec, unread", |stream| {
        readers::ours_unread(stream, Version::V5)
    });
    case.bytes("rumqttc", readers::rumqttc_v5);
    case.bytes("rmqtt-codec", readers::rmqtt_v5);
    case.ntex("ntex-mqtt", readers::ntex_v5);
    case.bodies("mqtt-protocol-core", readers::protocol_core_connect_v5);
}

fn decode(c: &mut Criterion) {
    publish_v3(c, "decode/publish 64 B, 3.1.1", 64);
    publish_v3(c, "decode/publish 16 KiB, 3.1.1", 16 * 1024);
    publish_v5(
        c,
        "decode/publish 64 B, 5.0",
        packets::publish(Version::V5, 64),
    );
    publish_v5(
        c,
        "decode/publish 64 B with properties, 5.0",
        packets::publish_with_properties(64),
    );
    subscribe_v3(c);
    subscribe_v5(c);
    connect_v5(c);
}

criterion_group!(benches, decode);
criterion_main!(benches);
