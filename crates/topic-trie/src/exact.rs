//! Filters without wildcards: one table keyed by the whole text.
//!
//! Most subscriptions are of this kind, and a topic can only equal one of them, so one lookup
//! replaces a walk through all its levels.

use std::hash::Hash;

use crate::blocks::Blocks;
use crate::hash::Seed;
use crate::index::Index;
use crate::keys::Keys;
use crate::slots::Slots;

pub(crate) struct Exact<K, V> {
    entries: Blocks<Entry<K, V>>,
    index: Index,
    slots: Slots,
    seed: Seed,
}

struct Entry<K, V> {
    text: Box<str>,
    keys: Keys<K, V>,
    slot: u32,
    /// Of the text.
    hash: u32,
}

impl<K, V> Exact<K, V> {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            entries: Blocks::new(),
            index: Index::new(),
            slots: Slots::new(),
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
        for entry in self.entries.iter() {
            entry
                .keys
                .for_each(|key, value| report(&entry.text, key, value));
        }
    }

    fn entry_at(&self, slot: u32) -> Option<(u32, &Entry<K, V>)> {
        let at = self.slots.place(slot)?;
        let entry = self.entries.get(at).filter(|entry| entry.slot == slot)?;
        Some((at, entry))
    }

    /// The text of the filter with this slot.
    pub(crate) fn text_at(&self, slot: u32) -> Option<&str> {
        self.entry_at(slot).map(|(_, entry)| &*entry.text)
    }

    #[inline]
    fn position(&self, hash: u32, text: &str) -> Option<u32> {
        let is_filter = |at: u32| {
            self.entries
                .get(at)
                .is_some_and(|entry| *entry.text == *text)
        };
        self.index.find(hash, is_filter)
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
        self.exact.entries.get(likely)
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
    /// Returns the filter's slot and what was stored for the key.
    pub(crate) fn insert(&mut self, hash: u32, text: &str, key: K, value: V) -> (u32, Option<V>) {
        if let Some(at) = self.position(hash, text)
            && let Some(entry) = self.entries.get_mut(at)
        {
            return (entry.slot, entry.keys.insert(&self.seed, key, value));
        }
        let at = self.entries.next_index();
        let slot = self.slots.take(at);
        self.entries.push(Entry {
            text: text.into(),
            keys: Keys::One(key, value),
            slot,
            hash,
        });
        self.index.insert(hash, at);
        (slot, None)
    }

    /// Returns the filter's slot, and what was stored for the key.
    pub(crate) fn remove(&mut self, hash: u32, text: &str, key: &K) -> Option<(u32, V)> {
        let at = self.position(hash, text)?;
        let slot = self.entries.get(at)?.slot;
        Some((slot, self.remove_key(at, key)?))
    }

    /// Removes a key of the filter with this slot. Returns the hash of the filter as well.
    pub(crate) fn remove_at(&mut self, slot: u32, key: &K) -> Option<(u32, V)> {
        let (at, entry) = self.entry_at(slot)?;
        let hash = entry.hash;
        Some((hash, self.remove_key(at, key)?))
    }

    fn remove_key(&mut self, at: u32, key: &K) -> Option<V> {
        let keys = &mut self.entries.get_mut(at)?.keys;
        let value = keys.remove(&self.seed, key)?;
        if keys.is_empty() {
            let removed = self.entries.swap_remove(at)?;
            self.slots.release(removed.slot);
            self.index.remove(removed.hash, at);
            if let Some(moved) = self.entries.get(at) {
                let last = self.entries.next_index();
                self.index.renumber(moved.hash, last, at);
                self.slots.moved(moved.slot, at);
            }
        }
        Some(value)
    }

    pub(crate) fn get(&self, hash: u32, text: &str, key: &K) -> Option<&V> {
        self.find(hash, text)?.get(&self.seed, key)
    }
}
