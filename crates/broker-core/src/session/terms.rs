//! On what terms a message is delivered to a session, and why it may be refused.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::State;
use crate::Timestamp;
use crate::counters::Counters;
use crate::options::BrokerOptions;
use crate::persistence::SubscriptionIds;
use crate::share::Group;
use crate::totals::STEP_BYTES;

/// Which part of the window, and of the queue's room, is there for retained messages while some are owed:
/// one in so many.
pub(crate) const REPLAY_SHARE: usize = 8;

/// How a message is to be delivered to one session.
#[derive(Clone, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: &'a SubscriptionIds,
    /// Where it comes by a shared subscription.
    pub(crate) share: Option<Share<'a>>,
}

/// What a session has to know of a message that it gets as a member of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share<'a> {
    pub(crate) group: &'a Arc<Group>,
    /// Whether it was chosen because it is connected. If it is not so any more, it is not the one.
    pub(crate) connected: bool,
    pub(crate) origin: Origin,
}

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was published.
    Published,
    /// From another member, whose session goes on. One of both has it, whatever the store says: so
    /// it is not sent before the batch is committed, also by a session that is not in the store.
    Taken,
    /// From another member, whose session has ended: here it stays, whatever the store says.
    Inherited,
}

/// Why a session does not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is nobody to send it to and it is not kept, or the session is over.
    Away,
    /// The outbox is full.
    SlowReader,
    /// The queue is full.
    QueueFull,
    /// There is too much in memory for all clients together.
    TotalFull,
    /// The client takes no packet so large.
    TooLarge,
}

/// What deliveries need of the broker.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) options: &'a BrokerOptions,
    pub(crate) counters: &'a Counters,
    pub(crate) now: Timestamp,
    /// Whether the store keeps queues that need not be in memory.
    pub(crate) has_lasting_store: bool,
    /// Whether memory is short for what waits for all clients together.
    pub(crate) is_short: bool,
    /// Whether there is none for the message that is being delivered.
    pub(crate) is_full: bool,
    /// Whether somebody has to be asked before a message goes out.
    pub(crate) asks: bool,
    /// Whether somebody wants to know which message it was that a client has acknowledged.
    pub(crate) keeps_sent: bool,
}

impl Rules<'_> {
    /// Bytes in an outbox up to which more is put into it. Where memory is short what comes out of a
    /// queue is not to be there twice.
    #[inline]
    pub(crate) fn outbox_max(&self) -> usize {
        match self.is_short {
            false => self.options.max_outbox_bytes,
            true => self.options.max_outbox_bytes.min(STEP_BYTES),
        }
    }
}

impl Terms<'_> {
    /// Whether another session had the message before.
    pub(super) fn is_moved(&self) -> bool {
        self.share
            .is_some_and(|share| share.origin != Origin::Published)
    }
}

impl State {
    /// Whether the queue takes one more message. While retained messages are owed to the client an
    /// eighth of the room is theirs.
    pub(crate) fn has_room(&self, size_bytes: usize, rules: Rules<'_>) -> bool {
        let (mut messages_max, mut bytes_max) = (
            rules.options.max_queued_messages,
            rules.options.max_queued_bytes,
        );
        if self.replays.is_some() {
            messages_max -= messages_max / REPLAY_SHARE;
            bytes_max -= bytes_max / REPLAY_SHARE;
        }
        let bytes = self.outgoing.bytes();
        self.outgoing.len() < messages_max && (bytes == 0 || bytes + size_bytes <= bytes_max)
    }
}
