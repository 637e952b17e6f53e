//! Each property over seeds and over inputs grown from them, on a stable compiler: what
//! `cargo fuzz` does for minutes, this does for a second in every test run.

use mosca_fuzz::{codec_chunks, codec_decode, codec_roundtrip};

const ROUNDS: usize = 20_000;

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

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    SEEDS.iter().map(|seed| {
        let (first, body) = seed.split_first().expect("a seed has a first byte");
        [&[*first, body.len() as u8], body].concat()
    })
}

/// A small generator with a fixed start: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    fn byte(&mut self) -> u8 {
        // Small numbers are lengths, identifiers and flags: they matter more than others.
        match self.below(3) {
            0 => self.below(6) as u8,
            _ => self.below(256) as u8,
        }
    }

    /// One or two seeds, changed in up to four places.
    fn input(&mut self) -> Vec<u8> {
        let mut input = vec![self.byte(), self.byte()];
        for _ in 0..=self.below(2) {
            input.extend(
                seeds()
                    .nth(self.below(SEEDS.len()))
                    .expect("below the count"),
            );
        }
        for _ in 0..self.below(5) {
            let at = self.below(input.len());
            match self.below(4) {
                0 => input.insert(at, self.byte()),
                1 if input.len() > 2 => drop(input.remove(at)),
                2 => input.truncate(at + 1),
                _ => input[at] = self.byte(),
            }
        }
        input
    }
}

fn run(property: impl Fn(&[u8]), prefix: usize) {
    for seed in seeds() {
        for choice in 0..12u8 {
            property(&[&[choice, choice][..prefix], &seed].concat());
        }
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let input = random.input();
        property(input.get(2 - prefix..).unwrap_or_default());
    }
}

#[test]
fn decoding_v3() {
    run(codec_decode::v3, 0);
}

#[test]
fn decoding_v5() {
    run(codec_decode::v5, 0);
}

#[test]
fn roundtrip() {
    run(codec_roundtrip::roundtrip, 1);
}

#[test]
fn chunks() {
    run(codec_chunks::chunks, 2);
}

/// The seeds are worth beginning at: each is a packet of at least one version.
#[test]
fn each_seed_is_a_packet() {
    use mqtt_codec::{Decoded, Version, decode};
    for seed in seeds() {
        let accepted = [Version::V31, Version::V311, Version::V5]
            .into_iter()
            .any(|version| matches!(decode(&seed, version, 1024), Ok(Decoded::Packet { .. })));
        assert!(accepted, "{seed:x?}");
    }
}
