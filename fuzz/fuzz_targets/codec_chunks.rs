//! Streams cut into chunks: `src/codec_chunks.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::codec_chunks::chunks(data));
