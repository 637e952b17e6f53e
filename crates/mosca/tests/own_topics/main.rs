//! `$SYS` over sockets: what the server says of its clients and of itself, to whom, and that it is no traffic
//! of clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of this is a test"
)]

#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../harness/mod.rs"]
mod harness;

mod announcements;
mod statistics;
