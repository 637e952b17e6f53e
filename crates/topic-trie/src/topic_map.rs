//! `TopicMap`: the mirror of the trie. Topic names are stored, and a filter asks for them; this is
//! what retained messages need (MQTT 3.1.1 section 3.3.1.3).
//!
//! An ordered set of values, in the order of their topics' bytes. All topics below a level stand next
//! to each other (`a/b/…` is between `a/b/` and `a/b0`, `0` being the character after the slash), so a
//! filter is a range of the set for its literal start, and a wildcard is a jump to the next range. A
//! place in that order, unlike a place in a tree of nodes, stays meaningful whatever is removed or
//! added.
//!
//! A value has its topic in it, as a message does, so that the text is not kept a second time.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::btree_set::Range;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::filter::TopicFilter;
use crate::levels::Levels;
use crate::name::{TopicName, TopicNameBuf};

/// A value that belongs to a topic, and can be stored in a [`TopicMap`].
pub trait HasTopic {
    /// The bytes of its topic name. While it is stored they must stay the same; otherwise it may not
    /// be found, and others neither.
    fn topic_bytes(&self) -> &[u8];
}

impl<T: HasTopic + ?Sized> HasTopic for Arc<T> {
    #[inline]
    fn topic_bytes(&self) -> &[u8] {
        (**self).topic_bytes()
    }
}

impl HasTopic for TopicNameBuf {
    fn topic_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

/// A topic with something beside it.
impl<V> HasTopic for (TopicNameBuf, V) {
    fn topic_bytes(&self) -> &[u8] {
        self.0.topic_bytes()
    }
}

/// Stores one value per topic name and finds those that match a topic filter.
///
/// # Cost
/// With `n` topics stored, `insert`, `remove` and `get` take time in proportion to `log n`.
/// [`TopicMap::matches`] does as well for each hit and, where a `+` is followed by a level with a
/// text, for each topic level that the `+` stands for. A value of a pointer's size takes about 25
/// bytes, what it points to not included.
///
/// ```
/// use topic_trie::{TopicFilter, TopicMap, TopicName, TopicNameBuf};
///
/// let topic = |text: &str| text.parse::<TopicNameBuf>();
/// let mut map = TopicMap::new();
/// map.insert((topic("plant/1/pressure")?, 20));
/// map.insert((topic("plant/2/pressure")?, 30));
///
/// let mut found = Vec::new();
/// map.matches(TopicFilter::new("plant/+/pressure")?, |(_, value)| found.push(*value));
/// assert_eq!(found, [20, 30]);
/// # Ok::<(), topic_trie::TopicError>(())
/// ```
pub struct TopicMap<T> {
    values: BTreeSet<ByTopic<T>>,
}

/// A value that is compared by its topic alone.
struct ByTopic<T>(T);

/// Where an enumeration in steps has come to; see [`TopicMap::matches_from`].
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// All topics that come before this one in the order of their bytes are done with.
    from: Vec<u8>,
    is_done: bool,
}

/// Whether an enumeration in steps has more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// There may be more topics: call again with the same cursor.
    More,
    /// All matching topics have been reported.
    Done,
}

impl Cursor {
    /// A cursor before the first topic.
    pub fn new() -> Self {
        Self::default()
    }

    /// A cursor behind `topic`, which need not be stored: an enumeration goes on where an earlier one
    /// had reported that topic.
    ///
    /// ```
    /// use topic_trie::{Cursor, Progress, TopicFilter, TopicMap, TopicNameBuf};
    ///
    /// let mut map = TopicMap::<TopicNameBuf>::new();
    /// for topic in ["a", "a/b", "b"] {
    ///     map.insert(topic.parse()?);
    /// }
    /// let mut found = Vec::new();
    /// let mut cursor = Cursor::after("a");
    /// let progress = map.matches_from(TopicFilter::new("#")?, &mut cursor, 10, |topic| {
    ///     found.push(topic.to_string());
    /// });
    /// assert_eq!((progress, found), (Progress::Done, vec!["a/b".to_owned(), "b".to_owned()]));
    /// # Ok::<(), topic_trie::TopicError>(())
    /// ```
    pub fn after(topic: &str) -> Self {
        Self {
            // The smallest text that comes after the topic.
            from: [topic.as_bytes(), b"\0"].concat(),
            is_done: false,
        }
    }

    /// Whether the enumeration has come to its end.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    fn set(&mut self, parts: [&[u8]; 3]) {
        self.from.clear();
        for part in parts {
            self.from.extend_from_slice(part);
        }
    }
}

impl<T: HasTopic> TopicMap<T> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many topics are stored.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Stores `value` for its topic and returns the value that it replaces. The topic is to be a
    /// valid topic name; one that is none may be found by filters that do not match it.
    pub fn insert(&mut self, value: T) -> Option<T> {
        let replaced = self.values.replace(ByTopic(value))?;
        Some(replaced.0)
    }

    /// Removes what is stored for `topic`, and frees its memory.
    pub fn remove(&mut self, topic: TopicName<'_>) -> Option<T> {
        let removed = self.values.take(topic.as_str().as_bytes())?;
        Some(removed.0)
    }

    /// What is stored for `topic`.
    pub fn get(&self, topic: TopicName<'_>) -> Option<&T> {
        let found = self.values.get(topic.as_str().as_bytes())?;
        Some(&found.0)
    }

    /// All values, in the order of their topics' bytes.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|ByTopic(value)| value)
    }

    /// The values whose topics come behind `topic` in the order of their bytes. `topic` need not be
    /// stored; behind the empty text come all.
    ///
    /// ```
    /// use topic_trie::{TopicMap, TopicNameBuf};
    ///
    /// let mut map = TopicMap::<TopicNameBuf>::new();
    /// for topic in ["$a", "a", "a/b", "b"] {
    ///     map.insert(topic.parse()?);
    /// }
    /// let behind = |topic| map.iter_after(topic).map(TopicNameBuf::as_str).collect::<Vec<_>>();
    /// assert_eq!(behind("a"), ["a/b", "b"]);
    /// assert_eq!(behind("a/a"), ["a/b", "b"]);
    /// assert_eq!(behind(""), ["$a", "a", "a/b", "b"]);
    /// # Ok::<(), topic_trie::TopicError>(())
    /// ```
    pub fn iter_after(&self, topic: &str) -> impl Iterator<Item = &T> {
        self.values
            .range::<[u8], _>((Bound::Excluded(topic.as_bytes()), Bound::Unbounded))
            .map(|ByTopic(value)| value)
    }

    /// Keeps only the values for which `keep` returns `true`.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.values.retain(|ByTopic(value)| keep(value));
    }

    /// Calls `report` with each value whose topic `filter` matches, by the rules of MQTT section 4.7,
    /// in the order of the topics' bytes.
    pub fn matches(&self, filter: TopicFilter<'_>, report: impl FnMut(&T)) {
        if let Some(name) = filter.as_name() {
            self.get(name).map(report);
            return;
        }
        let _done = self.matches_from(filter, &mut Cursor::new(), usize::MAX, report);
    }

    /// As [`TopicMap::matches`], in parts: goes on where `cursor` has come to, takes up to `limit`
    /// steps (at least one), each of which reports a topic or passes over those that cannot match,
    /// and returns. So a lock around the map is held for a bounded time, however much the filter
    /// matches, or however little.
    ///
    /// The map may change between calls. A topic that is stored from before the first call until
    /// after the last one is reported exactly once, and any other at most once. Its value is
    /// reported as it is in that call. A cursor is for one filter: with another, start a new one.
    pub fn matches_from(
        &self,
        filter: TopicFilter<'_>,
        cursor: &mut Cursor,
        limit: usize,
        mut report: impl FnMut(&T),
    ) -> Progress {
        if cursor.is_done {
            return Progress::Done;
        }
        let hides_dollar = matches!(filter.as_str().as_bytes().first(), Some(b'+' | b'#'));
        let mut left = limit.max(1);
        let mut values = self.from(&cursor.from);
        let mut found = None;
        loop {
            let Some(ByTopic(value)) = found.take().or_else(|| values.next()) else {
                cursor.is_done = true;
                return Progress::Done;
            };
            let topic = value.topic_bytes();
            let step = if hides_dollar && topic.starts_with(b"$") {
                Step::Jump(b"", b"%", b"")
            } else {
                compare(filter.as_str(), topic)
            };
            match step {
                Step::Hit => report(value),
                Step::Next => {}
                Step::Jump(prefix, level, end) => {
                    cursor.set([prefix, level, end]);
                    // Often it is not far, and then a search costs more than to go there.
                    found = values
                        .by_ref()
                        .take(NEAR)
                        .find(|value| value.topic() >= &*cursor.from);
                    if found.is_none() {
                        values = self.from(&cursor.from);
                    }
                }
                Step::End => {
                    cursor.is_done = true;
                    return Progress::Done;
                }
            }
            left -= 1;
            if left == 0 {
                if !matches!(step, Step::Jump(..)) {
                    // The smallest text that comes after this one.
                    cursor.set([topic, b"\0", b""]);
                }
                return Progress::More;
            }
        }
    }

    fn from(&self, text: &[u8]) -> Range<'_, ByTopic<T>> {
        self.values
            .range::<[u8], _>((Bound::Included(text), Bound::Unbounded))
    }
}

/// What to do with the next topic in order.
enum Step<'a> {
    /// Report it, and go on with the one after it.
    Hit,
    /// It does not match; the one after it may.
    Next,
    /// No topic matches before the one that is spelled by these three parts.
    Jump(&'a [u8], &'a [u8], &'a [u8]),
    /// No topic matches from here on.
    End,
}

/// Compares a topic with a filter; where they differ, finds the next topic that could match.
fn compare<'a>(filter: &'a str, topic: &'a [u8]) -> Step<'a> {
    let mut wanted_levels = Levels::new(filter);
    // Start of the topic's current level, past its end if there is none.
    let mut start = 0;
    // End of the last level that a `+` stands for.
    let mut plus_end = None;
    // Past all topics that begin like this one up to the last `+`.
    let after_plus = |plus_end: Option<usize>| match plus_end.and_then(|end| topic.get(..end)) {
        Some(prefix) => Step::Jump(prefix, AFTER_SLASH, b""),
        None => Step::End,
    };
    loop {
        let Some(wanted) = wanted_levels.next().map(str::as_bytes) else {
            // All of the filter is used up: the topic matches if it is as well.
            return if start > topic.len() {
                Step::Hit
            } else {
                after_plus(plus_end)
            };
        };
        if wanted == b"#" {
            return Step::Hit;
        }
        let Some((prefix, rest)) = topic.split_at_checked(start) else {
            return Step::Next;
        };
        let length = rest
            .iter()
            .position(|&byte| byte == b'/')
            .unwrap_or(rest.len());
        if wanted == b"+" {
            plus_end = Some(start + length);
        } else if rest.get(..length) != Some(wanted) {
            return match rest.strip_prefix(wanted) {
                // The level is longer than wanted: it stands between `wanted` and `wanted/`,
                Some(longer) if longer.first() < Some(&b'/') => Step::Jump(prefix, wanted, b"/"),
                // or after both.
                Some(_) => after_plus(plus_end),
                None if rest < wanted => Step::Jump(prefix, wanted, b""),
                None => after_plus(plus_end),
            };
        }
        start += length + 1;
    }
}

/// How many topics to pass over one by one before a jump becomes a search.
const NEAR: usize = 8;

/// The character that comes after the slash.
const AFTER_SLASH: &[u8] = b"0";

impl<T: HasTopic> ByTopic<T> {
    #[inline]
    fn topic(&self) -> &[u8] {
        self.0.topic_bytes()
    }
}

impl<T: HasTopic> Borrow<[u8]> for ByTopic<T> {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.topic()
    }
}

impl<T: HasTopic> PartialEq for ByTopic<T> {
    fn eq(&self, other: &Self) -> bool {
        self.topic() == other.topic()
    }
}

impl<T: HasTopic> Eq for ByTopic<T> {}

impl<T: HasTopic> PartialOrd for ByTopic<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: HasTopic> Ord for ByTopic<T> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.topic().cmp(other.topic())
    }
}

impl<T> Default for TopicMap<T> {
    fn default() -> Self {
        Self {
            values: BTreeSet::new(),
        }
    }
}

impl<T> fmt::Debug for TopicMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicMap")
            .field("len", &self.values.len())
            .finish_non_exhaustive()
    }
}
