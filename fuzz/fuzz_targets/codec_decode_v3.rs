#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::codec_decode::v3(data));
