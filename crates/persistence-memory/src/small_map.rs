//! An ordered map that is small while it has few entries, as the subscriptions of most sessions
//! do, and as fast as a tree while it has many.
//!
//! A node of a [`BTreeMap`] has room for eleven entries from the first one on; that alone would be
//! some 300 bytes for a single subscription.

use core::borrow::Borrow;
use core::ops::Bound;
use std::collections::BTreeMap;

/// Most entries that are kept in a list.
const FEW_MAX: usize = 16;

/// A tree that has come down to so many becomes a list again. Less than [`FEW_MAX`], so that an entry
/// that comes and goes does not turn the one into the other each time.
const MANY_MIN: usize = 8;

/// An ordered map. Without entries it owns no memory.
#[derive(Debug)]
pub(crate) enum SmallMap<K, V> {
    /// In order.
    Few(Vec<(K, V)>),
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(entries) => entries.len(),
            Self::Many(entries) => entries.len(),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let entries = match self {
            Self::Many(entries) => return entries.insert(key, value),
            Self::Few(entries) => entries,
        };
        match entries.binary_search_by(|(there, _)| there.cmp(&key)) {
            Ok(at) => entries
                .get_mut(at)
                .map(|(_, there)| core::mem::replace(there, value)),
            Err(at) if entries.len() < FEW_MAX => {
                if entries.len() == entries.capacity() {
                    // From one on: a vector left to itself begins with room for four.
                    entries.reserve_exact(entries.len().max(1));
                }
                entries.insert(at, (key, value));
                None
            }
            Err(_) => {
                let mut many: BTreeMap<K, V> = entries.drain(..).collect();
                many.insert(key, value);
                *self = Self::Many(many);
                None
            }
        }
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        match self {
            Self::Few(entries) => {
                let at = position(entries, key)?;
                let (_, removed) = entries.remove(at);
                if entries.is_empty() {
                    *entries = Vec::new();
                }
                Some(removed)
            }
            Self::Many(entries) => {
                let removed = entries.remove(key)?;
                if entries.len() <= MANY_MIN {
                    let few = core::mem::take(entries).into_iter().collect();
                    *self = Self::Few(few);
                }
                Some(removed)
            }
        }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        match self {
            Self::Few(entries) => entries.get(position(entries, key)?).map(|(_, value)| value),
            Self::Many(entries) => entries.get(key),
        }
    }

    /// The entries behind `after`, or all, in order.
    pub(crate) fn iter_after<Q>(&self, after: Option<&Q>) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (few, many) = match self {
            Self::Few(entries) => {
                let start = after.map_or(0, |after| {
                    entries.partition_point(|(there, _)| there.borrow() <= after)
                });
                (entries.get(start..).unwrap_or_default(), None)
            }
            Self::Many(entries) => (&[][..], Some(entries.range(behind(after)))),
        };
        few.iter()
            .map(|(key, value)| (key, value))
            .chain(many.into_iter().flatten())
    }
}

fn position<K: Borrow<Q>, Q: Ord + ?Sized, V>(entries: &[(K, V)], key: &Q) -> Option<usize> {
    entries
        .binary_search_by(|(there, _)| there.borrow().cmp(key))
        .ok()
}

/// The range of all keys behind `after`, or of all keys.
pub(crate) fn behind<Q: ?Sized>(after: Option<&Q>) -> (Bound<&Q>, Bound<&Q>) {
    (
        after.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Through both forms and back, the map is a `BTreeMap` to whoever uses it.
        #[test]
        fn a_small_map_is_a_map(steps in prop::collection::vec((any::<bool>(), 0_u8..40), 0..400)) {
            let mut map = SmallMap::default();
            let mut model = BTreeMap::new();
            for (at, (puts, key)) in steps.into_iter().enumerate() {
                if puts {
                    prop_assert_eq!(map.insert(key, at), model.insert(key, at));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert!(map.iter_after(None::<&u8>).eq(model.iter()));
                let behind = (Bound::Excluded(&key), Bound::Unbounded);
                prop_assert!(map.iter_after(Some(&key)).eq(model.range(behind)));
                if let SmallMap::Few(entries) = &map {
                    prop_assert!(!entries.is_empty() || entries.capacity() == 0);
                }
            }
        }
    }

    #[test]
    fn the_form_follows_the_number_of_entries() {
        let mut map = SmallMap::default();
        for key in 0..FEW_MAX {
            map.insert(key, ());
            assert!(matches!(&map, SmallMap::Few(entries) if entries.capacity() < 2 * (key + 1)));
        }
        map.insert(FEW_MAX, ());
        assert!(matches!(map, SmallMap::Many(_)));
        for key in 0..=FEW_MAX {
            map.remove(&key);
            assert_eq!(matches!(map, SmallMap::Many(_)), map.len() > MANY_MIN);
        }
        assert!(matches!(map, SmallMap::Few(entries) if entries.capacity() == 0));
    }
}
