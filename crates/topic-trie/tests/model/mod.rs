//! What the containers are compared with: a list, a matcher written from the specification's words
//! on whole lists of levels, and the texts that make differences likely.

use proptest::prelude::*;
use topic_trie::{TopicFilter, TopicName};

/// MQTT section 4.7 on levels that are already cut, the `$` rule apart.
fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) => true,
        ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => levels_match(filter, topic),
        ([wanted, filter @ ..], [level, topic @ ..]) => {
            wanted == level && levels_match(filter, topic)
        }
        _ => false,
    }
}

pub(crate) fn naive_match(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#')) {
        return false;
    }
    let filter: Vec<_> = filter.split('/').collect();
    let topic: Vec<_> = topic.split('/').collect();
    levels_match(&filter, &topic)
}

pub(crate) fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).unwrap()
}

pub(crate) fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

/// Few levels, so that filters and topics meet; among them the empty one, some that begin with `$`,
/// neighbours of the slash in byte order, one that begins another, and a long one.
const LEVELS: [&str; 11] = [
    "",
    "a",
    "a",
    "b",
    "ab",
    "$s",
    "$",
    "é",
    "a!",
    "a0",
    "a-level-longer-than-22-bytes",
];

fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&LEVELS[..])
}

/// A valid topic name of up to six levels.
pub(crate) fn topics() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..=6)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic is not empty", |text| !text.is_empty())
}

/// A valid topic filter of up to seven levels, about half of them with wildcards.
pub(crate) fn filters() -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(prop_oneof![4 => level(), 1 => Just("+")], 1..=6);
    (levels, prop::bool::weighted(0.25), any::<bool>())
        .prop_map(|(mut levels, ends_with_all, only_all)| {
            if ends_with_all {
                if only_all && levels.len() == 1 {
                    levels.clear();
                }
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("a filter is not empty", |text| !text.is_empty())
}

/// (filter, key, value), each (filter, key) once.
#[derive(Default, Clone)]
#[allow(dead_code, reason = "not every test file uses all of the model")]
pub(crate) struct Model(pub(crate) Vec<(String, u8, u32)>);

#[allow(dead_code, reason = "not every test file uses all of the model")]
impl Model {
    fn position(&self, filter: &str, key: u8) -> Option<usize> {
        self.0
            .iter()
            .position(|(held, held_key, _)| held == filter && *held_key == key)
    }

    pub(crate) fn insert(&mut self, filter: &str, key: u8, value: u32) -> Option<u32> {
        let replaced = self.remove(filter, key);
        self.0.push((filter.to_owned(), key, value));
        replaced
    }

    pub(crate) fn remove(&mut self, filter: &str, key: u8) -> Option<u32> {
        self.position(filter, key)
            .map(|at| self.0.swap_remove(at).2)
    }

    pub(crate) fn get(&self, filter: &str, key: u8) -> Option<u32> {
        self.position(filter, key).map(|at| self.0[at].2)
    }

    /// Sorted, because the containers promise little about order.
    pub(crate) fn matches(&self, topic: &str) -> Vec<(u8, u32)> {
        let hits = self
            .0
            .iter()
            .filter(|(filter, ..)| naive_match(filter, topic));
        let mut found: Vec<_> = hits.map(|&(_, key, value)| (key, value)).collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn filter_count(&self) -> usize {
        let mut filters: Vec<_> = self.0.iter().map(|(filter, ..)| filter).collect();
        filters.sort_unstable();
        filters.dedup();
        filters.len()
    }
}

#[derive(Debug, Clone)]
#[allow(dead_code, reason = "not every test file uses all of the model")]
pub(crate) enum Change {
    Insert(String, u8, u32),
    Remove(String, u8),
    /// Removes what was inserted longest ago, this many times: makes tables shrink.
    RemoveOldest(usize),
}

#[allow(dead_code, reason = "not every test file uses all of the model")]
pub(crate) fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        60 => (filters(), 0..4u8, any::<u32>()).prop_map(|(f, k, v)| Change::Insert(f, k, v)),
        20 => (filters(), 0..4u8).prop_map(|(f, k)| Change::Remove(f, k)),
        2 => (1..200usize).prop_map(Change::RemoveOldest),
    ]
}
