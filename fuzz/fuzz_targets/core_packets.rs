#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::core_packets::packets(data));
