//! How one message comes into a session, and from there into its connection's outbox.
//!
//! QoS 0 goes straight to the outbox or nowhere. QoS 1 and 2 go straight to the outbox where nothing
//! waits before them and nothing has to become durable first; otherwise through the queue.

use std::sync::Arc;

use mqtt_codec::{PacketId, PropertiesBuf, QoS, ReasonCode};

use super::outgoing::{Entry, Next};
use super::{Session, State};
use crate::counters::Counters;
use crate::effects::Effects;
use crate::frame::{Head, put_pubrel};
use crate::options::BrokerOptions;
use crate::outbox::SHARED_PAYLOAD_MIN;
use crate::persistence::{Batch, InflightStage, Operation, SubscriptionIds};
use crate::publication::{Publication, remaining_secs};
use crate::{Message, Timestamp};

/// What became of a message at one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It is on its way.
    Yes,
    /// It was dropped, and counted where that is a loss.
    No,
}

/// How a message is to be delivered to one session.
#[derive(Clone, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: &'a SubscriptionIds,
}

/// What deliveries need of the broker.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) options: &'a BrokerOptions,
    pub(crate) counters: &'a Counters,
    pub(crate) now: Timestamp,
}

impl Session {
    /// Hands a message to the session.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Delivered {
        let mut state = self.state();
        if state.ended {
            return Delivered::No;
        }
        match terms.qos {
            QoS::AtMostOnce => state.deliver_at_most_once(publication, terms, rules, effects),
            _ if self.is_durable() => {
                self.enqueue(&mut state, publication, terms, rules, effects)
            }
            _ => state.deliver_transient(publication, terms, rules, effects),
        }
    }

    /// Puts a message into a session that is kept in the store. It goes out when the batch has been
    /// committed.
    fn enqueue(
        self: &Arc<Self>,
        state: &mut State,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Delivered {
        if !state.has_room(publication.size_bytes(), rules) {
            rules.counters.dropped_queue_full.add(1);
            return Delivered::No;
        }
        let window = state.window(rules.options.max_inflight);
        let message = publication.message();
        let ids = terms.subscription_ids.clone();
        let outgoing = &mut state.outgoing;
        let sequence =
            outgoing.push(Arc::clone(&message), terms.qos, terms.retain, ids.clone(), true);
        // While the client is away nothing gets an identifier: it might be taken for sent. While it
        // is there, only the entry just pushed can get one here: had the window had room before,
        // those in front of it would have got theirs then.
        let connected = state.link.is_some();
        let packet_id = connected.then(|| outgoing.admit(window, false)).flatten().map(|(_, id)| id);
        effects.batch.push(Operation::Enqueue {
            session: self.key().clone(),
            sequence,
            message,
            qos: terms.qos,
            retain: terms.retain,
            subscription_ids: ids,
            packet_id,
        });
        effects.releases.push((Arc::clone(self), sequence));
        Delivered::Yes
    }

    /// A change of the message with this number has been committed: it may go out.
    pub(crate) fn release(self: &Arc<Self>, sequence: u64, rules: Rules<'_>, effects: &mut Effects) {
        let mut state = self.state();
        state.outgoing.committed(sequence);
        self.emit(&mut state, rules, effects);
        effects.wakes.extend(state.take_waker_if_ready());
    }

    /// A change of the message with this number could not be committed.
    pub(crate) fn abort(&self, sequence: u64, counters: &Counters) {
        counters.dropped_store_failed.add(1);
        self.state().outgoing.aborted(sequence);
    }

    /// Gives identifiers to as many waiting messages as the window has room for.
    pub(crate) fn admit(self: &Arc<Self>, state: &mut State, rules: Rules<'_>, effects: &mut Effects) {
        if state.link.is_none() {
            return;
        }
        while let Some(sequence) = state.outgoing.discard_expired(rules.now) {
            rules.counters.dropped_expired.add(1);
            self.note_dequeued(sequence, &mut effects.batch);
        }
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
                effects.ticket.releases.push((Arc::clone(self), sequence));
            }
        }
    }

    /// Writes what may be sent now to the outbox.
    pub(crate) fn emit(self: &Arc<Self>, state: &mut State, rules: Rules<'_>, effects: &mut Effects) {
        let State { link: Some(link), outbox, outgoing, .. } = state else { return };
        let receive_maximum = usize::from(link.receive_maximum);
        while outbox.len() < rules.options.max_outbox_bytes {
            let Some((next, entry)) = outgoing.next(receive_maximum) else { break };
            match next {
                Next::Release(id) => {
                    outbox.reuse(&mut effects.scratch.outboxes);
                    outbox.put(|flat| put_pubrel(flat, link.version, id, ReasonCode::Success));
                    outgoing.emitted(true);
                }
                Next::Publish(id) => {
                    let Some(message) = entry.message.clone() else {
                        outgoing.discard_next();
                        continue;
                    };
                    let expired = message.expires() <= rules.now && !entry.sent;
                    let head = entry_head(entry, &message, id, link.version, rules.now);
                    let scratch = &mut effects.scratch.frames.properties;
                    let too_large = head
                        .packet_bytes(scratch)
                        .is_none_or(|bytes| bytes > link.maximum_packet_size as usize);
                    if expired || too_large {
                        let counters = rules.counters;
                        let counter =
                            if expired { &counters.dropped_expired } else { &counters.dropped_too_large };
                        counter.add(1);
                        let sequence = outgoing.discard_next();
                        self.note_dequeued(sequence, &mut effects.batch);
                        continue;
                    }
                    outbox.reuse(&mut effects.scratch.outboxes);
                    outbox.put(|flat| head.put(flat, &mut effects.scratch.frames.properties));
                    if message.payload().len() >= SHARED_PAYLOAD_MIN {
                        outbox.put_shared(message);
                    } else {
                        outbox.put(|flat| flat.extend_from_slice(message.payload()));
                    }
                    outgoing.emitted(self.is_durable());
                }
            }
        }
    }

    /// Tells the store that a message is done with.
    pub(crate) fn note_dequeued(&self, sequence: u64, batch: &mut Batch) {
        if self.is_durable() {
            batch.push(Operation::Dequeue { session: self.key().clone(), sequence });
        }
    }
}

/// The parts of [`Effects`] that deliveries add to while others are in use.
pub(crate) struct DeliveryEffects<'a> {
    pub(crate) batch: &'a mut Batch,
    pub(crate) releases: &'a mut Vec<(Arc<Session>, u64)>,
    pub(crate) wakes: &'a mut Vec<std::task::Waker>,
    pub(crate) outboxes: &'a mut Vec<crate::outbox::Outbox>,
}

impl State {
    fn deliver_at_most_once(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Delivered {
        if self.link.is_none() {
            return Delivered::No;
        }
        if self.outbox.len() >= rules.options.max_outbox_bytes {
            rules.counters.dropped_slow_reader.add(1);
            return Delivered::No;
        }
        self.put(publication, terms, None, rules, effects)
    }

    /// QoS 1 and 2 in a session that ends with its connection.
    fn deliver_transient(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Delivered {
        if self.link.is_none() {
            return Delivered::No;
        }
        let window = self.window(rules.options.max_inflight);
        if self.outgoing.is_open(window) && self.outbox.len() < rules.options.max_outbox_bytes {
            if !self.fits(publication, terms, rules) {
                return Delivered::No;
            }
            let id = self.outgoing.push_sent(terms.qos);
            return self.put(publication, terms, Some(id), rules, effects);
        }
        if !self.has_room(publication.size_bytes(), rules) {
            rules.counters.dropped_queue_full.add(1);
            return Delivered::No;
        }
        let ids = terms.subscription_ids.clone();
        self.outgoing.push(publication.message(), terms.qos, terms.retain, ids, false);
        self.outgoing.admit(window, false);
        Delivered::Yes
    }

    /// Whether the queue takes one more message.
    fn has_room(&self, size_bytes: usize, rules: Rules<'_>) -> bool {
        let bytes = self.outgoing.bytes();
        self.outgoing.len() < rules.options.max_queued_messages
            && (bytes == 0 || bytes + size_bytes <= rules.options.max_queued_bytes)
    }

    /// Whether the client takes a packet of this size; counted if not.
    fn fits(&self, publication: &mut Publication<'_>, terms: &Terms<'_>, rules: Rules<'_>) -> bool {
        let Some(link) = &self.link else { return false };
        let bytes = match terms.subscription_ids.as_slice() {
            ids if ids.is_empty() || !link.version.is_v5() => {
                publication.packet_bytes(link.version, terms.qos, terms.retain)
            }
            ids => {
                let id = (terms.qos != QoS::AtMostOnce).then_some(PacketId::MIN);
                publication
                    .head(link.version, terms.qos, terms.retain, id, ids)
                    .packet_bytes(&mut PropertiesBuf::new())
                    .unwrap_or(usize::MAX)
            }
        };
        let fits = bytes <= link.maximum_packet_size as usize;
        if !fits {
            rules.counters.dropped_too_large.add(1);
        }
        fits
    }

    /// Writes a message to the outbox at once.
    fn put(
        &mut self,
        publication: &mut Publication<'_>,
        terms: &Terms<'_>,
        packet_id: Option<PacketId>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Delivered {
        if packet_id.is_none() && !self.fits(publication, terms, rules) {
            return Delivered::No;
        }
        let Self { link: Some(link), outbox, .. } = self else { return Delivered::No };
        outbox.reuse(effects.outboxes);
        let ids = terms.subscription_ids.as_slice();
        if ids.is_empty() || !link.version.is_v5() {
            publication.put(outbox, link.version, terms.qos, terms.retain, packet_id);
        } else {
            let head = publication.head(link.version, terms.qos, terms.retain, packet_id, ids);
            outbox.put(|flat| head.put(flat, &mut PropertiesBuf::new()));
            if publication.parts().payload.len() >= SHARED_PAYLOAD_MIN {
                outbox.put_shared(publication.message());
            } else {
                outbox.put(|flat| flat.extend_from_slice(publication.parts().payload));
            }
        }
        effects.wakes.extend(link.waker.take());
        Delivered::Yes
    }

    /// The connection's task, if it sleeps although there is something to send.
    pub(crate) fn take_waker_if_ready(&mut self) -> Option<std::task::Waker> {
        if self.outbox.is_empty() { None } else { self.take_waker() }
    }
}

fn entry_head<'a>(
    entry: &'a Entry,
    message: &'a Message,
    packet_id: PacketId,
    version: mqtt_codec::Version,
    now: Timestamp,
) -> Head<'a> {
    Head {
        version,
        dup: entry.sent,
        qos: entry.qos,
        retain: entry.retain,
        packet_id: Some(packet_id),
        topic: message.topic(),
        properties: message.properties(),
        expiry_secs: remaining_secs(message.expires(), now),
        subscription_ids: entry.subscription_ids.as_slice(),
        payload: message.payload(),
    }
}
