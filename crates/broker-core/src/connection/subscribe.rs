//! SUBSCRIBE: the packet is checked as a whole, filters are granted one by one, then retained
//! messages follow (section 3.8). Very many filters are granted in steps.
//!
//! What the server has announced not to have is a Protocol Error of the client that uses it (sections
//! 3.2.2.3.11 to 3.2.2.3.13 of 5.0). Clients before MQTT 5 have not been told, and are refused the one
//! filter.

use mqtt_codec::{
    PacketId, PropertyId, ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeFilters,
    Subscription, Version,
};
use topic_trie::TopicFilter;

use super::in_steps::{STEP, Unfinished};
use super::{Connected, Context};
use crate::broker::{Asked, Broker, Subscribed};
use crate::close::{CloseCause, Violation};
use crate::options::BrokerOptions;
use crate::reason::of_subscription;
use crate::subscription::SubscriptionOptions;

impl Connected {
    pub(super) fn handle_subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        // Before anything is granted: a packet that breaks a rule changes nothing.
        let filters = subscribe.filters.iter();
        check_filters(filters.map(|subscription| subscription.filter))
            .map_err(CloseCause::Protocol)?;
        if self.version.is_v5() {
            check(subscribe, context.broker.options()).map_err(CloseCause::Protocol)?;
        }
        let identifier = subscribe.properties.subscription_identifier().unwrap_or(0);
        let codes = vec![ReasonCode::UnspecifiedError; subscribe.filters.len()];
        let suback = SubAck::new(subscribe.packet_id, &codes);
        context.check_reply(suback.encoded_len(self.version))?;
        if codes.len() > STEP {
            self.begin_steps(Unfinished::subscribe(subscribe, identifier));
            return Ok(());
        }
        let mut codes = Vec::with_capacity(codes.len());
        self.grant(subscribe.filters, identifier, &mut codes, context)?;
        self.acknowledge_subscribe(subscribe.packet_id, &codes, context);
        Ok(())
    }

    /// Grants filters one by one; appends a reason code for each to `codes`.
    pub(super) fn grant(
        &mut self,
        filters: SubscribeFilters<'_>,
        identifier: u32,
        codes: &mut Vec<ReasonCode>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        for subscription in filters {
            let code = self.subscribe(&subscription, identifier, context);
            if code.is_error() && self.version == Version::V31 {
                // SUBACK of MQTT 3.1 has no way to refuse.
                return Err(CloseCause::Protocol(Violation::SubscriptionRefused));
            }
            codes.push(code);
        }
        Ok(())
    }

    pub(super) fn acknowledge_subscribe(
        &self,
        packet_id: PacketId,
        codes: &[ReasonCode],
        context: &mut Context<'_>,
    ) {
        let version = self.version;
        context.reply_explained(words_of_first_error(codes), |properties, replies| {
            let suback = SubAck {
                properties,
                ..SubAck::new(packet_id, codes)
            };
            suback.encode(version, replies)
        });
    }

    fn subscribe(
        &mut self,
        subscription: &Subscription<'_>,
        identifier: u32,
        context: &mut Context<'_>,
    ) -> ReasonCode {
        let options = context.broker.options();
        let text = subscription.filter;
        let Some(asked) = Asked::parse(text) else {
            return ReasonCode::TopicFilterInvalid;
        };
        if !options.allows_topic(text, text.split('/')) {
            return ReasonCode::TopicFilterInvalid;
        }
        if let Err(violation) = check_available(asked, options) {
            return violation.reason_code();
        }
        let granted = SubscriptionOptions {
            qos: subscription.options.qos.min(options.max_qos),
            no_local: subscription.options.no_local,
            retain_as_published: subscription.options.retain_as_published,
            identifier,
        };
        let batch = &mut context.effects.batch;
        let result =
            context
                .broker
                .subscribe(&self.session, self.epoch, text, asked, granted, batch);
        let is_new = match result {
            Subscribed::TooMany => return ReasonCode::QuotaExceeded,
            Subscribed::Gone => return ReasonCode::UnspecifiedError,
            Subscribed::New => true,
            Subscribed::Replaced => false,
        };
        let retained_wanted = match subscription.options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        // To a shared subscription none are sent (section 4.8.2).
        if let Asked::Own(filter) = asked
            && retained_wanted
            && options.retain_available
        {
            self.begin_replay(filter, &granted, context.broker);
        }
        ReasonCode::granted(granted.qos)
    }

    /// Notes that the retained messages of a filter are to be sent, if there may be any. What comes
    /// after this look is routed to the session as every other message.
    fn begin_replay(
        &self,
        filter: TopicFilter<'_>,
        granted: &SubscriptionOptions,
        broker: &Broker,
    ) {
        let may_match = broker.retained.may_match(filter);
        let mut state = self.session.state();
        if !state.is_current(self.epoch) {
            return;
        }
        if may_match {
            let replays = state.replays.get_or_insert_default();
            replays.push(filter, granted.qos, granted.subscription_ids());
        } else if let Some(replays) = &mut state.replays {
            // A second SUBSCRIBE begins anew.
            replays.remove(filter);
        }
    }
}

/// There is one reason string for all filters: it is about the first that was refused.
pub(super) fn words_of_first_error(codes: &[ReasonCode]) -> Option<&'static str> {
    let first = codes.iter().find(|code| code.is_error())?;
    Some(of_subscription(*first))
}

/// Filters that are not formed as section 4.7 has it end the connection; the codes of SUBACK and
/// UNSUBACK are for filters that are, and that the server does not accept [MQTT-4.13.1-1].
pub(super) fn check_filters<'a>(filters: impl Iterator<Item = &'a str>) -> Result<(), Violation> {
    for filter in filters {
        Asked::parse(filter).ok_or(Violation::TopicFilter)?;
    }
    Ok(())
}

/// What an MQTT 5 client must not send, having been told or knowing the rules.
fn check(subscribe: &Subscribe<'_>, options: &BrokerOptions) -> Result<(), Violation> {
    let has_identifier = subscribe
        .properties
        .contains(PropertyId::SubscriptionIdentifier);
    if has_identifier && !options.subscription_identifiers {
        return Err(Violation::SubscriptionIdentifiers);
    }
    for subscription in subscribe.filters.iter() {
        let Some(asked) = Asked::parse(subscription.filter) else {
            continue;
        };
        check_available(asked, options)?;
        if matches!(asked, Asked::Shared(_)) && subscription.options.no_local {
            return Err(Violation::SharedNoLocal);
        }
    }
    Ok(())
}

/// Whether the server has what the filter asks for.
fn check_available(asked: Asked<'_>, options: &BrokerOptions) -> Result<(), Violation> {
    if matches!(asked, Asked::Shared(_)) && !options.shared_subscriptions {
        return Err(Violation::SharedSubscription);
    }
    if asked.filter().is_wildcard() && !options.wildcard_subscriptions {
        return Err(Violation::WildcardSubscription);
    }
    Ok(())
}
