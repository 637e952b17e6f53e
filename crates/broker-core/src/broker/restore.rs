//! How a broker gets back what a store kept: once, before the first connection.

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

impl Broker {
    /// Loads retained messages, sessions with all that belongs to them, and wills. To be called
    /// once, before the first connection.
    ///
    /// Wills that were due while no broker ran are published: the effects have to be committed as
    /// after any other call.
    ///
    /// # Errors
    /// When the store cannot be read. The broker is then not fit for use.
    ///
    /// # Cancel safety
    /// Not cancel safe: a broker that was loaded in part is not fit for use.
    pub async fn restore(
        self: &Arc<Self>,
        now: Timestamp,
        store: &dyn Persistence,
        effects: &mut Effects,
    ) -> Result<(), PersistenceError> {
        self.restore_retained(store).await?;
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = store.sessions(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(Arc::clone(&last.session.client));
            for stored in page {
                self.restore_session(now, stored, store, effects).await?;
            }
        }
        self.restore_wills(now, store, effects).await
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

    async fn restore_session(
        self: &Arc<Self>,
        now: Timestamp,
        stored: StoredSession,
        store: &dyn Persistence,
        effects: &mut Effects,
    ) -> Result<(), PersistenceError> {
        let SessionKey {
            client,
            incarnation,
        } = stored.session;
        self.note_session_id(SessionId(incarnation));
        let expiry = stored.expiry_interval_secs;
        let session = Session::new(SessionId(incarnation), Arc::clone(&client), expiry, true);
        self.restore_subscriptions(&session, store).await?;

        let mut after = None;
        let mut last_group = None;
        loop {
            let page = store.outgoing(&client, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.sequence);
            let mut state = session.state();
            for message in page {
                let group = self.group_of(&message, &mut last_group);
                state.has_shared |= group.is_some();
                state.outgoing.restore(message, group);
            }
        }
        let incoming = store.incoming(&client).await?;
        let mut state = session.state();
        session.set_owed(state.outgoing.len());
        for id in incoming {
            state.incoming.insert(id);
        }
        // A session that was connected when the broker ended begins to wait now.
        state.expires = match expiry {
            FOREVER_SECS => Timestamp::MAX,
            secs => stored.disconnected_at.unwrap_or(now).after_secs(secs),
        };
        if stored.disconnected_at.is_none() {
            // Written down, or it would begin anew with every start of the broker.
            let record = session.record(&state, Some(now));
            effects.batch.push(Operation::PutSession(record));
        }
        self.set_deadline(&session, &state);
        drop(state);
        self.sessions.place(&client).put(session);
        Ok(())
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
    fn group_of(
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
                let key = stored.session.clone();
                self.note_session_id(SessionId(key.incarnation));
                let waiting = self.sessions.get(&key.client);
                match waiting {
                    Some(session) if *session.key() == key && stored.delay_secs > 0 => {
                        let mut state = session.state();
                        self.hold_will(now, &session, &mut state, stored.into());
                    }
                    Some(session) if session.key().incarnation > key.incarnation => {
                        // It was settled when the later session began, and reached the store late.
                        effects.batch.push(Operation::DropWill { session: key });
                    }
                    _ => {
                        let publisher = Some(SessionId(key.incarnation));
                        effects.batch.push(Operation::DropWill { session: key });
                        let message = Will::from(stored).publish_at(now);
                        // A will whose topic is none was never accepted.
                        let _checked = self.publish_kept(now, &message, publisher, effects);
                    }
                }
            }
        }
    }

    fn hold_will(
        &self,
        now: Timestamp,
        session: &Arc<Session>,
        state: &mut parking_lot::MutexGuard<'_, State>,
        mut will: Will,
    ) {
        will.due = now.after_secs(will.delay_secs).min(state.expires);
        state.will = Some(Box::new(will));
        state.has_stored_will = true;
        self.set_deadline(session, state);
    }
}
