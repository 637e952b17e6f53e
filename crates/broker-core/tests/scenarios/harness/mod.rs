//! What scenarios are written with.

pub(crate) mod client;
pub(crate) mod ledger;
pub(crate) mod net;
pub(crate) mod store;

pub(crate) use client::{Client, Dial, id, qos0, qos1, qos2, retained};
pub(crate) use net::Net;
pub(crate) use store::Mood;
