//! Real clients against the real command: mosquitto's, MQTT.js and paho-mqtt, each in every version
//! of the protocol that it speaks. `cargo xtask test` installs them; without them these tests fail.
//!
//! `matrix.rs` crosses the clients with the scenarios, `scenarios/` says what each one proves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test"
)]

mod broker;
mod client;
mod matrix;
mod mosquitto;
mod mqttjs;
mod process;
mod scenarios;
mod scripted;
