//! How sessions begin, change hands, wait and end.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use mqtt_codec::ReasonCode;

use super::Broker;
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::own_topics::Announcement;
use crate::persistence::{ClientId, Operation};
use crate::registry::Place;
use crate::session::{Link, Remains, Session, State};
use crate::will::Will;

/// A session interval that stands for "for ever" (MQTT 5.0 3.1.2.11.2).
pub(crate) const FOREVER_SECS: u32 = u32::MAX;

/// When it is looked again whether what an expired session leaves to others has been read.
const ESTATE_AGAIN: Duration = Duration::from_secs(1);

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
    /// Whether the session was there before.
    pub(crate) present: bool,
}

/// The session that a CONNECT is to have.
struct Found<'a> {
    session: Arc<Session>,
    /// The one whose place it takes.
    displaced: Option<Arc<Session>>,
    /// Whether it was there before.
    present: bool,
    place: Place<'a>,
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
        let Found {
            session,
            displaced,
            present,
            place,
        } = self.find(now, &request, effects)?;
        let mut state = session.state();
        // Until here nobody could end it: that takes the registry, or the epoch that it had.
        drop(place);
        let old_will = if present {
            self.take_over(now, &mut state, effects)
        } else {
            None
        };

        state.expiry_interval_secs = request.expiry_interval_secs;
        let epoch = state.attach(request.link);
        self.note_connected(&session, true);
        self.tell_connected(now, &session, effects);
        session.listen();
        self.tell_groups(&session, &state);
        if self.shutting_down.load(Ordering::SeqCst) {
            // It began after the first look, and may have missed this session.
            effects
                .wakes
                .extend(state.ask_to_close(self.shutdown_cause()));
        }
        session.hear(now);
        self.set_deadline(&session, &state);
        state.outbox.reuse(&mut effects.scratch.outboxes);
        state.outbox.put(|flat| greet(flat, present));
        effects.traffic.sent.packet(state.outbox.len());
        self.note_attached(&session, &mut state, request.will, effects);
        session.advance(&mut state, self.rules(now), effects);
        drop(state);
        // What was displaced is ended only now that its successor stands in the registry, so that
        // at no time both are reachable under one name.
        if let Some(old) = displaced {
            self.end(now, &old, effects);
        }
        if let Some(will) = old_will {
            self.publish_will(now, &session, &will, effects);
        }
        self.announce(Announcement::Connected(session.client()), now, effects);
        Ok(Attached {
            session,
            epoch,
            present,
        })
    }

    /// Finds the session that a CONNECT goes on with, or puts a new one into the registry. Its
    /// place stays locked.
    fn find<'a>(
        &'a self,
        now: Timestamp,
        request: &'a Request,
        effects: &mut Effects,
    ) -> Result<Found<'a>, Refusal> {
        let mut place = self.sessions.place(&request.client);
        let Some(known) = place.session().cloned() else {
            if self.sessions.len() >= self.options.max_sessions {
                self.counters.refused_sessions.add(1);
                return Err(Refusal(ReasonCode::QuotaExceeded));
            }
            let session = self.new_session(request);
            place.put(Arc::clone(&session));
            return Ok(Found {
                session,
                displaced: None,
                present: false,
                place,
            });
        };
        let mut state = known.state();
        if known.is_durable() && !request.clean_start && state.is_kept(now) {
            state.epoch = state.epoch.wrapping_add(1);
            drop(state);
            return Ok(Found {
                session: known,
                displaced: None,
                present: true,
                place,
            });
        }
        // The session of that name ends here and another takes its place.
        self.counters.takeovers.add(u64::from(state.link.is_some()));
        effects
            .wakes
            .extend(state.ask_to_close(CloseCause::TakenOver));
        state.ended = true;
        // Before the one that takes its place is counted.
        self.note_connected(&known, false);
        drop(state);
        let session = self.new_session(request);
        place.put(Arc::clone(&session));
        Ok(Found {
            session,
            displaced: Some(known),
            present: false,
            place,
        })
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
        state.detach(self.spills(session));
        self.note_connected(session, false);
        if cause.is_of_the_store()
            && session.is_durable()
            && !state.may_share()
            && self.note_unread()
        {
            // What was answered and not stored would be forgotten twice, by the store now and by
            // the broker at its end.
            state.unload();
            session.set_owed(state.outgoing.len());
        }
        self.tell_groups(session, &state);
        let shares = state.has_shared;
        let expiry = state.expiry_interval_secs;
        // It goes on until what it leaves to others has been read.
        let ends = expiry == 0 && !self.leaves_estate(&state);
        // Nothing is delivered any more to one that is about to end.
        state.ended |= ends;
        state.expires = match expiry {
            0 => now,
            FOREVER_SECS => Timestamp::MAX,
            secs => now.after_secs(secs),
        };
        let mut due_will = None;
        if cause.drops_will() {
            self.drop_will(session, &mut state, effects);
        } else {
            let expires = state.expires;
            if let Some(will) = &mut state.will {
                // At the latest when the session ends [MQTT-3.1.3-9].
                will.due = now.after_secs(will.delay_secs).min(expires);
            }
            if state.will_due() <= now {
                due_will = self.drop_will(session, &mut state, effects);
            }
        }
        if !ends {
            let record = session.record(&state, Some(now));
            effects.batch.push(Operation::PutSession(record));
            self.set_deadline(session, &state);
        }
        drop(state);
        if let Some(will) = due_will {
            self.publish_will(now, session, &will, effects);
        }
        if shares && expiry > 0 {
            self.hand_over(now, session, effects);
        }
        if ends {
            self.sessions.remove_if(session, |_| true);
            self.end(now, session, effects);
        }
    }

    /// A session's deadline has come.
    pub(super) fn handle_due(
        self: &Arc<Self>,
        now: Timestamp,
        session: &Arc<Session>,
        effects: &mut Effects,
    ) {
        let mut state = session.state();
        // It may have been given another one since it was taken out.
        if session.deadline().is_set() || state.ended {
            return;
        }
        if state.link.is_some() {
            if session.is_unheard() {
                session.hear(now);
            }
            if state.next_deadline(session.heard()) <= now {
                self.counters.keep_alive_timeouts.add(1);
                effects
                    .wakes
                    .extend(state.ask_to_close(CloseCause::KeepAliveTimeout));
            } else {
                self.set_deadline(session, &state);
            }
            return;
        }
        let due_will = if state.will_due() <= now {
            self.drop_will(session, &mut state, effects)
        } else {
            None
        };
        let is_over = state.expires <= now;
        let leaves_estate = is_over && self.leaves_estate(&state);
        let expired = is_over && !leaves_estate;
        let hands_over = state.hand_over_due <= now;
        if hands_over {
            state.hand_over_due = Timestamp::MAX;
        }
        if leaves_estate {
            self.deadlines.set(session, now + ESTATE_AGAIN);
        } else if !expired {
            self.set_deadline(session, &state);
        }
        drop(state);
        if let Some(will) = due_will {
            self.publish_will(now, session, &will, effects);
        }
        if leaves_estate {
            self.begin_estate(session);
        }
        if expired {
            self.expire(now, session, effects);
        } else if hands_over {
            self.hand_over(now, session, effects);
        }
    }

    /// Ends a session that has expired, unless its client has returned this very moment.
    fn expire(self: &Arc<Self>, now: Timestamp, session: &Arc<Session>, effects: &mut Effects) {
        let removed = self.sessions.remove_if(session, |session| {
            let mut state = session.state();
            let gone = state.link.is_none() && state.expires <= now;
            // From here on a connection that still finds it makes a new one.
            state.ended |= gone;
            gone
        });
        if removed {
            self.counters.expired_sessions.add(1);
            self.end(now, session, effects);
        }
    }

    /// Ends a session: it leaves the deadlines and the store, and begins to leave the router. Only the
    /// first call has an effect.
    fn end(self: &Arc<Self>, now: Timestamp, session: &Arc<Session>, effects: &mut Effects) {
        let mut state = session.state();
        let Some(Remains {
            filters,
            will,
            shared,
        }) = state.end()
        else {
            return;
        };
        self.note_connected(session, false);
        session.set_owed(0);
        self.deadlines.set(session, Timestamp::MAX);
        if core::mem::take(&mut state.has_stored_will) {
            effects.batch.push(Operation::DropWill {
                session: session.key().clone(),
            });
        }
        drop(state);
        self.begin_to_leave(session, filters, now, effects);
        self.inherit(now, session, shared, effects);
        if session.is_durable() {
            effects.batch.push(Operation::DropSession {
                session: session.key().clone(),
            });
        }
        if let Some(will) = will {
            self.publish_will(now, session, &will, effects);
        }
    }

    /// Puts the session's deadline to where it belongs now.
    pub(super) fn set_deadline(&self, session: &Arc<Session>, state: &State) {
        self.deadlines
            .set(session, state.next_deadline(session.heard()));
    }

    /// The connection that has the session loses it to another; returns the will that is due.
    fn take_over(
        &self,
        now: Timestamp,
        state: &mut State,
        effects: &mut Effects,
    ) -> Option<Box<Will>> {
        let was_connected = state.link.is_some();
        effects
            .wakes
            .extend(state.ask_to_close(CloseCause::TakenOver));
        self.counters.takeovers.add(u64::from(was_connected));
        // A delayed will is not sent if the client is back before [MQTT-3.1.3-9].
        let is_due = if was_connected {
            state.will.as_ref().is_some_and(|will| will.delay_secs == 0)
        } else {
            state.will_due() <= now
        };
        let will = state.take_will();
        will.filter(|_| is_due)
    }

    /// Tells the store of a connection's session and will.
    fn note_attached(
        &self,
        session: &Arc<Session>,
        state: &mut State,
        will: Option<Will>,
        effects: &mut Effects,
    ) {
        if session.is_durable() {
            effects
                .batch
                .push(Operation::PutSession(session.record(state, None)));
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
                effects.batch.push(Operation::DropWill {
                    session: session.key().clone(),
                });
            }
            None => {}
        }
    }

    /// Takes the will out: it is not published.
    pub(crate) fn drop_will(
        &self,
        session: &Session,
        state: &mut State,
        effects: &mut Effects,
    ) -> Option<Box<Will>> {
        let will = state.take_will()?;
        state.has_stored_will = false;
        effects.batch.push(Operation::DropWill {
            session: session.key().clone(),
        });
        Some(will)
    }

    fn publish_will(
        self: &Arc<Self>,
        now: Timestamp,
        session: &Session,
        will: &Will,
        effects: &mut Effects,
    ) {
        let message = will.publish_at(now);
        // Its topic was checked at CONNECT; there is nobody left to tell if it were wrong.
        let _checked = self.publish_kept(now, &message, Some(session.key()), effects);
    }

    fn new_session(&self, request: &Request) -> Arc<Session> {
        let client = Arc::clone(&request.client);
        let expiry = request.expiry_interval_secs;
        let id = self.new_session_id();
        Session::new(id, client, expiry, expiry > 0, self.totals())
    }
}
