//! Headers of the PROXY protocol: `src/proxy_header.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::proxy_header::proxy_header(data));
