//! The real command as one of several brokers: below a mosquitto, in a tree of its own kind, and around RabbitMQ, with
//! mosquitto's clients at all ends.

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
mod client;
mod cluster;
mod parent;
mod tree;
mod trouble;
