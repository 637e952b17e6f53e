//! `FilterTrie`: topic filters, each with the keys of its subscribers and a value for each key.

use std::fmt;
use std::hash::Hash;

use crate::exact::Exact;
use crate::filter::TopicFilter;
use crate::hash::{self, Seed};
use crate::name::TopicName;
use crate::walk::Parts;
use crate::wild::Wild;

/// Stores values under (topic filter, key) and finds all those whose filter matches a topic.
///
/// A key says whose subscription it is, such as a session's number; a filter can hold any number of
/// keys, but each only once. For a trie that many threads share see
/// [`SharedFilterTrie`](crate::SharedFilterTrie).
///
/// # Cost
/// [`FilterTrie::matches`] looks up the topic as a whole once, and then walks the tree of wildcard
/// filters level by level: one lookup at each node whose way from the root matches the beginning of
/// the topic. How many filters are stored does not matter. For a topic of `L` levels there can be up
/// to 2<sup>L</sup> such nodes, if filters have both the level's text and `+` at each level (`a/b`,
/// `a/+`, `+/b`, `+/+`); but each of them is on the way to a stored filter, so this takes as many
/// filters. Adding and removing take time in proportion to the levels of the filter, apart from now
/// and then moving to larger or smaller tables. The keys of a filter are found by hash, so a filter
/// with many keys costs no more than one with few, except for reporting them.
///
/// No memory is allocated while matching, however much matches, unless more than 16 of those nodes
/// are on one level.
///
/// ```
/// use topic_trie::{FilterTrie, TopicFilter, TopicName};
///
/// let mut trie = FilterTrie::new();
/// trie.insert(TopicFilter::new("plant/+/pressure")?, 7, "seven");
/// trie.insert(TopicFilter::new("plant/#")?, 8, "eight");
///
/// let mut found = Vec::new();
/// trie.matches(TopicName::new("plant/2/pressure")?, |&key, &value| found.push((key, value)));
/// found.sort();
/// assert_eq!(found, [(7, "seven"), (8, "eight")]);
///
/// assert_eq!(trie.remove(TopicFilter::new("plant/#")?, &8), Some("eight"));
/// assert_eq!(trie.len(), 1);
/// # Ok::<(), topic_trie::TopicError>(())
/// ```
pub struct FilterTrie<K, V> {
    exact: Exact<K, V>,
    wild: Wild<K, V>,
    seed: Seed,
    len: usize,
}

impl<K, V> FilterTrie<K, V> {
    /// An empty trie, which has no memory of its own yet.
    pub fn new() -> Self {
        let seed = Seed::default();
        Self {
            exact: Exact::new(seed.clone()),
            wild: Wild::new(seed.clone()),
            seed,
            len: 0,
        }
    }

    /// How many (filter, key) pairs are stored.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many different filters are stored.
    pub fn filter_count(&self) -> usize {
        self.exact.filter_count() + self.wild.filter_count()
    }

    /// Calls `report` with the key and the value of each pair whose filter matches `topic`, by the
    /// rules of MQTT section 4.7. A key that is stored under several matching filters is reported
    /// for each of them.
    ///
    /// The filter that equals the topic comes first; the others come in no promised order, but the
    /// keys of one filter come one after the other.
    #[inline]
    pub fn matches(&self, topic: TopicName<'_>, report: impl FnMut(&K, &V)) {
        let parts = Parts {
            exact: Some(&self.exact),
            trees: [Some(&self.wild)],
            seed: &self.seed,
        };
        parts.matches(
            topic,
            hash::of_text(&self.seed, topic.as_str().as_bytes()),
            report,
        );
    }

    /// Calls `report` with everything that is stored, in no promised order.
    pub fn for_each(&self, mut report: impl FnMut(TopicFilter<'_>, &K, &V)) {
        let mut report =
            |text: &str, key: &K, value: &V| report(TopicFilter::of_stored(text), key, value);
        self.exact.for_each(&mut report);
        self.wild.for_each(&mut report);
    }
}

impl<K: Eq + Hash, V> FilterTrie<K, V> {
    /// Stores `value` under `filter` and `key`, and returns the value that it replaces.
    ///
    /// Each level that the filter has in common with another one can take a node of about 70 bytes:
    /// brokers bound [`TopicFilter::level_count`] before they call this.
    ///
    /// # Panics
    /// At 2³¹ − 1 filters or nodes.
    pub fn insert(&mut self, filter: TopicFilter<'_>, key: K, value: V) -> Option<V> {
        let (_, replaced) = match filter.as_name() {
            Some(name) => {
                let hash = hash::of_text(&self.seed, name.as_str().as_bytes());
                self.exact.insert(hash, name.as_str(), key, value)
            }
            None => self.wild.insert(filter, key, value),
        };
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Removes what is stored under `filter` and `key`. Memory goes back to the allocator when
    /// three quarters of a table are unused.
    pub fn remove(&mut self, filter: TopicFilter<'_>, key: &K) -> Option<V> {
        let removed = match filter.as_name() {
            Some(name) => {
                let hash = hash::of_text(&self.seed, name.as_str().as_bytes());
                self.exact.remove(hash, name.as_str(), key)
            }
            None => self.wild.remove(filter, key),
        };
        self.len -= usize::from(removed.is_some());
        removed.map(|(_, value)| value)
    }

    /// What is stored under exactly this filter, read as text, and this key.
    pub fn get(&self, filter: TopicFilter<'_>, key: &K) -> Option<&V> {
        match filter.as_name() {
            Some(name) => {
                let hash = hash::of_text(&self.seed, name.as_str().as_bytes());
                self.exact.get(hash, name.as_str(), key)
            }
            None => self.wild.get(filter, key),
        }
    }
}

impl<K, V> Default for FilterTrie<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for FilterTrie<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterTrie")
            .field("len", &self.len)
            .field("filters", &self.filter_count())
            .finish_non_exhaustive()
    }
}
