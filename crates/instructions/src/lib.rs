//! What steps are made of, for other measurements as well: packets as bytes, and clients without
//! sockets.

#![expect(
    clippy::expect_used,
    reason = "for measuring: a client that hears what it should not must stop the program"
)]

pub mod packets;
pub mod peer;
