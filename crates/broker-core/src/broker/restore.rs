//! How a broker gets back what a store kept: once, before the first connection.
//!
//! Retained messages, sessions, subscriptions and wills are read; of a queue no more than how long it is
//! (see `load.rs` for when it is read). What is asked for each session is asked for many at a time: a
//! store that is reached over a network would otherwise keep the broker waiting for each answer.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use std::sync::Arc;

use super::lifecycle::FOREVER_SECS;
use super::{Asked, Broker};
use crate::Timestamp;
use crate::effects::Effects;
use crate::persistence::{
    Operation, Persistence, PersistenceError, SessionKey, StoredOutgoing, StoredSession,
};
use crate::session::{Session, SessionId, State};
use crate::share::Group;
use crate::will::Will;

/// Records asked for at a time.
const PAGE: usize = 1_000;

/// Sessions that are read at one time.
const AT_A_TIME: usize = 64;

/// Operations after which what was brought about is committed.
const COMMIT: usize = 1_000;

/// A session that is being read.
type Reading<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Operation>, PersistenceError>> + Send + 'a>>;

impl Broker {
    /// Loads retained messages, sessions with their subscriptions, and wills. To be called once,
    /// before the first connection. From here on the broker reads from this store what waits for a
    /// client, when the client comes.
    ///
    /// Wills that were due while no broker ran are published, and that sessions have no connection
    /// any more is written down: all of that is committed when the call returns.
    ///
    /// # Errors
    /// When the store cannot be read or written to. The broker is then not fit for use.
    ///
    /// # Cancel safety
    /// Not cancel safe: a broker that was loaded in part is not fit for use.
    pub async fn restore(
        self: &Arc<Self>,
        now: Timestamp,
        store: &Arc<dyn Persistence>,
        effects: &mut Effects,
    ) -> Result<(), PersistenceError> {
        self.set_store(store);
        let store = &**store;
        self.restore_retained(store).await?;
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = store.sessions(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(Arc::clone(&last.session.client));
            self.restore_sessions(now, page, store, effects).await?;
            self.commit_restored(now, store, effects).await?;
        }
        self.restore_wills(now, store, effects).await?;
        self.commit_restored(now, store, effects).await
    }

    /// Commits what was brought about so far.
    async fn commit_restored(
        &self,
        now: Timestamp,
        store: &dyn Persistence,
        effects: &mut Effects,
    ) -> Result<(), PersistenceError> {
        while !effects.batch.is_empty() {
            store.commit(&mut effects.batch).await?;
            let ticket = effects.take_ticket();
            self.handle_committed(now, ticket, effects);
        }
        Ok(())
    }

    async fn restore_retained(&self, store: &dyn Persistence) -> Result<(), PersistenceError> {
        let mut after: Option<String> = None;
        loop {
            let page = store.retained(None, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.topic().to_owned());
            for message in page {
                self.retained.restore(message);
            }
        }
    }

    /// Reads these sessions, some at a time.
    async fn restore_sessions(
        self: &Arc<Self>,
        now: Timestamp,
        page: Vec<StoredSession>,
        store: &dyn Persistence,
        effects: &mut Effects,
    ) -> Result<(), PersistenceError> {
        let mut left = page.into_iter();
        let mut reading: Vec<Reading<'_>> = Vec::with_capacity(AT_A_TIME);
        poll_fn(|context| {
            loop {
                let more = left.by_ref().take(AT_A_TIME - reading.len());
                reading.extend(more.map(|stored| {
                    let reading: Reading<'_> = Box::pin(self.restore_session(now, stored, store));
                    reading
                }));
                if reading.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let before = reading.len();
                let mut failed = None;
                reading.retain_mut(|session| match session.as_mut().poll(context) {
                    Poll::Pending => true,
                    Poll::Ready(Ok(operation)) => {
                        operation.into_iter().for_each(|it| effects.batch.push(it));
                        false
                    }
                    Poll::Ready(Err(error)) => {
                        failed = Some(error);
                        false
                    }
                });
                if let Some(error) = failed {
                    return Poll::Ready(Err(error));
                }
                if reading.len() == before {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Reads what has to be known of a session before its client comes; returns what has to be
    /// written down of it.
    async fn restore_session(
        self: &Arc<Self>,
        now: Timestamp,
        stored: StoredSession,
        store: &dyn Persistence,
    ) -> Result<Option<Operation>, PersistenceError> {
        let SessionKey {
            client,
            incarnation,
        } = stored.session;
        self.note_session_id(SessionId(incarnation));
        self.note_unread();
        let expiry = stored.expiry_interval_secs;
        let session = Session::new(
            SessionId(incarnation),
            Arc::clone(&client),
            expiry,
            true,
            self.totals(),
        );
        self.restore_subscriptions(&session, store).await?;
        let queue = store.queue(&client).await?;
        let mut state = session.state();
        state.is_unread = true;
        if queue.messages > 0 {
            state.outgoing.leave(queue);
        }
        session.set_owed(state.outgoing.len());
        // A session that was connected when the broker ended begins to wait now.
        state.expires = match expiry {
            FOREVER_SECS => Timestamp::MAX,
            secs => stored.disconnected_at.unwrap_or(now).after_secs(secs),
        };
        // Written down, or it would begin anew with every start of the broker.
        let record = stored
            .disconnected_at
            .is_none()
            .then(|| Operation::PutSession(session.record(&state, Some(now))));
        self.set_deadline(&session, &state);
        drop(state);
        self.sessions.place(&client).put(session);
        Ok(record)
    }

    async fn restore_subscriptions(
        &self,
        session: &Arc<Session>,
        store: &dyn Persistence,
    ) -> Result<(), PersistenceError> {
        let mut after: Option<Box<str>> = None;
        loop {
            let page = store
                .subscriptions(session.client(), after.as_deref(), PAGE)
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.filter.clone());
            for stored in page {
                if let Some(asked) = Asked::parse(&stored.filter) {
                    let filters = &mut session.state().filters;
                    let (text, options) = (&stored.filter, stored.options);
                    self.route_to(session, filters, text, asked, options, usize::MAX);
                }
            }
        }
    }

    /// The group by which a message came. The session may have left it since, and everybody else.
    pub(super) fn group_of(
        &self,
        message: &StoredOutgoing,
        last: &mut Option<Arc<Group>>,
    ) -> Option<Arc<Group>> {
        let text = message.shared.as_ref()?;
        let known = last.as_ref().filter(|group| group.text() == text);
        let group = match known {
            Some(group) => Arc::clone(group),
            None => self.groups.find_or_stand_in(text),
        };
        *last = Some(Arc::clone(&group));
        Some(group)
    }

    async fn restore_wills(
        self: &Arc<Self>,
        now: Timestamp,
        store: &dyn Persistence,
        effects: &mut Effects,
    ) -> Result<(), PersistenceError> {
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = store.wills(self.node(), after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(Arc::clone(&last.session.client));
            for stored in page {
                if effects.batch.len() >= COMMIT {
                    self.commit_restored(now, store, effects).await?;
                }
                let key = stored.session.clone();
                self.note_session_id(SessionId(key.incarnation));
                let waiting = self.sessions.get(&key.client);
                // The delay counts from the end of the connection; what has only now become one from
                // now.
                let due = if stored.delay_secs > 0 && waiting.is_some() {
                    let known = store.session(&key.client).await?;
                    let since = known.and_then(|known| known.disconnected_at);
                    since.unwrap_or(now).after_secs(stored.delay_secs)
                } else {
                    now
                };
                match waiting {
                    Some(session) if *session.key() == key && due > now => {
                        let mut state = session.state();
                        self.hold_will(&session, &mut state, stored.into(), due);
                    }
                    Some(session) if session.key().incarnation > key.incarnation => {
                        // It was settled when the later session began, and reached the store late.
                        effects.batch.push(Operation::DropWill { session: key });
                    }
                    _ => {
                        let message = Will::from(stored).publish_at(now);
                        // A will whose topic is none was never accepted.
                        let _checked = self.publish_kept(now, &message, Some(&key), effects);
                        effects.batch.push(Operation::DropWill { session: key });
                    }
                }
            }
        }
    }

    fn hold_will(&self, session: &Arc<Session>, state: &mut State, mut will: Will, due: Timestamp) {
        will.due = due.min(state.expires);
        state.will = Some(Box::new(will));
        state.has_stored_will = true;
        self.set_deadline(session, state);
    }
}
