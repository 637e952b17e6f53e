//! SUBSCRIBE: filters are checked and granted one by one, then retained messages follow
//! (section 3.8).

use mqtt_codec::{ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, Version};
use topic_trie::{SharedFilter, TopicFilter};

use super::{Connected, Context};
use crate::broker::Subscribed;
use crate::close::{CloseCause, Violation};
use crate::reason::of_subscription;
use crate::subscription::SubscriptionOptions;

impl Connected {
    pub(super) fn handle_subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let identifier = subscribe.properties.subscription_identifier().unwrap_or(0);
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        for subscription in subscribe.filters.iter() {
            let code = self.subscribe(&subscription, identifier, context);
            if code.is_error() && self.version == Version::V31 {
                // SUBACK of MQTT 3.1 has no way to refuse.
                return Err(CloseCause::Protocol(Violation::TopicFilter));
            }
            codes.push(code);
        }
        let version = self.version;
        context.reply_explained(words_of_first_error(&codes), |properties, replies| {
            let suback = SubAck {
                properties,
                ..SubAck::new(subscribe.packet_id, &codes)
            };
            suback.encode(version, replies)
        });
        Ok(())
    }

    fn subscribe(
        &mut self,
        subscription: &Subscription<'_>,
        identifier: u32,
        context: &mut Context<'_>,
    ) -> ReasonCode {
        let options = context.broker.options();
        let Ok(filter) = TopicFilter::new(subscription.filter) else {
            return ReasonCode::TopicFilterInvalid;
        };
        if !options.allows_topic(subscription.filter, filter.levels()) {
            return ReasonCode::TopicFilterInvalid;
        }
        if self.version.is_v5() {
            match SharedFilter::parse(subscription.filter) {
                Ok(None) => {}
                Ok(Some(_)) => return ReasonCode::SharedSubscriptionsNotSupported,
                Err(_) => return ReasonCode::TopicFilterInvalid,
            }
        }
        if filter.is_wildcard() && !options.wildcard_subscriptions {
            return ReasonCode::WildcardSubscriptionsNotSupported;
        }
        let granted = SubscriptionOptions {
            qos: subscription.options.qos.min(options.max_qos),
            no_local: subscription.options.no_local,
            retain_as_published: subscription.options.retain_as_published,
            identifier,
        };
        let batch = &mut context.effects.batch;
        let result = context
            .broker
            .subscribe(&self.session, self.epoch, filter, granted, batch);
        let retained_wanted = match (result, subscription.options.retain_handling) {
            (Subscribed::TooMany, _) => return ReasonCode::QuotaExceeded,
            (Subscribed::Gone, _) => return ReasonCode::UnspecifiedError,
            (_, RetainHandling::Send) => true,
            (Subscribed::New, RetainHandling::SendIfNew) => true,
            (Subscribed::Replaced, RetainHandling::SendIfNew) | (_, RetainHandling::DoNotSend) => {
                false
            }
        };
        if retained_wanted && options.retain_available {
            let mut state = self.session.state();
            if state.is_current(self.epoch) {
                state.replays.get_or_insert_default().push(
                    filter,
                    granted.qos,
                    granted.subscription_ids(),
                );
            }
        }
        ReasonCode::granted(granted.qos)
    }
}

/// There is one reason string for all filters: it is about the first that was refused.
pub(super) fn words_of_first_error(codes: &[ReasonCode]) -> Option<&'static str> {
    let first = codes.iter().find(|code| code.is_error())?;
    Some(of_subscription(*first))
}
