//! The trie that most brokers have (FlashMQ among them): a hash map of children in each node and a
//! map of subscribers where a filter ends. With two hash functions: the standard library's, and the
//! same fast one that `topic-trie` uses.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

#[derive(Default)]
pub struct Nested<S = hashbrown::DefaultHashBuilder> {
    children: HashMap<String, Box<Nested<S>>, S>,
    plus: Option<Box<Nested<S>>>,
    here: BTreeMap<u64, u64>,
    below: BTreeMap<u64, u64>,
}

/// With the hash of the standard library.
pub type StdNested = Nested<RandomState>;

impl<S: BuildHasher + Default> Nested<S> {
    pub fn insert(&mut self, filter: &str, key: u64, value: u64) -> Option<u64> {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return node.below.insert(key, value),
                "+" => node.plus.get_or_insert_with(Box::default),
                _ => node.children.entry(level.to_owned()).or_default(),
            };
        }
        node.here.insert(key, value)
    }

    pub fn remove(&mut self, filter: &str, key: u64) -> Option<u64> {
        let (level, rest) = match filter.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (filter, None),
        };
        if level == "#" {
            return self.below.remove(&key);
        }
        let child = match level {
            "+" => self.plus.as_deref_mut()?,
            _ => self.children.get_mut(level)?,
        };
        let removed = match rest {
            Some(rest) => child.remove(rest, key),
            None => child.here.remove(&key),
        };
        if child.is_unused() {
            if level == "+" {
                self.plus = None;
            } else {
                self.children.remove(level);
            }
        }
        removed
    }

    fn is_unused(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.below.is_empty()
    }

    pub fn matches(&self, topic: &str, report: &mut impl FnMut(u64, u64)) {
        let wildcards = !topic.starts_with('$');
        self.walk(Some(topic), wildcards, report);
    }

    fn walk(&self, topic: Option<&str>, wildcards: bool, report: &mut impl FnMut(u64, u64)) {
        if wildcards {
            self.below
                .iter()
                .for_each(|(&key, &value)| report(key, value));
        }
        let Some(topic) = topic else {
            self.here
                .iter()
                .for_each(|(&key, &value)| report(key, value));
            return;
        };
        let (level, rest) = match topic.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (topic, None),
        };
        if let Some(child) = self.children.get(level) {
            child.walk(rest, true, report);
        }
        if wildcards && let Some(plus) = &self.plus {
            plus.walk(rest, true, report);
        }
    }
}
