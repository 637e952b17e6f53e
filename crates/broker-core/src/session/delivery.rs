//! How one message comes into a session, and from there into its connection's outbox.
//!
//! QoS 0 goes straight to the outbox or nowhere, unless an option lets it wait. QoS 1 and 2 go straight to the outbox where nothing
//! waits before them and nothing has to become durable first; otherwise through the queue.

use std::sync::Arc;
use std::task::Waker;

use mqtt_codec::{PacketId, QoS};

use super::outgoing::Next;
use super::packet::{
    entry_head, naming_that_fits, packet_without_new_alias, put_publish, put_release,
};
use super::terms::{Origin, Refused, Rules, Share, Terms};
use super::{QueueWindow, Session, State};
use crate::close::CloseCause;
use crate::effects::{Change, Effects, Release};
use crate::options::SlowConsumerPolicy;
use crate::persistence::{Batch, InflightStage, Operation};
use crate::publication::{PreparedPacket, Publication};
use crate::traffic::Flow;

impl Session {
    /// Hands a message to the session.
    ///
    /// # Errors
    /// If it does not take it; nothing has been counted then.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        let mut state = self.state_unsettled();
        let delivered = self.deliver_to(&mut state, publication, terms, rules, effects);
        self.settle(&mut state);
        delivered
    }

    #[inline(always)]
    fn deliver_to(
        self: &Arc<Self>,
        state: &mut State,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        mut rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        if state.ended {
            return Err(Refused::Away);
        }
        if rules.is_short {
            // What comes from another session makes it no more.
            rules.is_full = !terms.is_moved() && !self.may_grow(state, publication.size_bytes());
        }
        if terms.qos == QoS::AtMostOnce
            && !self.queues_at_most_once(state, publication, terms, rules)
        {
            return match rules.asks {
                true => state.hold_at_most_once(publication, terms, rules, effects),
                false => state.deliver_at_most_once(publication, terms, rules, effects),
            };
        }
        if let Some(share) = &terms.share {
            state.check_share(share, publication, terms)?;
            state.has_shared = true;
        }
        let delivered = if self.is_durable() || terms.is_moved() {
            self.enqueue(state, publication, terms, rules, effects)
        } else {
            state.deliver_transient(publication, terms, rules, effects)
        };
        self.set_owed(state.outgoing.len());
        delivered
    }

    /// Whether a message at QoS 0 is to go through the queue: because there is nobody to send it to,
    /// or because others wait that must not be overtaken.
    #[inline]
    pub(super) fn queues_at_most_once(
        &self,
        state: &State,
        publication: &Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
    ) -> bool {
        rules.options.queue_qos_0
            && self.is_durable()
            && (state.link.is_none() || !state.outgoing.is_emitted() || state.outgoing.has_tail())
            && terms.share.is_none()
            && !publication.parts().topic.starts_with('$')
    }

    /// Puts a message into a session that is kept in the store, or one that may go back to where it
    /// comes from. It goes out when the batch has been committed.
    #[inline(never)]
    pub(super) fn enqueue(
        self: &Arc<Self>,
        state: &mut State,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        if state.link.is_none() && state.expires <= rules.now {
            // It ends as soon as what it leaves to others has been read.
            return Err(Refused::Away);
        }
        if !state.has_room(publication.size_bytes(), rules) {
            self.discard_expired(state, rules, effects.batch);
        }
        if !state.has_room(publication.size_bytes(), rules) {
            return Err(Refused::QueueFull);
        }
        let is_kept = self.keeps_next(state, rules);
        if is_kept && rules.is_full {
            return Err(Refused::TotalFull);
        }
        // While the client is away nothing gets an identifier: it might be taken for sent.
        let window = match &state.link {
            Some(_) => state.window(rules.options.max_inflight),
            None => 0,
        };
        let message = publication.message();
        let (sequence, packet_id) = if is_kept {
            let message = Arc::clone(&message);
            state.outgoing.push(message, terms, true, window)
        } else {
            (state.outgoing.push_behind(message.size_bytes()), None)
        };
        if self.is_durable() {
            effects.batch.push(Operation::Enqueue {
                session: self.key().clone(),
                sequence,
                message,
                qos: terms.qos,
                retain: terms.retain,
                subscription_ids: terms.subscription_ids.clone(),
                shared: terms.share.map(|share| Arc::clone(share.group.text())),
                packet_id,
            });
        }
        let change = match terms.share.map(|share| share.origin) {
            None | Some(Origin::Published) => Change::Enqueued(sequence),
            Some(Origin::Taken) => Change::Taken(sequence),
            Some(Origin::Inherited) => Change::Inherited(sequence),
        };
        effects.releases.push(Release::new(self, change));
        Ok(())
    }

    /// Whether the next message stays in memory, or only the store has it until it is its turn.
    #[inline]
    fn keeps_next(&self, state: &State, rules: Rules<'_>) -> bool {
        if state.outgoing.has_tail() {
            return false;
        }
        !rules.has_lasting_store
            || !self.is_durable()
            || state.link.is_some()
                && !rules.is_full
                && state.outgoing.has_window(QueueWindow::of(rules.options))
    }

    /// Gives identifiers to waiting messages and writes what may be sent now to the outbox.
    pub(crate) fn advance(
        self: &Arc<Self>,
        state: &mut State,
        rules: Rules<'_>,
        effects: &mut Effects,
    ) {
        // Mostly there is nothing.
        if !state.outgoing.is_emitted() {
            self.admit_and_emit(state, &rules, effects);
        }
        self.set_owed(state.outgoing.len());
        // Only the connection itself gets here: its task is awake, and will look for output when
        // what it has just handled is committed. Until then nobody needs to wake it.
        if let Some(link) = &mut state.link {
            link.asleep &= state.outbox.is_empty();
        }
    }

    #[inline(never)]
    fn admit_and_emit(
        self: &Arc<Self>,
        state: &mut State,
        rules: &Rules<'_>,
        effects: &mut Effects,
    ) {
        while !state.outgoing.is_emitted() {
            self.admit(state, *rules, effects);
            // What is dropped on the way out makes room in the window.
            if !self.emit(state, *rules, effects, rules.outbox_max()) {
                break;
            }
        }
    }

    /// Gives identifiers to as many waiting messages as the window has room for.
    fn admit(self: &Arc<Self>, state: &mut State, rules: Rules<'_>, effects: &mut Effects) {
        if state.link.is_none() {
            return;
        }
        self.discard_expired(state, rules, &mut effects.batch);
        let window = state.window(rules.options.max_inflight);
        while let Some((entry, packet_id)) = state.outgoing.admit(window, self.is_durable()) {
            if self.is_durable() {
                let sequence = entry.sequence;
                effects.batch.push(Operation::MarkInflight {
                    session: self.key().clone(),
                    sequence,
                    packet_id,
                    stage: InflightStage::Published,
                });
                let release = Release::new(self, Change::Marked(sequence));
                effects.ticket.releases.push(release);
            }
        }
    }

    /// Writes what may be sent now to the outbox, until that is so large. True if something is done
    /// with, and the window has room for what comes behind it.
    #[inline(always)]
    pub(super) fn emit(
        &self,
        state: &mut State,
        rules: Rules<'_>,
        effects: &mut Effects,
        outbox_max: usize,
    ) -> bool {
        let State {
            link: Some(link),
            outbox,
            outgoing,
            ..
        } = state
        else {
            return false;
        };
        let mut receive_maximum = usize::from(link.receive_maximum);
        let (durable, mut dropped) = (self.is_durable(), false);
        while outbox.len() < outbox_max {
            let Some((next, entry)) = outgoing.next(receive_maximum) else {
                break;
            };
            let sequence = entry.sequence;
            match next {
                Next::Release(id) => {
                    put_release(outbox, link.version, id, effects);
                    outgoing.emitted(sequence, true);
                }
                // Until it was decided on, only PUBREL passes by.
                Next::Publish(_) if rules.asks && entry.is_undecided() => receive_maximum = 0,
                Next::Publish(id) => {
                    let Some(message) = entry.packet_message().cloned() else {
                        outgoing.discard_next();
                        continue;
                    };
                    let at_most_once = entry.qos == QoS::AtMostOnce;
                    let moves = entry.is_shared() && entry.qos == QoS::AtLeastOnce;
                    let head = entry_head(entry, &message, id, link.version, rules.now);
                    let properties = &mut effects.scratch.frames.properties;
                    let counters = rules.counters;
                    let naming = match naming_that_fits(link, &head, properties) {
                        // It may have gone out before the broker was started again.
                        _ if at_most_once && entry.sent => Err(None),
                        _ if message.expires() <= rules.now && !entry.sent => {
                            Err(Some(&counters.dropped_expired))
                        }
                        None => Err(Some(&counters.dropped_too_large)),
                        Some(naming) => Ok(naming),
                    };
                    match naming {
                        Ok(naming) => {
                            link.note_named(message.topic(), naming);
                            put_publish(outbox, &head.named(naming), &message, effects);
                        }
                        Err(counter) => counter.into_iter().for_each(|counter| counter.add(1)),
                    }
                    // At QoS 0 nobody will acknowledge it.
                    if naming.is_err() || at_most_once {
                        let sequence = outgoing.discard_next();
                        self.note_dequeued(sequence, &mut effects.batch);
                        dropped = true;
                    } else {
                        outgoing.emitted(sequence, durable || moves || rules.keeps_sent);
                    }
                }
            }
        }
        dropped
    }

    /// Drops what has expired at the front of the queue.
    fn discard_expired(&self, state: &mut State, rules: Rules<'_>, batch: &mut Batch) {
        for sequence in state.outgoing.discard_expired(rules.now) {
            rules.counters.dropped_expired.add(1);
            self.note_dequeued(sequence, batch);
        }
    }

    /// Tells the store that a message is done with.
    pub(crate) fn note_dequeued(&self, sequence: u64, batch: &mut Batch) {
        if self.is_durable() {
            batch.push(Operation::Dequeue {
                session: self.key().clone(),
                sequence,
            });
        }
    }
}

/// The parts of [`Effects`] that deliveries add to while others are in use.
pub(crate) struct DeliveryEffects<'a> {
    pub(crate) batch: &'a mut Batch,
    pub(crate) releases: &'a mut Vec<Release>,
    pub(crate) wakes: &'a mut Vec<Waker>,
    pub(crate) outboxes: &'a mut Vec<crate::outbox::Outbox>,
    /// What has gone to clients.
    pub(crate) sent: &'a mut Flow,
}

impl State {
    fn deliver_at_most_once(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        if self.link.is_none() {
            return Err(Refused::Away);
        }
        if self.outbox.len() >= rules.options.max_outbox_bytes {
            if terms.share.is_none() {
                self.meet_slow_reader(rules.options.slow_consumer_policy, effects);
            }
            return Err(Refused::SlowReader);
        }
        if rules.is_full {
            return Err(Refused::TotalFull);
        }
        let packet = self.packet_that_fits(publication, terms)?;
        self.put(publication, terms, packet, None, effects);
        Ok(())
    }

    /// The client is to get more than may wait for it.
    #[cold]
    pub(super) fn meet_slow_reader(
        &mut self,
        policy: SlowConsumerPolicy,
        effects: &mut DeliveryEffects<'_>,
    ) {
        let is_asked = self.link.as_ref().is_none_or(|link| link.close.is_some());
        if policy == SlowConsumerPolicy::Disconnect && !is_asked {
            let waker = self.ask_to_close(CloseCause::OutboxFull);
            effects.wakes.extend(waker);
        }
    }

    /// QoS 1 and 2 in a session that ends with its connection.
    fn deliver_transient(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        if self.link.is_none() {
            return Err(Refused::Away);
        }
        if rules.is_full {
            return Err(Refused::TotalFull);
        }
        let window = self.window(rules.options.max_inflight);
        // What somebody has to be asked about waits in the queue, whatever room there is.
        let is_open = self.outgoing.is_open(window) && !rules.asks;
        if is_open && self.outbox.len() < rules.options.max_outbox_bytes {
            let packet = self.packet_that_fits(publication, terms)?;
            // What may have to go to another member is kept, as long as it is under way.
            let kept = match terms.share {
                Some(share) if terms.qos == QoS::AtLeastOnce => {
                    Some((publication.message(), Arc::clone(share.group)))
                }
                _ => None,
            };
            let id = self.outgoing.push_sent(terms.qos, kept);
            if rules.keeps_sent {
                self.outgoing.keep_last(publication);
            }
            self.put(publication, terms, packet, Some(id), effects);
            return Ok(());
        }
        self.queue_transient(publication, terms, rules, window, effects)
    }

    /// Puts a message at QoS 1 or 2 into the queue of a session that ends with its connection.
    #[inline]
    pub(super) fn queue_transient(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        window: usize,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), Refused> {
        if !self.has_room(publication.size_bytes(), rules) {
            return Err(Refused::QueueFull);
        }
        let (_, packet_id) = self
            .outgoing
            .push(publication.message(), terms, false, window);
        if packet_id.is_some() {
            effects.wakes.extend(self.take_waker());
        }
        Ok(())
    }

    /// The packet for the client, with a new topic alias only if there is room for it.
    ///
    /// # Errors
    /// If the client takes no packet of this size.
    #[inline(always)]
    fn packet_that_fits(
        &self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
    ) -> Result<PreparedPacket, Refused> {
        let link = self.link.as_ref().ok_or(Refused::Away)?;
        let bytes_max = link.maximum_packet_size as usize;
        let naming = link.naming(publication.parts().topic);
        let packet = publication.packet(link.version, terms, naming);
        if packet.bytes <= bytes_max {
            return Ok(packet);
        }
        packet_without_new_alias(publication, link, terms, naming)
    }

    /// Whether it is still the right one for a message that others could get too.
    pub(super) fn check_share(
        &self,
        share: &Share<'_>,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
    ) -> Result<(), Refused> {
        match &self.link {
            None if share.connected => Err(Refused::Away),
            None => Ok(()),
            Some(_) => self.packet_that_fits(publication, terms).map(drop),
        }
    }

    /// Writes a message to the outbox at once.
    #[inline(always)]
    fn put(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        packet: PreparedPacket,
        packet_id: Option<PacketId>,
        effects: &mut DeliveryEffects<'_>,
    ) {
        let Self {
            link: Some(link),
            outbox,
            ..
        } = self
        else {
            return;
        };
        outbox.reuse(effects.outboxes);
        publication.put(outbox, link.version, terms, packet, packet_id);
        if !publication.is_own() {
            effects.sent.packet(packet.bytes);
            effects.sent.message(publication.parts().payload.len());
        }
        link.note_named(publication.parts().topic, packet.naming);
        effects.wakes.extend(link.rouse());
    }
}
