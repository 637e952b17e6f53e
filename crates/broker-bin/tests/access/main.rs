//! The command that knows its clients, and mosquitto's clients: who comes in by a users file, by a token, or because a
//! service says so, what it may do, and what SIGHUP changes for those who are connected.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

#[path = "../real_clients/process.rs"]
mod process;

mod broker;
mod service;
mod tokens;
mod users;
