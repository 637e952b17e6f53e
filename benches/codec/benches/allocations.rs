//! Allocations per decoded packet, as a table; ours has to be zero.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codec_bench::{packets, readers};
use mqtt_codec::Version;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: usize = 1000;

fn per_packet(read: impl FnOnce() -> usize) -> f64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(read(), COUNT);
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / COUNT as f64
}

fn line(name: &str, frame: &[u8], version: Version) {
    let stream = packets::stream(frame, COUNT);
    let mut buf = bytes::BytesMut::from(&stream[..]);
    let mut ntex = ntex_bytes::BytesMut::copy_from_slice(&stream);
    let bodies: Vec<Arc<[u8]>> = vec![frame[header_len(frame)..].into(); COUNT];
    let flags = frame[0] & 0x0F;
    let ours = per_packet(|| readers::ours(&stream, version));
    assert!(ours == 0.0, "decoding allocates");
    let mut row = format!("| {name} | {ours:.2} |");
    let numbers = match (version.is_v5(), frame[0] >> 4) {
        (false, kind) => [
            Some(per_packet(|| readers::mqttrs(&stream))),
            Some(per_packet(|| readers::rumqttc_v4(&mut buf))),
            Some(per_packet(|| {
                readers::rmqtt_v3(&mut bytes::BytesMut::from(&stream[..]))
            })),
            Some(per_packet(|| readers::ntex_v3(&mut ntex))),
            Some(per_packet(|| match kind {
                3 => readers::protocol_core_publish_v3(flags, &bodies),
                _ => readers::protocol_core_subscribe_v3(&bodies),
            })),
        ],
        (true, kind) => [
            None,
            Some(per_packet(|| readers::rumqttc_v5(&mut buf))),
            Some(per_packet(|| {
                readers::rmqtt_v5(&mut bytes::BytesMut::from(&stream[..]))
            })),
            Some(per_packet(|| readers::ntex_v5(&mut ntex))),
            Some(per_packet(|| match kind {
                1 => readers::protocol_core_connect_v5(&bodies),
                3 => readers::protocol_core_publish_v5(flags, &bodies),
                _ => readers::protocol_core_subscribe_v5(&bodies),
            })),
        ],
    };
    for number in numbers {
        match number {
            Some(number) => row.push_str(&format!(" {number:.2} |")),
            None => row.push_str(" – |"),
        }
    }
    println!("{row}");
}

fn header_len(frame: &[u8]) -> usize {
    1 + frame[1..].iter().take_while(|byte| **byte >= 0x80).count() + 1
}

fn main() {
    println!(
        "| packet | mqtt-codec | mqttrs | rumqttc | rmqtt-codec | ntex-mqtt | mqtt-protocol-core |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    line(
        "PUBLISH 64 B, 3.1.1",
        &packets::publish(Version::V311, 64),
        Version::V311,
    );
    line(
        "PUBLISH 16 KiB, 3.1.1",
        &packets::publish(Version::V311, 16 * 1024),
        Version::V311,
    );
    line(
        "PUBLISH 64 B, 5.0",
        &packets::publish(Version::V5, 64),
        Version::V5,
    );
    line(
        "PUBLISH 64 B with properties, 5.0",
        &packets::publish_with_properties(64),
        Version::V5,
    );
    line(
        "SUBSCRIBE 10 filters, 3.1.1",
        &packets::subscribe(Version::V311),
        Version::V311,
    );
    line(
        "SUBSCRIBE 10 filters, 5.0",
        &packets::subscribe(Version::V5),
        Version::V5,
    );
    line(
        "CONNECT with will, 5.0",
        &packets::connect_v5(),
        Version::V5,
    );
}
