//! UNSUBSCRIBE: filters are removed one by one (section 3.10).

use hashbrown::HashSet;
use mqtt_codec::{ReasonCode, UnsubAck, Unsubscribe};

use super::subscribe::{check_filters, words_of_first_error};
use super::{Connected, Context};
use crate::broker::Asked;
use crate::close::CloseCause;

impl Connected {
    pub(super) fn handle_unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        check_filters(unsubscribe.filters.iter()).map_err(CloseCause::Protocol)?;
        let broker = context.broker;
        let mut codes = vec![ReasonCode::NoSubscriptionExisted; unsubscribe.filters.len()];
        let unsuback = UnsubAck::new(unsubscribe.packet_id, &codes);
        context.check_reply(unsuback.encoded_len(self.version))?;
        let mut left = HashSet::new();
        for (code, text) in codes.iter_mut().zip(unsubscribe.filters.iter()) {
            if !broker.options().allows_topic(text, text.split('/')) {
                *code = ReasonCode::TopicFilterInvalid;
                continue;
            }
            let batch = &mut context.effects.batch;
            let Some(asked) = broker.unsubscribe(&self.session, self.epoch, text, batch) else {
                continue;
            };
            *code = ReasonCode::Success;
            if matches!(asked, Asked::Shared(_)) {
                left.insert(text);
            }
        }
        // All at once: each time the session's whole queue is looked through.
        broker.hand_over_unsent(context.now, &self.session, left, context.effects);
        let version = self.version;
        context.reply_explained(words_of_first_error(&codes), |properties, replies| {
            let unsuback = UnsubAck {
                properties,
                ..UnsubAck::new(unsubscribe.packet_id, &codes)
            };
            unsuback.encode(version, replies)
        });
        Ok(())
    }
}
