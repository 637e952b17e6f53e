//! The numbered statements of the specifications of MQTT 3.1.1 and 5.0, each shown over a socket.
//!
//! One file for each section. A test names the statements that it shows, in lines of its
//! documentation that begin with the version; `docs/testing.md` says how, and `cargo xtask
//! conformance` makes `docs/conformance.md` from them. What only breaks the format of a packet is a
//! row of the wire table instead (`wire_table.rs`).

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

mod acknowledgements;
mod auth;
mod broker_topics;
mod connack;
mod connect;
mod delivery;
mod disconnect;
mod errors;
mod flow_control;
mod ordering;
mod packet_identifiers;
mod ping;
mod publish;
mod replaced_subscriptions;
mod retain;
mod sessions;
mod shared;
mod subscribe;
mod topic_alias;
mod topics;
mod transport;
mod unsubscribe;
mod websocket;
mod wills;
