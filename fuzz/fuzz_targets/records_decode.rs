//! The records of the stores, from any bytes: `src/records_decode.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::records_decode::records_decode(data));
