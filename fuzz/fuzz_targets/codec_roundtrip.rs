//! Decoding, encoding, decoding: `src/codec_roundtrip.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::codec_roundtrip::roundtrip(data));
