//! Nodes over a real RabbitMQ, which all tests of this binary share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is a test"
)]

mod contract;
mod limits;
mod node;
mod program;
mod programs;
mod proxy;
mod server;
mod servers;
mod tls;
mod trouble;
