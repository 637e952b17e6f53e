//! UNSUBSCRIBE: filters are removed one by one (section 3.10).

use mqtt_codec::{ReasonCode, UnsubAck, Unsubscribe};

use super::subscribe::{check_filters, words_of_first_error};
use super::{Connected, Context};
use crate::close::CloseCause;

impl Connected {
    pub(super) fn handle_unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        check_filters(unsubscribe.filters.iter()).map_err(CloseCause::Protocol)?;
        let mut codes = Vec::with_capacity(unsubscribe.filters.len());
        for text in unsubscribe.filters.iter() {
            if !context.broker.options().allows_topic(text, text.split('/')) {
                codes.push(ReasonCode::TopicFilterInvalid);
                continue;
            }
            let existed = context.broker.unsubscribe(
                context.now,
                &self.session,
                self.epoch,
                text,
                context.effects,
            );
            codes.push(if existed {
                ReasonCode::Success
            } else {
                ReasonCode::NoSubscriptionExisted
            });
        }
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
