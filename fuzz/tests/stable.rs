//! Each property over seeds and over inputs grown from them, on a stable compiler: what
//! `cargo fuzz` does for minutes, this does for a second in every test run.

use mosca_fuzz::{
    codec_chunks, codec_decode, codec_roundtrip,
    codec_seeds::{packets, seeds},
    glob_containment::glob_containment,
    jwt::{self, jwt},
    proxy_header::proxy_header,
    records_decode,
    scram::scram,
    users_file::{self, users_file},
    websocket_frames::{self, websocket_frames},
};

const ROUNDS: usize = 20_000;

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
            input.extend(&seeds()[self.below(seeds().len())]);
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
            property(&[&[choice, choice][..prefix], seed].concat());
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

/// Messages of a client of SCRAM, right up to the proof, changed in a few places.
#[test]
fn scram_messages() {
    let pieces: [&[u8]; 14] = [
        b"n,,",
        b"y,,",
        b"n,a=user,",
        b"n=user",
        b"n=u=2Cx",
        b",r=",
        b"nonce",
        b"|",
        b"c=biws",
        b",p=",
        b",x=1",
        b"AAAA",
        b"=3D",
        b"\xE2\x85\xA8",
    ];
    scram(b"\x07|");
    scram(b"\x05user|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let mut input = vec![random.byte()];
        for _ in 0..random.below(12) {
            match random.below(4) {
                0 => input.push(random.byte()),
                _ => input.extend(pieces[random.below(pieces.len())]),
            }
        }
        scram(&input);
    }
}

/// Parts of headers of both versions, in any order and changed in a few places.
#[test]
fn proxy_headers() {
    let pieces: [&[u8]; 10] = [
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"192.0.2.7",
        b" ",
        b"2001:db8::7",
        b"65535",
        b"\r\n",
        b"\x21\x11\0\x0C",
        &[0; 36],
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let mut input = vec![random.byte()];
        for _ in 0..random.below(12) {
            match random.below(4) {
                0 => input.push(random.byte()),
                _ => input.extend(pieces[random.below(pieces.len())]),
            }
        }
        proxy_header(&input);
    }
}

/// The packets are worth beginning at: each is one of at least one version.
#[test]
fn each_seed_is_a_packet() {
    use mqtt_codec::{Decoded, Version, decode};
    for seed in packets() {
        let accepted = [Version::V31, Version::V311, Version::V5]
            .into_iter()
            .any(|version| matches!(decode(&seed, version, 1024), Ok(Decoded::Packet { .. })));
        assert!(accepted, "{seed:x?}");
    }
}

/// A client acknowledges a message and has more to get while the store takes its time with its own
/// batch: its task is awake, and nobody has to wake it for what is in its outbox meanwhile.
#[test]
fn output_during_a_commit_of_ones_own_needs_no_waking() {
    let found: &[u8] = &[
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x04, 0x00, 0xA3, 0xD1, 0xFF, 0xFF, 0xFF, 0xFF,
        0x3B, 0x25, 0x04, 0x00, 0xA3, 0xD1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0A, 0x0A, 0x0C, 0x9E, 0x01,
        0x6D, 0xCC, 0x0C, 0xBC, 0x3B, 0x25, 0x04, 0x00, 0x00, 0x0E, 0xFF, 0xFF, 0xFF, 0xFF, 0x43,
        0xFF, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x7E, 0xF8, 0xBC, 0xDA, 0x63, 0x6D, 0xFF, 0xBC, 0xDA,
        0x6D,
    ];
    mosca_fuzz::core_packets::packets(found);
}

/// The records of the stores: seeds, and seeds that were changed in a few places.
#[test]
fn records() {
    let seeds = records_decode::seeds();
    for seed in &seeds {
        records_decode::records_decode(seed);
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(5) {
            let at = random.below(input.len());
            match random.below(4) {
                0 => input.insert(at, random.byte()),
                1 if input.len() > 1 => drop(input.remove(at)),
                2 => input.truncate(at + 1),
                _ => input[at] = random.byte(),
            }
        }
        records_decode::records_decode(&input);
    }
}

/// Patterns and filters, each byte a part of one.
#[test]
fn grants_and_filters() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let length = 2 + random.below(14);
        let input: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        glob_containment(&input);
    }
}

/// Users files.
#[test]
fn users_files() {
    run_text(users_file, &users_file::seeds());
}

/// Tokens and their claims.
#[test]
fn tokens() {
    run_text(jwt, &jwt::seeds());
}

/// Seeds, and seeds that were changed in a few places as one changes JSON.
fn run_text(property: impl Fn(&[u8]), seeds: &[Vec<u8>]) {
    for seed in seeds {
        property(seed);
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(5) {
            let at = random.below(input.len());
            match random.below(4) {
                0 => input.insert(at, b"\"{}[]:,*!("[random.below(10)]),
                1 if input.len() > 1 => drop(input.remove(at)),
                2 => input.truncate(at + 1),
                _ => input[at] = random.byte(),
            }
        }
        property(&input);
    }
}

/// Conversations over a WebSocket: seeds, and seeds that were changed in a few places.
#[test]
fn websocket_conversations() {
    let seeds = websocket_frames::seeds();
    for seed in &seeds {
        websocket_frames(seed);
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS / 4 {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(8) {
            let at = random.below(input.len());
            match random.below(4) {
                0 => input.insert(at, random.byte()),
                1 if input.len() > 1 => drop(input.remove(at)),
                2 => input.extend_from_within(at..),
                _ => input[at] = random.byte(),
            }
        }
        websocket_frames(&input);
    }
}
