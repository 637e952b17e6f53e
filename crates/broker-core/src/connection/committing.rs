//! What a connection does when a batch that it brought about was committed, or could not be.
//!
//! Replies and deliveries wait for their batch behind a [`Ticket`]; the batches of one connection are
//! committed in their order, and several may be under way.

use mqtt_codec::{
    ConnAck, Decoded, EncodeError, Packet, PacketId, Properties, PropertiesBuf, PubAck, PubRec,
    ReasonCode, Version, decode,
};

use super::{Connected, Connection, Phase};
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::{Change, Effects, Release, Ticket};
use crate::outbox::Outbox;
use crate::persistence::PersistenceError;
use crate::reason::put_explained;
use crate::session::{FIRST_EPOCH, Hold};

impl Connection {
    /// Whether CONNACK has been given out and the connection is not closing. Until then nothing is
    /// handled while a batch of this connection is being committed; afterwards more may be.
    pub fn is_greeted(&self) -> bool {
        self.connected().is_some_and(|connected| connected.greeted)
    }

    /// Whether the driver does not read because it waits for the store. The client cannot be heard
    /// then, and is not taken for dead.
    pub fn hold_keep_alive(&self, held: bool) {
        self.broker.counters().store_waits.add(u64::from(held));
        if let Some(connected) = self.connected() {
            connected.hold_keep_alive(Hold::Store, held);
        }
    }

    /// The batch that belongs to this ticket was committed: replies and deliveries may go out.
    pub fn handle_committed(&mut self, now: Timestamp, mut ticket: Ticket, effects: &mut Effects) {
        self.put_replies(&core::mem::take(&mut ticket.replies), effects);
        self.broker.handle_committed(now, ticket, effects);
    }

    /// [`handle_committed`](Self::handle_committed) for a batch that was committed at once: the
    /// ticket stays where it is and its memory is used again.
    pub fn handle_committed_now(&mut self, _now: Timestamp, effects: &mut Effects) {
        if !effects.ticket.replies.is_empty() {
            let replies = core::mem::take(&mut effects.ticket.replies);
            self.put_replies(&replies, effects);
            effects.ticket.replies = replies;
            effects.ticket.replies.clear();
        }
        // Mostly there is nothing, and to drain that costs more than to look.
        if !effects.ticket.releases.is_empty() {
            let released = effects.ticket.releases.drain(..);
            effects.wakes.extend(released.filter_map(Release::commit));
        }
    }

    /// The batch could not be committed: nothing of it is acknowledged.
    ///
    /// An MQTT 5 client that has only published hears so for each message (PUBACK or PUBREC with 0x97
    /// if the store is full, else 0x83) and stays. Any other is disconnected, and may try again: that
    /// its acknowledgement, its subscription or its session was not stored cannot be said otherwise.
    pub fn handle_commit_failed(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        error: &PersistenceError,
        effects: &mut Effects,
    ) {
        let cause = CloseCause::of_failed_commit(error);
        if let Phase::Connected(connected) = &mut self.phase {
            if let Some(refusals) = connected.refuse(&ticket, cause) {
                self.broker.handle_commit_failed(ticket);
                self.put_replies(&refusals, effects);
                return;
            }
            if !connected.greeted && connected.epoch == FIRST_EPOCH {
                // The client hears that it has no session, and then has none here either.
                connected.session.state().expiry_interval_secs = 0;
            }
        }
        // First of all nothing goes out on this connection any more.
        self.close(now, cause, effects);
        self.broker.handle_commit_failed(ticket);
    }

    fn put_replies(&mut self, replies: &[u8], effects: &mut Effects) {
        if replies.is_empty() {
            return;
        }
        match &mut self.phase {
            Phase::Awaiting(_) | Phase::Deciding(_) | Phase::Admitting(_) | Phase::Loading(_) => {}
            // Nothing follows DISCONNECT [MQTT-3.14.4-1].
            Phase::Closing { last, .. } if last.said => {}
            // Acknowledgements come in the order of the packets, and one is missing [MQTT-4.6.0-2].
            Phase::Closing { cause, .. } if cause.is_of_the_store() => {}
            Phase::Closing { last, .. } => last.outbox.put(|flat| flat.extend_from_slice(replies)),
            Phase::Connected(connected) => {
                let mut state = connected.session.state_unsettled();
                if state.is_current(connected.epoch) {
                    state.outbox.reuse(&mut effects.scratch.outboxes);
                    state.outbox.put(|flat| flat.extend_from_slice(replies));
                    connected.session.settle(&mut state);
                }
            }
        }
    }
}

impl Connected {
    /// What a client is told whose publications were not stored, if that can be told message by message:
    /// nothing else of this connection was to be stored, and nothing else is to be answered.
    fn refuse(&mut self, ticket: &Ticket, cause: CloseCause) -> Option<Vec<u8>> {
        let reason_code = cause.disconnect_reason()?;
        let is_of_publications = |release: &Release| {
            matches!(
                release.change(),
                None | Some(Change::Enqueued(_) | Change::Received(_))
            )
        };
        if !self.version.is_v5()
            || !self.greeted
            || ticket.replies.is_empty()
            || !ticket.releases.iter().all(is_of_publications)
        {
            return None;
        }
        let mut refusals = Vec::with_capacity(ticket.replies.len());
        let mut ended = Vec::new();
        let mut rest = &*ticket.replies;
        while !rest.is_empty() {
            let Ok(Decoded::Packet { packet, size }) = decode(rest, self.version, usize::MAX)
            else {
                return None;
            };
            let (reply, behind) = rest.split_at_checked(size)?;
            rest = behind;
            match packet {
                Packet::PubAck(PubAck {
                    packet_id,
                    reason_code: ReasonCode::Success | ReasonCode::NoMatchingSubscribers,
                    ..
                }) => self.explain(cause, &mut refusals, |properties, flat| {
                    let puback = PubAck {
                        packet_id,
                        reason_code,
                        properties,
                    };
                    puback.encode(Version::V5, flat)
                }),
                Packet::PubRec(PubRec {
                    packet_id,
                    reason_code: ReasonCode::Success | ReasonCode::NoMatchingSubscribers,
                    ..
                }) if self.begins(packet_id, ticket) => {
                    ended.push(packet_id);
                    self.explain(cause, &mut refusals, |properties, flat| {
                        let pubrec = PubRec {
                            packet_id,
                            reason_code,
                            properties,
                        };
                        pubrec.encode(Version::V5, flat)
                    });
                }
                Packet::PubAck(_) | Packet::PubRec(_) | Packet::PingResp => {
                    refusals.extend_from_slice(reply);
                }
                _ => return None,
            }
        }
        // These flows end with their PUBREC, and the identifiers are free again.
        let mut state = self.session.state();
        for packet_id in ended {
            state.incoming.remove(packet_id);
            self.begun = self.begun.saturating_sub(1);
        }
        drop(state);
        Some(refusals)
    }

    /// Whether the QoS 2 message with this identifier is in the batch. If it is not, it was stored
    /// before and is sent again.
    fn begins(&self, packet_id: PacketId, ticket: &Ticket) -> bool {
        let mut changes = ticket.releases.iter().filter_map(Release::change);
        !self.session.is_durable()
            || changes.any(|it| matches!(it, Change::Received(id) if id == packet_id))
    }

    /// Appends a refusal, with the cause as its reason string where the client wants one.
    fn explain(
        &self,
        cause: CloseCause,
        flat: &mut Vec<u8>,
        encode: impl Fn(Properties<'_>, &mut Vec<u8>) -> Result<usize, EncodeError>,
    ) {
        let bytes_max = self.reply_bytes_max();
        if self.wants_problem_information() {
            let none = PropertiesBuf::new();
            put_explained(&none, &cause.to_string(), bytes_max, flat, encode);
            return;
        }
        let before = flat.len();
        match encode(Properties::EMPTY, flat) {
            Ok(bytes) if bytes <= bytes_max => {}
            _ => flat.truncate(before),
        }
    }

    /// For this reason nobody listens to the client from now on, or it holds no longer. To be called
    /// without the session's lock.
    pub(super) fn hold_keep_alive(&self, hold: Hold, held: bool) {
        let state = self.session.state_unsettled();
        // Whoever has the session by now is listened to.
        if state.is_current(self.epoch) {
            self.session.hold_keep_alive(hold, held);
        }
    }

    /// CONNACK and what stands behind it, to be given out although the connection closes.
    pub(super) fn greeting(&self, cause: CloseCause) -> Outbox {
        let mut state = self.session.state();
        if !state.is_current(self.epoch) {
            return Outbox::default();
        }
        if !cause.is_of_the_store() {
            return core::mem::take(&mut state.outbox);
        }
        // It says that there is a session, and the store does not have it.
        let mut outbox = Outbox::default();
        let refusal = ConnAck::new(false, ReasonCode::ServerUnavailable);
        let _encoded = outbox.put(|flat| refusal.encode(self.version, flat));
        outbox
    }
}
