//! Decoding 3.1 and 3.1.1: `src/codec_decode.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::codec_decode::v3(data));
