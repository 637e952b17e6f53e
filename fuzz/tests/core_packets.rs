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
