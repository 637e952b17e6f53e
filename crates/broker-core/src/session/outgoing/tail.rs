//! The part of a queue that is in the store alone: counted here, and read page by page as what is in
//! front of it drains.
//!
//! ```text
//!   entries:  │ p │ p │ w │ w │        tail:  │ w │ w │ w │ w │ …
//!             └── in memory ──┘               └─ messages, bytes, and which are not committed
//! ```
//!
//! While there is a tail, a new message goes behind it, so that order is kept without a look at the
//! store. A page that is being read knows up to which number all was committed when the reading
//! began; what is behind that number is left for the next page, since a message with a smaller number
//! may still be on its way. What changes the tail otherwise makes a page that is being read worthless,
//! and it is dropped when it comes.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, Outgoing, Stage, kept};
use crate::options::BrokerOptions;
use crate::persistence::{InflightStage, StoredOutgoing, StoredQueue};
use crate::share::Group;

/// Most messages of a page.
const PAGE_MAX: usize = 1_000;

/// Gives each page a number of its own.
static PAGES: AtomicU64 = AtomicU64::new(0);

/// How much of what waits in one session is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueWindow {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl QueueWindow {
    /// All of it.
    pub(crate) const ALL: Self = Self {
        messages: usize::MAX,
        bytes: usize::MAX,
    };

    /// One message after the other.
    pub(crate) const ONE: Self = Self {
        messages: 1,
        bytes: 1,
    };

    pub(crate) fn of(options: &BrokerOptions) -> Self {
        Self {
            messages: options.queue_window_messages.max(1),
            bytes: options.queue_window_bytes.max(1),
        }
    }
}

/// Messages behind those in memory.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// They have greater numbers than this one.
    after: Option<u64>,
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// Those that are not committed yet, with their bytes.
    pending: BTreeMap<u64, usize>,
    /// A page ended in front of this one, which is not committed.
    blocked_by: Option<u64>,
    /// The page that was begun last, unless something has made it worthless.
    awaited: Option<u64>,
    /// What was added since the last page was begun.
    added: StoredQueue,
    /// Whether the store may have more than was counted: only a page without anything is the end.
    is_estimate: bool,
}

/// A page of a tail that is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailPage {
    /// Which one it is.
    number: u64,
    /// Those behind this number are wanted.
    pub(crate) after: Option<u64>,
    /// Those from this number on are not.
    until: u64,
    /// Whether there was nothing from that number on.
    is_open: bool,
    /// How many are wanted.
    pub(crate) limit: usize,
}

impl Tail {
    fn new(after: Option<u64>) -> Self {
        Self {
            after,
            ..Self::default()
        }
    }

    fn forget(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Outgoing {
    /// The store has a queue of this size for a session that has just been restored.
    pub(crate) fn leave(&mut self, stored: StoredQueue) {
        let last = stored.last.unwrap_or_default();
        self.next_sequence = self.next_sequence.max(last.saturating_add(1));
        if stored.messages > 0 {
            let tail = self.tail.get_or_insert_default();
            tail.messages = usize::try_from(stored.messages).unwrap_or(usize::MAX);
            tail.bytes = usize::try_from(stored.bytes).unwrap_or(usize::MAX);
        }
    }

    /// Whether a part of the queue is in the store alone.
    #[inline]
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// Whether the message with this number is not in the tail.
    pub(super) fn is_in_front_of_tail(&self, sequence: u64) -> bool {
        let tail = self.tail.as_ref();
        tail.is_none_or(|tail| tail.after.is_some_and(|after| sequence <= after))
    }

    /// Whether a part of that is on its way to the store.
    pub(crate) fn has_uncommitted_tail(&self) -> bool {
        let tail = self.tail.as_ref();
        tail.is_some_and(|tail| !tail.pending.is_empty())
    }

    /// Whether the next message may stay in memory.
    pub(crate) fn has_window(&self, window: QueueWindow) -> bool {
        let waiting = self.entries.len() - self.admitted;
        waiting < window.messages && (waiting == 0 || self.bytes < window.bytes)
    }

    /// Puts a message behind all others without keeping it: the store has it when it is
    /// [`committed`](Self::committed). Returns its sequence number.
    #[inline(never)]
    pub(crate) fn push_behind(&mut self, bytes: usize) -> u64 {
        let sequence = self.take_sequence();
        let after = sequence.checked_sub(1);
        let tail = self.tail.get_or_insert_with(|| Box::new(Tail::new(after)));
        tail.messages += 1;
        tail.bytes += bytes;
        tail.added.messages += 1;
        tail.added.bytes += bytes as u64;
        tail.pending.insert(sequence, bytes);
        sequence
    }

    /// A message of the tail was committed.
    #[inline(never)]
    pub(super) fn committed_behind(&mut self, sequence: u64) {
        if let Some(tail) = &mut self.tail {
            tail.pending.remove(&sequence);
        }
    }

    /// A message of the tail could not be committed.
    #[inline(never)]
    pub(super) fn aborted_behind(&mut self, sequence: u64) {
        if let Some(tail) = &mut self.tail
            && let Some(bytes) = tail.pending.remove(&sequence)
        {
            tail.forget(bytes);
            tail.added.messages = tail.added.messages.saturating_sub(1);
            tail.added.bytes = tail.added.bytes.saturating_sub(bytes as u64);
            self.drop_empty_tail();
        }
    }

    fn drop_empty_tail(&mut self) {
        let tail = self.tail.as_ref();
        if tail.is_some_and(|tail| tail.messages == 0 && !tail.is_estimate) {
            self.tail = None;
        }
    }

    /// Leaves to the store what waits and what is under way: it may have more of it than is known
    /// here, and how far that has come is read from it again.
    #[inline(never)]
    pub(crate) fn unload(&mut self) {
        if self.entries.iter().any(|entry| entry.moving) {
            return;
        }
        let tail = self.tail.get_or_insert_default();
        for entry in self.entries.drain(..) {
            let message = entry.message.as_ref();
            let bytes = message.map_or(0, |message| message.size_bytes());
            tail.messages += usize::from(entry.stage != Stage::Done);
            tail.bytes += bytes;
            if entry.pending > 0 {
                tail.pending.insert(entry.sequence, bytes);
            }
        }
        tail.after = None;
        tail.awaited = None;
        tail.blocked_by = None;
        tail.is_estimate = true;
        (self.admitted, self.emitted) = (0, 0);
        (self.inflight, self.unacknowledged, self.bytes) = (0, 0, 0);
        self.give_back();
    }

    /// Leaves to the store what waits: the client is away, and it may be long until it returns.
    #[inline(never)]
    pub(crate) fn spill(&mut self) {
        while self.entries.len() > self.admitted
            && let Some(last) = self.entries.back()
            && last.stage == Stage::Waiting
            && !last.moving
            && let Some(entry) = self.entries.pop_back()
        {
            let bytes = entry
                .message
                .as_ref()
                .map_or(0, |message| message.size_bytes());
            self.bytes -= bytes;
            let tail = self.tail.get_or_insert_default();
            tail.after = entry.sequence.checked_sub(1);
            tail.messages += 1;
            tail.bytes += bytes;
            if entry.pending > 0 {
                tail.pending.insert(entry.sequence, bytes);
            }
            // A page that is being read begins behind it.
            tail.awaited = None;
            tail.blocked_by = None;
        }
        self.give_back();
    }

    /// Begins to read a page of the tail, if there is anything to be read and it is wanted: less than
    /// half of the window is left, or `all` is wanted until something waits.
    pub(crate) fn begin_page(&mut self, window: QueueWindow, all: bool) -> Option<TailPage> {
        let waiting = self.entries.len() - self.admitted;
        let next_sequence = self.next_sequence;
        let tail = self.tail.as_mut()?;
        let is_wanted = if all {
            waiting == 0
        } else {
            waiting == 0 || waiting < window.messages / 2 && self.bytes < window.bytes / 2
        };
        let is_blocked = tail
            .blocked_by
            .is_some_and(|sequence| tail.pending.contains_key(&sequence));
        let is_uncommitted = !tail.is_estimate && tail.messages <= tail.pending.len();
        if !is_wanted || is_blocked || is_uncommitted {
            return None;
        }
        let first_pending = tail.pending.keys().next().copied();
        let number = PAGES.fetch_add(1, Ordering::Relaxed);
        tail.awaited = Some(number);
        tail.added = StoredQueue::default();
        // As many as fit into the window, if they are as large as all are on the average.
        let bytes_each = (tail.bytes / tail.messages.max(1)).max(1);
        let limit = (window.bytes / bytes_each).min(window.messages);
        Some(TailPage {
            number,
            after: tail.after,
            until: first_pending.unwrap_or(next_sequence),
            is_open: first_pending.is_none(),
            limit: limit.clamp(1, PAGE_MAX),
        })
    }

    /// Whether a page is still of use when it has come.
    pub(crate) fn is_awaited(&self, page: TailPage) -> bool {
        self.tail
            .as_ref()
            .is_some_and(|tail| tail.awaited == Some(page.number))
    }

    /// Puts a message of a page behind those in memory, with the group by which it came. The page
    /// [is awaited](Self::is_awaited). False if it, and what is behind it, belongs to a later page.
    ///
    /// What an earlier broker may have sent is taken for sent if `is_first`, and only as long as
    /// nothing in front of it waits.
    pub(crate) fn put_stored(
        &mut self,
        page: TailPage,
        stored: StoredOutgoing,
        group: Option<Arc<Group>>,
        is_first: bool,
    ) -> bool {
        let Some(tail) = &mut self.tail else {
            return false;
        };
        if stored.sequence >= page.until {
            return false;
        }
        let message = stored.message.as_ref();
        tail.forget(message.map_or(0, |message| message.size_bytes()));
        tail.after = Some(stored.sequence);
        let stored = match stored.inflight {
            Some((_, InflightStage::Published)) if !is_first => StoredOutgoing {
                inflight: None,
                ..stored
            },
            _ => stored,
        };
        self.restore(stored, group);
        true
    }

    /// Passes by a message of a page, as [`put_stored`](Self::put_stored) would put it.
    pub(crate) fn pass_stored(&mut self, page: TailPage, stored: &StoredOutgoing) -> bool {
        let Some(tail) = self.tail.as_mut().filter(|_| stored.sequence < page.until) else {
            return false;
        };
        let message = stored.message.as_ref();
        tail.forget(message.map_or(0, |message| message.size_bytes()));
        tail.after = Some(stored.sequence);
        true
    }

    /// All of a page was put, or all up to the number at which it ends: nothing `is_left` then until
    /// that one is committed.
    pub(crate) fn end_page(&mut self, page: TailPage, is_left: bool) {
        if let Some(tail) = &mut self.tail {
            tail.awaited = None;
            if !is_left && page.is_open {
                // The store has dropped what has expired, or never had what a driver that was
                // cancelled was about to commit.
                tail.messages = usize::try_from(tail.added.messages).unwrap_or(usize::MAX);
                tail.bytes = usize::try_from(tail.added.bytes).unwrap_or(usize::MAX);
                tail.is_estimate = false;
            } else if !is_left {
                tail.blocked_by = Some(page.until);
            }
        }
        self.drop_empty_tail();
    }

    /// Puts back what a store kept, in the order of the sequence numbers, with the group by which it
    /// came.
    ///
    /// A message may have an identifier although an earlier one has none, if the store was cut off
    /// between the two. It was never sent then, since it had to wait for the earlier one, and waits
    /// again.
    pub(crate) fn restore(&mut self, stored: StoredOutgoing, group: Option<Arc<Group>>) {
        let is_behind_waiting = self.admitted < self.entries.len();
        let (ordinal, stage) = match stored.inflight {
            None => (0, Stage::Waiting),
            Some((_, InflightStage::Published)) if is_behind_waiting => (0, Stage::Waiting),
            Some((id, stage)) => {
                // PUBREC came for it, so those before it were sent too, whatever the store says.
                while let Some((entry, _)) = self.admit(usize::MAX, false) {
                    entry.sent = true;
                }
                let ordinal = self.ordinal_for(id);
                self.next_ordinal = ordinal + 1;
                self.admitted += 1;
                self.inflight += 1;
                let stage = match stage {
                    InflightStage::Published => Stage::Publish,
                    InflightStage::Released => Stage::Release,
                };
                (ordinal, stage)
            }
        };
        self.bytes += stored
            .message
            .as_ref()
            .map_or(0, |message| message.size_bytes());
        self.next_sequence = self.next_sequence.max(stored.sequence.saturating_add(1));
        self.append(Entry {
            sequence: stored.sequence,
            ordinal,
            message: stored.message,
            aside: kept(&stored.subscription_ids),
            group,
            moving: false,
            qos: stored.qos,
            retain: stored.retain,
            stage,
            pending: 0,
            // Whether it was written before the end is not known; saying DUP is then right.
            sent: ordinal != 0,
            asked: false,
            ahead: false,
        });
    }

    /// What must hold of the tail between any two calls.
    #[cfg(any(test, feature = "invariants"))]
    pub(super) fn check_tail(&self) {
        let Some(tail) = &self.tail else { return };
        if !tail.is_estimate {
            assert!(tail.messages > 0, "an empty tail is none");
            assert!(tail.pending.len() <= tail.messages);
            assert!(tail.pending.values().sum::<usize>() <= tail.bytes);
        }
        let last = self.entries.back().map(|entry| entry.sequence);
        assert!(last <= tail.after, "the tail is behind all in memory");
        let first = tail.pending.keys().next().copied();
        assert!(first.is_none_or(|first| Some(first) > tail.after));
        assert!(tail.after.is_none_or(|after| after < self.next_sequence));
    }
}
