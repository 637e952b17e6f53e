//! What a session has subscribed to, so that all of it can leave the router when the session ends.
//!
//! The router has the texts. Of a subscription of the session's own there is no more here than the id
//! of its filter, eight bytes; of a shared one, the text that names its group.

use std::collections::{BTreeSet, btree_set};
use std::vec;

use hashbrown::{HashSet, hash_set};
use topic_trie::FilterId;

/// Most ids that are kept in a list. Most clients have fewer subscriptions.
const FEW_MAX: usize = 16;

/// The subscriptions of one session. Without any it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    own: Ids,
    /// Texts of shared subscriptions.
    #[expect(
        clippy::box_collection,
        reason = "most sessions have none, and pay eight bytes for that"
    )]
    shared: Option<Box<BTreeSet<Box<str>>>>,
}

#[derive(Debug)]
enum Ids {
    /// In no order.
    Few(Vec<FilterId>),
    Many(Box<HashSet<FilterId>>),
}

impl Default for Ids {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Filters {
    pub(crate) fn len(&self) -> usize {
        let own = match &self.own {
            Ids::Few(ids) => ids.len(),
            Ids::Many(ids) => ids.len(),
        };
        own + self.shared.as_ref().map_or(0, |texts| texts.len())
    }

    /// Adds a subscription of the session's own that is not there yet.
    pub(crate) fn add(&mut self, id: FilterId) {
        match &mut self.own {
            Ids::Many(ids) => {
                ids.insert(id);
            }
            Ids::Few(ids) if ids.len() < FEW_MAX => {
                if ids.len() == ids.capacity() {
                    // From one on: a vector left to itself begins with room for four.
                    ids.reserve_exact(ids.len().max(1));
                }
                ids.push(id);
            }
            Ids::Few(ids) => {
                let ids = ids.iter().copied().chain([id]).collect();
                self.own = Ids::Many(Box::new(ids));
            }
        }
    }

    /// Removes a subscription of the session's own.
    pub(crate) fn remove(&mut self, id: FilterId) {
        match &mut self.own {
            Ids::Few(ids) => {
                if let Some(at) = ids.iter().position(|held| *held == id) {
                    ids.swap_remove(at);
                }
                if ids.is_empty() {
                    *ids = Vec::new();
                }
            }
            Ids::Many(ids) => {
                ids.remove(&id);
                if ids.len() <= FEW_MAX / 2 {
                    let few = ids.iter().copied().collect();
                    self.own = Ids::Few(few);
                } else if ids.len() < ids.capacity() / 8 {
                    ids.shrink_to(ids.len() * 2);
                }
            }
        }
    }

    /// The filters of the session's own subscriptions.
    pub(crate) fn own(&self) -> impl Iterator<Item = FilterId> {
        let (few, many) = match &self.own {
            Ids::Few(ids) => (ids.as_slice(), None),
            Ids::Many(ids) => (&[][..], Some(ids)),
        };
        few.iter()
            .chain(many.into_iter().flat_map(|ids| ids.iter()))
            .copied()
    }

    pub(crate) fn has_shared(&self, text: &str) -> bool {
        let texts = self.shared.as_ref();
        texts.is_some_and(|texts| texts.contains(text))
    }

    pub(crate) fn add_shared(&mut self, text: &str) {
        self.shared.get_or_insert_default().insert(text.into());
    }

    /// Whether it was there.
    pub(crate) fn remove_shared(&mut self, text: &str) -> bool {
        let Some(texts) = &mut self.shared else {
            return false;
        };
        let was_there = texts.remove(text);
        if texts.is_empty() {
            self.shared = None;
        }
        was_there
    }

    /// The whole texts of the session's shared subscriptions.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &str> {
        self.shared
            .iter()
            .flat_map(|texts| texts.iter())
            .map(|text| &**text)
    }
}

/// One subscription, as a session keeps it.
#[derive(Debug)]
pub(crate) enum Held {
    /// The id of its filter.
    Own(FilterId),
    /// The whole text.
    Shared(Box<str>),
}

/// Takes subscriptions out one by one; costs nothing until then, however many there are.
#[derive(Debug)]
pub(crate) struct HeldIter {
    few: vec::IntoIter<FilterId>,
    many: Option<Box<hash_set::IntoIter<FilterId>>>,
    shared: btree_set::IntoIter<Box<str>>,
}

impl IntoIterator for Filters {
    type Item = Held;
    type IntoIter = HeldIter;

    fn into_iter(self) -> HeldIter {
        let (few, many) = match self.own {
            Ids::Few(ids) => (ids, None),
            Ids::Many(ids) => (Vec::new(), Some(Box::new((*ids).into_iter()))),
        };
        HeldIter {
            few: few.into_iter(),
            many,
            shared: self
                .shared
                .map(|texts| *texts)
                .unwrap_or_default()
                .into_iter(),
        }
    }
}

impl Iterator for HeldIter {
    type Item = Held;

    fn next(&mut self) -> Option<Held> {
        let many = || self.many.as_mut().and_then(|ids| ids.next());
        let own = self.few.next().or_else(many).map(Held::Own);
        own.or_else(|| self.shared.next().map(Held::Shared))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let many = self.many.as_ref().map_or(0, |ids| ids.len());
        let left = self.few.len() + many + self.shared.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeldIter {}

#[cfg(test)]
mod tests {
    use topic_trie::{SharedFilterTrie, TopicFilter};

    use super::*;

    fn ids(count: usize) -> Vec<FilterId> {
        let trie = SharedFilterTrie::new();
        let texts = (0..count).map(|number| format!("{number}/+"));
        texts
            .map(|text| {
                trie.insert_with_id(TopicFilter::new(&text).unwrap(), 0, ())
                    .0
            })
            .collect()
    }

    fn bytes(filters: &Filters) -> usize {
        size_of::<FilterId>()
            * match &filters.own {
                Ids::Few(ids) => ids.capacity(),
                Ids::Many(ids) => ids.capacity(),
            }
    }

    #[test]
    fn ids_come_and_go_at_any_number_and_leave_no_memory() {
        for count in [1, FEW_MAX, FEW_MAX + 1, 1000] {
            let ids = ids(count);
            let mut filters = Filters::default();
            for (at, id) in ids.iter().enumerate() {
                filters.add(*id);
                assert_eq!(filters.len(), at + 1);
            }
            assert!(bytes(&filters) < 32 * count, "{} bytes", bytes(&filters));
            let mut held: Vec<_> = filters.own().collect();
            held.sort_unstable();
            let mut all = ids.clone();
            all.sort_unstable();
            assert_eq!(held, all);
            for (at, id) in ids.iter().enumerate() {
                filters.remove(*id);
                assert_eq!(filters.len(), count - at - 1);
                assert!(!filters.own().any(|held| held == *id));
                let most = 128 * (filters.len() + FEW_MAX);
                assert!(bytes(&filters) <= most, "{} bytes", bytes(&filters));
            }
            assert_eq!(bytes(&filters), 0);
        }
    }

    #[test]
    fn all_are_taken_out_once() {
        for count in [0, 1, FEW_MAX, FEW_MAX + 1, 300] {
            let mut ids = ids(count);
            let mut filters = Filters::default();
            ids.iter().for_each(|id| filters.add(*id));
            filters.add_shared("$share/a/b");
            filters.add_shared("$share/a/c");
            let mut taken = filters.into_iter();
            let (mut own, mut shared) = (Vec::new(), Vec::new());
            for left in (0..count + 2).rev() {
                match taken.next().unwrap() {
                    Held::Own(id) => own.push(id),
                    Held::Shared(text) => shared.push(text),
                }
                assert_eq!(taken.len(), left);
            }
            assert!(taken.next().is_none());
            own.sort_unstable();
            ids.sort_unstable();
            assert_eq!(own, ids);
            assert_eq!(shared, ["$share/a/b".into(), "$share/a/c".into()]);
        }
    }

    #[test]
    fn one_subscription_takes_eight_bytes_and_what_refers_to_them() {
        let mut filters = Filters::default();
        assert_eq!(size_of::<Filters>(), 32);
        filters.add(ids(1)[0]);
        assert_eq!(bytes(&filters), 8);
    }

    #[test]
    fn shared_subscriptions_are_kept_by_text() {
        let mut filters = Filters::default();
        filters.add_shared("$share/a/b");
        filters.add_shared("$share/a/c");
        assert_eq!(filters.len(), 2);
        assert!(filters.has_shared("$share/a/b") && !filters.has_shared("$share/a"));
        assert!(filters.remove_shared("$share/a/b") && !filters.remove_shared("$share/a/b"));
        assert_eq!(filters.shared().collect::<Vec<_>>(), ["$share/a/c"]);
        assert!(filters.remove_shared("$share/a/c"));
        assert!(filters.shared.is_none());
    }
}
