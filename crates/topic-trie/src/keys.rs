//! The subscribers of one filter: most filters have one, a few have ten thousand.
//!
//! One is kept in place. From two on they are a list, and past [`INDEX_FROM`] the list has an
//! index, so that adding and removing a key never takes time proportional to their number.

use std::hash::{BuildHasher, Hash};
use std::mem;

use crate::dense;
use crate::hash::Seed;
use crate::index::Index;

/// No larger than a key, a value and what tells the two forms apart.
pub(crate) enum Keys<K, V> {
    One(K, V),
    List(Box<List<K, V>>),
    /// The last key was removed; the filter is then removed as well.
    Empty,
}

pub(crate) struct List<K, V> {
    entries: Vec<(K, V)>,
    index: Option<Box<Index>>,
}

impl<K, V> Keys<K, V> {
    #[inline]
    pub(crate) fn for_each(&self, mut report: impl FnMut(&K, &V)) {
        match self {
            Self::One(key, value) => report(key, value),
            Self::List(list) => {
                let entries = list.entries.iter();
                entries.for_each(|(key, value)| report(key, value));
            }
            Self::Empty => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl<K: Eq + Hash, V> Keys<K, V> {
    pub(crate) fn insert(&mut self, seed: &Seed, key: K, value: V) -> Option<V> {
        match self {
            Self::One(held, old) if *held == key => Some(mem::replace(old, value)),
            Self::One(..) => {
                let mut entries = Vec::with_capacity(2);
                if let Self::One(first, of_first) = mem::replace(self, Self::Empty) {
                    entries.push((first, of_first));
                }
                entries.push((key, value));
                *self = Self::List(Box::new(List::of(entries)));
                None
            }
            Self::List(list) => list.insert(seed, key, value),
            Self::Empty => {
                *self = Self::One(key, value);
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, seed: &Seed, key: &K) -> Option<V> {
        match self {
            Self::One(held, _) if held != key => None,
            Self::One(..) => match mem::replace(self, Self::Empty) {
                Self::One(_, value) => Some(value),
                Self::List(_) | Self::Empty => None,
            },
            Self::List(list) => {
                let value = list.remove(seed, key)?;
                if list.entries.len() == 1
                    && let Some((key, value)) = list.entries.pop()
                {
                    *self = Self::One(key, value);
                }
                Some(value)
            }
            Self::Empty => None,
        }
    }

    pub(crate) fn get(&self, seed: &Seed, key: &K) -> Option<&V> {
        match self {
            Self::One(held, value) => (held == key).then_some(value),
            Self::List(list) => {
                let at = list.position(seed, key)?;
                list.entries.get(at as usize).map(|(_, value)| value)
            }
            Self::Empty => None,
        }
    }
}

impl<K, V> List<K, V> {
    fn of(entries: Vec<(K, V)>) -> Self {
        Self {
            entries,
            index: None,
        }
    }
}

impl<K: Eq + Hash, V> List<K, V> {
    fn position(&self, seed: &Seed, key: &K) -> Option<u32> {
        let entries = &self.entries;
        let Some(index) = &self.index else {
            let mut held = (0..).zip(entries);
            return held.find(|(_, (held, _))| held == key).map(|(at, _)| at);
        };
        let is_key = |at: u32| {
            entries
                .get(at as usize)
                .is_some_and(|(held, _)| held == key)
        };
        index.find(of_key(seed, key), is_key)
    }

    fn insert(&mut self, seed: &Seed, key: K, value: V) -> Option<V> {
        if let Some(at) = self.position(seed, &key)
            && let Some((_, old)) = self.entries.get_mut(at as usize)
        {
            return Some(mem::replace(old, value));
        }
        if let Some(index) = &mut self.index {
            index.insert(of_key(seed, &key), dense::next_index(&self.entries));
        }
        dense::push(&mut self.entries, (key, value));
        if self.index.is_none() && self.entries.len() > INDEX_FROM {
            let mut index = Index::new();
            for (at, (key, _)) in (0..).zip(&self.entries) {
                index.insert(of_key(seed, key), at);
            }
            self.index = Some(Box::new(index));
        }
        None
    }

    fn remove(&mut self, seed: &Seed, key: &K) -> Option<V> {
        let at = self.position(seed, key)?;
        let (_, value) = self.entries.swap_remove(at as usize);
        if let Some(index) = &mut self.index {
            index.remove(of_key(seed, key), at);
            if let Some((moved, _)) = self.entries.get(at as usize) {
                let last = dense::next_index(&self.entries);
                index.renumber(of_key(seed, moved), last, at);
            }
            if self.entries.len() <= INDEX_FROM / 2 {
                self.index = None;
                self.entries.shrink_to_fit();
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
