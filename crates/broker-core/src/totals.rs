//! What waits for all clients together, in memory: messages and bytes, counted in steps.
//!
//! A session's first step is its own, and is not counted: so most messages, which are taken as fast as
//! they come, cost a comparison here, and somebody who has nothing waiting gets what is sent to him
//! however much others have let pile up. What it has beyond that is counted when its state is unlocked,
//! whatever has changed it meanwhile ([`StateGuard`](crate::session::StateGuard)).

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use crate::broker::Broker;
use crate::options::BrokerOptions;

/// Bytes of one step.
pub(crate) const STEP_BYTES: usize = 4_096;

/// Messages of one step.
pub(crate) const STEP_MESSAGES: usize = 16;

/// What is counted of all sessions and connections.
#[derive(Debug)]
pub(crate) struct Totals {
    messages: AtomicUsize,
    messages_max: usize,
    bytes: AtomicUsize,
    bytes_max: usize,
    partial_bytes: AtomicUsize,
    /// Whether there is any [`Pressure`], found out when something was counted: everybody asks for it all
    /// the time.
    is_short: AtomicBool,
}

/// What one session has in memory for its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The steps of it that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charged {
    messages: u32,
    bytes: u32,
}

/// How near the limits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// There is room for all.
    None,
    /// There is room for those for whom nothing waits.
    Tight,
    /// There is room for nobody who has used up his first step.
    Full,
}

impl Default for Totals {
    fn default() -> Self {
        Self::new(&BrokerOptions::default())
    }
}

impl Totals {
    pub(crate) fn new(options: &BrokerOptions) -> Self {
        let totals = Self {
            messages: AtomicUsize::new(0),
            messages_max: options.max_total_queued_messages,
            bytes: AtomicUsize::new(0),
            bytes_max: options.max_total_queued_bytes,
            partial_bytes: AtomicUsize::new(0),
            is_short: AtomicBool::new(false),
        };
        totals.note_pressure();
        totals
    }

    /// A session has so much now, of which so many steps are counted.
    #[inline]
    pub(crate) fn settle(&self, charged: &mut Charged, held: Held) {
        let due = held.due();
        if due == *charged {
            return;
        }
        let before = core::mem::replace(charged, due);
        replace(&self.messages, before.messages(), due.messages());
        replace(&self.bytes, before.bytes(), due.bytes());
        self.note_pressure();
    }

    /// How near the limits are now. Two that note it at once may leave what was true a moment before: who
    /// is about to refuse something asks here first.
    pub(crate) fn note_pressure(&self) -> Pressure {
        let (messages, bytes) = self.queued();
        // A quarter is for those for whom nothing waits.
        let for_all = |max: usize| max - max / 4;
        let pressure = if messages < for_all(self.messages_max) && bytes < for_all(self.bytes_max) {
            Pressure::None
        } else if messages < self.messages_max && bytes < self.bytes_max {
            Pressure::Tight
        } else {
            Pressure::Full
        };
        let is_short = pressure != Pressure::None;
        self.is_short.store(is_short, Ordering::Relaxed);
        pressure
    }

    /// Messages and bytes.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let messages = self.messages.load(Ordering::Relaxed);
        (messages, self.bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn partial_bytes(&self) -> usize {
        self.partial_bytes.load(Ordering::Relaxed)
    }

    /// Whether there was any pressure when something was counted last.
    #[inline(always)]
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }
}

impl Held {
    fn due(self) -> Charged {
        let steps = |number: usize, step| u32::try_from(number / step).unwrap_or(u32::MAX);
        Charged {
            messages: steps(self.messages, STEP_MESSAGES),
            bytes: steps(self.bytes, STEP_BYTES),
        }
    }

    /// Whether a message of so many bytes may be added.
    pub(crate) fn may_grow(self, size_bytes: usize, pressure: Pressure) -> bool {
        let is_own = self.messages < STEP_MESSAGES && self.bytes + size_bytes <= STEP_BYTES;
        match pressure {
            Pressure::None => true,
            Pressure::Tight => is_own || self == Self::default(),
            Pressure::Full => is_own,
        }
    }
}

impl Charged {
    #[inline(always)]
    pub(crate) fn is_nothing(self) -> bool {
        self.messages | self.bytes == 0
    }

    pub(crate) fn messages(self) -> usize {
        self.messages as usize * STEP_MESSAGES
    }

    pub(crate) fn bytes(self) -> usize {
        self.bytes as usize * STEP_BYTES
    }
}

/// Counts `after` instead of `before`.
fn replace(total: &AtomicUsize, before: usize, after: usize) {
    total.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
}

/// Memory for packets that are not whole, of one connection: counted until it is dropped.
///
/// See [`Broker::count_partial`].
#[derive(Debug)]
pub struct PartialBytes {
    totals: Arc<Totals>,
    bytes: usize,
}

impl Broker {
    /// A connection has `bytes` of memory for a packet that is not whole, of which `counted` are
    /// counted. The first 4 KiB are not, and dropping `counted` counts none.
    ///
    /// # Errors
    /// False if that is more than all connections may have together
    /// ([`max_total_partial_bytes`](BrokerOptions::max_total_partial_bytes)): the connection is to be
    /// [closed](crate::Connection::close) because of [`NoRoom`](crate::CloseCause::NoRoom).
    pub fn count_partial(&self, counted: &mut Option<PartialBytes>, bytes: usize) -> bool {
        if bytes <= STEP_BYTES {
            *counted = None;
            return true;
        }
        let counted = counted.get_or_insert_with(|| PartialBytes {
            totals: Arc::clone(self.totals()),
            bytes: 0,
        });
        let total = &counted.totals.partial_bytes;
        let before = total.fetch_add(bytes.wrapping_sub(counted.bytes), Ordering::Relaxed);
        let after = before.wrapping_add(bytes.wrapping_sub(counted.bytes));
        let has_room = bytes <= counted.bytes || after <= self.options().max_total_partial_bytes;
        counted.bytes = bytes;
        has_room
    }
}

impl Drop for PartialBytes {
    fn drop(&mut self) {
        replace(&self.totals.partial_bytes, self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_less_than_a_step_from_what_is_there() {
        let totals = Totals::default();
        let mut charged = Charged::default();
        for (messages, bytes) in [
            (0, 4_095),
            (1, 4_096),
            (1_000, 70_000),
            (15, 0),
            (16, 9_000),
        ] {
            totals.settle(&mut charged, Held { messages, bytes });
            let (counted_messages, counted_bytes) = totals.queued();
            assert!((0..STEP_MESSAGES).contains(&(messages - counted_messages)));
            assert!((0..STEP_BYTES).contains(&(bytes - counted_bytes)));
        }
        totals.settle(&mut charged, Held::default());
        assert_eq!(totals.queued(), (0, 0));
    }

    #[test]
    fn partial_packets_are_counted_until_they_are_dropped() {
        let broker = Broker::new(BrokerOptions {
            max_total_partial_bytes: 20_000,
            ..BrokerOptions::default()
        });
        let counted = || broker.sizes().partial_bytes;
        let (mut first, mut second) = (None, None);
        assert!(broker.count_partial(&mut first, 4_096));
        assert_eq!(counted(), 0);
        assert!(broker.count_partial(&mut first, 12_000));
        assert!(broker.count_partial(&mut second, 8_000));
        assert_eq!(counted(), 20_000);
        assert!(!broker.count_partial(&mut second, 8_001));
        // What becomes smaller is no reason to close anything.
        assert!(broker.count_partial(&mut first, 11_000));
        assert_eq!(counted(), 19_001);
        drop(second);
        assert_eq!(counted(), 11_000);
        assert!(broker.count_partial(&mut first, 10));
        assert_eq!(counted(), 0);
    }
}
