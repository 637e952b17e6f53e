//! The core under random packets, on a stable compiler: what `cargo fuzz` does for minutes, this
//! does for seconds in every test run. Findings of the fuzzer stay here as inputs of their own.

use mosca_fuzz::core_packets::packets;

/// A small generator with a fixed start: the same inputs in every run.
fn input(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as u8
        })
        .collect()
}

#[test]
fn random_packets_leave_the_core_whole_and_empty() {
    for seed in 0..3_000 {
        let bytes = input(seed, 20 + seed as usize % 900);
        let result = std::panic::catch_unwind(|| packets(&bytes));
        assert!(result.is_ok(), "seed {seed}");
    }
}

/// A will that reached the store after the session that it belonged to had been replaced.
#[test]
fn a_late_will_is_found_by_the_next_broker() {
    packets(
        b"\x91\x91\x91\x91\x91\xc2\x33\x3d\x31\xff\x91\x91\x91\x91\xc2\x3d\x31\xff\x91\x33\
          \x3d\x64\x1d\x24\x0a\x80\xb9\x00\x00\x32\x46\x80\x32\x46\x80\x1b\x00\x00\x00\x01\
          \x3b\x13\xb1\x3b\x13\xb1\x3b\x08\x5e\x3d\x83\x9b\x24\x83\x83\x08\x1b\x00\x00\x00\
          \x01\x3b\x13\xb1\x3b\x0d\xff\xff\x01\x0d\xff\x3d\x64\x1d\x24\x0a\x80\xb9\x00\x00\
          \x32\x46\x80\x1b\x00\x00\x00\x01\x3b\x13\xb1\x3b\x13\xb1\x3b\x08\x5e\x3d\x83\x9b\
          \x24\x83\x83\x08\x21\x00\x00\xff\xff\xfa\x00\xff\x01\x0d\xff\x00\x83\x83\x17\x83\
          \x00\x83\x83\x17",
    );
}
