//! Messages that somebody has to be asked about before they go out: what was decided of those in the
//! queue, and those at QoS 0, which wait beside it.
//!
//! Something is decided at the very moment at which the message is written, and holds for as long as
//! it is under way: sent again, it is the same packet. What was never sent was never decided on.
//! A broker that starts again knows nothing of what the one before it has decided, and asks once more.
//!
//! Messages at QoS 0 are owed to nobody who is away, so they are kept for the connection of the moment
//! alone, and in no store. Of them and the queue, what came first is asked about first.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::{PacketId, QoS};

use super::{Entry, Next, Outgoing, Stage};
use crate::Message;
use crate::persistence::SubscriptionIds;
use crate::session::Terms;

/// What one of them costs besides its topic, properties and payload, in bytes and about.
const OVERHEAD_BYTES: usize = 160;

/// Messages at QoS 0 that wait until it is known whether they may be sent.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    messages: VecDeque<AtMostOnce>,
    bytes: usize,
    next_number: u64,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct AtMostOnce {
    /// Tells it from others of this connection.
    number: u64,
    /// What has a smaller number in the queue came before it.
    before: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: SubscriptionIds,
}

/// Where a message is that somebody is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the queue, with this sequence number.
    Queued(u64),
    /// Beside it, with this number.
    Unsent(u64),
}

/// A message that somebody has to be asked about now.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) place: Place,
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Whether the client may have it already.
    pub(crate) sent: bool,
}

impl Entry {
    /// Whether somebody has to be asked before it goes out.
    pub(crate) fn is_undecided(&self) -> bool {
        !self.asked && self.stage == Stage::Publish && self.message.is_some()
    }

    /// What goes out for it.
    pub(crate) fn packet_message(&self) -> Option<&Arc<Message>> {
        let aside = self.aside.as_ref();
        let replacement = aside.and_then(|aside| aside.replacement.as_ref());
        replacement.or(self.message.as_ref())
    }

    /// It may go out, or `replacement` in its place.
    fn decide(&mut self, replacement: Option<Arc<Message>>) {
        self.asked = true;
        let Some(replacement) = replacement else {
            return;
        };
        self.qos = self.qos.min(replacement.qos());
        let was_retained = self.message.as_ref().map(|message| message.retain());
        if was_retained != Some(replacement.retain()) {
            self.retain = replacement.retain();
        }
        self.aside.get_or_insert_default().replacement = Some(replacement);
    }
}

impl Outgoing {
    /// Puts a message at QoS 0 behind all that is there.
    pub(crate) fn push_unsent(&mut self, message: Arc<Message>, terms: &Terms<'_>) {
        let before = self.next_sequence;
        let unsent = self.unsent.get_or_insert_default();
        let number = unsent.next_number;
        unsent.next_number += 1;
        unsent.bytes += message.size_bytes() + OVERHEAD_BYTES;
        unsent.messages.push_back(AtMostOnce {
            number,
            before,
            message,
            retain: terms.retain,
            subscription_ids: terms.subscription_ids.clone(),
        });
    }

    /// Messages at QoS 0 that wait, and the bytes that they take.
    #[inline]
    pub(crate) fn unsent(&self) -> (usize, usize) {
        let unsent = self.unsent.as_ref();
        unsent.map_or((0, 0), |unsent| (unsent.messages.len(), unsent.bytes))
    }

    /// Takes out the first of them, if it is this one.
    pub(crate) fn take_unsent(&mut self, number: u64) -> Option<AtMostOnce> {
        let unsent = self.unsent.as_mut()?;
        unsent.messages.front().filter(|it| it.number == number)?;
        let first = unsent.messages.pop_front()?;
        unsent.bytes -= first.message.size_bytes() + OVERHEAD_BYTES;
        if unsent.messages.is_empty() {
            // The numbers go on.
            unsent.messages = VecDeque::new();
        }
        Some(first)
    }

    /// What somebody has to be asked about next, to be sent to a client that accepts
    /// `receive_maximum` unacknowledged messages.
    pub(crate) fn candidate(&mut self, receive_maximum: usize) -> Option<Candidate> {
        let first = self.unsent.as_ref().and_then(|it| it.messages.front());
        let unsent = first.map(|first| (first.before, first.candidate()));
        let queued = match self.next(receive_maximum) {
            Some((Next::Publish(_), entry)) if entry.is_undecided() => entry.candidate(),
            _ => None,
        };
        match (unsent, queued) {
            (Some((before, unsent)), Some(queued)) => match queued.place {
                Place::Queued(sequence) if sequence < before => Some(queued),
                _ => Some(unsent),
            },
            (Some((_, unsent)), None) => Some(unsent),
            (None, queued) => queued,
        }
    }

    /// Whether this one is still to be decided on: it may have expired, or be on its way to somebody
    /// else.
    pub(crate) fn is_undecided(&mut self, place: Place, receive_maximum: usize) -> bool {
        match place {
            Place::Unsent(number) => {
                let first = self.unsent.as_ref().and_then(|it| it.messages.front());
                first.is_some_and(|first| first.number == number)
            }
            Place::Queued(sequence) => match self.next(receive_maximum) {
                Some((Next::Publish(_), entry)) => entry.sequence == sequence && !entry.asked,
                _ => false,
            },
        }
    }

    /// What [`next`](Self::next) names may go out, or `replacement` in its place. It has to go out
    /// now.
    pub(crate) fn decide_next(&mut self, replacement: Option<Arc<Message>>) {
        if let Some(entry) = self.entries.get_mut(self.emitted) {
            entry.decide(replacement);
        }
    }

    /// Whether what [`next`](Self::next) names is a message at QoS 2 that the client may have: if it is
    /// not to be sent, it is to be [released](Self::release_next).
    pub(crate) fn is_next_known(&self) -> bool {
        let next = self.entries.get(self.emitted);
        next.is_some_and(|entry| entry.sent && entry.qos == QoS::ExactlyOnce)
    }

    /// What [`next`](Self::next) names, a message at QoS 2 that the client may have, is not to be sent
    /// again: its identifier is free when the client has let go of it. Returns the sequence number,
    /// and the identifier that PUBREL is to have. With `pending` that has to become durable first.
    pub(crate) fn release_next(&mut self, pending: bool) -> Option<(u64, PacketId)> {
        let entry = self.entries.get_mut(self.emitted)?;
        entry.stage = Stage::Release;
        entry.pending += u8::from(pending);
        if let Some(message) = entry.take_message() {
            self.bytes -= message.size_bytes();
        }
        Some((entry.sequence, super::packet_id(entry.ordinal)))
    }
}

impl AtMostOnce {
    fn candidate(&self) -> Candidate {
        Candidate {
            place: Place::Unsent(self.number),
            message: Arc::clone(&self.message),
            qos: QoS::AtMostOnce,
            retain: self.retain,
            sent: false,
        }
    }
}

impl Entry {
    fn candidate(&self) -> Option<Candidate> {
        Some(Candidate {
            place: Place::Queued(self.sequence),
            message: Arc::clone(self.message.as_ref()?),
            qos: self.qos,
            retain: self.retain,
            sent: self.sent,
        })
    }
}
