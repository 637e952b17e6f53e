//! `TopicMap`: the mirror of the trie. Topic names are stored, and a filter asks for them; this is
//! what retained messages need (MQTT 3.1.1 section 3.3.1.3).
//!
//! An ordered map with the topic's text as key. All topics below a level stand next to each other
//! (`a/b/…` is between `a/b/` and `a/b0`, `0` being the character after the slash), so a filter is
//! a range of the map for its literal start, and a wildcard is a jump to the next range. A place in
//! that order, unlike a place in a tree of nodes, stays meaningful whatever is removed or added.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::fmt;
use std::ops::Bound;

use crate::filter::TopicFilter;
use crate::levels::Levels;
use crate::name::TopicName;

/// Stores one value per topic name and finds those that match a topic filter.
///
/// # Cost
/// With `n` topics stored, `insert`, `remove` and `get` take time in proportion to `log n`.
/// [`TopicMap::matches`] does as well for each hit and, where a `+` is followed by a level with a
/// text, for each topic level that the `+` stands for. A topic takes about 50 bytes beyond its text
/// and value.
///
/// ```
/// use topic_trie::{TopicFilter, TopicMap, TopicName};
///
/// let mut map = TopicMap::new();
/// map.insert(TopicName::new("plant/1/pressure")?, 20);
/// map.insert(TopicName::new("plant/2/pressure")?, 30);
///
/// let mut found = Vec::new();
/// map.matches(TopicFilter::new("plant/+/pressure")?, |topic, &value| {
///     found.push((topic.as_str().to_owned(), value));
/// });
/// assert_eq!(found, [("plant/1/pressure".to_owned(), 20), ("plant/2/pressure".to_owned(), 30)]);
/// # Ok::<(), topic_trie::TopicError>(())
/// ```
pub struct TopicMap<V> {
    topics: BTreeMap<Box<str>, V>,
}

/// Where an enumeration in steps has come to; see [`TopicMap::matches_from`].
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// All topics that come before this one in the order of their bytes are done with.
    from: String,
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
    /// use topic_trie::{Cursor, Progress, TopicFilter, TopicMap, TopicName};
    ///
    /// let mut map = TopicMap::new();
    /// for topic in ["a", "a/b", "b"] {
    ///     map.insert(TopicName::new(topic)?, ());
    /// }
    /// let mut found = Vec::new();
    /// let mut cursor = Cursor::after("a");
    /// let progress = map.matches_from(TopicFilter::new("#")?, &mut cursor, 10, |topic, _| {
    ///     found.push(topic.as_str().to_owned());
    /// });
    /// assert_eq!((progress, found), (Progress::Done, vec!["a/b".to_owned(), "b".to_owned()]));
    /// # Ok::<(), topic_trie::TopicError>(())
    /// ```
    pub fn after(topic: &str) -> Self {
        Self {
            // The smallest text that comes after the topic.
            from: [topic, "\0"].concat(),
            is_done: false,
        }
    }

    /// Whether the enumeration has come to its end.
    pub fn is_done(&self) -> bool {
        self.is_done
    }
}

impl<V> TopicMap<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self {
            topics: BTreeMap::new(),
        }
    }

    /// How many topics are stored.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Stores `value` for `topic` and returns the value that it replaces.
    pub fn insert(&mut self, topic: TopicName<'_>, value: V) -> Option<V> {
        // Copying the text costs less than a second search, should the topic be new.
        self.topics.insert(topic.as_str().into(), value)
    }

    /// Removes what is stored for `topic`, and frees its memory.
    pub fn remove(&mut self, topic: TopicName<'_>) -> Option<V> {
        self.topics.remove(topic.as_str())
    }

    /// What is stored for `topic`.
    pub fn get(&self, topic: TopicName<'_>) -> Option<&V> {
        self.topics.get(topic.as_str())
    }

    /// What is stored for `topic`, to be changed in place.
    pub fn get_mut(&mut self, topic: TopicName<'_>) -> Option<&mut V> {
        self.topics.get_mut(topic.as_str())
    }

    /// All topics with their values, in the order of the topics' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (TopicName<'_>, &V)> {
        self.topics
            .iter()
            .map(|(text, value)| (TopicName::of_stored(text), value))
    }

    /// Topics that come behind `topic` in the order of their bytes, with their values. `topic` need
    /// not be stored; behind the empty text come all.
    ///
    /// ```
    /// use topic_trie::{TopicMap, TopicName};
    ///
    /// let mut map = TopicMap::new();
    /// for topic in ["$a", "a", "a/b", "b"] {
    ///     map.insert(TopicName::new(topic)?, ());
    /// }
    /// let behind = |topic| map.iter_after(topic).map(|(topic, _)| topic.as_str()).collect::<Vec<_>>();
    /// assert_eq!(behind("a"), ["a/b", "b"]);
    /// assert_eq!(behind("a/a"), ["a/b", "b"]);
    /// assert_eq!(behind(""), ["$a", "a", "a/b", "b"]);
    /// # Ok::<(), topic_trie::TopicError>(())
    /// ```
    pub fn iter_after(&self, topic: &str) -> impl Iterator<Item = (TopicName<'_>, &V)> {
        self.topics
            .range::<str, _>((Bound::Excluded(topic), Bound::Unbounded))
            .map(|(text, value)| (TopicName::of_stored(text), value))
    }

    /// Keeps only the topics for which `keep` returns `true`.
    pub fn retain(&mut self, mut keep: impl FnMut(TopicName<'_>, &mut V) -> bool) {
        self.topics
            .retain(|text, value| keep(TopicName::of_stored(text), value));
    }

    /// Calls `report` with each topic that `filter` matches, by the rules of MQTT section 4.7, and
    /// its value, in the order of the topics' bytes.
    pub fn matches(&self, filter: TopicFilter<'_>, report: impl FnMut(TopicName<'_>, &V)) {
        if let Some(name) = filter.as_name() {
            let mut report = report;
            if let Some(value) = self.get(name) {
                report(name, value);
            }
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
        mut report: impl FnMut(TopicName<'_>, &V),
    ) -> Progress {
        if cursor.is_done {
            return Progress::Done;
        }
        let hides_dollar = matches!(filter.as_str().as_bytes().first(), Some(b'+' | b'#'));
        let mut left = limit.max(1);
        let mut topics = self.from(&cursor.from);
        let mut found = None;
        loop {
            let Some((text, value)) = found.take().or_else(|| topics.next()) else {
                cursor.is_done = true;
                return Progress::Done;
            };
            let step = if hides_dollar && text.starts_with('$') {
                Step::Jump("", "%", "")
            } else {
                compare(filter.as_str(), text)
            };
            match step {
                Step::Hit => report(TopicName::of_stored(text), value),
                Step::Next => {}
                Step::Jump(prefix, level, end) => {
                    cursor.from.clear();
                    cursor.from.extend([prefix, level, end]);
                    // Often it is not far, and then a search costs more than to go there.
                    found = topics
                        .by_ref()
                        .take(NEAR)
                        .find(|(text, _)| ***text >= *cursor.from);
                    if found.is_none() {
                        topics = self.from(&cursor.from);
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
                    cursor.from.clear();
                    cursor.from.push_str(text);
                    // The smallest text that comes after this one.
                    cursor.from.push('\0');
                }
                return Progress::More;
            }
        }
    }

    fn from(&self, text: &str) -> Range<'_, Box<str>, V> {
        self.topics
            .range::<str, _>((Bound::Included(text), Bound::Unbounded))
    }
}

/// What to do with the next topic in order.
enum Step<'a> {
    /// Report it, and go on with the one after it.
    Hit,
    /// It does not match; the one after it may.
    Next,
    /// No topic matches before the one that is spelled by these three parts.
    Jump(&'a str, &'a str, &'a str),
    /// No topic matches from here on.
    End,
}

/// Compares a topic with a filter; where they differ, finds the next topic that could match.
fn compare<'a>(filter: &'a str, topic: &'a str) -> Step<'a> {
    let mut wanted_levels = Levels::new(filter);
    // Start of the topic's current level, past its end if there is none.
    let mut start = 0;
    // End of the last level that a `+` stands for.
    let mut plus_end = None;
    // Past all topics that begin like this one up to the last `+`.
    let after_plus = |plus_end: Option<usize>| match plus_end.and_then(|end| topic.get(..end)) {
        Some(prefix) => Step::Jump(prefix, AFTER_SLASH, ""),
        None => Step::End,
    };
    loop {
        let Some(wanted) = wanted_levels.next() else {
            // All of the filter is used up: the topic matches if it is as well.
            return if start > topic.len() {
                Step::Hit
            } else {
                after_plus(plus_end)
            };
        };
        if wanted == "#" {
            return Step::Hit;
        }
        let Some((prefix, rest)) = topic.split_at_checked(start) else {
            return Step::Next;
        };
        let length = rest
            .bytes()
            .position(|byte| byte == b'/')
            .unwrap_or(rest.len());
        if wanted == "+" {
            plus_end = Some(start + length);
        } else if rest.get(..length) != Some(wanted) {
            return match rest.strip_prefix(wanted) {
                // The level is longer than wanted: it stands between `wanted` and `wanted/`,
                Some(longer) if longer.as_bytes().first() < Some(&b'/') => {
                    Step::Jump(prefix, wanted, "/")
                }
                // or after both.
                Some(_) => after_plus(plus_end),
                None if rest < wanted => Step::Jump(prefix, wanted, ""),
                None => after_plus(plus_end),
            };
        }
        start += length + 1;
    }
}

/// How many topics to pass over one by one before a jump becomes a search.
const NEAR: usize = 8;

/// The character that comes after the slash.
const AFTER_SLASH: &str = "0";

impl<V> Default for TopicMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for TopicMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicMap")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
