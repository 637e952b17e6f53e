//! The packets that every codec is measured on, and one way through each codec.

pub mod packets;
pub mod readers;
