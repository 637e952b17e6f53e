//! UNSUBSCRIBE: filters are removed one by one (section 3.10), very many in steps.

use hashbrown::HashSet;
use mqtt_codec::{PacketId, ReasonCode, UnsubAck, Unsubscribe, UnsubscribeFilters};

use super::in_steps::{STEP, Unfinished};
use super::subscribe::{check_filters, words_of_first_error};
use super::{Connected, Context};
use crate::broker::Asked;
use crate::close::CloseCause;
use crate::events::EventSet;
use crate::hooks::Event;
use crate::own_topics::Announcement;

impl Connected {
    pub(super) fn handle_unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        check_filters(unsubscribe.filters.iter()).map_err(CloseCause::Protocol)?;
        let codes = vec![ReasonCode::NoSubscriptionExisted; unsubscribe.filters.len()];
        let unsuback = UnsubAck::new(unsubscribe.packet_id, &codes);
        context.check_reply(unsuback.encoded_len(self.version))?;
        if codes.len() > STEP {
            self.begin_steps(Unfinished::unsubscribe(unsubscribe));
            return Ok(());
        }
        let mut codes = Vec::with_capacity(codes.len());
        self.cancel(unsubscribe.filters, &mut codes, context);
        self.acknowledge_unsubscribe(unsubscribe.packet_id, &codes, context);
        Ok(())
    }

    /// Cancels filters one by one; appends a reason code for each to `codes`.
    pub(super) fn cancel(
        &mut self,
        filters: UnsubscribeFilters<'_>,
        codes: &mut Vec<ReasonCode>,
        context: &mut Context<'_>,
    ) {
        let broker = context.broker;
        let mut left = HashSet::new();
        for text in filters {
            if !broker.options().allows_topic(text, text.split('/')) {
                codes.push(ReasonCode::TopicFilterInvalid);
                continue;
            }
            let batch = &mut context.effects.batch;
            let Some(asked) = broker.unsubscribe(&self.session, self.epoch, text, batch) else {
                codes.push(ReasonCode::NoSubscriptionExisted);
                continue;
            };
            codes.push(ReasonCode::Success);
            if matches!(asked, Asked::Shared(_)) {
                left.insert(text);
            }
            context.announce(Announcement::Unsubscribed(self.session.client(), text));
            if let Some(client) = &self.noticed(broker, EventSet::UNSUBSCRIBED) {
                let filter = text;
                self.notify(&Event::Unsubscribed { client, filter }, context);
            }
        }
        // All at once: each time the session's whole queue is looked through.
        broker.hand_over_unsent(context.now, &self.session, left, context.effects);
    }

    pub(super) fn acknowledge_unsubscribe(
        &self,
        packet_id: PacketId,
        codes: &[ReasonCode],
        context: &mut Context<'_>,
    ) {
        let version = self.version;
        context.reply_explained(words_of_first_error(codes), |properties, replies| {
            let unsuback = UnsubAck {
                properties,
                ..UnsubAck::new(packet_id, codes)
            };
            unsuback.encode(version, replies)
        });
    }
}
