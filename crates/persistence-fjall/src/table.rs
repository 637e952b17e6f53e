//! Records as a group of batches changes them: read through to what is stored, written with the
//! group, remembered afterwards.

use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashMap;

use crate::cache::Cache;
use crate::error::Failure;

/// Bytes of records of one kind that are remembered, twice over.
const REMEMBERED_BYTES: usize = 4 << 20;

pub(crate) struct Table<K, V> {
    changed: HashMap<K, Change<V>>,
    known: Cache<K, V>,
    /// What an entry takes up in memory, roughly.
    size: fn(&K, &V) -> usize,
}

/// What becomes of a record in the group.
pub(crate) struct Change<V> {
    /// The record; `None` once it is removed.
    pub(crate) value: Option<V>,
    /// Whether there is one in the store, to be removed if this one is.
    pub(crate) stored: bool,
}

impl<K: Clone + Eq + Hash, V: Clone> Table<K, V> {
    pub(crate) fn new(size: fn(&K, &V) -> usize) -> Self {
        Self {
            changed: HashMap::new(),
            known: Cache::new(REMEMBERED_BYTES),
            size,
        }
    }

    /// The record as the group has left it so far; `load` reads what is stored.
    pub(crate) fn get<Q>(
        &self,
        key: &Q,
        load: impl FnOnce() -> Result<Option<V>, Failure>,
    ) -> Result<Option<V>, Failure>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(change) = self.changed.get(key) {
            return Ok(change.value.clone());
        }
        match self.known.get(key) {
            Some(value) => Ok(Some(value)),
            None => load(),
        }
    }

    /// Puts or removes a record that was looked up before: `before` says whether there was one.
    pub(crate) fn set(&mut self, key: K, value: Option<V>, before: bool) {
        match self.changed.get_mut(&key) {
            Some(change) => change.value = value,
            None => {
                let stored = before;
                self.changed.insert(key, Change { value, stored });
            }
        }
    }

    /// What the group changes, each record once.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&K, &Change<V>)> {
        // Neither there before nor afterwards: the store need not hear of it.
        let changes = self.changed.iter();
        changes.filter(|(_, change)| change.stored || change.value.is_some())
    }

    /// The group is stored.
    pub(crate) fn keep(&mut self) {
        for (key, change) in self.changed.drain() {
            match change.value {
                Some(value) => {
                    let bytes = (self.size)(&key, &value);
                    self.known.insert(key, value, bytes);
                }
                None => self.known.remove(&key),
            }
        }
    }

    /// The group is given up; what is stored is to be read again.
    pub(crate) fn forget(&mut self) {
        self.changed.clear();
        self.known.clear();
    }
}
