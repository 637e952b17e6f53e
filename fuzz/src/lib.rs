//! The properties that fuzzing asserts, one file each, as plain functions over bytes.
//!
//! `fuzz_targets/` hands them to libFuzzer; `tests/` runs them on a stable compiler.

pub mod codec_chunks;
pub mod codec_decode;
pub mod codec_roundtrip;
pub mod codec_seeds;
pub mod core_packets;
pub mod glob_containment;
pub mod jwt;
pub mod proxy_header;
pub mod records_decode;
pub mod scram;
pub mod users_file;
pub mod websocket_frames;
