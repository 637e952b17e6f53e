//! Where somebody decides on each message that is about to be sent
//! ([`Hooks::authorize_forward`](crate::Hooks::authorize_forward)), none goes into the outbox before.
//!
//! Publishers leave messages with the session and wake the connection's task, which asks about the
//! first and holds no lock meanwhile. What comes behind a message that is asked about waits for it, so
//! that order is kept; only PUBREL passes by, which belongs to what was decided on before.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::outgoing::{AtMostOnce, Candidate, Place};
use super::packet::{naming_that_fits, put_publish};
use super::terms::{Refused, Rules, Terms};
use super::{DeliveryEffects, Session, State};
use crate::Message;
use crate::effects::{Change, Effects, Release};
use crate::frame::Head;
use crate::persistence::{InflightStage, Operation};
use crate::publication::{Publication, remaining_secs};

/// What becomes of a message that was asked about.
pub(crate) enum Decision {
    /// It is sent, or another one in its place.
    Send(Option<Arc<Message>>),
    /// It is not sent. To the session it is as if the client had acknowledged it.
    Drop,
}

impl Session {
    /// What somebody has to be asked about next. What has expired meanwhile is dropped.
    pub(crate) fn next_to_ask(
        self: &Arc<Self>,
        state: &mut State,
        rules: Rules<'_>,
        effects: &mut Effects,
    ) -> Option<Candidate> {
        loop {
            let candidate = state.candidate(rules)?;
            if candidate.sent || candidate.message.expires() > rules.now {
                return Some(candidate);
            }
            rules.counters.dropped_expired.add(1);
            self.decide(state, candidate.place, Decision::Drop, rules, effects);
        }
    }

    /// Does what was decided on a message. False if there is nothing to be done any more: it has gone
    /// elsewhere, or will be asked about again.
    pub(crate) fn decide(
        self: &Arc<Self>,
        state: &mut State,
        place: Place,
        decision: Decision,
        rules: Rules<'_>,
        effects: &mut Effects,
    ) -> bool {
        if !state.is_undecided(place) {
            return false;
        }
        match (place, decision) {
            (Place::Unsent(number), decision) => {
                if let Some(message) = state.outgoing.take_unsent(number)
                    && let Decision::Send(replacement) = decision
                {
                    state.send_at_most_once(&message, replacement, rules, effects);
                }
            }
            (Place::Queued(_), Decision::Send(replacement)) => {
                state.outgoing.decide_next(replacement);
                self.emit_now(state, rules, effects);
            }
            (Place::Queued(_), Decision::Drop) => self.drop_next(state, effects),
        }
        // There may be room for what waits.
        self.advance(state, rules, effects);
        true
    }

    /// What was decided on goes out, whatever else has come into the outbox meanwhile.
    #[inline(never)]
    fn emit_now(&self, state: &mut State, rules: Rules<'_>, effects: &mut Effects) {
        let outbox_max = rules.options.max_outbox_bytes.max(state.outbox.len() + 1);
        self.emit(state, rules, effects, outbox_max);
    }

    /// The message that is next is not to be sent.
    fn drop_next(self: &Arc<Self>, state: &mut State, effects: &mut Effects) {
        let pending = self.is_durable();
        if !state.outgoing.is_next_known() {
            let sequence = state.outgoing.discard_next();
            self.note_dequeued(sequence, &mut effects.batch);
            return;
        }
        if let Some((sequence, packet_id)) = state.outgoing.release_next(pending)
            && pending
        {
            effects.batch.push(Operation::MarkInflight {
                session: self.key().clone(),
                sequence,
                packet_id,
                stage: InflightStage::Released,
            });
            let release = Release::new(self, Change::Marked(sequence));
            effects.ticket.releases.push(release);
        }
    }
}

impl State {
    /// What somebody has to be asked about next, if there is room for it in the outbox.
    fn candidate(&mut self, rules: Rules<'_>) -> Option<Candidate> {
        let link = self.link.as_ref()?;
        if self.outbox.len() >= rules.outbox_max() {
            return None;
        }
        let receive_maximum = usize::from(link.receive_maximum);
        self.outgoing.get_mut()?.candidate(receive_maximum)
    }

    /// Whether a message that was asked about is still to be decided on.
    pub(crate) fn is_undecided(&mut self, place: Place) -> bool {
        let link = self.link.as_ref();
        let outgoing = self.outgoing.get_mut();
        link.zip(outgoing).is_some_and(|(link, outgoing)| {
            outgoing.is_undecided(place, usize::from(link.receive_maximum))
        })
    }

    /// Bytes that wait for the connection of the moment and will be in no queue when it is gone.
    pub(crate) fn outbox_bytes(&self) -> usize {
        self.outbox.len() + self.outgoing.unsent().1
    }

    /// Keeps a message at QoS 0 until it is known whether it may be sent.
    #[cold]
    #[inline(never)]
    pub(super) fn hold_at_most_once(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        if self.link.is_none() {
            return Err(Refused::Away);
        }
        let (messages, bytes) = self.outgoing.unsent();
        let is_full = messages >= rules.options.max_queued_messages
            || self.outbox.len() + bytes >= rules.options.max_outbox_bytes;
        if is_full {
            if terms.share.is_none() {
                self.meet_slow_reader(rules.options.slow_consumer_policy, effects);
            }
            return Err(Refused::SlowReader);
        }
        if rules.is_full {
            return Err(Refused::TotalFull);
        }
        if let Some(share) = &terms.share {
            // Another one may be able to take it.
            self.check_share(share, publication, terms)?;
        }
        self.outgoing.push_unsent(publication.message(), terms);
        effects.wakes.extend(self.take_waker());
        Ok(())
    }

    /// Writes a message at QoS 0 to the outbox, or another one in its place.
    fn send_at_most_once(
        &mut self,
        unsent: &AtMostOnce,
        replacement: Option<Arc<Message>>,
        rules: Rules<'_>,
        effects: &mut Effects,
    ) {
        let Some(link) = &mut self.link else {
            return;
        };
        let message = replacement.as_ref().unwrap_or(&unsent.message);
        if message.expires() <= rules.now {
            rules.counters.dropped_expired.add(1);
            return;
        }
        let retain = match message.retain() == unsent.message.retain() {
            true => unsent.retain,
            false => message.retain(),
        };
        let head = Head {
            version: link.version,
            dup: false,
            qos: QoS::AtMostOnce,
            retain,
            packet_id: None,
            topic: message.topic(),
            topic_alias: None,
            properties: message.properties(),
            expiry_secs: remaining_secs(message.expires(), rules.now),
            subscription_ids: unsent.subscription_ids.as_slice(),
            payload: message.payload(),
        };
        let properties = &mut effects.scratch.frames.properties;
        let Some(naming) = naming_that_fits(link, &head, properties) else {
            rules.counters.dropped_too_large.add(1);
            return;
        };
        link.note_named(message.topic(), naming);
        put_publish(&mut self.outbox, &head.named(naming), message, effects);
    }
}
