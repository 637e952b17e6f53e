//! PUBACK, PUBREC, PUBREL and PUBCOMP: how deliveries are completed in either direction
//! (sections 3.4 to 3.7 and 4.3).

use mqtt_codec::{PubAck, PubComp, PubRec, PubRel, ReasonCode};

use super::{Connected, Context};
use crate::close::{CloseCause, Violation};
use crate::effects::{Change, Release};
use crate::events::EventSet;
use crate::hooks::Event;
use crate::persistence::{InflightStage, Operation};
use crate::session::{Acknowledged, Delivery, Outgoing, State};

/// The reason string for a packet identifier that is not under way.
const UNKNOWN: &str = "no QoS 2 message is under way with this packet identifier";

impl Connected {
    /// The client has a QoS 1 message of ours.
    pub(super) fn handle_puback(
        &mut self,
        puback: &PubAck<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        if context.broker.watchers.or_hooks_notice(EventSet::DELIVERED) {
            return self.tell_puback(puback, context);
        }
        self.complete(context, |outgoing| outgoing.puback(puback.packet_id))
    }

    /// The same, and watchers and hooks hear of the message.
    #[cold]
    fn tell_puback(
        &mut self,
        puback: &PubAck<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let mut delivery = None;
        self.complete(context, |outgoing| {
            delivery = outgoing.delivery(puback.packet_id);
            outgoing.puback(puback.packet_id)
        })?;
        self.notify_delivered(puback.reason_code, delivery, context);
        Ok(())
    }

    /// The client has let go of a QoS 2 message of ours: it is complete.
    pub(super) fn handle_pubcomp(
        &mut self,
        pubcomp: &PubComp<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        self.complete(context, |outgoing| outgoing.pubcomp(pubcomp.packet_id))
    }

    fn complete(
        &self,
        context: &mut Context<'_>,
        acknowledge: impl FnOnce(&mut Outgoing) -> Acknowledged,
    ) -> Result<(), CloseCause> {
        let mut state = self.session.state();
        if !state.is_current(self.epoch) {
            return Ok(());
        }
        match acknowledge(&mut state.outgoing) {
            Acknowledged::Done(sequence) => self.finish(sequence, &mut state, context),
            // The client takes the message for another one, and would never complete this one.
            Acknowledged::OutOfOrder => return Err(CloseCause::Protocol(Violation::OutOfOrder)),
            // An identifier that is not under way changes nothing and is not worth a connection:
            // after a reconnect both sides may differ on what was still to be acknowledged.
            Acknowledged::Unknown | Acknowledged::Release(_) | Acknowledged::ReleaseAgain => {}
        }
        Ok(())
    }

    /// A delivery is complete: the next ones may go out.
    fn finish(&self, sequence: u64, state: &mut State, context: &mut Context<'_>) {
        self.session
            .note_dequeued(sequence, &mut context.effects.batch);
        let rules = context.broker.rules(context.now);
        self.session.advance(state, rules, context.effects);
    }

    /// Watchers and hooks hear of a message that the client has got, unless it refuses it with this reason code.
    fn notify_delivered(
        &mut self,
        reason_code: ReasonCode,
        delivery: Option<Delivery>,
        context: &mut Context<'_>,
    ) {
        let Some(Delivery { message, qos }) = delivery.filter(|_| !reason_code.is_error()) else {
            return;
        };
        if let Some(client) = &self.noticed(context.broker, EventSet::DELIVERED) {
            let event = Event::Delivered {
                client,
                message: &message,
                qos,
            };
            self.notify(&event, context);
        }
    }

    /// The client has received a QoS 2 message of ours, or refuses it.
    pub(super) fn handle_pubrec(
        &mut self,
        pubrec: &PubRec<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        if context.broker.watchers.or_hooks_notice(EventSet::DELIVERED) {
            return self.tell_pubrec(pubrec, context);
        }
        self.receive(pubrec, context, |_| ())
    }

    /// The same, and watchers and hooks hear of the message.
    #[cold]
    fn tell_pubrec(
        &mut self,
        pubrec: &PubRec<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let mut delivery = None;
        self.receive(pubrec, context, |outgoing| {
            delivery = outgoing.delivery(pubrec.packet_id);
        })?;
        self.notify_delivered(pubrec.reason_code, delivery, context);
        Ok(())
    }

    /// PUBREC has come. `look` is shown what is under way before it takes effect.
    fn receive(
        &mut self,
        pubrec: &PubRec<'_>,
        context: &mut Context<'_>,
        look: impl FnOnce(&Outgoing),
    ) -> Result<(), CloseCause> {
        let refused = pubrec.reason_code.is_error();
        let durable = self.session.is_durable();
        let mut state = self.session.state();
        if !state.is_current(self.epoch) {
            return Ok(());
        }
        look(&state.outgoing);
        let reason = match state.outgoing.pubrec(pubrec.packet_id, refused, durable) {
            Acknowledged::Done(sequence) => {
                self.finish(sequence, &mut state, context);
                return Ok(());
            }
            Acknowledged::OutOfOrder => return Err(CloseCause::Protocol(Violation::OutOfOrder)),
            Acknowledged::Release(sequence) => {
                if durable {
                    context.effects.batch.push(Operation::MarkInflight {
                        session: self.session.key().clone(),
                        sequence,
                        packet_id: pubrec.packet_id,
                        stage: InflightStage::Released,
                    });
                    let release = Release::new(&self.session, Change::Marked(sequence));
                    context.effects.ticket.releases.push(release);
                }
                ReasonCode::Success
            }
            Acknowledged::ReleaseAgain => ReasonCode::Success,
            // With a refusal the flow is over on the client's side too.
            Acknowledged::Unknown if refused => return Ok(()),
            Acknowledged::Unknown => ReasonCode::PacketIdentifierNotFound,
        };
        drop(state);
        let version = self.version;
        if reason == ReasonCode::Success {
            let pubrel = PubRel::new(pubrec.packet_id);
            context.reply(|replies| pubrel.encode(version, replies));
            return Ok(());
        }
        let words = reason.is_error().then_some(UNKNOWN);
        context.reply_explained(words, |properties, replies| {
            let pubrel = PubRel {
                packet_id: pubrec.packet_id,
                reason_code: reason,
                properties,
            };
            pubrel.encode(version, replies)
        });
        Ok(())
    }

    /// The client lets go of a QoS 2 message of its own.
    pub(super) fn handle_pubrel(&mut self, pubrel: &PubRel<'_>, context: &mut Context<'_>) {
        let mut state = self.session.state();
        let known = state.is_current(self.epoch) && state.incoming.remove(pubrel.packet_id);
        drop(state);
        // PUBCOMP gives the client room for one more, whatever it is about (section 4.9).
        self.begun = self.begun.saturating_sub(1);
        // Also if it is not known: had a commit failed, the store would still know it.
        if self.session.is_durable() {
            context.effects.batch.push(Operation::IncomingReleased {
                session: self.session.key().clone(),
                packet_id: pubrel.packet_id,
            });
        }
        let version = self.version;
        if known {
            let pubcomp = PubComp::new(pubrel.packet_id);
            context.reply(|replies| pubcomp.encode(version, replies));
            return;
        }
        context.reply_explained(Some(UNKNOWN), |properties, replies| {
            let pubcomp = PubComp {
                packet_id: pubrel.packet_id,
                reason_code: ReasonCode::PacketIdentifierNotFound,
                properties,
            };
            pubcomp.encode(version, replies)
        });
    }
}
