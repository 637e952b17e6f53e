//! Filters without wildcards: one table keyed by the whole text.
//!
//! Most subscriptions are of this kind, and a topic can only equal one of them, so one lookup
//! replaces a walk through all its levels.

use std::hash::Hash;

use crate::dense;
use crate::hash::{self, Seed};
use crate::index::Index;
use crate::keys::Keys;

pub(crate) struct Exact<K, V> {
    entries: Vec<Entry<K, V>>,
    index: Index,
    seed: Seed,
}

struct Entry<K, V> {
    text: Box<str>,
    keys: Keys<K, V>,
}

impl<K, V> Exact<K, V> {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            entries: Vec::new(),
            index: Index::new(),
            seed,
        }
    }

    /// Begins to search for the filter whose hash is `hash`.
    #[inline]
    pub(crate) fn probe(&self, hash: u32) -> Probe<'_, K, V> {
        Probe {
            exact: self,
            hash,
            likely: None,
            entry: None,
        }
    }

    /// The keys of the filter `text`, whose hash is `hash`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, text: &str) -> Option<&Keys<K, V>> {
        self.entries
            .get(self.position(hash, text)?)
            .map(|entry| &entry.keys)
    }

    pub(crate) fn filter_count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn for_each(&self, mut report: impl FnMut(&str, &K, &V)) {
        for entry in &self.entries {
            entry
                .keys
                .for_each(|key, value| report(&entry.text, key, value));
        }
    }

    #[inline]
    fn position(&self, hash: u32, text: &str) -> Option<usize> {
        let is_filter = |at: u32| {
            self.entries
                .get(at as usize)
                .is_some_and(|entry| *entry.text == *text)
        };
        self.index.find(hash, is_filter).map(|at| at as usize)
    }
}

/// A search for a filter in steps, each of which asks for memory that the next one needs.
pub(crate) struct Probe<'a, K, V> {
    exact: &'a Exact<K, V>,
    hash: u32,
    likely: Option<u32>,
    entry: Option<&'a Entry<K, V>>,
}

impl<'a, K, V> Probe<'a, K, V> {
    /// To be called at each level of a walk that waits for memory as well: the upper levels do so
    /// less than the lower ones.
    #[inline]
    pub(crate) fn go_on(&mut self, depth: usize) {
        match depth {
            FIRST_STEP => self.likely = Some(self.exact.index.first(self.hash)),
            SECOND_STEP => self.entry = self.entry(),
            _ => {}
        }
    }

    #[inline]
    fn entry(&self) -> Option<&'a Entry<K, V>> {
        let likely = self
            .likely
            .unwrap_or_else(|| self.exact.index.first(self.hash));
        self.exact.entries.get(likely as usize)
    }

    /// The keys of the filter `text`.
    #[inline]
    pub(crate) fn finish(self, text: &str) -> Option<&'a Keys<K, V>> {
        let entry = self.entry.or_else(|| self.entry())?;
        if *entry.text == *text {
            return Some(&entry.keys);
        }
        self.exact.find(self.hash, text)
    }
}

const FIRST_STEP: usize = 2;
const SECOND_STEP: usize = 3;

impl<K: Eq + Hash, V> Exact<K, V> {
    pub(crate) fn insert(&mut self, hash: u32, text: &str, key: K, value: V) -> Option<V> {
        if let Some(at) = self.position(hash, text)
            && let Some(entry) = self.entries.get_mut(at)
        {
            return entry.keys.insert(&self.seed, key, value);
        }
        let index = dense::next_index(&self.entries);
        dense::push(
            &mut self.entries,
            Entry {
                text: text.into(),
                keys: Keys::One(key, value),
            },
        );
        self.index.insert(hash, index);
        None
    }

    pub(crate) fn remove(&mut self, hash: u32, text: &str, key: &K) -> Option<V> {
        let at = self.position(hash, text)?;
        let keys = &mut self.entries.get_mut(at)?.keys;
        let value = keys.remove(&self.seed, key)?;
        if keys.is_empty() {
            self.entries.swap_remove(at);
            let at = u32::try_from(at).unwrap_or(dense::NONE);
            self.index.remove(hash, at);
            if let Some(moved) = self.entries.get(at as usize) {
                let last = dense::next_index(&self.entries);
                let hash = hash::of_text(&self.seed, &moved.text);
                self.index.renumber(hash, last, at);
            }
            dense::shrink(&mut self.entries);
        }
        Some(value)
    }

    pub(crate) fn get(&self, hash: u32, text: &str, key: &K) -> Option<&V> {
        self.find(hash, text)?.get(&self.seed, key)
    }
}
