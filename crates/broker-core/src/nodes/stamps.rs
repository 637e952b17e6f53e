//! Which of two things on different nodes was later: stamps that all nodes agree on.
//!
//! A stamp is the time of the node in milliseconds, with twenty bits behind it that tell apart what happens
//! within one; it is greater than all that the node has made or heard of before. So what a node does after it
//! has heard of something has a greater stamp, whatever the clocks say, and after a start stamps go on from the
//! time.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::Timestamp;
use crate::backend::NodeId;

/// A stamp, and the number of the node that has made it: so no two things are at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    at: u64,
    node: u64,
}

impl Stamp {
    /// One that was made by this node, if by any.
    pub(crate) fn new(at: u64, node: Option<&NodeId>) -> Self {
        let node = node.map_or(0, |node| node.start);
        Self { at, node }
    }
}

/// Bits of a stamp behind the milliseconds.
const FINE_BITS: u32 = 20;

/// Topics of which is known when their retained messages were changed: those changed last.
const TOPICS_MAX: usize = 100_000;

/// Makes the stamps that say what was later, on whichever node: of [retained messages] and of [clients].
///
/// A node has one. An engine that carries messages which no node has published, and which change what is retained,
/// stamps these with one of its own: it has to [hear](Self::hear) all stamps that pass it.
///
/// ```
/// use broker_core::Timestamp;
/// use broker_core::backend::StampClock;
///
/// let (one, other) = (StampClock::default(), StampClock::default());
/// let stamp = one.next(Timestamp::from_millis(1_000));
/// other.hear(stamp);
/// // It is later, although the clock of that node is behind.
/// assert!(other.next(Timestamp::from_millis(900)) > stamp);
/// ```
///
/// [retained messages]: crate::backend::Content::Message::retained_at
/// [clients]: crate::backend::Content::Connected::at
#[derive(Debug, Default)]
pub struct StampClock(AtomicU64);

impl StampClock {
    /// A stamp for what happens now: greater than all that were made or heard of; never 0.
    pub fn next(&self, now: Timestamp) -> u64 {
        let time = now.as_millis() << FINE_BITS;
        let after = |last: u64| last.saturating_add(1).max(time);
        let last = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| {
                Some(after(last))
            });
        after(last.unwrap_or_default())
    }

    /// Another node has made this stamp.
    pub fn hear(&self, stamp: u64) {
        self.0.fetch_max(stamp, Ordering::AcqRel);
    }
}

/// When the retained messages of topics were changed, also to none.
#[derive(Debug, Default)]
pub(crate) struct RetainedStamps {
    stamps: HashMap<Arc<str>, Stamp>,
    order: VecDeque<(Arc<str>, Stamp)>,
}

impl RetainedStamps {
    /// Whether a change with this stamp is later than the one that is known, if one is.
    pub(crate) fn is_later(&self, topic: &str, stamp: Stamp) -> bool {
        self.stamps.get(topic).is_none_or(|known| *known < stamp)
    }

    /// Notes a change.
    pub(crate) fn note(&mut self, topic: &str, stamp: Stamp) {
        let topic: Arc<str> = topic.into();
        self.stamps.insert(Arc::clone(&topic), stamp);
        self.order.push_back((topic, stamp));
        if self.order.len() > TOPICS_MAX
            && let Some((topic, stamp)) = self.order.pop_front()
            && self.stamps.get(&topic) == Some(&stamp)
        {
            self.stamps.remove(&topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_with_the_time_and_past_all_that_was_heard_of() {
        let clock = StampClock::default();
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        let stamps = [early, early, late, early].map(|now| clock.next(now));
        assert!(stamps.is_sorted_by(|a, b| a < b) && stamps[0] > 0);
        let other = late.as_millis() << (FINE_BITS + 3);
        clock.hear(other);
        clock.hear(1);
        assert!(clock.next(late) > other);
        clock.hear(u64::MAX);
        assert_eq!(clock.next(late), u64::MAX);
    }

    #[test]
    fn the_topics_changed_last_are_known() {
        let mut stamps = RetainedStamps::default();
        let stamp = |at, start| Stamp::new(at, Some(&NodeId::new("node", start)));
        stamps.note("a", stamp(5, 7));
        assert!(!stamps.is_later("a", stamp(5, 6)) && !stamps.is_later("a", stamp(5, 7)));
        assert!(stamps.is_later("a", stamp(5, 8)) && stamps.is_later("a", stamp(6, 1)));
        assert!(stamps.is_later("b", Stamp::new(1, None)));
        for at in 0..TOPICS_MAX as u64 {
            stamps.note("b", stamp(at, 1));
        }
        assert!(stamps.is_later("a", stamp(1, 1)));
        assert!(!stamps.is_later("b", stamp(TOPICS_MAX as u64 - 1, 1)));
        assert_eq!((stamps.stamps.len(), stamps.order.len()), (1, TOPICS_MAX));
    }
}
