//! Counters by which a publisher knows that a remembered match is still true.
//!
//! A change of a filter bumps one counter, chosen by what the filter can match; a topic's
//! generation is the sum of the counters that any filter matching it could have chosen:
//!
//! ```text
//! filter            counter of                    topic a/b/c reads
//! a/b/c             the whole text                a/b/c
//! a/b/+  a/b/#      the first two levels          a/b
//! a/+/c  a/#        the first level               a
//! +/b/c  #          all topics                    (all)
//! ```
//!
//! Counters are shared by hash, so that a change can reach topics it has nothing to do with: this
//! costs them a match, nothing else. Every counter only grows, so two equal sums read by one thread
//! mean that not one of the counters changed between the two readings.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::filter::TopicFilter;
use crate::hash::{self, Seed};
use crate::name::TopicName;

/// Which counters belong to a topic: what
/// [`SharedFilterTrie::watch`](crate::SharedFilterTrie::watch) returns.
///
/// Belongs to the trie that made it; another trie would read other counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    exact: u16,
    two: u16,
    one: u16,
}

/// What has to be known of a topic to find what matches it.
#[derive(Clone, Copy)]
pub(crate) struct Hashes {
    pub(crate) exact: u32,
    pub(crate) two: u32,
    pub(crate) one: u32,
}

/// Where a filter belongs.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    Exact(u32),
    Two(u32),
    One(u32),
    All,
}

pub(crate) struct Generations {
    counters: Box<[AtomicU64]>,
    all: AtomicU64,
}

impl Hashes {
    #[inline]
    pub(crate) fn of(seed: &Seed, topic: TopicName<'_>) -> Self {
        let mut levels = topic.levels();
        let one = hash::of_text(seed, levels.next().unwrap_or_default().as_bytes());
        let two = levels.next().map_or(one, |level| {
            hash::mix(one, hash::of_text(seed, level.as_bytes()))
        });
        Self {
            exact: hash::of_text(seed, topic.as_str().as_bytes()),
            two,
            one,
        }
    }

    pub(crate) fn watch(self) -> Watch {
        Watch {
            exact: place(self.exact),
            two: place(self.two),
            one: place(self.one),
        }
    }
}

impl Scope {
    pub(crate) fn of(seed: &Seed, filter: TopicFilter<'_>) -> Self {
        if !filter.is_wildcard() {
            return Self::Exact(hash::of_text(seed, filter.as_str().as_bytes()));
        }
        let mut levels = filter.levels();
        let first = levels.next().unwrap_or_default();
        Self::of_levels(seed, first.as_bytes(), levels.next().map(str::as_bytes))
    }

    /// The hash of what makes the scope; 0 for all topics.
    pub(crate) fn hash(self) -> u32 {
        match self {
            Self::Exact(hash) | Self::Two(hash) | Self::One(hash) => hash,
            Self::All => 0,
        }
    }

    /// Where a filter with wildcards belongs that begins with these levels.
    pub(crate) fn of_levels(seed: &Seed, first: &[u8], second: Option<&[u8]>) -> Self {
        if is_wildcard(first) {
            return Self::All;
        }
        let one = hash::of_text(seed, first);
        match second {
            Some(second) if !is_wildcard(second) => {
                Self::Two(hash::mix(one, hash::of_text(seed, second)))
            }
            _ => Self::One(one),
        }
    }
}

impl Generations {
    pub(crate) fn new() -> Self {
        let counters = (0..COUNTERS).map(|_| AtomicU64::new(0)).collect();
        Self {
            counters,
            all: AtomicU64::new(0),
        }
    }

    /// Says that filters of this scope changed. Called while the changed part is still locked for
    /// writing; see [`SharedFilterTrie`](crate::SharedFilterTrie) for why.
    pub(crate) fn bump(&self, scope: Scope) {
        let counter = match scope {
            Scope::Exact(hash) | Scope::Two(hash) | Scope::One(hash) => self.counter(place(hash)),
            Scope::All => Some(&self.all),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Release);
        }
    }

    #[inline]
    pub(crate) fn read(&self, watch: Watch) -> u64 {
        // A topic of one level has the same counter twice, which does no harm.
        [watch.exact, watch.two, watch.one]
            .into_iter()
            .filter_map(|at| self.counter(at))
            .chain([&self.all])
            .fold(0, |sum, counter| {
                sum.wrapping_add(counter.load(Ordering::Acquire))
            })
    }

    #[inline]
    fn counter(&self, at: u16) -> Option<&AtomicU64> {
        self.counters.get(usize::from(at))
    }
}

fn is_wildcard(level: &[u8]) -> bool {
    matches!(level, b"+" | b"#")
}

#[inline]
fn place(hash: u32) -> u16 {
    (hash % COUNTERS) as u16
}

/// 64 KiB of counters: with 10,000 changes a second, one counter changes about once a second.
const COUNTERS: u32 = 8192;
