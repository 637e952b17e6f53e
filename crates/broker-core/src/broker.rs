//! What all connections share: who is known, who subscribed to what, what is retained, what is due.
//!
//! [`Broker`] has no task and no lock of its own; each of its parts guards itself. The order in
//! which locks may be taken by one thread is: registry, then one session, then a place among the
//! groups of shared subscriptions, then one group's members, then one of router, deadlines or
//! retained messages. Nothing takes a session's lock while it holds one of those behind it.

mod clients;
mod hooked;
#[cfg(any(test, feature = "invariants"))]
mod invariants;
mod leaving;
mod lifecycle;
mod load;
mod nodes;
mod own_topics;
mod program;
mod restore;
mod route;
mod share;
mod subscribe;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use parking_lot::{Mutex, RwLock};
use topic_trie::{SharedFilterTrie, TopicName};

use crate::close::CloseCause;
use crate::counters::Counters;
use crate::deadlines::Deadlines;
use crate::effects::{Effects, Release, Ticket};
use crate::events::{EventSet, Watchers};
use crate::hooks::Hooked;
use crate::nodes::Nodes;
use crate::options::BrokerOptions;
use crate::own_topics::{Announcer, is_of_the_broker};
use crate::registry::Registry;
use crate::retained::RetainedMessages;
use crate::session::{Rules, SessionId};
use crate::subscription::{SubscriberId, Subscription};
use crate::totals::Totals;
use crate::traffic::{Presence, Tally};
use crate::{Message, Redirect, Timestamp};

pub use clients::{ConnectedClient, ConnectedClients};
use leaving::Leaving;
pub(crate) use lifecycle::{Refusal, Request};
pub(crate) use load::Load;
use load::Store;
pub(crate) use nodes::Forwarded;
use program::Programs;
pub(crate) use share::{Asked, Groups};
pub(crate) use subscribe::Subscribed;

/// The shared part of a broker; see the [crate's text](crate) for how it is driven.
///
/// ```
/// use broker_core::{Broker, BrokerOptions};
///
/// let broker = Broker::new(BrokerOptions::default());
/// assert_eq!(broker.sizes().sessions, 0);
/// ```
#[derive(Debug)]
pub struct Broker {
    pub(crate) options: BrokerOptions,
    hooked: Option<Box<Hooked>>,
    pub(crate) counters: Counters,
    pub(crate) sessions: Registry,
    pub(crate) subscriptions: SharedFilterTrie<SubscriberId, Subscription>,
    pub(crate) groups: Groups,
    announcer: Announcer,
    nodes: Option<Box<Nodes>>,
    pub(crate) tally: Tally,
    presence: Presence,
    programs: Programs,
    pub(crate) watchers: Watchers,
    leaving: Leaving,
    pub(crate) retained: Arc<RetainedMessages>,
    pub(crate) deadlines: Deadlines,
    node: Arc<str>,
    next_session_id: AtomicU64,
    shutting_down: AtomicBool,
    redirect: RwLock<Option<Redirect>>,
    totals: Arc<Totals>,
    /// From which queues are read, once it was restored.
    store: OnceLock<Store>,
    /// What sessions that have expired leave to others, as far as it has to be read.
    estates: Mutex<Vec<Load>>,
}

/// How much a broker holds at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Sessions that are connected.
    pub connected: usize,
    /// The most that were connected at one time.
    pub connected_maximum: usize,
    /// Subscriptions of all sessions; one that several share is counted for each of them.
    pub subscriptions: usize,
    /// Shared subscriptions, each counted once however many sessions share it.
    pub shared_subscriptions: usize,
    /// Topic filters of subscriptions of the program around the broker
    /// ([`subscribe_program`](Broker::subscribe_program)), which are none of those above.
    pub program_filters: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Bytes of their topics, properties and payloads.
    pub retained_bytes: usize,
    /// Messages that wait in memory for all clients together, or are under way: what each session has
    /// beyond its first 16, in steps of as many.
    pub queued_messages: usize,
    /// Bytes of them, and of what is encoded for the clients' sockets: what each session has beyond its
    /// first 4 KiB, in steps of as many.
    pub queued_bytes: usize,
    /// Bytes of memory for packets of which the end has not come, where it is more than 4 KiB for one.
    pub partial_bytes: usize,
    /// Sessions that have something due: keep alive, will delay or expiry.
    pub deadlines: usize,
}

/// Sessions looked at in one call of [`Broker::handle_timeout`]: about a quarter of a millisecond if all
/// of them expire.
const DUE_PER_CALL: usize = 256;

impl Broker {
    /// A broker that knows nobody yet.
    pub fn new(options: BrokerOptions) -> Arc<Self> {
        let subscriptions = SharedFilterTrie::new();
        let hooks = options.hooks.clone();
        let hooked = hooks.map(|hooks| Box::new(Hooked::new(hooks)));
        let told = hooked.as_ref().map(|hooked| hooked.told);
        let watchers = Watchers::new(told.unwrap_or_default());
        Arc::new(Self {
            totals: Arc::new(Totals::new(&options)),
            announcer: Announcer::new(options.announcements.as_ref(), &subscriptions),
            redirect: RwLock::new(options.redirect.clone()),
            nodes: options.node.clone().map(|node| Box::new(Nodes::new(node))),
            hooked,
            options,
            counters: Counters::default(),
            sessions: Registry::default(),
            subscriptions,
            groups: Groups::default(),
            tally: Tally::default(),
            presence: Presence::default(),
            programs: Programs::default(),
            watchers,
            leaving: Leaving::default(),
            retained: Arc::default(),
            deadlines: Deadlines::default(),
            node: "mosca".into(),
            next_session_id: AtomicU64::new(1),
            shutting_down: AtomicBool::new(false),
            store: OnceLock::new(),
            estates: Mutex::default(),
        })
    }

    /// Its options.
    pub fn options(&self) -> &BrokerOptions {
        &self.options
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether a client with this identifier is connected.
    pub(crate) fn is_connected(&self, client_id: &str) -> bool {
        let session = self.sessions.get(client_id);
        session.is_some_and(|session| session.state().link.is_some())
    }

    /// How much it holds at the moment.
    pub fn sizes(&self) -> Sizes {
        let (retained_messages, retained_bytes) = self.retained.size();
        let (queued_messages, queued_bytes) = self.totals.queued();
        let (connected, connected_maximum) = self.presence.count();
        let shared_subscriptions = self.groups.len();
        let program_filters = self.programs.filters();
        let others = shared_subscriptions + program_filters;
        let own = self.subscriptions.len().saturating_sub(others);
        let all = own + self.groups.memberships();
        Sizes {
            sessions: self.sessions.len(),
            connected,
            connected_maximum,
            subscriptions: all.saturating_sub(self.leaving.filters()),
            shared_subscriptions,
            program_filters,
            retained_messages,
            retained_bytes,
            queued_messages,
            queued_bytes,
            partial_bytes: self.totals.partial_bytes(),
            deadlines: self.deadlines.len(),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; `None` while nothing is
    /// due at any time.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let leaving = (self.leaving.filters() > 0).then_some(Timestamp::from_millis(0));
        let due = self.deadlines.next().into_iter();
        due.chain(self.retained.next_check()).chain(leaving).min()
    }

    /// Does what is due: closes connections that were silent for too long, publishes delayed wills,
    /// ends expired sessions, and removes what sessions that have ended left behind. One call does a
    /// limited amount of that; it returns true if there is more, and others should run before it is
    /// called again.
    ///
    /// Being a little late is harmless; a driver may well call it ten times a second instead of
    /// setting a timer for every deadline.
    pub fn handle_timeout(self: &Arc<Self>, now: Timestamp, effects: &mut Effects) -> bool {
        let Self {
            retained, counters, ..
        } = &**self;
        let mut more = retained.remove_expired(now, counters, &mut effects.batch);
        more |= self.let_leave(now, effects);
        for _ in 0..DUE_PER_CALL {
            let Some(session) = self.deadlines.take_due(now) else {
                return more;
            };
            self.handle_due(now, &session, effects);
        }
        true
    }

    /// Applies what waited for a batch that did not come from a connection.
    pub fn handle_committed(&self, _now: Timestamp, mut ticket: Ticket, effects: &mut Effects) {
        let released = ticket.releases.drain(..);
        effects.wakes.extend(released.filter_map(Release::commit));
    }

    /// Drops what waited for a batch that could not be committed, and wakes those who waited
    /// behind it.
    pub fn handle_commit_failed(&self, mut ticket: Ticket) {
        self.counters.failed_commits.add(1);
        let aborted = ticket.releases.drain(..);
        let wakers = aborted.filter_map(|release| release.abort(&self.counters));
        wakers.for_each(Waker::wake);
    }

    /// Publishes a message in the broker's own name. What is published to `$SYS`, or below, goes at QoS 0 to
    /// those who are connected, waits in no queue, and is in no store; what is retained of it is in
    /// memory alone, and counts against no limit.
    ///
    /// # Errors
    /// If the message's topic is not a topic name.
    pub fn publish(
        self: &Arc<Self>,
        now: Timestamp,
        message: &Arc<Message>,
        effects: &mut Effects,
    ) -> Result<(), topic_trie::TopicError> {
        let topic = TopicName::new(message.topic())?;
        if is_of_the_broker(topic) {
            self.publish_own(now, topic, message.parts(), effects);
            return Ok(());
        }
        self.publish_kept(now, message, None, effects)
    }

    /// Asks all connections to close with `ServerShuttingDown`, and accepts no new ones. Where a
    /// [`redirect`](Self::redirect) holds, clients are told that one instead.
    pub fn shut_down(&self, effects: &mut Effects) {
        self.shutting_down.store(true, Ordering::SeqCst);
        let cause = self.shutdown_cause();
        self.sessions.for_each(|session| {
            effects.wakes.extend(session.state().ask_to_close(cause));
        });
    }

    /// From now on refuses every CONNECT and tells the client to go elsewhere: MQTT 5 clients hear
    /// 0x9C or 0x9D and the server reference (section 4.11), older ones return code 3, server
    /// unavailable. Who is connected stays connected; at [`shut_down`](Self::shut_down) they hear
    /// the same, so a broker is emptied by calling one after the other. `None` takes clients again.
    pub fn redirect(&self, redirect: Option<Redirect>) {
        *self.redirect.write() = redirect;
    }

    pub(crate) fn redirected(&self) -> Option<Redirect> {
        self.redirect.read().clone()
    }

    /// What clients are told when the broker shuts down.
    pub(crate) fn shutdown_cause(&self) -> CloseCause {
        match &*self.redirect.read() {
            Some(redirect) => CloseCause::Redirected(redirect.reason_code()),
            None => CloseCause::ServerShutdown,
        }
    }

    /// Whether [`shut_down`](Self::shut_down) was called.
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    pub(crate) fn rules(&self, now: Timestamp) -> Rules<'_> {
        Rules {
            options: &self.options,
            counters: &self.counters,
            now,
            has_lasting_store: self.has_lasting_store(),
            is_short: self.totals.is_short(),
            is_full: false,
            asks: self.asks_to_forward(),
            keeps_sent: self.watchers.or_hooks_notice(EventSet::DELIVERED),
        }
    }

    /// Whether somebody has to be asked before a message goes out.
    #[inline]
    pub(crate) fn asks_to_forward(&self) -> bool {
        self.wants(|wanted| wanted.authorize_forward)
    }

    /// Where sessions and connections are counted together.
    pub(crate) fn totals(&self) -> &Arc<Totals> {
        &self.totals
    }

    pub(crate) fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// New sessions get greater numbers than this one.
    pub(crate) fn note_session_id(&self, id: SessionId) {
        self.next_session_id.fetch_max(id.0 + 1, Ordering::Relaxed);
    }

    pub(crate) fn new_session_id(&self) -> SessionId {
        SessionId(self.next_session_id.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.groups.release_members();
    }
}
