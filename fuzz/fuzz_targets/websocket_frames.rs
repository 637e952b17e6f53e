//! Conversations over a WebSocket: `src/websocket_frames.rs` says what is asserted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mosca_fuzz::websocket_frames::websocket_frames(data));
