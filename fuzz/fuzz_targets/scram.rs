//! SCRAM-SHA-256 with any messages: `src/scram.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::scram::scram(data));
