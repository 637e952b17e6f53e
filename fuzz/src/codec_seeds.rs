//! Packets to begin at.

use std::sync::LazyLock;

/// One packet of each kind and form, for the mutations to begin at: the first byte, then the
/// body; the remaining length goes between them.
const SEEDS: &[&[u8]] = &[
    b"\x10\0\x06MQIsdp\x03\x02\0\x3C\0\0",
    b"\x10\0\x04MQTT\x04\xCE\0\x3C\0\x01c\0\x03w/t\0\x02by\0\x01u\0\x01p",
    b"\x10\0\x04MQTT\x05\xC6\0\x3C\x08\x11\0\0\0\x0A\x21\0\x14\0\x01c\x05\x18\0\0\0\x05\0\x01w\0\0\0\x01u\0\x01p",
    b"\x20\x01\x00",
    b"\x20\0\0\x05\x27\0\0\x10\0",
    b"\x30\0\x03a/b",
    b"\x3D\0\x03a/b\x12\x34data",
    b"\x32\0\x03a/b\0\x07\x0E\x01\x01\x23\0\x05\x26\0\x01k\0\x03val12",
    b"\x32\0\x01t\0\x09\x06\x0B\x81\x01\x0B\x02\x01\x01!",
    b"\x40\0\x01",
    b"\x50\0\x01\x10\0",
    b"\x62\0\x01\x92",
    b"\x70\0\x01\0\x06\x1F\0\x03why",
    b"\x82\0\x01\0\x01#\x01\0\x02+/\x02",
    b"\x82\0\x01\x02\x0B\x07\0\x03a/#\x2E",
    b"\x90\0\x01\x02\x80",
    b"\x90\0\x01\0\x01\x9E",
    b"\xA2\0\x01\0\x01#",
    b"\xA2\0\x01\0\0\x01#",
    b"\xB0\0\x01",
    b"\xB0\0\x01\0\x11",
    b"\xC0",
    b"\xD0",
    b"\xE0",
    b"\xE0\x8E\x05\x1F\0\x02no",
    b"\xF0\x18\x08\x15\0\x01m\x16\0\x01d",
];

/// Rows of the wire table that are longer than this (bytes) are about length alone.
const ROW_BYTES_MAX: usize = 512;

/// Each of the packets above as the packet that it is.
pub fn packets() -> impl Iterator<Item = Vec<u8>> {
    SEEDS.iter().map(|seed| {
        let (first, body) = seed.split_first().expect("a seed has a first byte");
        [&[*first, body.len() as u8], body].concat()
    })
}

/// All that there is to begin at: those packets, and what the rows of the wire table send, most of
/// which breaks one rule.
pub fn seeds() -> &'static [Vec<u8>] {
    static ALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let cases = wire_table::cases().expect("the table is in order");
        let rows = cases.into_iter().map(|case| case.sent);
        let rows = rows.filter(|sent| sent.len() <= ROW_BYTES_MAX);
        let mut all: Vec<Vec<u8>> = packets().chain(rows).collect();
        all.sort_unstable();
        all.dedup();
        all
    });
    &ALL
}
