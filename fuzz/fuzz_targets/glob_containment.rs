//! `src/glob_containment.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::glob_containment::glob_containment(data));
