//! The walk of one topic through the tree of wildcard filters.
//!
//! Depth first with a list of branches still to take: at each level at most one branch is put
//! aside (the `+`, while the level's text is followed), so the list is never longer than the topic
//! has levels. Each level's text is hashed once, when the walk first reaches that depth.

use crate::dense::NONE;
use crate::hash;
use crate::name::TopicName;
use crate::scratch::Scratch;
use crate::wild::{ROOT, Wild};

/// A node, and how many levels of the topic the way to it has used up.
type Branch = (u32, u32);

/// Where a level is in the topic (a topic has at most 65,535 bytes), and its hash.
type Span = (u16, u16, u32);

impl<K, V> Wild<K, V> {
    /// Calls `report` for each key of each filter that matches `topic`.
    #[inline]
    pub(crate) fn matches(&self, topic: TopicName<'_>, report: &mut impl FnMut(&K, &V)) {
        if self.ends.is_empty() {
            return;
        }
        let mut levels = Reached::new(topic.as_str());
        let mut aside: Scratch<Branch, INLINE> = Scratch::new();
        let (mut at, mut depth) = (ROOT, 0);
        // At the root, wildcards are passed over for `$` topics [MQTT-4.7.2-1].
        let mut wildcards = !topic.is_dollar();
        loop {
            let node = self.node(at);
            if node.below != NONE && wildcards {
                self.report(node.below, report);
            }
            let next = match levels.get(depth, &self.seed) {
                Some((level, hash)) => {
                    let named = if node.named > 0 {
                        self.child(at, hash, level)
                    } else {
                        NONE
                    };
                    match (named, if wildcards { node.plus } else { NONE }) {
                        (NONE, plus) => plus,
                        (named, NONE) => named,
                        (named, plus) => {
                            aside.push((plus, depth + 1));
                            named
                        }
                    }
                }
                None => {
                    if node.here != NONE {
                        self.report(node.here, report);
                    }
                    NONE
                }
            };
            wildcards = true;
            (at, depth) = if next != NONE {
                (next, depth + 1)
            } else if let Some(branch) = aside.pop() {
                branch
            } else {
                return;
            };
        }
    }

    #[inline]
    fn report(&self, end: u32, report: &mut impl FnMut(&K, &V)) {
        if let Some(keys) = self.keys(end) {
            keys.for_each(report);
        }
    }
}

/// The levels of the topic that the walk has come to so far.
struct Reached<'a> {
    text: &'a str,
    spans: Scratch<Span, INLINE>,
    /// Where the next level starts; past the end of the text if there is none.
    next: usize,
}

impl<'a> Reached<'a> {
    #[inline]
    fn new(text: &'a str) -> Self {
        Self {
            text,
            spans: Scratch::new(),
            next: 0,
        }
    }

    #[inline]
    fn get(&mut self, depth: u32, seed: &hash::Seed) -> Option<(&'a [u8], u32)> {
        let depth = depth as usize;
        if let Some((from, to, hash)) = self.spans.get(depth) {
            let level = self
                .text
                .as_bytes()
                .get(usize::from(from)..usize::from(to))?;
            return Some((level, hash));
        }
        // The walk goes down one level at a time, so this is the level after the last known one.
        debug_assert_eq!(depth, self.spans.len());
        let rest = self.text.get(self.next..)?;
        let length = rest
            .bytes()
            .position(|byte| byte == b'/')
            .unwrap_or(rest.len());
        let level = rest.get(..length)?;
        let hash = hash::of_text(seed, level);
        let from = u16::try_from(self.next).ok()?;
        let to = u16::try_from(self.next + length).ok()?;
        self.spans.push((from, to, hash));
        self.next += length + 1;
        Some((level.as_bytes(), hash))
    }
}

/// Topics and branches up to here need no memory but the stack.
const INLINE: usize = 16;
