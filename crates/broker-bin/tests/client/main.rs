//! The commands that are clients: `mosca pub`, `mosca sub`, `mosca status` and `mosca bench`, with each other, with
//! mosquitto and its clients.

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

mod bench;
mod command;
mod everywhere;
mod pub_sub;
mod status;
