//! One client's session: what it is owed, what it has begun, and the connection of the moment.
//!
//! ```text
//!             attach                     detach, expiry > 0
//!   (new) ─────────────► connected ───────────────────────────► away ──┐
//!                        │  ▲    │ takeover (a new connection)   │     │ attach
//!                        │  └────┘                               │     │
//!                        │  ▲────────────────────────────────────┼─────┘
//!                        │ detach, expiry 0; clean start         │ expiry
//!                        ▼                                       ▼
//!                      ended ◄───────────────────────────────────┘
//! ```
//!
//! A session is shared by the task of its connection and by all that publish to it. Its state has
//! one lock, held for as long as it takes to push or take, never while another session's lock or
//! the router's is taken by the same thread.
//!
//! Each connection gets an *epoch* when it attaches. A connection whose epoch is not the session's
//! any more has been taken over: whatever it still does changes nothing here.
//!
//! Sections 3.1.2.4 (3.1.1), 3.1.2.11.2 and 4.1 (5.0).

mod delivery;
mod filters;
mod forward;
mod incoming;
mod outgoing;
mod packet;
mod presence;
mod settled;
mod state_guard;
mod terms;

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::task::Waker;

use mqtt_codec::Version;
use parking_lot::Mutex;

use crate::Timestamp;
use crate::close::CloseCause;
use crate::connection::Replays;
use crate::deadlines::Deadline;
use crate::on_demand::OnDemand;
use crate::outbox::Outbox;
use crate::persistence::{ClientId, SessionKey, StoredSession};
use crate::topic_aliases::{Naming, OutboundAliases};
use crate::totals::{Charged, Totals};
use crate::will::Will;

pub(crate) use delivery::DeliveryEffects;
pub(crate) use filters::{Filters, Held, HeldIter};
pub(crate) use forward::Decision;
pub(crate) use incoming::Incoming;
pub(crate) use outgoing::{
    Acknowledged, Candidate, Delivery, Move, Outgoing, Parcel, QueueWindow, TailPage,
};
pub(crate) use presence::Presence;
pub(crate) use state_guard::StateGuard;
pub(crate) use terms::{Origin, REPLAY_SHARE, Refused, Rules, Share, Terms};

/// The epoch of a connection with which its session has begun. One that finds a session has a later
/// one: it is counted when the session is found, and when it attaches.
pub(crate) const FIRST_EPOCH: u32 = 1;

/// Tells sessions apart within one process; never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub(crate) u64);

/// Why nobody listens to a client, which is then not taken for dead.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Hold {
    /// The store takes its time.
    Store = 1,
    /// Hooks do.
    Hooks = 2,
    /// The client was too fast.
    Pace = 4,
}

/// A session, shared.
#[derive(Debug)]
pub(crate) struct Session {
    key: SessionKey,
    /// Whether it outlives its connection, and is therefore kept in the store.
    durable: bool,
    /// Whether it has a connection, as the groups that it is in may read it.
    connected: AtomicBool,
    /// Why nobody listens to the client, if nobody does: a bit for each [`Hold`].
    unheard: AtomicU8,
    /// Messages at QoS 1 and 2 under way or waiting, as they may read it.
    owed: AtomicU32,
    /// When something was last heard from the client, in milliseconds.
    heard: AtomicU64,
    deadline: Deadline,
    /// Where what waits for its client is counted.
    totals: Arc<Totals>,
    state: Mutex<State>,
}

/// What changes in a session.
#[derive(Debug)]
pub(crate) struct State {
    /// The connection of the moment.
    pub(crate) link: Option<Link>,
    pub(crate) epoch: u32,
    /// The session is over; nothing may be added to it any more.
    pub(crate) ended: bool,
    /// It has left the router, the deadlines and the store.
    finished: bool,
    pub(crate) expiry_interval_secs: u32,
    /// When it ends unless the client returns; [`Timestamp::MAX`] while connected, or for never.
    pub(crate) expires: Timestamp,
    /// When messages that it shares and could not be given away are tried again; only without a
    /// connection.
    pub(crate) hand_over_due: Timestamp,
    pub(crate) outbox: Outbox,
    /// Bytes of the last outbox that was given out: they are being written.
    given_out: usize,
    /// What is counted of all that.
    charged: Charged,
    pub(crate) outgoing: OnDemand<Outgoing>,
    pub(crate) incoming: Incoming,
    pub(crate) filters: Filters,
    /// Retained messages that are still to be sent to it.
    pub(crate) replays: Option<Box<Replays>>,
    pub(crate) will: Option<Box<Will>>,
    /// Whether what it is owed may have come by shared subscriptions, in part.
    pub(crate) has_shared: bool,
    /// Whether the store has a will of it.
    pub(crate) has_stored_will: bool,
    /// Whether only the store knows what is under way in either direction: the session was restored,
    /// and its client has not come yet.
    pub(crate) is_unread: bool,
}

/// What the session knows of its connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) version: Version,
    /// The lower of the client's receive maximum and our window.
    pub(crate) receive_maximum: u16,
    /// Largest packet that the client takes, in bytes.
    pub(crate) maximum_packet_size: u32,
    /// The topic aliases that the client has been told, if it takes any.
    pub(crate) topic_aliases: Option<Box<OutboundAliases>>,
    /// The keep alive in seconds; 0 for none.
    pub(crate) keep_alive_secs: u16,
    /// What else is known of who is connected.
    pub(crate) presence: Box<Presence>,
    /// The connection's task, once it has asked what to send.
    pub(crate) waker: Option<Waker>,
    /// Whether the task had nothing to send when it asked last, and was not woken since.
    pub(crate) asleep: bool,
    /// Set when the broker wants the connection closed.
    pub(crate) close: Option<CloseCause>,
    /// Set when hooks are to be asked about the client anew.
    pub(crate) reauthorize: bool,
}

/// What is left to be done when a session is over.
pub(crate) struct Remains {
    pub(crate) filters: Filters,
    pub(crate) will: Option<Box<Will>>,
    /// Messages that others may get, with which it shares a subscription.
    pub(crate) shared: Vec<Parcel>,
}

impl Link {
    /// How the next PUBLISH to `topic` is to name it; see [`OutboundAliases::naming`].
    #[inline]
    pub(crate) fn naming(&self, topic: &str) -> Naming {
        match &self.topic_aliases {
            None => Naming::Topic,
            Some(aliases) => aliases.naming(topic),
        }
    }

    /// A PUBLISH to `topic` that names it so was put into the outbox. From here on the client knows
    /// its alias: what is in the outbox is sent in this order or, if the connection ends, not at all.
    #[inline]
    pub(crate) fn note_named(&mut self, topic: &str, naming: Naming) {
        if let Some(aliases) = &mut self.topic_aliases {
            aliases.note_sent(topic, naming);
        }
    }

    /// The connection's task, if it has to be woken because there is something to send.
    pub(crate) fn rouse(&mut self) -> Option<Waker> {
        if core::mem::take(&mut self.asleep) {
            self.waker.clone()
        } else {
            None
        }
    }

    /// The connection is waiting for something to send.
    #[inline(always)]
    pub(crate) fn rest(&mut self, waker: &Waker, asleep: bool) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.waker = Some(waker.clone());
        }
        self.asleep = asleep;
    }
}

impl Session {
    /// A session without a connection. A durable one is kept in the store.
    pub(crate) fn new(
        id: SessionId,
        client: ClientId,
        expiry_interval_secs: u32,
        durable: bool,
        totals: &Arc<Totals>,
    ) -> Arc<Self> {
        Arc::new(Self {
            key: SessionKey {
                client,
                incarnation: id.0,
            },
            durable,
            connected: AtomicBool::new(false),
            unheard: AtomicU8::new(0),
            owed: AtomicU32::new(0),
            heard: AtomicU64::new(0),
            deadline: Deadline::default(),
            totals: Arc::clone(totals),
            state: Mutex::new(State {
                link: None,
                epoch: 0,
                ended: false,
                finished: false,
                expiry_interval_secs,
                expires: Timestamp::MAX,
                hand_over_due: Timestamp::MAX,
                outbox: Outbox::default(),
                given_out: 0,
                charged: Charged::default(),
                outgoing: OnDemand::default(),
                incoming: Incoming::default(),
                filters: Filters::default(),
                replays: None,
                will: None,
                has_shared: false,
                has_stored_will: false,
                is_unread: false,
            }),
        })
    }

    pub(crate) fn id(&self) -> SessionId {
        SessionId(self.key.incarnation)
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.key.client
    }

    /// Where it stands in the broker's deadlines.
    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// The name under which the store knows it.
    pub(crate) fn key(&self) -> &SessionKey {
        &self.key
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    #[inline]
    pub(crate) fn state(&self) -> StateGuard<'_> {
        StateGuard::new(self.state.lock(), &self.totals)
    }

    /// Whether it had a connection a moment ago.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// To be called with the state locked. Whether that is new.
    pub(crate) fn set_connected(&self, connected: bool) -> bool {
        self.connected.swap(connected, Ordering::Relaxed) != connected
    }

    /// Messages at QoS 1 and 2 that it was owed a moment ago.
    pub(crate) fn owed(&self) -> u32 {
        self.owed.load(Ordering::Relaxed)
    }

    /// To be called with the state locked, when messages have come or gone.
    pub(crate) fn set_owed(&self, messages: usize) {
        let owed = u32::try_from(messages).unwrap_or(u32::MAX);
        self.owed.store(owed, Ordering::Relaxed);
    }

    /// For this reason nobody listens to the client from now on, or it holds no longer. To be called
    /// with the state locked.
    pub(crate) fn hold_keep_alive(&self, hold: Hold, held: bool) {
        if held {
            self.unheard.fetch_or(hold as u8, Ordering::Relaxed);
        } else {
            self.unheard.fetch_and(!(hold as u8), Ordering::Relaxed);
        }
    }

    /// A new connection is listened to. To be called with the state locked.
    pub(crate) fn listen(&self) {
        self.unheard.store(0, Ordering::Relaxed);
    }

    /// Whether silence means nothing at the moment.
    pub(crate) fn is_unheard(&self) -> bool {
        self.unheard.load(Ordering::Relaxed) != 0
    }

    /// The client has sent something.
    pub(crate) fn hear(&self, now: Timestamp) {
        self.heard.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) -> Timestamp {
        Timestamp::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// What a store is told of it.
    pub(crate) fn record(
        &self,
        state: &State,
        disconnected_at: Option<Timestamp>,
    ) -> StoredSession {
        StoredSession {
            session: self.key.clone(),
            expiry_interval_secs: state.expiry_interval_secs,
            disconnected_at,
        }
    }
}

impl State {
    /// A connection begins; returns its epoch. Whoever had the session before has lost it.
    pub(crate) fn attach(&mut self, link: Link) -> u32 {
        self.epoch = self.epoch.wrapping_add(1);
        self.link = Some(link);
        self.expires = Timestamp::MAX;
        self.hand_over_due = Timestamp::MAX;
        self.drop_output();
        if let Some(outgoing) = self.outgoing.get_mut() {
            outgoing.rewind();
        }
        self.epoch
    }

    /// Whether this epoch's connection still has the session.
    pub(crate) fn is_current(&self, epoch: u32) -> bool {
        self.epoch == epoch && self.link.is_some() && !self.ended
    }

    /// Whether the session goes on when its client comes back at `now`. One that lasts only as long
    /// as its connection does not.
    pub(crate) fn is_kept(&self, now: Timestamp) -> bool {
        !self.ended && self.expiry_interval_secs > 0 && (self.link.is_some() || self.expires > now)
    }

    /// The connection is gone. What waits is left to the store if it can be.
    pub(crate) fn detach(&mut self, can_spill: bool) {
        self.link = None;
        self.drop_output();
        if let Some(outgoing) = self.outgoing.get_mut() {
            outgoing.shrink();
            self.has_shared &= outgoing.len() > 0;
            outgoing.rewind();
        }
        // What others are to get at once stays until they have it.
        if can_spill
            && !self.has_shared
            && let Some(outgoing) = self.outgoing.get_mut()
        {
            outgoing.spill();
        }
    }

    /// From here on counts what the store has of the session: the next connection reads it.
    pub(crate) fn unload(&mut self) {
        self.is_unread = true;
        if let Some(outgoing) = self.outgoing.get_mut() {
            outgoing.unload();
        }
    }

    /// Whether what it is owed may have to go to other members of shared subscriptions.
    pub(crate) fn may_share(&self) -> bool {
        self.has_shared || self.filters.shared().next().is_some()
    }

    /// Asks the connection to close, if there is one. Its task is to be woken even if it is busy
    /// writing: the client may never read again.
    pub(crate) fn ask_to_close(&mut self, cause: CloseCause) -> Option<Waker> {
        let link = self.link.as_mut()?;
        link.close.get_or_insert(cause);
        link.asleep = false;
        link.waker.clone()
    }

    /// The connection's task, if it must be woken because there is something to do.
    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        self.link.as_mut()?.rouse()
    }

    /// The messages that the connection may have under way.
    pub(crate) fn window(&self, max_inflight: u16) -> usize {
        usize::from(
            self.link
                .as_ref()
                .map_or(max_inflight, |link| link.receive_maximum),
        )
    }

    /// The session's next deadline.
    pub(crate) fn next_deadline(&self, heard: Timestamp) -> Timestamp {
        match &self.link {
            Some(link) if link.keep_alive_secs > 0 => {
                // One and a half times the keep alive (section 3.1.2.10).
                heard + Duration::from_millis(u64::from(link.keep_alive_secs) * 1_500)
            }
            Some(_) => Timestamp::MAX,
            None => self.expires.min(self.will_due()).min(self.hand_over_due),
        }
    }

    /// Puts back what is left of the retained messages to be sent.
    pub(crate) fn keep_replays(&mut self, mut replays: Box<Replays>) {
        if self.ended {
            return;
        }
        if let Some(later) = self.replays.take() {
            replays.append(*later);
        }
        self.replays = Some(replays);
    }

    /// When the will of a connection that is gone is published; [`Timestamp::MAX`] for none.
    pub(crate) fn will_due(&self) -> Timestamp {
        self.will.as_ref().map_or(Timestamp::MAX, |will| will.due)
    }

    /// Takes the will, to be published or dropped.
    pub(crate) fn take_will(&mut self) -> Option<Box<Will>> {
        self.will.take()
    }

    /// The session is over: returns its filters and its will, and forgets all else. `None` if that
    /// has happened already.
    pub(crate) fn end(&mut self) -> Option<Remains> {
        self.ended = true;
        if core::mem::replace(&mut self.finished, true) {
            return None;
        }
        self.drop_output();
        let outgoing = self.outgoing.take();
        let shared = match self.has_shared {
            true => outgoing.split_shared(&mut self.outgoing),
            false => Vec::new(),
        };
        self.incoming = Incoming::default();
        self.replays = None;
        Some(Remains {
            filters: core::mem::take(&mut self.filters),
            will: self.take_will(),
            shared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection costs its session, its registry entry and its task; buffers come and go.
    /// What is added here is paid a million times.
    #[test]
    fn an_idle_session_is_small() {
        let bytes = size_of::<Session>();
        assert!(bytes <= 384, "a session takes {bytes} bytes");
        let session = Session::new(SessionId(1), "client".into(), 0, false, &Arc::default());
        let state = session.state();
        let owned = state.outgoing.capacity() + state.filters.len() + state.outbox.capacity();
        assert_eq!(owned, 0, "a new session owns no memory");
    }
}
