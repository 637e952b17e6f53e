//! The codecs in turns, round after round, and the best round of each: what a machine that
//! is busy with other things can still say about their ratios.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codec_bench::{packets, readers};
use mqtt_codec::{Decoded, FixedHeader, Packet, PacketId, Peeked, Version};

const ROUNDS: usize = 600;
const WRITES: usize = 256;

/// One codec at work: how long it took to read a buffer to its end, or to fill one.
type Contestant<'a> = (&'static str, Box<dyn FnMut() -> Duration + 'a>);

struct Case {
    name: &'static str,
    frame: Vec<u8>,
    version: Version,
    stream: Vec<u8>,
    bodies: Vec<Arc<[u8]>>,
    count: usize,
}

fn clock(read: impl FnOnce() -> usize, count: usize) -> Duration {
    let start = Instant::now();
    let read = black_box(read());
    let took = start.elapsed();
    assert_eq!(read, count);
    took
}

impl Case {
    fn new(name: &'static str, version: Version, frame: Vec<u8>) -> Self {
        let count = if frame.len() > 4096 { 32 } else { 256 };
        let Ok(Peeked::Header(header)) = FixedHeader::peek(&frame, version, usize::MAX) else {
            unreachable!("the frame is whole")
        };
        let body = &frame[header.header_len()..];
        Self {
            name,
            stream: packets::stream(&frame, count),
            bodies: (0..count).map(|_| body.into()).collect(),
            frame,
            version,
            count,
        }
    }

    fn bytes<'a>(
        &'a self,
        name: &'static str,
        read: fn(&mut bytes::BytesMut) -> usize,
    ) -> Contestant<'a> {
        let run = move || {
            let mut buf = bytes::BytesMut::from(&self.stream[..]);
            clock(|| read(&mut buf), self.count)
        };
        (name, Box::new(run))
    }

    fn ntex<'a>(&'a self, read: fn(&mut ntex_bytes::BytesMut) -> usize) -> Contestant<'a> {
        let run = move || {
            let mut buf = ntex_bytes::BytesMut::copy_from_slice(&self.stream);
            clock(|| read(&mut buf), self.count)
        };
        ("ntex-mqtt", Box::new(run))
    }

    fn contestants(&self) -> Vec<Contestant<'_>> {
        let (stream, version, count) = (&self.stream, self.version, self.count);
        let (flags, bodies) = (self.frame[0] & 0x0F, &self.bodies);
        let mut all: Vec<Contestant<'_>> = vec![
            (
                "mqtt-codec",
                Box::new(move || clock(|| readers::ours_unread(stream, version), count)),
            ),
            (
                "mqtt-codec, walked",
                Box::new(move || clock(|| readers::ours(stream, version), count)),
            ),
            (
                "mqtt-codec, by parsers",
                Box::new(move || clock(|| readers::ours_by_parsers(stream, version), count)),
            ),
        ];
        if version.is_v5() {
            all.push(self.bytes("rumqttc", readers::rumqttc_v5));
            all.push(self.bytes("rmqtt-codec", readers::rmqtt_v5));
            all.push(self.ntex(readers::ntex_v5));
        } else {
            let mqttrs = move || clock(|| readers::mqttrs(stream), count);
            all.push(("mqttrs", Box::new(mqttrs)));
            all.push(self.bytes("rumqttc", readers::rumqttc_v4));
            all.push(self.bytes("rmqtt-codec", readers::rmqtt_v3));
            all.push(self.ntex(readers::ntex_v3));
        }
        let core = move || match (version.is_v5(), self.frame[0] >> 4) {
            (false, 3) => readers::protocol_core_publish_v3(flags, bodies),
            (false, _) => readers::protocol_core_subscribe_v3(bodies),
            (true, 1) => readers::protocol_core_connect_v5(bodies),
            (true, 3) => readers::protocol_core_publish_v5(flags, bodies),
            (true, _) => readers::protocol_core_subscribe_v5(bodies),
        };
        all.push(("mqtt-protocol-core", Box::new(move || clock(core, count))));
        all
    }
}

/// Every codec that writes into memory which is there, on the same PUBLISH.
fn writers() -> Vec<Contestant<'static>> {
    let frame: &[u8] = packets::publish(Version::V311, 64).leak();
    let Ok(Decoded::Packet {
        packet: Packet::Publish(publish),
        ..
    }) = mqtt_codec::decode(frame, Version::V311, usize::MAX)
    else {
        unreachable!("a PUBLISH")
    };
    let of_mqttrs = mqttrs::decode_slice(frame).expect("valid").expect("whole");
    let mut stream = bytes::BytesMut::from(frame);
    let of_rumqttc = rumqttc::mqttbytes::v4::Packet::read(&mut stream, 1024).expect("valid");
    let (mut ours, mut head) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
    let (mut space, mut buf) = ([0; 1024], bytes::BytesMut::with_capacity(1024));
    let mut patched = frame.to_vec();
    let id = PacketId::new(4712).expect("not zero");
    let repeated = |mut write: Box<dyn FnMut()>| -> Box<dyn FnMut() -> Duration> {
        Box::new(move || clock(|| (0..WRITES).map(|_| write()).count(), WRITES))
    };
    vec![
        (
            "mqtt-codec",
            repeated(Box::new(move || {
                ours.clear();
                black_box(black_box(&publish).encode(Version::V311, &mut ours)).expect("valid");
                black_box(&ours);
            })),
        ),
        (
            "mqtt-codec, head only",
            repeated(Box::new(move || {
                head.clear();
                black_box(black_box(&publish).encode_head(Version::V311, &mut head))
                    .expect("valid");
                black_box(&head);
            })),
        ),
        (
            "mqtt-codec, patch",
            repeated(Box::new(move || {
                mqtt_codec::patch_packet_id(black_box(&mut patched), id).expect("valid");
            })),
        ),
        (
            "mqttrs",
            repeated(Box::new(move || {
                black_box(mqttrs::encode_slice(black_box(&of_mqttrs), &mut space)).expect("valid");
                black_box(&space);
            })),
        ),
        (
            "rumqttc",
            repeated(Box::new(move || {
                buf.clear();
                black_box(black_box(&of_rumqttc).write(&mut buf, 1024)).expect("valid");
                black_box(&buf);
            })),
        ),
    ]
}

/// Nanoseconds per packet and codec, and the best of the others over ours.
fn run(name: &str, mut contestants: Vec<Contestant<'_>>, count: usize) {
    let mut best = vec![Duration::MAX; contestants.len()];
    for _ in 0..ROUNDS {
        for ((_, run), best) in contestants.iter_mut().zip(&mut best) {
            *best = run().min(*best);
        }
    }
    let per_packet = |best: &Duration| best.as_nanos() as f64 / count as f64;
    let best_other = best
        .iter()
        .zip(&contestants)
        .filter(|(_, (name, _))| !name.starts_with("mqtt-codec"))
        .map(|(best, _)| per_packet(best))
        .fold(f64::MAX, f64::min);
    print!("{name}: {:.1}×", best_other / per_packet(&best[0]));
    for (best, (name, _)) in best.iter().zip(&contestants) {
        print!(" | {name} {:.1}", per_packet(best));
    }
    println!();
}

fn main() {
    let (v3, v5) = (Version::V311, Version::V5);
    for case in [
        Case::new("PUBLISH 64 B, 3.1.1", v3, packets::publish(v3, 64)),
        Case::new("PUBLISH 16 KiB, 3.1.1", v3, packets::publish(v3, 16 * 1024)),
        Case::new("PUBLISH 64 B, 5.0", v5, packets::publish(v5, 64)),
        Case::new("PUBLISH 16 KiB, 5.0", v5, packets::publish(v5, 16 * 1024)),
        Case::new(
            "PUBLISH with properties, 5.0",
            v5,
            packets::publish_with_properties(64),
        ),
        Case::new("SUBSCRIBE 10 filters, 3.1.1", v3, packets::subscribe(v3)),
        Case::new("SUBSCRIBE 10 filters, 5.0", v5, packets::subscribe(v5)),
        Case::new("CONNECT with will, 5.0", v5, packets::connect_v5()),
    ] {
        run(case.name, case.contestants(), case.count);
    }
    run("encode PUBLISH 64 B, 3.1.1", writers(), WRITES);
}
