//! MQTT topic names and topic filters, and the two containers that a broker needs for them.
//!
//! - [`TopicName`] and [`TopicFilter`] exist only if they are valid. They borrow their text, so
//!   that a topic is checked where it was received, without a copy.
//! - [`FilterTrie`] holds subscriptions: (filter, key) to value. It finds all filters that match a
//!   topic. [`SharedFilterTrie`] is the same for many threads at once, with a
//!   [generation](SharedFilterTrie::generation) for each topic by which a publisher can remember
//!   what it found.
//! - [`TopicMap`] is the mirror, for retained messages: values that [have a topic](HasTopic). It finds
//!   all whose topics a filter matches, in [steps](TopicMap::matches_from) if there are many.
//!
//! The crate knows topics only: not packets, clients or quality of service.
//!
//! # The rules, in short (MQTT section 4.7)
//! - A slash separates levels, and a level can be empty: `/a` and `a` are different topics, and `+`
//!   also stands for an empty level.
//! - `#` stands for any number of levels, none included: `a/#` matches `a`, `a/` and `a/b/c`.
//! - Filters that begin with a wildcard do not match topics that begin with `$`.
//! - Characters are compared as they are; case matters and nothing is normalised.

#![forbid(unsafe_code)]

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod blocks;
mod dense;
mod error;
mod exact;
mod filter;
mod generation;
mod hash;
mod id;
mod index;
mod keys;
mod label;
mod levels;
mod name;
mod owned_text;
mod scratch;
mod shard;
mod share;
mod shared;
mod slots;
mod special;
mod topic_map;
mod trie;
mod walk;
mod wild;

pub use error::{MAX_TOPIC_BYTES, TopicError};
pub use filter::{TopicFilter, TopicFilterBuf};
pub use generation::Watch;
pub use id::FilterId;
pub use levels::Levels;
pub use name::{TopicName, TopicNameBuf};
pub use share::SharedFilter;
pub use shared::SharedFilterTrie;
pub use topic_map::{Cursor, HasTopic, Progress, TopicMap};
pub use trie::FilterTrie;
