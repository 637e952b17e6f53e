//! What comes out of the core: operations to commit, replies held until then, tasks to wake.
//!
//! A driver has one [`Effects`] per worker and passes it to every `handle_*` call, and to
//! `poll_output`. When a batch of input has been handled, and after each `poll_output`, it does, in
//! this order:
//!
//! 1. commit [`batch`](Effects::batch) if it is not empty,
//! 2. take the [`Ticket`] and give it to `handle_committed` (or `handle_commit_failed`),
//! 3. have the broker [count](crate::Broker::count_traffic) what has gone to and fro, and
//! 4. [`wake`](Effects::wake) the tasks of all who were given something to send.
//!
//! A store in memory commits at once, so all of them happen in one go and nothing is allocated. For
//! any other the ticket is kept by the task that waits, and the effects are free for the next. A driver
//! may go on with a connection while its commits are under way, once the client is
//! [greeted](crate::Connection::is_greeted): it gives the tickets back in the order of the batches,
//! [with one exception](Effects::may_overtake).

use std::sync::Arc;
use std::task::Waker;

use mqtt_codec::PacketId;

use crate::backend::Crossing;
use crate::counters::Counters;
use crate::hooks::Guarded;
use crate::outbox::Outbox;
use crate::persistence::Batch;
use crate::publication::Frames;
use crate::retained::RetainedChange;
use crate::session::Session;
use crate::subscription::Receivers;
use crate::traffic::{LaneNumber, Tally, Traffic};

/// Most spare buffers kept for outboxes.
const SPARE_OUTBOXES: usize = 64;

/// Largest buffer kept as a spare, in bytes.
const SPARE_BYTES_MAX: usize = 256 << 10;

/// The packet that answers PINGREQ.
const PINGRESP: [u8; 2] = [0xD0, 0];

/// Collects what `handle_*` calls bring about; see the module's text for its use.
#[derive(Debug, Default)]
pub struct Effects {
    pub(crate) batch: Batch,
    pub(crate) ticket: Ticket,
    pub(crate) wakes: Vec<Waker>,
    /// What hooks do about something for which nobody waits.
    pub(crate) loose: Vec<Guarded<()>>,
    /// Whether nobody commits the batch.
    pub(crate) uncommitted: bool,
    /// What other nodes are to be told.
    pub(crate) crossing: Crossing,
    /// What has been counted and not been added to the broker's totals.
    pub(crate) traffic: Traffic,
    pub(crate) lane: LaneNumber,
    pub(crate) scratch: Scratch,
}

/// What waits for a batch to be committed: replies of one connection, and deliveries.
///
/// Dropping it loses the replies. The deliveries go out as if the batch had been committed, since
/// it may have been: nobody waits for ever for a driver that was cancelled.
#[derive(Debug, Default)]
#[must_use = "acknowledgements are lost with it"]
pub struct Ticket {
    /// Encoded packets for the connection that the batch came from.
    pub(crate) replies: Vec<u8>,
    pub(crate) releases: Vec<Release>,
}

/// Who has to know what became of a change.
#[derive(Debug)]
pub(crate) enum Release {
    /// A session.
    Session(Arc<Session>, Change),
    /// The retained messages.
    Retained(RetainedChange),
}

/// What a session waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// The message with this sequence number was queued.
    Enqueued(u64),
    /// How far the delivery with this sequence number has come.
    Marked(u64),
    /// A QoS 2 message came with this packet identifier.
    Received(PacketId),
    /// The message with this sequence number comes from another member of a shared subscription,
    /// who gives it away with the same batch.
    Taken(u64),
    /// It comes from one whose session has ended.
    Inherited(u64),
    /// The messages that are moving go to other members of their shared subscriptions.
    Given,
}

/// Memory that is used again and again on the way of a message.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) receivers: Receivers,
    pub(crate) frames: Frames,
    pub(crate) outboxes: Vec<Outbox>,
}

impl Effects {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Effects of a call after which no driver is there to commit them.
    pub(crate) fn uncommitted() -> Self {
        Self {
            uncommitted: true,
            ..Self::default()
        }
    }

    /// What has to be committed before the ticket may be used.
    pub fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Whether [`take_loose`](Self::take_loose) has any.
    #[inline]
    pub fn has_loose(&self) -> bool {
        !self.loose.is_empty()
    }

    /// What hooks have to do still, and nobody waits for: a driver runs each to its end, in a task of its
    /// own. It panics as little as they do not.
    pub fn take_loose(
        &mut self,
    ) -> impl Iterator<Item = impl Future<Output = ()> + Send + 'static> {
        core::mem::take(&mut self.loose)
            .into_iter()
            .map(|notice| async move {
                let _result = notice.await;
            })
    }

    /// What waits for the commit of [`batch`](Self::batch).
    pub fn take_ticket(&mut self) -> Ticket {
        core::mem::take(&mut self.ticket)
    }

    /// What other nodes are to be told once the batch is committed, where the broker is one of several; a
    /// driver of one that is none need not ask.
    pub fn take_crossing(&mut self) -> Crossing {
        core::mem::take(&mut self.crossing)
    }

    /// Whether [`take_crossing`](Self::take_crossing) has anything.
    #[inline]
    pub fn has_crossing(&self) -> bool {
        !self.crossing.is_empty()
    }

    /// What waits and belongs to the connection that was just handled: its replies without the deliveries.
    pub fn take_replies(&mut self) -> Ticket {
        self.ticket.take_replies()
    }

    /// A packet of so many bytes has come from a client. What comes of it is counted by the broker.
    #[inline]
    pub fn note_received(&mut self, bytes: usize) {
        self.traffic.received.packet(bytes);
    }

    /// Whether what waits for a commit may be given out before what waits for earlier commits of the
    /// same connection: nothing does, or PINGRESP, which tells a client that the connection lives and
    /// belongs to no other packet.
    pub fn may_overtake(&self) -> bool {
        let (pairs, rest) = self.ticket.replies.as_chunks();
        self.ticket.releases.is_empty()
            && self.crossing.is_empty()
            && rest.is_empty()
            && pairs.iter().all(|packet| *packet == PINGRESP)
    }

    /// Whether the connection that was just handled has something to say behind the commit.
    pub fn has_replies(&self) -> bool {
        self.ticket.has_replies()
    }

    /// Wakes each task that has something to send, once. Returns how many they were.
    pub fn wake(&mut self) -> usize {
        let woken = self.wakes.len();
        if woken == 0 {
            return 0;
        }
        for waker in self.wakes.drain(..) {
            waker.wake();
        }
        woken
    }

    /// Adds what was counted to the totals.
    #[inline]
    pub(crate) fn count_into(&mut self, tally: &Tally) {
        tally.take(&self.lane, &mut self.traffic);
    }

    /// Gives an outbox back that was written, so that its memory serves another connection.
    pub fn recycle(&mut self, mut outbox: Outbox) {
        if self.scratch.outboxes.len() < SPARE_OUTBOXES
            && (1..=SPARE_BYTES_MAX).contains(&outbox.capacity())
        {
            outbox.clear();
            self.scratch.outboxes.push(outbox);
        }
    }
}

impl Release {
    pub(crate) fn new(session: &Arc<Session>, change: Change) -> Self {
        Self::Session(Arc::clone(session), change)
    }

    /// It was committed. Returns the task that is to be woken.
    #[inline]
    pub(crate) fn commit(self) -> Option<Waker> {
        match self {
            Self::Session(session, change) => session.release(change),
            Self::Retained(change) => {
                change.commit();
                None
            }
        }
    }

    /// It could not be committed. Returns the task that is to be woken.
    pub(crate) fn abort(self, counters: &Counters) -> Option<Waker> {
        match self {
            Self::Session(session, change) => session.abort(change, counters),
            Self::Retained(change) => {
                change.abort();
                None
            }
        }
    }

    /// What changes in a session, if it is one.
    pub(crate) fn change(&self) -> Option<Change> {
        match self {
            Self::Session(_, change) => Some(*change),
            Self::Retained(_) => None,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let wakers = self.releases.drain(..).filter_map(Release::commit);
        wakers.for_each(Waker::wake);
    }
}

impl Ticket {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        !self.has_replies() && self.releases.is_empty()
    }

    /// Splits the replies off from the deliveries, which stay.
    pub fn take_replies(&mut self) -> Self {
        Self {
            replies: core::mem::take(&mut self.replies),
            releases: Vec::new(),
        }
    }

    /// Whether the connection that it belongs to has something to say.
    pub fn has_replies(&self) -> bool {
        !self.replies.is_empty()
    }
}
