//! The broker's core as its clients see it: scenarios with scripted clients on a virtual clock.
//!
//! Each is a sentence that the broker keeps. Whatever a scenario does, at its end all clients go
//! for ever, and then nothing may be left of them: see `Inner::finish`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that does not hold is to panic, also outside of its #[test] function"
)]

mod harness;
mod hooks;

mod aliases;
mod authentication;
mod backpressure;
mod bad_input;
mod clients;
mod commit_failure;
mod connect;
mod disconnect;
mod events;
mod expiry;
mod forward;
mod judge;
mod keep_alive;
mod leaving;
mod limits;
mod long_queues;
mod model;
mod overlap;
mod own_topics;
mod payload_format;
mod program;
mod publish;
mod queued;
mod rates;
mod reasons;
mod redirect;
mod restart;
mod resume;
mod retained;
mod shared;
mod shared_model;
mod shared_moves;
mod shared_queues;
mod store_trouble;
mod subscribe;
mod takeover;
mod totals;
mod versions;
mod wills;
mod window;
