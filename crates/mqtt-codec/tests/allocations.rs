//! Decoding allocates nothing, whatever the packet; neither does walking over its lists,
//! and neither does encoding into memory that is there.
//!
//! A binary of its own: its allocator counts.

#![allow(clippy::expect_used, reason = "a test may panic, in its helpers too")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use mqtt_codec::{Decoded, Packet, Version, decode};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[expect(unsafe_code, reason = "an allocator cannot be written without it")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
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

fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// One packet of each type that has something to allocate for, in 3.1.1 and 5.0.
const FRAMES: &[(Version, &[u8])] = &[
    (
        Version::V311,
        b"\x10\x1C\0\x04MQTT\x04\xCE\0\x3C\0\x01c\0\x03w/t\0\x02by\0\x01u\0\x01p",
    ),
    (
        Version::V5,
        b"\x10\x2B\0\x04MQTT\x05\xEC\0\x3C\x08\x11\0\0\0\x0A\x21\0\x14\0\x01c\
          \x05\x18\0\0\0\x05\0\x03w/t\0\x02by\0\x01u\0\x01p",
    ),
    (Version::V311, b"\x3C\x09\0\x03a/b\x12\x34hi"),
    (
        Version::V5,
        b"\x30\x18\0\x01t\x13\x0B\x81\x01\x26\0\x01k\0\x011\x0B\x02\x26\0\x01k\0\x012!",
    ),
    (
        Version::V5,
        b"\x30\x0B\0\x08\xC3\xA4\xC3\xB6/\xE2\x82\xAC\0",
    ),
    (Version::V311, b"\x82\x0C\0\x0A\0\x03a/#\x01\0\x01+\0"),
    (Version::V5, b"\x82\x09\0\x0A\x02\x0B\x07\0\x01t\x2E"),
    (Version::V5, b"\x90\x06\0\x0A\0\x02\0\x80"),
    (Version::V5, b"\xA2\x0B\0\x0B\0\0\x03a/#\0\x01+"),
    (Version::V5, b"\xB0\x05\0\x0B\0\0\x11"),
    (Version::V5, b"\x40\x0A\0\x07\x97\x06\x1F\0\x03why"),
    (Version::V5, b"\xF0\x0A\x18\x08\x15\0\x01m\x16\0\x01d"),
];

/// Looks at everything that is lazy.
fn walk(packet: &Packet<'_>) {
    fn see<T>(items: impl Iterator<Item = T>) {
        for item in items {
            black_box(item);
        }
    }
    match packet {
        Packet::Subscribe(packet) => see(packet.filters.iter()),
        Packet::Unsubscribe(packet) => see(packet.filters.iter()),
        Packet::SubAck(packet) => see(packet.reason_codes.iter()),
        Packet::Publish(packet) => see(packet.properties.iter()),
        Packet::Connect(packet) => see(packet.properties.iter()),
        _ => {}
    }
}

/// The counter counts, or the tests below would prove nothing.
#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![1u8]))), 1);
}

#[test]
fn decoding_allocates_nothing() {
    for &(version, frame) in FRAMES {
        let mut seen = false;
        let count = allocations(|| {
            let decoded = decode(frame, version, 1024);
            if let Ok(Decoded::Packet { packet, .. }) = &decoded {
                walk(packet);
                seen = true;
            }
            // Refusing is free, too, and so is waiting.
            for end in 0..frame.len() {
                let _ = black_box(decode(frame.get(..end).unwrap_or_default(), version, 1024));
            }
            let _ = black_box(decode(frame, version, 4));
        });
        assert!(seen, "{frame:x?}");
        assert_eq!(count, 0, "{frame:x?}");
    }
}

#[test]
fn encoding_allocates_nothing() {
    let mut buf = Vec::with_capacity(1024);
    for &(version, frame) in FRAMES {
        if let Ok(Decoded::Packet { packet, .. }) = decode(frame, version, 1024) {
            let count = allocations(|| {
                packet.encode(version, &mut buf).expect("it was received");
            });
            assert_eq!(count, 0, "{packet:?}");
            buf.clear();
        }
    }
}
