//! SUBSCRIBE: the packet is checked as a whole, filters are granted one by one, then retained
//! messages follow (section 3.8). Very many filters are granted in steps.
//!
//! What the server has announced not to have is a Protocol Error of the client that uses it (sections
//! 3.2.2.3.11 to 3.2.2.3.13 of 5.0). Clients before MQTT 5 have not been told, and are refused the one
//! filter.

use mqtt_codec::{
    PacketId, PropertyId, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, Version,
};
use topic_trie::TopicFilter;

use super::asking::Question;
use super::in_steps::{STEP, Unfinished};
use super::{Connected, Context};
use crate::broker::{Asked, Broker, Subscribed};
use crate::close::{CloseCause, Violation};
use crate::events::EventSet;
use crate::hooks::{Event, Failed, SubscribeRequest, SubscribeVerdict};
use crate::options::BrokerOptions;
use crate::own_topics::Announcement;
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
        let asks = context
            .broker
            .wants(|wanted| wanted.authorize_subscribe || wanted.subscribed);
        if asks || codes.len() > STEP {
            self.begin_steps(Unfinished::subscribe(subscribe, identifier));
            return if asks { self.do_step(context) } else { Ok(()) };
        }
        let mut codes = Vec::with_capacity(codes.len());
        self.grant(subscribe.filters.iter(), identifier, &mut codes, context)?;
        self.acknowledge_subscribe(subscribe.packet_id, &codes, context);
        Ok(())
    }

    /// Grants filters one by one; appends a reason code for each to `codes`. Stops in front of one about
    /// which hooks have to think, and while they have something to do.
    pub(super) fn grant<'a>(
        &mut self,
        filters: impl Iterator<Item = Subscription<'a>>,
        identifier: u32,
        codes: &mut Vec<ReasonCode>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        for subscription in filters {
            let code = if context.broker.hooked().is_some() {
                if self.asking().is_some() {
                    return Ok(());
                }
                match self.ask_subscribe(&subscription, identifier, context)? {
                    Some(code) => code,
                    None => return Ok(()),
                }
            } else {
                self.grant_one(&subscription, identifier, context)?
            };
            codes.push(code);
        }
        Ok(())
    }

    /// Asks whether the client may have the filter, and grants it if so. `None` if a hook has to think.
    fn ask_subscribe(
        &mut self,
        subscription: &Subscription<'_>,
        identifier: u32,
        context: &mut Context<'_>,
    ) -> Result<Option<ReasonCode>, CloseCause> {
        let options = context.broker.options();
        let is_asked = context.broker.wants(|wanted| wanted.authorize_subscribe)
            && check_filter(subscription.filter, options).is_ok();
        let verdict = if is_asked {
            let request = SubscribeRequest {
                qos: subscription.options.qos,
                ..SubscribeRequest::new(subscription.filter)
            };
            let verdict = self.ask(
                context,
                |hooks, client| hooks.authorize_subscribe(client, &request),
                Question::Subscribe,
            );
            let Some(verdict) = verdict else {
                return Ok(None);
            };
            verdict
        } else {
            Ok(SubscribeVerdict::Allow)
        };
        self.decide_subscribe(verdict, subscription, identifier, context)
            .map(Some)
    }

    /// It is known whether the client may have the filter.
    pub(super) fn decide_subscribe(
        &mut self,
        verdict: Result<SubscribeVerdict, Failed>,
        subscription: &Subscription<'_>,
        identifier: u32,
        context: &mut Context<'_>,
    ) -> Result<ReasonCode, CloseCause> {
        let counters = context.broker.counters();
        let mut subscription = *subscription;
        match verdict {
            Ok(SubscribeVerdict::Allow) => {}
            Ok(SubscribeVerdict::AllowAt(qos)) => {
                subscription.options.qos = subscription.options.qos.min(qos);
            }
            Ok(SubscribeVerdict::Deny(reason)) => {
                counters.denied_subscriptions.add(1);
                return self.refused(for_suback(reason));
            }
            Ok(SubscribeVerdict::Disconnect) => {
                counters.denied_subscriptions.add(1);
                return Err(CloseCause::NotAuthorized);
            }
            Err(Failed) => {
                counters.hook_failures.add(1);
                return self.refused(ReasonCode::ImplementationSpecificError);
            }
        }
        self.grant_one(&subscription, identifier, context)
    }

    fn notify_subscribed(&mut self, granted: &Subscription<'_>, context: &mut Context<'_>) {
        if let Some(client) = &self.noticed(context.broker, EventSet::SUBSCRIBED) {
            let event = Event::Subscribed {
                client,
                filter: granted.filter,
                qos: granted.options.qos.min(context.broker.options().max_qos),
            };
            self.notify(&event, context);
        }
    }

    fn grant_one(
        &mut self,
        subscription: &Subscription<'_>,
        identifier: u32,
        context: &mut Context<'_>,
    ) -> Result<ReasonCode, CloseCause> {
        let code = self.subscribe(subscription, identifier, context);
        if code.is_error() {
            return self.refused(code);
        }
        let announcement = Announcement::Subscribed(self.session.client(), subscription.filter);
        context.announce(announcement);
        self.notify_subscribed(subscription, context);
        Ok(code)
    }

    /// SUBACK of MQTT 3.1 has no way to refuse.
    fn refused(&self, code: ReasonCode) -> Result<ReasonCode, CloseCause> {
        if self.version == Version::V31 {
            return Err(CloseCause::Protocol(Violation::SubscriptionRefused));
        }
        Ok(code)
    }

    pub(super) fn acknowledge_subscribe(
        &self,
        packet_id: PacketId,
        codes: &[ReasonCode],
        context: &mut Context<'_>,
    ) {
        let version = self.version;
        // What others publish from SUBACK on is to come.
        context.effects.crossing.awaits_filters |= context.broker.is_node();
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
        let asked = match check_filter(text, options) {
            Ok(asked) => asked,
            Err(reason) => {
                context.broker.counters().refused_subscriptions.add(1);
                return reason;
            }
        };
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

/// The filter, if it is one that the server accepts from those who may have it.
fn check_filter<'a>(text: &'a str, options: &BrokerOptions) -> Result<Asked<'a>, ReasonCode> {
    let asked = Asked::parse(text).ok_or(ReasonCode::TopicFilterInvalid)?;
    if !options.allows_topic(text, text.split('/')) {
        return Err(ReasonCode::TopicFilterInvalid);
    }
    check_available(asked, options).map_err(Violation::reason_code)?;
    Ok(asked)
}

/// The reason if it is an error that SUBACK may carry.
fn for_suback(reason: ReasonCode) -> ReasonCode {
    let codes = [reason];
    let encoded = SubAck::new(PacketId::MIN, &codes).encoded_len(Version::V5);
    if reason.is_error() && encoded.is_ok() {
        reason
    } else {
        ReasonCode::NotAuthorized
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
