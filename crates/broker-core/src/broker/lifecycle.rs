//! How sessions begin, change hands, wait and end.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use dashmap::Entry;
use mqtt_codec::ReasonCode;
use parking_lot::MutexGuard;
use topic_trie::TopicFilter;

use super::Broker;
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::persistence::{ClientId, Operation};
use crate::session::{Link, Session, State};
use crate::will::Will;

/// A session interval that stands for "for ever" (MQTT 5.0 3.1.2.11.2).
pub(crate) const FOREVER_SECS: u32 = u32::MAX;

/// What a CONNECT asks of the registry.
pub(crate) struct Request {
    pub(crate) client: ClientId,
    pub(crate) clean_start: bool,
    pub(crate) expiry_interval_secs: u32,
    pub(crate) link: Link,
    pub(crate) will: Option<Will>,
}

/// A connection has its session.
pub(crate) struct Attached {
    pub(crate) session: Arc<Session>,
    pub(crate) epoch: u32,
}

/// Why a connection gets no session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal(pub(crate) ReasonCode);

impl Broker {
    /// Gives a connection its session: the one that is known under the client identifier, or a new
    /// one. Whoever had it before loses it [MQTT-3.1.4-3]. `greet` writes CONNACK, so that nothing
    /// comes before it.
    pub(crate) fn attach(
        self: &Arc<Self>,
        now: Timestamp,
        request: Request,
        greet: impl FnOnce(&mut Vec<u8>, bool),
        effects: &mut Effects,
    ) -> Result<Attached, Refusal> {
        if self.shutting_down.load(Ordering::SeqCst) {
            return Err(Refusal(ReasonCode::ServerUnavailable));
        }
        // Counted before the registry is locked: its length cannot be asked for from inside.
        let is_full = self.sessions.len() >= self.options.max_sessions;
        let mut displaced: Option<Arc<Session>> = None;
        let (mut entry, is_new) = match self.sessions.entry(Arc::clone(&request.client)) {
            Entry::Occupied(entry) => (entry, false),
            Entry::Vacant(_) if is_full => {
                self.counters.refused_sessions.add(1);
                return Err(Refusal(ReasonCode::QuotaExceeded));
            }
            Entry::Vacant(entry) => (entry.insert_entry(self.new_session(&request)), true),
        };
        let mut session = Arc::clone(entry.get());
        let present = !is_new && self.is_resumable(&session, &request);
        if !is_new && !present {
            // The session of that name ends here and another takes its place.
            let mut old = session.state();
            self.counters.takeovers.add(u64::from(old.link.is_some()));
            effects.wakes.extend(old.ask_to_close(CloseCause::TakenOver));
            old.ended = true;
            drop(old);
            displaced = Some(session);
            session = self.new_session(&request);
            entry.insert(Arc::clone(&session));
        }
        let mut state = session.state();
        drop(entry);
        let old_will = if present { self.take_over(now, &mut state, effects) } else { None };

        state.expiry_interval_secs = request.expiry_interval_secs;
        let epoch = state.attach(request.link);
        if self.shutting_down.load(Ordering::SeqCst) {
            // It began after the first look, and may have missed this session.
            effects.wakes.extend(state.ask_to_close(CloseCause::ServerShutdown));
        }
        session.hear(now);
        self.set_deadline(&session, &mut state);
        state.outbox.reuse(&mut effects.scratch.outboxes);
        state.outbox.put(|flat| greet(flat, present));
        self.note_attached(&session, &mut state, request.will, effects);
        session.admit(&mut state, self.rules(now), effects);
        session.emit(&mut state, self.rules(now), effects);
        drop(state);
        // What was displaced is ended only now that its successor stands in the registry, so that
        // at no time both are reachable under one name.
        if let Some(old) = displaced {
            self.end(now, &old, effects);
        }
        if let Some(will) = old_will {
            self.publish_will(now, &will, effects);
        }
        Ok(Attached { session, epoch })
    }

    fn is_resumable(&self, session: &Session, request: &Request) -> bool {
        session.is_durable() && !request.clean_start && !session.state().ended
    }

    /// Ends a connection's hold on its session. Nothing happens if another has it by now.
    pub(crate) fn detach(
        self: &Arc<Self>,
        now: Timestamp,
        session: &Arc<Session>,
        epoch: u32,
        cause: CloseCause,
        effects: &mut Effects,
    ) {
        let mut state = session.state();
        if !state.is_current(epoch) {
            return;
        }
        state.detach();
        let expiry = state.expiry_interval_secs;
        state.expires = match expiry {
            0 => now,
            FOREVER_SECS => Timestamp::MAX,
            secs => now.after_secs(secs),
        };
        let mut due_will = None;
        if cause.drops_will() {
            self.drop_will(session, &mut state, effects);
        } else if let Some(will) = &state.will {
            // At the latest when the session ends [MQTT-3.1.3-9].
            state.will_due = now.after_secs(will.delay_secs).min(state.expires);
            if state.will_due <= now {
                due_will = self.drop_will(session, &mut state, effects);
            }
        }
        if session.is_durable() && expiry > 0 {
            let record = session.record(&state, Some(now));
            effects.batch.push(Operation::PutSession(record));
            self.set_deadline(session, &mut state);
        }
        drop(state);
        if let Some(will) = due_will {
            self.publish_will(now, &will, effects);
        }
        if expiry == 0 {
            self.sessions
                .remove_if(session.client(), |_, registered| Arc::ptr_eq(registered, session));
            self.end(now, session, effects);
        }
    }

    /// A session's deadline has come.
    pub(super) fn handle_due(
        self: &Arc<Self>,
        now: Timestamp,
        due: Timestamp,
        session: &Arc<Session>,
        effects: &mut Effects,
    ) {
        let mut state = session.state();
        if state.deadline != due {
            return;
        }
        state.deadline = Timestamp::MAX;
        if state.ended {
            return;
        }
        if state.link.is_some() {
            if state.next_deadline(session.heard()) <= now {
                self.counters.keep_alive_timeouts.add(1);
                effects.wakes.extend(state.ask_to_close(CloseCause::KeepAliveTimeout));
            } else {
                self.set_deadline(session, &mut state);
            }
            return;
        }
        let due_will =
            if state.will_due <= now { self.drop_will(session, &mut state, effects) } else { None };
        let expired = state.expires <= now;
        if !expired {
            self.set_deadline(session, &mut state);
        }
        drop(state);
        if let Some(will) = due_will {
            self.publish_will(now, &will, effects);
        }
        if expired {
            self.expire(now, session, effects);
        }
    }

    /// Ends a session that has expired, unless its client has returned this very moment.
    fn expire(self: &Arc<Self>, now: Timestamp, session: &Arc<Session>, effects: &mut Effects) {
        let removed = self.sessions.remove_if(session.client(), |_, registered| {
            Arc::ptr_eq(registered, session) && {
                let mut state = registered.state();
                let gone = state.link.is_none() && state.expires <= now;
                // From here on a connection that still finds it makes a new one.
                state.ended |= gone;
                gone
            }
        });
        if removed.is_some() {
            self.end(now, session, effects);
        }
    }

    /// Ends a session: it leaves the router, the deadlines and the store. Only the first call has
    /// an effect.
    fn end(self: &Arc<Self>, now: Timestamp, session: &Arc<Session>, effects: &mut Effects) {
        let mut state = session.state();
        let Some((filters, will)) = state.end() else { return };
        let deadline = core::mem::replace(&mut state.deadline, Timestamp::MAX);
        self.deadlines.set(session, deadline, Timestamp::MAX);
        if core::mem::take(&mut state.has_stored_will) {
            effects.batch.push(Operation::DropWill { session: session.key().clone() });
        }
        drop(state);
        for filter in &filters {
            if let Ok(filter) = TopicFilter::new(filter) {
                self.subscriptions.remove(filter, &session.id());
            }
        }
        if session.is_durable() {
            effects.batch.push(Operation::DropSession { session: session.key().clone() });
        }
        if let Some(will) = will {
            self.publish_will(now, &will, effects);
        }
    }

    /// Puts the session's deadline to where it belongs now.
    pub(super) fn set_deadline(&self, session: &Arc<Session>, state: &mut MutexGuard<'_, State>) {
        let next = state.next_deadline(session.heard());
        let old = core::mem::replace(&mut state.deadline, next);
        self.deadlines.set(session, old, next);
    }

    /// The connection that has the session loses it to another; returns the will that is due.
    fn take_over(
        &self,
        now: Timestamp,
        state: &mut MutexGuard<'_, State>,
        effects: &mut Effects,
    ) -> Option<Box<Will>> {
        let was_connected = state.link.is_some();
        if let Some(waker) = state.take_waker() {
            effects.wakes.push(waker);
        }
        self.counters.takeovers.add(u64::from(was_connected));
        // A delayed will is not sent if the client is back before [MQTT-3.1.3-9].
        let is_due = if was_connected {
            state.will.as_ref().is_some_and(|will| will.delay_secs == 0)
        } else {
            state.will_due <= now
        };
        let will = state.take_will();
        will.filter(|_| is_due)
    }

    /// Tells the store of a connection's session and will.
    fn note_attached(
        &self,
        session: &Arc<Session>,
        state: &mut MutexGuard<'_, State>,
        will: Option<Will>,
        effects: &mut Effects,
    ) {
        if session.is_durable() {
            effects.batch.push(Operation::PutSession(session.record(state, None)));
        }
        let had_stored_will = core::mem::take(&mut state.has_stored_will);
        match will {
            Some(will) => {
                let record = will.record(session.key(), self.node());
                effects.batch.push(Operation::PutWill(record));
                state.has_stored_will = true;
                state.will = Some(Box::new(will));
            }
            None if had_stored_will => {
                effects.batch.push(Operation::DropWill { session: session.key().clone() });
            }
            None => {}
        }
    }

    fn drop_will(
        &self,
        session: &Session,
        state: &mut MutexGuard<'_, State>,
        effects: &mut Effects,
    ) -> Option<Box<Will>> {
        let will = state.take_will()?;
        state.has_stored_will = false;
        effects.batch.push(Operation::DropWill { session: session.key().clone() });
        Some(will)
    }

    fn publish_will(self: &Arc<Self>, now: Timestamp, will: &Will, effects: &mut Effects) {
        // Its topic was checked at CONNECT; there is nobody left to tell if it were wrong.
        let _checked = self.publish_kept(now, &will.publish_at(now), effects);
    }

    fn new_session(&self, request: &Request) -> Arc<Session> {
        let client = Arc::clone(&request.client);
        Session::new(self.new_session_id(), client, request.expiry_interval_secs)
    }
}
