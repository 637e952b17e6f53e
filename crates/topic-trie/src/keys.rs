//! The subscribers of one filter: most filters have one, a few have ten thousand.
//!
//! One is kept in place. From two on they are a list, and past [`INDEX_FROM`] the list has an
//! index, so that adding and removing a key never takes time proportional to their number.

use std::hash::{BuildHasher, Hash};
use std::mem;

use crate::dense;
use crate::hash::Seed;
use crate::index::Index;

pub(crate) enum Keys<K, V> {
    One(K, V),
    Few(Vec<(K, V)>),
    Many(Box<Many<K, V>>),
}

pub(crate) struct Many<K, V> {
    entries: Vec<(K, V)>,
    index: Index,
}

impl<K, V> Keys<K, V> {
    #[inline]
    pub(crate) fn for_each(&self, mut report: impl FnMut(&K, &V)) {
        let entries = match self {
            Self::One(key, value) => return report(key, value),
            Self::Few(entries) => entries,
            Self::Many(many) => &many.entries,
        };
        entries.iter().for_each(|(key, value)| report(key, value));
    }

    /// After the last key was removed. The filter is then removed as well.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Few(entries) if entries.is_empty())
    }

    /// Leaves no keys behind.
    fn take(&mut self) -> Self {
        mem::replace(self, Self::Few(Vec::new()))
    }
}

impl<K: Eq + Hash, V> Keys<K, V> {
    pub(crate) fn insert(&mut self, seed: &Seed, key: K, value: V) -> Option<V> {
        match self {
            Self::One(held, old) if *held == key => return Some(mem::replace(old, value)),
            Self::One(..) => {
                let mut entries = Vec::with_capacity(2);
                if let Self::One(first, of_first) = self.take() {
                    entries.push((first, of_first));
                }
                entries.push((key, value));
                *self = Self::Few(entries);
            }
            Self::Few(entries) => {
                if let Some((_, old)) = entries.iter_mut().find(|(held, _)| *held == key) {
                    return Some(mem::replace(old, value));
                }
                entries.push((key, value));
                if entries.len() > INDEX_FROM {
                    let entries = mem::take(entries);
                    let mut index = Index::new();
                    for (at, (key, _)) in (0..).zip(&entries) {
                        index.insert(of_key(seed, key), at);
                    }
                    *self = Self::Many(Box::new(Many { entries, index }));
                }
            }
            Self::Many(many) => return many.insert(seed, key, value),
        }
        None
    }

    pub(crate) fn remove(&mut self, seed: &Seed, key: &K) -> Option<V> {
        match self {
            Self::One(held, _) if held != key => None,
            Self::One(..) => match self.take() {
                Self::One(_, value) => Some(value),
                Self::Few(_) | Self::Many(_) => None,
            },
            Self::Few(entries) => {
                let at = entries.iter().position(|(held, _)| held == key)?;
                let (_, value) = entries.swap_remove(at);
                if entries.len() == 1
                    && let Some((key, value)) = entries.pop()
                {
                    *self = Self::One(key, value);
                }
                Some(value)
            }
            Self::Many(many) => {
                let value = many.remove(seed, key)?;
                if many.entries.len() <= INDEX_FROM / 2 {
                    let mut entries = mem::take(&mut many.entries);
                    entries.shrink_to_fit();
                    *self = Self::Few(entries);
                }
                Some(value)
            }
        }
    }

    pub(crate) fn get(&self, seed: &Seed, key: &K) -> Option<&V> {
        let entry = match self {
            Self::One(held, value) => return (held == key).then_some(value),
            Self::Few(entries) => entries.iter().find(|(held, _)| held == key),
            Self::Many(many) => many
                .entries
                .get(many.position(of_key(seed, key), key)? as usize),
        };
        entry.map(|(_, value)| value)
    }
}

impl<K: Eq + Hash, V> Many<K, V> {
    fn position(&self, hash: u32, key: &K) -> Option<u32> {
        let is_key = |at: u32| {
            self.entries
                .get(at as usize)
                .is_some_and(|(held, _)| held == key)
        };
        self.index.find(hash, is_key)
    }

    fn insert(&mut self, seed: &Seed, key: K, value: V) -> Option<V> {
        let hash = of_key(seed, &key);
        if let Some(at) = self.position(hash, &key)
            && let Some((_, old)) = self.entries.get_mut(at as usize)
        {
            return Some(mem::replace(old, value));
        }
        self.index.insert(hash, dense::next_index(&self.entries));
        dense::push(&mut self.entries, (key, value));
        None
    }

    fn remove(&mut self, seed: &Seed, key: &K) -> Option<V> {
        let hash = of_key(seed, key);
        let at = self.position(hash, key)?;
        let (_, value) = self.entries.swap_remove(at as usize);
        self.index.remove(hash, at);
        if let Some((moved, _)) = self.entries.get(at as usize) {
            let last = dense::next_index(&self.entries);
            self.index.renumber(of_key(seed, moved), last, at);
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
