//! Packets on live connections of one broker: `src/core_packets.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::core_packets::packets(data));
