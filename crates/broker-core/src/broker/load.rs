//! What a session needs of the store besides what the broker knows of it: when its client comes, and
//! while its queue drains.
//!
//! A [`Load`] belongs to the connection that asked for it and is polled by its task. It is dropped with
//! the connection, and changes nothing then; of two that read the same, the one that began last counts.
//!
//! A session that ends may leave messages to other members of shared subscriptions, and only the store
//! may know of them. They are read before it ends: by the connection that wants a clean start, or, when
//! the session has expired, by [`Broker::poll_estates`]. So is, page by page, what the session of a lost
//! client has for other members that are connected.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use mqtt_codec::PacketId;
use parking_lot::Mutex;

use super::Broker;
use crate::Timestamp;
use crate::persistence::{Answer, Persistence, PersistenceError, StoredOutgoing};
use crate::session::{QueueWindow, Session, State, TailPage};
use crate::share::Group;
use crate::totals::Pressure;

/// The store that a broker was restored from.
pub(super) struct Store {
    persistence: Arc<dyn Persistence>,
    /// Whether it is worth while to leave long queues to it.
    is_lasting: bool,
    /// Whether it had sessions, whose clients have yet to come.
    has_unread: AtomicBool,
    /// Why it could not be read the last time.
    failure: Mutex<Option<PersistenceError>>,
}

/// What is being read for one session.
pub(crate) struct Load {
    session: Arc<Session>,
    page: Option<(TailPage, Answer<Vec<StoredOutgoing>>)>,
    incoming: Option<Answer<Vec<PacketId>>>,
    what: What,
    is_done: bool,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// What a client has to find that comes for the first time: all that was under way.
    Session,
    /// More of a queue that drains.
    Refill,
    /// What others may get of a session that ends.
    Estate,
    /// More of what others may get of a session whose client is away.
    HandOver,
}

impl Broker {
    /// Where queues are read from now on.
    pub(super) fn set_store(&self, persistence: &Arc<dyn Persistence>) {
        let _first = self.store.set(Store {
            persistence: Arc::clone(persistence),
            is_lasting: persistence.outlives_process(),
            has_unread: AtomicBool::new(false),
            failure: Mutex::new(None),
        });
    }

    /// A session has to be read when its client comes. False if there is nothing to read it from.
    pub(super) fn note_unread(&self) -> bool {
        let store = self.store.get();
        store.is_some_and(|store| {
            store.has_unread.store(true, Ordering::Relaxed);
            true
        })
    }

    /// What waits for a client could not be read.
    pub(crate) fn note_read_failure(&self, error: PersistenceError) {
        self.counters.failed_reads.add(1);
        if let Some(store) = self.store.get() {
            *store.failure.lock() = Some(error);
        }
    }

    /// Why what waits for a client could not be read since this was asked the last time, for the log;
    /// clients were told.
    pub fn take_read_failure(&self) -> Option<PersistenceError> {
        self.store.get()?.failure.lock().take()
    }

    /// Whether there is a store that keeps queues which need not be in memory.
    #[inline]
    pub(crate) fn has_lasting_store(&self) -> bool {
        self.store.get().is_some_and(|store| store.is_lasting)
    }

    /// Whether what waits for a session may be left to the store.
    pub(super) fn spills(&self, session: &Session) -> bool {
        session.is_durable() && self.has_lasting_store()
    }

    fn queue_window(&self) -> QueueWindow {
        if self.has_lasting_store() {
            match self.is_short() {
                false => QueueWindow::of(&self.options),
                true => QueueWindow::ONE,
            }
        } else {
            QueueWindow::ALL
        }
    }

    /// Whether memory is short for what waits for all clients together.
    fn is_short(&self) -> bool {
        self.totals().note_pressure() != Pressure::None
    }

    /// Begins to read what has to be known of the session that the client of this identifier goes on
    /// with, or puts an end to with a clean start. `None` if nothing has to be read.
    pub(crate) fn begin_load(
        &self,
        now: Timestamp,
        client_id: &str,
        clean_start: bool,
    ) -> Option<Load> {
        let store = self.store.get()?;
        let has_unread = store.has_unread.load(Ordering::Relaxed);
        if !has_unread && !store.is_lasting && self.groups.len() == 0 {
            return None;
        }
        let session = self.sessions.get(client_id)?;
        let state = session.state();
        let what = if clean_start || !state.is_kept(now) {
            self.leaves_estate(&state).then_some(What::Estate)?
        } else {
            state.is_unread.then_some(What::Session)?
        };
        drop(state);
        let incoming = (what == What::Session).then(|| store.persistence.incoming(client_id));
        let mut load = Load::new(&session, what);
        load.incoming = incoming;
        self.begin_page(&mut load);
        Some(load)
    }

    /// Whether others may get something of a session that would end now, which only the store knows.
    pub(super) fn leaves_estate(&self, state: &State) -> bool {
        let is_known = !state.is_unread && !state.may_share();
        // If nobody shares anything any more, what was shared is to be counted.
        let is_shared = self.groups.len() > 0 || state.has_shared;
        !state.ended && !is_known && state.outgoing.has_tail() && is_shared
    }

    /// Begins to read what an expired session leaves to others.
    pub(super) fn begin_estate(&self, session: &Arc<Session>) {
        let mut estates = self.estates.lock();
        if estates.iter().all(|load| load.session.id() != session.id()) {
            let mut load = Load::new(session, What::Estate);
            self.begin_page(&mut load);
            estates.push(load);
        }
    }

    /// Begins to read more of what others may get of a session whose client is away. False if there
    /// is nothing to be read, or if as much is in memory as may be.
    pub(super) fn begin_hand_over(&self, session: &Arc<Session>) -> bool {
        let mut estates = self.estates.lock();
        if estates.iter().any(|load| load.session.id() == session.id()) {
            return true;
        }
        let mut load = Load::new(session, What::HandOver);
        self.begin_page(&mut load);
        let begins = load.page.is_some();
        estates.extend(begins.then_some(load));
        begins
    }

    /// Goes on with reading what sessions that have expired leave to other members of their shared
    /// subscriptions. To be called with the waker of the task that calls
    /// [`handle_timeout`](Self::handle_timeout), before and whenever it is woken.
    pub fn poll_estates(&self, context: &mut Context<'_>) {
        let mut estates = core::mem::take(&mut *self.estates.lock());
        if estates.is_empty() {
            return;
        }
        estates.retain_mut(|load| match self.poll_load(load, context) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => {
                load.is_done = true;
                let mut state = load.session.state();
                if load.what == What::HandOver && state.link.is_none() {
                    state.hand_over_due = Timestamp::from_millis(0);
                }
                // It is due: it can end now, or give away what was read.
                if !state.ended {
                    self.set_deadline(&load.session, &state);
                }
                false
            }
            // It is tried again when the session is due again.
            Poll::Ready(Err(error)) => {
                self.note_read_failure(error);
                false
            }
        });
        self.estates.lock().append(&mut estates);
    }

    /// Begins to read more of a queue that drains, if there is more.
    pub(crate) fn begin_refill(&self, session: &Arc<Session>) -> Option<Load> {
        let mut load = Load::new(session, What::Refill);
        self.begin_page(&mut load);
        load.page.is_some().then_some(load)
    }

    fn begin_page(&self, load: &mut Load) {
        let (window, all) = match load.what {
            What::Session => (self.queue_window(), true),
            What::Refill | What::HandOver => (self.queue_window(), false),
            What::Estate => (QueueWindow::ALL, false),
        };
        let mut state = load.session.state();
        // Where memory is short the next message is read when the last one was acknowledged.
        if load.what == What::Refill && self.is_short() && state.held().messages > 0 {
            return;
        }
        let wanted = state.outgoing.get_mut();
        let page = wanted.and_then(|outgoing| outgoing.begin_page(window, all));
        drop(state);
        load.page = page.zip(self.store.get()).map(|(page, store)| {
            let client = load.session.client();
            let answer = store.persistence.outgoing(client, page.after, page.limit);
            (page, answer)
        });
    }

    /// Goes on with reading. Ready when what was begun is in the session.
    ///
    /// # Errors
    /// When the store cannot be read. What was read until then is in the session.
    pub(crate) fn poll_load(
        &self,
        load: &mut Load,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), PersistenceError>> {
        while let Some((page, answer)) = &mut load.page {
            let page = *page;
            let stored = ready!(Pin::new(answer).poll(context))?;
            load.page = None;
            match load.what {
                What::Session => self.put_page(&load.session, page, stored, true, |_| true),
                What::Refill => self.put_page(&load.session, page, stored, false, |_| true),
                // Once its client is back, its connection reads what it needs.
                What::HandOver if load.session.is_connected() => {}
                What::HandOver => self.put_page(&load.session, page, stored, false, |_| true),
                What::Estate => {
                    let is_shared = |stored: &StoredOutgoing| stored.shared.is_some();
                    self.put_page(&load.session, page, stored, true, is_shared);
                }
            }
            if matches!(load.what, What::Session | What::Estate) {
                self.begin_page(load);
            }
        }
        if let Some(answer) = &mut load.incoming {
            let incoming = ready!(Pin::new(answer).poll(context))?;
            load.incoming = None;
            let mut state = load.session.state();
            if state.is_unread {
                state.is_unread = false;
                for id in incoming {
                    state.incoming.insert(id);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a page behind what a session has in memory: of it, what is wanted.
    pub(super) fn put_page(
        &self,
        session: &Arc<Session>,
        page: TailPage,
        stored: Vec<StoredOutgoing>,
        is_first: bool,
        is_wanted: impl Fn(&StoredOutgoing) -> bool,
    ) {
        let mut state = session.state();
        if state.ended || !state.outgoing.is_awaited(page) {
            return;
        }
        let mut last_group: Option<Arc<Group>> = None;
        let mut is_left = false;
        for message in stored {
            let group = self.group_of(&message, &mut last_group);
            let State {
                outgoing,
                has_shared,
                ..
            } = &mut *state;
            *has_shared |= group.is_some();
            is_left = if is_wanted(&message) {
                outgoing.put_stored(page, message, group, is_first)
            } else {
                outgoing.pass_stored(page, &message)
            };
            if !is_left {
                break;
            }
        }
        state.outgoing.end_page(page, is_left);
        session.set_owed(state.outgoing.len());
    }
}

impl Load {
    /// With nothing begun.
    fn new(session: &Arc<Session>, what: What) -> Self {
        Self {
            session: Arc::clone(session),
            page: None,
            incoming: None,
            what,
            is_done: false,
        }
    }
}

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store")
            .field("is_lasting", &self.is_lasting)
            .finish_non_exhaustive()
    }
}

impl Drop for Load {
    /// What was passed by is not known here any more. Should the session go on after all, it is read
    /// again.
    fn drop(&mut self) {
        if self.what == What::Estate && !self.is_done {
            let mut state = self.session.state();
            if !state.ended {
                state.unload();
                self.session.set_owed(state.outgoing.len());
            }
        }
    }
}

impl core::fmt::Debug for Load {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Load")
            .field("session", self.session.key())
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}
