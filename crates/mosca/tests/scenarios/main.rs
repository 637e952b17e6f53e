//! Whole servers and clients over the loopback interface: what a client sees on its socket.
//!
//! Each test is a sentence about the server. Where it is about a numbered statement of the
//! specification, its text names it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is a test"
)]

#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../harness/client.rs"]
mod client;
#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../harness/websocket.rs"]
mod websocket_client;

#[path = "../../../auth-scram/tests/client/mod.rs"]
mod scram_client;

mod authentication;
mod bad_input;
mod connection_limits;
mod durable;
mod embedding;
mod fairness;
mod forward;
mod hooks;
mod http;
mod lifetimes;
mod listening;
mod log;
mod notices;
mod proxied;
mod rates;
mod scram;
mod slow_readers;
mod stream;
mod streams;
mod tls;
#[cfg(unix)]
mod unix_socket;
mod websocket;
mod websocket_service;
