//! What the writer remembers of what it has read or written lately, within a bound in bytes.

use core::borrow::Borrow;
use core::hash::Hash;

use hashbrown::HashMap;

/// Two generations: what is used moves into the younger one, and when that is full it becomes the
/// older one, whose entries are forgotten. So what was not used for a while goes, without a list of
/// who was used when.
pub(crate) struct Cache<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Of the younger generation.
    bytes: usize,
    limit: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// `limit`: bytes of one generation.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            bytes: 0,
            limit,
        }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key)).cloned()
    }

    /// `bytes`: what the entry takes up, roughly.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        if self.bytes >= self.limit {
            self.old = core::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_last_is_remembered_within_the_limit() {
        let mut cache = Cache::new(100);
        for number in 0..1_000 {
            cache.insert(number, number * 2, 10);
            assert_eq!(cache.get(&number), Some(number * 2));
            assert!(cache.young.len() <= 10 && cache.old.len() <= 10);
        }
        assert_eq!(cache.get(&991), Some(1_982));
        assert_eq!(cache.get(&500), None);
        cache.remove(&991);
        assert_eq!(cache.get(&991), None);
        cache.clear();
        assert_eq!(cache.get(&999), None);
    }
}
