//! Messages on their way to one client at QoS 1 and 2: the inflight window and the queue behind it.
//!
//! One sequence holds both, so order cannot be lost between them:
//!
//! ```text
//!   entries:  │ d │ p │ r │ p │ p │ w │ w │ w │ …      d done, p PUBLISH, r PUBREL, w waiting
//!             └─ emitted ─┘       │
//!             └──── admitted ─────┘└── the queue ──
//! ```
//!
//! - *admitted* entries own a packet identifier; their number is limited by the window. Choosing
//!   an identifier and tracking the message under it are one step, so none is given out twice.
//! - *emitted* entries have been written to the connection of the moment. A new connection starts
//!   with none, which is all there is to redelivery. Only a PUBREL may go *ahead* of its place, when
//!   what is in front of it waits for the client's receive maximum.
//! - An entry with a durable change still under way is *pending*, and nothing behind it is emitted
//!   before it: what a crash could make us forget is not sent.
//! - An entry that was never emitted loses its identifier when the connection ends, so that what
//!   has an identifier while the client is away is exactly what it may have seen.
//!
//! Acknowledgements are matched by identifier, never by position; an unknown one changes nothing, and
//! neither does one that is not the next step of its delivery.
//!
//! Implements sections 4.3, 4.4 and 4.6 (3.1.1 and 5.0), and 4.9 of 5.0 (flow control).

mod acknowledged;
mod asked;
#[cfg(any(test, feature = "invariants"))]
mod check;
mod identifiers;
mod memory;
mod moving;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::{PacketId, QoS};

use super::Terms;
use crate::on_demand::Empty;
use crate::share::Group;
use crate::{Message, Timestamp};
pub(crate) use acknowledged::{Acknowledged, Delivery};
use asked::Unsent;
pub(crate) use asked::{AtMostOnce, Candidate, Place};
use identifiers::packet_id;
use memory::{Aside, kept};
pub(crate) use moving::{Move, Parcel};
use tail::Tail;
pub(crate) use tail::{QueueWindow, TailPage};

/// Done entries tolerated in the middle of the sequence before it is compacted.
const DONE_MAX: usize = 64;

/// What is known of one message under way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    /// Which identifier, counted from 1 without wrapping; 0 while waiting.
    ordinal: u64,
    /// `None` where it will not be needed again: taken by the receiver, or sent in a session that
    /// ends with its connection.
    pub(crate) message: Option<Arc<Message>>,
    /// `None` if there is nothing of the kind, as mostly.
    aside: Option<Box<Aside>>,
    /// By which shared subscription it came.
    group: Option<Arc<Group>>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    stage: Stage,
    /// Whether it is being given to another member of its group. It is pending then.
    moving: bool,
    /// Durable changes of this entry that are not committed yet.
    pending: u8,
    /// Whether it was ever emitted, and so goes out with DUP the next time.
    pub(crate) sent: bool,
    /// Whether it was decided that it may go out. It went out then.
    asked: bool,
    /// Whether its PUBREL went out on this connection while a PUBLISH in front of it still waits.
    ahead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Publish,
    Release,
    Done,
}

/// What is to be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The message, as PUBLISH.
    Publish(PacketId),
    /// PUBREL.
    Release(PacketId),
}

/// The messages on their way to one client.
#[derive(Debug)]
pub(crate) struct Outgoing {
    entries: VecDeque<Entry>,
    /// Entries at the front that have an identifier, done ones included.
    admitted: usize,
    /// Entries at the front that were written to this connection, done ones included.
    emitted: usize,
    /// Admitted and not done.
    inflight: usize,
    /// Emitted on this connection and not done: what counts against the receive maximum.
    unacknowledged: usize,
    next_ordinal: u64,
    next_sequence: u64,
    /// Bytes of the entries.
    bytes: usize,
    /// What is behind the entries in the store.
    tail: Option<Box<Tail>>,
    /// What waits at QoS 0 for the connection of the moment.
    unsent: Option<Box<Unsent>>,
}

impl Empty for Outgoing {
    const EMPTY: &'static Self = &Self::new();
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new()
    }
}

impl Outgoing {
    const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            admitted: 0,
            emitted: 0,
            inflight: 0,
            unacknowledged: 0,
            next_ordinal: 1,
            next_sequence: 1,
            bytes: 0,
            tail: None,
            unsent: None,
        }
    }

    /// Messages under way or waiting, in memory and behind.
    pub(crate) fn len(&self) -> usize {
        let behind = self.tail.as_ref().map_or(0, |tail| tail.messages);
        self.entries.len() - (self.admitted - self.inflight) + behind
    }

    /// Messages that are under way: they have a packet identifier.
    pub(crate) fn inflight(&self) -> usize {
        self.inflight
    }

    /// Bytes of the messages that are kept, in memory and behind.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.tail.as_ref().map_or(0, |tail| tail.bytes)
    }

    /// Whether a new message could be sent at once: nothing waits before it, and the window has
    /// room.
    pub(crate) fn is_open(&self, window: usize) -> bool {
        self.is_emitted() && self.inflight < window && self.unacknowledged < window
    }

    /// Whether all there is was written to the connection of the moment.
    #[inline]
    pub(crate) fn is_emitted(&self) -> bool {
        self.emitted == self.entries.len()
    }

    /// The number of the message that came last; 0 if none has come.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    /// Whether the message with this number waits no more: it was written to the connection of the
    /// moment, or is not there.
    pub(crate) fn has_passed(&self, sequence: u64) -> bool {
        match self.entries.get(self.emitted) {
            Some(next) => next.sequence > sequence,
            None => self.is_in_front_of_tail(sequence),
        }
    }

    /// Appends a message that goes out this very moment, and returns its identifier. Only where
    /// [`is_open`](Self::is_open), and nothing of it must become durable. The message is kept only
    /// if it is given, together with the group by which it came.
    pub(crate) fn push_sent(
        &mut self,
        qos: QoS,
        kept: Option<(Arc<Message>, Arc<Group>)>,
    ) -> PacketId {
        let ordinal = self.take_ordinal();
        let sequence = self.take_sequence();
        let (message, group) = kept.unzip();
        self.bytes += message.as_ref().map_or(0, |message| message.size_bytes());
        self.append(Entry {
            sequence,
            ordinal,
            message,
            aside: None,
            group,
            moving: false,
            qos,
            retain: false,
            stage: Stage::Publish,
            pending: 0,
            sent: true,
            asked: true,
            ahead: false,
        });
        self.admitted += 1;
        self.emitted += 1;
        self.inflight += 1;
        self.unacknowledged += 1;
        packet_id(ordinal)
    }

    /// Appends a message to the queue and returns its sequence number. With `pending` it is not
    /// emitted before [`committed`](Self::committed). It gets its identifier at once if nothing
    /// waits before it and `window` has room; a window of 0 has none.
    pub(crate) fn push(
        &mut self,
        message: Arc<Message>,
        terms: &Terms<'_>,
        pending: bool,
        window: usize,
    ) -> (u64, Option<PacketId>) {
        let sequence = self.take_sequence();
        let is_next = self.admitted == self.entries.len() && self.inflight < window;
        let ordinal = if is_next { self.take_ordinal() } else { 0 };
        self.bytes += message.size_bytes();
        self.append(Entry {
            sequence,
            ordinal,
            message: Some(message),
            aside: kept(terms.subscription_ids),
            group: terms.share.map(|share| Arc::clone(share.group)),
            moving: false,
            qos: terms.qos,
            retain: terms.retain,
            stage: if is_next {
                Stage::Publish
            } else {
                Stage::Waiting
            },
            pending: u8::from(pending),
            sent: false,
            asked: false,
            ahead: false,
        });
        self.admitted += usize::from(is_next);
        self.inflight += usize::from(is_next);
        (sequence, is_next.then(|| packet_id(ordinal)))
    }

    /// Gives the first waiting entry an identifier, if the window has room for it and it is not
    /// pending itself: the store learns of the message first, then of its identifier. With
    /// `pending` the identifier has to become durable before it is used.
    pub(crate) fn admit(&mut self, window: usize, pending: bool) -> Option<(&mut Entry, PacketId)> {
        let first = self.entries.get(self.admitted)?;
        if self.inflight >= window || first.pending > 0 {
            return None;
        }
        let ordinal = self.take_ordinal();
        let entry = self.entries.get_mut(self.admitted)?;
        entry.ordinal = ordinal;
        entry.stage = Stage::Publish;
        entry.pending += u8::from(pending);
        self.admitted += 1;
        self.inflight += 1;
        Some((entry, packet_id(ordinal)))
    }

    /// One durable change of the entry has been committed.
    pub(crate) fn committed(&mut self, sequence: u64) {
        if let Some(index) = self.index_of_sequence(sequence)
            && let Some(entry) = self.entries.get_mut(index)
        {
            entry.pending = entry.pending.saturating_sub(1);
        } else {
            self.committed_behind(sequence);
        }
    }

    /// The entry could not be made durable: it is taken out.
    pub(crate) fn aborted(&mut self, sequence: u64) {
        let Some(index) = self.index_of_sequence(sequence) else {
            self.aborted_behind(sequence);
            return;
        };
        if index < self.admitted {
            self.finish(index);
        } else if let Some(entry) = self.entries.remove(index) {
            self.bytes -= entry.message.map_or(0, |message| message.size_bytes());
        }
    }

    /// What is to be written next to a client that accepts `receive_maximum` unacknowledged
    /// messages, and the entry it concerns. After writing it, call [`emitted`](Self::emitted).
    pub(crate) fn next(&mut self, receive_maximum: usize) -> Option<(Next, &mut Entry)> {
        while self.emitted < self.admitted
            && let Some(entry) = self.entries.get_mut(self.emitted)
        {
            match entry.stage {
                Stage::Done => entry.ahead = false,
                _ if entry.ahead => {
                    entry.ahead = false;
                    self.unacknowledged += 1;
                }
                _ => break,
            }
            self.emitted += 1;
        }
        if self.emitted >= self.admitted {
            return None;
        }
        let mut index = self.emitted;
        if self.unacknowledged >= receive_maximum {
            // Only PUBLISH has to wait [MQTT-3.3.4-10].
            let mut rest = self.entries.iter().take(self.admitted).skip(self.emitted);
            let is_release = |entry: &Entry| entry.stage == Stage::Release && !entry.ahead;
            index += rest.position(is_release)?;
        }
        let entry = self.entries.get_mut(index)?;
        if entry.pending > 0 {
            return None;
        }
        let id = packet_id(entry.ordinal);
        match entry.stage {
            Stage::Publish => Some((Next::Publish(id), entry)),
            Stage::Release => Some((Next::Release(id), entry)),
            Stage::Waiting | Stage::Done => None,
        }
    }

    /// The entry that [`next`](Self::next) named, with this sequence number, was written. Its message
    /// is kept for redelivery only if asked for.
    pub(crate) fn emitted(&mut self, sequence: u64, keep_message: bool) {
        let Some(entry) = self.entries.get_mut(self.emitted) else {
            return;
        };
        if entry.sequence != sequence {
            if let Some(index) = self.index_of_sequence(sequence) {
                self.note_ahead(index);
            }
            return;
        }
        entry.sent = true;
        if !keep_message && let Some(message) = entry.take_message() {
            self.bytes -= message.size_bytes();
        }
        self.emitted += 1;
        self.unacknowledged += 1;
    }

    /// PUBREL of this entry goes out now, whatever is in front of it.
    fn note_ahead(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.ahead = index >= self.emitted;
        }
    }

    /// The entry that [`next`](Self::next) named is not to be sent after all. Returns its sequence
    /// number.
    pub(crate) fn discard_next(&mut self) -> u64 {
        let sequence = self
            .entries
            .get(self.emitted)
            .map_or(0, |entry| entry.sequence);
        self.finish(self.emitted);
        sequence
    }

    /// Removes the waiting entries at the front of the queue whose messages have expired, all at
    /// once: what is in front of them is moved no more than one time. Returns their sequence numbers.
    pub(crate) fn discard_expired(&mut self, now: Timestamp) -> Vec<u64> {
        let is_expired = |entry: &&Entry| {
            let message = entry.message.as_ref();
            entry.pending == 0 && message.is_some_and(|message| message.expires() <= now)
        };
        let waiting = self.entries.range(self.admitted..);
        let expired = waiting.take_while(is_expired).count();
        if expired == 0 {
            return Vec::new();
        }
        let bytes = &mut self.bytes;
        let discarded = self.entries.drain(self.admitted..self.admitted + expired);
        discarded
            .map(|entry| {
                *bytes -= entry.message.map_or(0, |message| message.size_bytes());
                entry.sequence
            })
            .collect()
    }

    /// The connection has ended; nothing has been sent on the next one yet. What was never sent
    /// gives its identifier back.
    pub(crate) fn rewind(&mut self) {
        self.emitted = 0;
        self.unacknowledged = 0;
        self.unsent = None;
        for entry in self.entries.iter_mut().take(self.admitted) {
            entry.ahead = false;
        }
        while let Some(last) = self.admitted.checked_sub(1)
            && let Some(entry) = self.entries.get_mut(last)
        {
            match entry.stage {
                Stage::Publish if !entry.sent => {
                    entry.stage = Stage::Waiting;
                    entry.ordinal = 0;
                    self.inflight -= 1;
                }
                Stage::Done => drop(self.entries.remove(last)),
                _ => break,
            }
            self.admitted = last;
        }
    }

    /// Ends an admitted entry: its identifier is free from here on.
    #[inline]
    fn finish(&mut self, index: usize) {
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        entry.stage = Stage::Done;
        if let Some(message) = entry.take_message() {
            self.bytes -= message.size_bytes();
        }
        self.inflight -= 1;
        if index < self.emitted {
            self.unacknowledged -= 1;
        }
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.stage == Stage::Done)
        {
            self.entries.pop_front();
            self.admitted -= 1;
            self.emitted = self.emitted.saturating_sub(1);
        }
        self.give_back();
        if self.admitted - self.inflight > DONE_MAX + self.inflight {
            self.compact();
        }
    }

    /// Takes done entries out of the middle, where an old unacknowledged one keeps them.
    fn compact(&mut self) {
        self.emitted = self
            .entries
            .iter()
            .take(self.emitted)
            .filter(|entry| entry.stage != Stage::Done)
            .count();
        self.entries.retain(|entry| entry.stage != Stage::Done);
        self.admitted = self.inflight;
    }

    fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// Whether the message with this number is in memory.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        self.index_of_sequence(sequence).is_some()
    }

    fn index_of_sequence(&self, sequence: u64) -> Option<usize> {
        self.entries
            .binary_search_by_key(&sequence, |entry| entry.sequence)
            .ok()
    }
}
