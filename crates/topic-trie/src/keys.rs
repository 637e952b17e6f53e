//! The subscribers of one filter: most filters have one, a few have ten thousand.
//!
//! One is kept in place. From two on they are a list, and past [`INDEX_FROM`] the list has an
//! index, so that adding and removing a key never takes time proportional to their number.

use std::hash::{BuildHasher, Hash};
use std::mem;

use hashbrown::HashTable;

use crate::dense;
use crate::hash::{self, Seed, Slot};

pub(crate) enum Keys<K, V> {
    One(K, V),
    Many(Box<Many<K, V>>),
    /// Only while a value moves, and after the last key went.
    Empty,
}

pub(crate) struct Many<K, V> {
    entries: Vec<(K, V)>,
    index: HashTable<Slot>,
}

impl<K: Eq + Hash, V> Keys<K, V> {
    pub(crate) fn insert(&mut self, seed: &Seed, key: K, value: V) -> Option<V> {
        match self {
            Self::One(held, old) if *held == key => Some(mem::replace(old, value)),
            Self::Many(many) => many.insert(seed, key, value),
            Self::One(..) | Self::Empty => {
                *self = match mem::replace(self, Self::Empty) {
                    Self::One(first, first_value) => {
                        let entries = vec![(first, first_value), (key, value)];
                        Self::Many(Box::new(Many {
                            entries,
                            index: HashTable::new(),
                        }))
                    }
                    _ => Self::One(key, value),
                };
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, seed: &Seed, key: &K) -> Option<V> {
        match self {
            Self::One(held, _) if held == key => match mem::replace(self, Self::Empty) {
                Self::One(_, value) => Some(value),
                _ => None,
            },
            Self::Many(many) => {
                let value = many.remove(seed, key)?;
                if many.entries.len() == 1
                    && let Some((key, value)) = many.entries.pop()
                {
                    *self = Self::One(key, value);
                }
                Some(value)
            }
            Self::One(..) | Self::Empty => None,
        }
    }

    pub(crate) fn get(&self, seed: &Seed, key: &K) -> Option<&V> {
        match self {
            Self::One(held, value) => (held == key).then_some(value),
            Self::Many(many) => {
                let at = many.position(seed, key)?;
                many.entries.get(at).map(|(_, value)| value)
            }
            Self::Empty => None,
        }
    }
}

impl<K, V> Keys<K, V> {
    #[inline]
    pub(crate) fn for_each(&self, mut report: impl FnMut(&K, &V)) {
        match self {
            Self::One(key, value) => report(key, value),
            Self::Many(many) => many
                .entries
                .iter()
                .for_each(|(key, value)| report(key, value)),
            Self::Empty => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl<K: Eq + Hash, V> Many<K, V> {
    fn position(&self, seed: &Seed, key: &K) -> Option<usize> {
        if self.index.is_empty() {
            return self.entries.iter().position(|(held, _)| held == key);
        }
        let hash = of_key(seed, key);
        let is_key = |slot: &Slot| {
            let entry = self.entries.get(slot.index as usize);
            slot.hash == hash && entry.is_some_and(|(held, _)| held == key)
        };
        self.index
            .find(hash::widened(hash), is_key)
            .map(|slot| slot.index as usize)
    }

    fn insert(&mut self, seed: &Seed, key: K, value: V) -> Option<V> {
        if let Some(at) = self.position(seed, &key)
            && let Some((_, old)) = self.entries.get_mut(at)
        {
            return Some(mem::replace(old, value));
        }
        let index = dense::next_index(&self.entries);
        if !self.index.is_empty() {
            hash::insert(
                &mut self.index,
                Slot {
                    hash: of_key(seed, &key),
                    index,
                },
            );
        }
        dense::push(&mut self.entries, (key, value));
        if self.index.is_empty() && self.entries.len() > INDEX_FROM {
            for (index, (key, _)) in (0..).zip(&self.entries) {
                hash::insert(
                    &mut self.index,
                    Slot {
                        hash: of_key(seed, key),
                        index,
                    },
                );
            }
        }
        None
    }

    fn remove(&mut self, seed: &Seed, key: &K) -> Option<V> {
        let at = self.position(seed, key)?;
        let (_, value) = self.entries.swap_remove(at);
        if self.entries.len() < INDEX_FROM / 2 {
            self.index = HashTable::new();
        }
        if !self.index.is_empty() {
            let at = u32::try_from(at).unwrap_or(dense::NONE);
            hash::remove(&mut self.index, of_key(seed, key), at);
            if let Some((moved, _)) = self.entries.get(at as usize) {
                let last = dense::next_index(&self.entries);
                hash::renumber(&mut self.index, of_key(seed, moved), last, at);
            }
        }
        dense::shrink(&mut self.entries);
        Some(value)
    }
}

fn of_key<K: Hash>(seed: &Seed, key: &K) -> u32 {
    (seed.hash_one(key) >> 32) as u32
}

/// Up to here, looking through the list costs less than an index.
const INDEX_FROM: usize = 32;
