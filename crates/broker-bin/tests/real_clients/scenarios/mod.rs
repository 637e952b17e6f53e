//! What is proved with each client. A scenario starts a broker of its own, so client identifiers and
//! topics are free in each, and ends with a message that must be the last: waiting for it shows
//! that nothing came twice and nothing came that should not have.

pub mod across;
pub mod aliases;
pub mod delivery;
pub mod large;
pub mod properties;
pub mod retained;
pub mod session;
pub mod shutdown;
pub mod will;

/// The payload of the message that ends a scenario.
pub const LAST: &str = "the last message";

/// `count` different payloads.
pub fn numbered(name: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{name} {number}"))
        .collect()
}
