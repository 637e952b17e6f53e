//! `SharedFilterTrie`: the trie that all connections of a broker use at once.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exact::Exact;
use crate::filter::{TopicFilter, TopicFilterBuf};
use crate::generation::{Generations, Hashes, Scope, Watch};
use crate::hash::Seed;
use crate::id::FilterId;
use crate::name::TopicName;
use crate::shard::Shard;
use crate::walk::Parts;
use crate::wild::Wild;

/// A [`FilterTrie`](crate::FilterTrie) for many threads: all methods take `&self`.
///
/// # Who waits for whom
/// Filters are spread over parts with a lock each, by their first two levels or, without wildcards,
/// by their whole text. Any number of matches read the same part at once. A match waits for an
/// insertion or removal that is at work in a part that it must read, which holds the lock for the
/// change of one filter. It does not wait for a writer that itself is still waiting, and so never
/// for another match; with one exception, without which writers could starve: when matches have
/// kept a part locked for 5 ms without the shortest gap, those that come then let the writer go
/// first.
///
/// The function given to [`matches`](SharedFilterTrie::matches) runs while parts are locked for
/// reading: it must be short and must not call methods of the same trie.
///
/// # Remembering matches
/// A publisher that sends to the same topics again and again can keep what
/// [`matches_into`](SharedFilterTrie::matches_into) found, together with the
/// [`generation`](SharedFilterTrie::generation) read *before* the match, and use it for as long as
/// the generation stays the same. Why this is safe:
///
/// - A writer changes a filter, then adds one to a counter that each matching topic reads, then
///   unlocks. The counter is written with release and read with acquire ordering, and never
///   decreases.
/// - If the match did not see a change, it held the lock before the writer did; so the generation
///   was read before the counter was raised, and does not include it. Once that counter's new
///   value is visible, the generation differs, and the remembered match is dropped.
/// - When `insert` or `remove` has returned, and the publisher knows of it in any way (the
///   subscriber got its SUBACK and told the publisher), that knowledge orders the raised counter
///   before the publisher's next reading.
/// - If a generation includes a change, the match that follows sees the change, because the writer
///   was at that time holding the lock or already done.
///
/// ```
/// use topic_trie::{SharedFilterTrie, TopicFilter, TopicName};
///
/// let trie = SharedFilterTrie::new();
/// let topic = TopicName::new("plant/2/pressure")?;
///
/// let generation = trie.generation(topic);
/// let mut found = Vec::new();
/// trie.matches_into(topic, &mut found);
///
/// trie.insert(TopicFilter::new("office/#")?, 1, ());
/// assert_eq!(trie.generation(topic), generation);
/// trie.insert(TopicFilter::new("plant/#")?, 1, ());
/// assert_ne!(trie.generation(topic), generation);
/// # Ok::<(), topic_trie::TopicError>(())
/// ```
pub struct SharedFilterTrie<K, V> {
    exact: Box<[Shard<Exact<K, V>>]>,
    wild: Box<[Shard<Wild<K, V>>]>,
    /// Filters whose first level is a wildcard.
    wild_first: Shard<Wild<K, V>>,
    generations: Generations,
    len: AtomicUsize,
    seed: Seed,
}

impl<K, V> SharedFilterTrie<K, V> {
    /// An empty trie; takes about 100 KiB, mostly for the counters.
    pub fn new() -> Self {
        let seed = Seed::default();
        Self {
            exact: (0..SHARDS)
                .map(|_| Shard::new(Exact::new(seed.clone())))
                .collect(),
            wild: (0..SHARDS)
                .map(|_| Shard::new(Wild::new(seed.clone())))
                .collect(),
            wild_first: Shard::new(Wild::new(seed.clone())),
            generations: Generations::new(),
            len: AtomicUsize::new(0),
            seed,
        }
    }

    /// How many (filter, key) pairs are stored. While others insert and remove, the answer may be
    /// late.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether nothing is stored; see [`SharedFilterTrie::len`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A number that changes whenever a filter that matches `topic` is added, replaced or removed,
    /// and seldom otherwise. Only equality has a meaning. For how to use it see
    /// [the type](SharedFilterTrie#remembering-matches).
    pub fn generation(&self, topic: TopicName<'_>) -> u64 {
        self.generation_at(self.watch(topic))
    }

    /// What [`SharedFilterTrie::generation_at`] needs to know of a topic. Reads the text once, so
    /// that the generation can later be read without it.
    pub fn watch(&self, topic: TopicName<'_>) -> Watch {
        Hashes::of(&self.seed, topic).watch()
    }

    /// The [`generation`](SharedFilterTrie::generation) of the topic that `watch` was made from:
    /// four loads, no lock.
    #[inline]
    pub fn generation_at(&self, watch: Watch) -> u64 {
        self.generations.read(watch)
    }

    /// Calls `report` for each pair whose filter matches `topic`, as
    /// [`FilterTrie::matches`](crate::FilterTrie::matches) does. The filter that equals the topic
    /// comes first; the others come in no promised order, but the keys of one filter come one after
    /// the other.
    ///
    /// A match that runs beside insertions and removals sees each filter as it was at some moment
    /// between call and return; it may see a later change without an earlier one.
    ///
    /// `report` must not call methods of this trie; see [the type](SharedFilterTrie#who-waits-for-whom).
    #[inline]
    pub fn matches(&self, topic: TopicName<'_>, report: impl FnMut(&K, &V)) {
        let hashes = Hashes::of(&self.seed, topic);
        // Several parts are locked at once, in the order in which they are stored: a match that
        // waits for one of them never holds one that comes later.
        let exact = shard(&self.exact, hashes.exact).and_then(Shard::read);
        let (one, two) = (place(hashes.one), place(hashes.two));
        let lower = self.wild.get(one.min(two)).and_then(Shard::read);
        let upper = match one == two {
            true => None,
            false => self.wild.get(one.max(two)).and_then(Shard::read),
        };
        let first = if topic.is_dollar() {
            None
        } else {
            self.wild_first.read()
        };
        let parts = Parts {
            exact: exact.as_deref(),
            trees: [first.as_deref(), lower.as_deref(), upper.as_deref()],
            seed: &self.seed,
        };
        parts.matches(topic, hashes.exact, report);
    }

    /// Appends a copy of each pair whose filter matches `topic` to `found`, in the order of
    /// [`SharedFilterTrie::matches`].
    #[inline]
    pub fn matches_into(&self, topic: TopicName<'_>, found: &mut Vec<(K, V)>)
    where
        K: Clone,
        V: Clone,
    {
        self.matches(topic, |key, value| found.push((key.clone(), value.clone())));
    }

    /// Calls `report` with everything that is stored, in no promised order. Holds one part's lock
    /// at a time; `report` must not call methods of this trie.
    pub fn for_each(&self, mut report: impl FnMut(TopicFilter<'_>, &K, &V)) {
        let mut report =
            |text: &str, key: &K, value: &V| report(TopicFilter::of_stored(text), key, value);
        for exact in self.exact.iter().filter_map(Shard::read) {
            exact.for_each(&mut report);
        }
        for wild in self
            .wild
            .iter()
            .chain([&self.wild_first])
            .filter_map(Shard::read)
        {
            wild.for_each(&mut report);
        }
    }

    /// The filter with this id, if there is one.
    pub fn filter(&self, id: FilterId) -> Option<TopicFilterBuf> {
        let text = match self.part(id.part) {
            Part::Exact(exact) => exact.read()?.text_at(id.slot)?.to_owned(),
            Part::Wild(wild) => wild.read()?.text_at(id.slot)?,
        };
        TopicFilterBuf::try_from(text).ok()
    }

    /// The part with this number, as in the ids of its filters.
    #[expect(
        clippy::indexing_slicing,
        reason = "ids are made here, and all tries have as many parts"
    )]
    fn part(&self, number: u32) -> Part<'_, K, V> {
        match number as usize {
            number @ ..SHARDS => Part::Exact(&self.exact[number]),
            number @ SHARDS..WILD_FIRST => Part::Wild(&self.wild[number - SHARDS]),
            _ => Part::Wild(&self.wild_first),
        }
    }

    /// The number of the part that holds the filters of a scope.
    fn part_of(scope: Scope) -> u32 {
        (match scope {
            Scope::Exact(hash) => place(hash),
            Scope::Two(hash) | Scope::One(hash) => SHARDS + place(hash),
            Scope::All => WILD_FIRST,
        }) as u32
    }
}

impl<K: Eq + Hash, V> SharedFilterTrie<K, V> {
    /// Stores `value` under `filter` and `key`, and returns the value that it replaces. When this
    /// has returned, the generation of each matching topic has changed.
    ///
    /// Each level that the filter has in common with another one can take a node of about 70 bytes:
    /// brokers bound [`TopicFilter::level_count`] before they call this.
    ///
    /// # Panics
    /// At 2³¹ − 1 filters or nodes.
    pub fn insert(&self, filter: TopicFilter<'_>, key: K, value: V) -> Option<V> {
        self.insert_with_id(filter, key, value).1
    }

    /// [`insert`](Self::insert), which tells the filter's id as well.
    ///
    /// ```
    /// use topic_trie::{SharedFilterTrie, TopicFilter};
    ///
    /// let trie = SharedFilterTrie::new();
    /// let mut of_client_1 = Vec::new();
    /// for text in ["plant/+/pressure", "plant/2/#", "office"] {
    ///     let (id, replaced) = trie.insert_with_id(TopicFilter::new(text)?, 1, "at most once");
    ///     if replaced.is_none() {
    ///         of_client_1.push(id);
    ///     }
    /// }
    /// assert_eq!(trie.filter(of_client_1[0]).unwrap().as_str(), "plant/+/pressure");
    ///
    /// // The client goes.
    /// for id in of_client_1 {
    ///     assert_eq!(trie.remove_by_id(id, &1), Some("at most once"));
    /// }
    /// assert!(trie.is_empty());
    /// # Ok::<(), topic_trie::TopicError>(())
    /// ```
    pub fn insert_with_id(
        &self,
        filter: TopicFilter<'_>,
        key: K,
        value: V,
    ) -> (FilterId, Option<V>) {
        let scope = Scope::of(&self.seed, filter);
        let part = Self::part_of(scope);
        let (slot, replaced) = match self.part(part) {
            Part::Exact(exact) => exact.write(|exact| {
                let inserted = exact.insert(scope.hash(), filter.as_str(), key, value);
                self.generations.bump(scope);
                (inserted, exact.filter_count())
            }),
            Part::Wild(wild) => wild.write(|wild| {
                let inserted = wild.insert(filter, key, value);
                self.generations.bump(scope);
                (inserted, wild.filter_count())
            }),
        };
        if replaced.is_none() {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        (FilterId { part, slot }, replaced)
    }

    /// Removes what is stored under `filter` and `key`. When this has returned a value, the
    /// generation of each matching topic has changed. Memory goes back to the allocator when three
    /// quarters of a table are unused.
    pub fn remove(&self, filter: TopicFilter<'_>, key: &K) -> Option<V> {
        self.remove_with_id(filter, key).map(|(_, value)| value)
    }

    /// [`remove`](Self::remove), which tells the id as well that the filter had for this key.
    pub fn remove_with_id(&self, filter: TopicFilter<'_>, key: &K) -> Option<(FilterId, V)> {
        let scope = Scope::of(&self.seed, filter);
        let part = Self::part_of(scope);
        let removed = match self.part(part) {
            Part::Exact(exact) => exact.write(|exact| {
                let removed = exact.remove(scope.hash(), filter.as_str(), key);
                self.note_removed(removed.is_some(), scope);
                (removed, exact.filter_count())
            }),
            Part::Wild(wild) => wild.write(|wild| {
                let removed = wild.remove(filter, key);
                self.note_removed(removed.is_some(), scope);
                (removed, wild.filter_count())
            }),
        };
        removed.map(|(slot, value)| (FilterId { part, slot }, value))
    }

    /// Removes what is stored for `key` under the filter with this id; otherwise as
    /// [`remove`](Self::remove).
    pub fn remove_by_id(&self, id: FilterId, key: &K) -> Option<V> {
        match self.part(id.part) {
            Part::Exact(exact) => exact.write(|exact| {
                let removed = exact.remove_at(id.slot, key);
                if let Some((hash, _)) = removed {
                    self.note_removed(true, Scope::Exact(hash));
                }
                (removed.map(|(_, value)| value), exact.filter_count())
            }),
            Part::Wild(wild) => wild.write(|wild| {
                let scope = wild
                    .first_levels_at(id.slot)
                    .map(|(first, second)| Scope::of_levels(&self.seed, first, second));
                let removed = wild.remove_at(id.slot, key);
                if let Some(scope) = scope {
                    self.note_removed(removed.is_some(), scope);
                }
                (removed, wild.filter_count())
            }),
        }
    }

    /// A copy of what is stored under exactly this filter, read as text, and this key.
    pub fn get(&self, filter: TopicFilter<'_>, key: &K) -> Option<V>
    where
        V: Clone,
    {
        let scope = Scope::of(&self.seed, filter);
        match self.part(Self::part_of(scope)) {
            Part::Exact(exact) => {
                let exact = exact.read()?;
                exact.get(scope.hash(), filter.as_str(), key).cloned()
            }
            Part::Wild(wild) => wild.read()?.get(filter, key).cloned(),
        }
    }

    /// To be called while the part is still locked.
    fn note_removed(&self, removed: bool, scope: Scope) {
        if removed {
            self.generations.bump(scope);
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Filters with one lock.
enum Part<'a, K, V> {
    Exact(&'a Shard<Exact<K, V>>),
    Wild(&'a Shard<Wild<K, V>>),
}

fn shard<T>(shards: &[Shard<T>], hash: u32) -> Option<&Shard<T>> {
    shards.get(place(hash))
}

/// Uses other bits than the counters of the generations, and than the tables inside a shard.
#[inline]
fn place(hash: u32) -> usize {
    (hash >> 13) as usize % SHARDS
}

impl<K, V> Default for SharedFilterTrie<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for SharedFilterTrie<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFilterTrie")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Enough that two writers seldom meet; each shard that is empty costs a match one load.
const SHARDS: usize = 64;

/// The number of the part for filters whose first level is a wildcard, after all others.
const WILD_FIRST: usize = 2 * SHARDS;
