//! From a topic name to the sessions that receive the message, and into each of them.
//!
//! Receivers are gathered first, with the router's locks held only meanwhile; then each session is
//! handed the message under its own lock.

use std::sync::Arc;

use mqtt_codec::QoS;
use topic_trie::{TopicError, TopicName};

use super::{Broker, Forwarded};
use crate::effects::{Effects, Scratch};
use crate::own_topics::is_of_the_broker;
use crate::persistence::{SessionKey, SubscriptionIds};
use crate::publication::{Frames, Publication};
use crate::session::{DeliveryEffects, Session, SessionId, Terms};
use crate::subscription::{Receiver, Receivers, SubscriberId, Subscription, join_overlapping};
use crate::{Message, Timestamp};

impl Broker {
    /// Gathers the sessions that receive what `publisher` publishes to `topic`, each once, and the
    /// groups of which a member does. What a session has of its own and what it shares are apart.
    pub(crate) fn receivers(
        &self,
        topic: TopicName<'_>,
        publisher: Option<SessionId>,
        receivers: &mut Receivers,
    ) {
        receivers.clear();
        let publisher = publisher.map(SubscriberId::from);
        self.subscriptions
            .matches(topic, |subscriber, subscription| match subscription {
                Subscription::Own { session, options } => {
                    if !(options.no_local && publisher == Some(*subscriber)) {
                        receivers.sessions.push(Receiver::new(session, options));
                    }
                }
                Subscription::Shared(group) => receivers.groups.push(Arc::clone(group)),
                Subscription::Program(inbox) => receivers.programs.push(Arc::clone(inbox)),
            });
        join_overlapping(&mut receivers.sessions);
        if receivers.programs.len() > 1 {
            let programs = &mut receivers.programs;
            programs.sort_unstable_by_key(|inbox| Arc::as_ptr(inbox).addr());
            programs.dedup_by(|a, b| Arc::ptr_eq(a, b));
        }
    }

    /// Hands a message to each of its receivers. Who cannot take it loses it alone.
    pub(crate) fn deliver_to(
        &self,
        receivers: &Receivers,
        publication: &mut Publication<'_>,
        now: Timestamp,
        effects: &mut DeliveryEffects<'_>,
    ) {
        let rules = self.rules(now);
        publication.note_receivers(receivers.len());
        publication.limit_queueing(rules.options.queued_message_expiry_secs);
        for receiver in &receivers.sessions {
            let terms = Terms {
                qos: receiver.qos.min(publication.parts().qos),
                retain: publication.parts().retain && receiver.retain_as_published,
                subscription_ids: &receiver.subscription_ids,
                share: None,
            };
            let delivered = receiver
                .session
                .deliver(publication, &terms, rules, effects);
            if let Err(refused) = delivered
                && !publication.is_own()
            {
                rules.counters.count_refused(refused);
            }
        }
        for group in &receivers.groups {
            self.deliver_to_group(group, publication, rules, effects);
        }
        if !receivers.programs.is_empty() {
            self.deliver_to_programs(&receivers.programs, publication, effects.wakes);
        }
    }

    /// Publishes a message that is kept already: a will of `publisher`'s, or one of the broker's
    /// own.
    pub(super) fn publish_kept(
        self: &Arc<Self>,
        now: Timestamp,
        message: &Arc<Message>,
        publisher: Option<&SessionKey>,
        effects: &mut Effects,
    ) -> Result<(), TopicError> {
        let topic = TopicName::new(message.topic())?;
        self.counters.own_publishes.add(1);
        let mut retained_at = 0;
        if message.retain() && self.options.retain_available {
            let (batch, releases) = (&mut effects.batch, &mut effects.ticket.releases);
            (_, retained_at) = self.retain(topic, message, now, batch, releases);
        }
        let session = publisher.map(|key| SessionId(key.incarnation));
        self.hand_out(topic, session, now, effects, |frames| {
            Publication::of(message, frames, now)
        });
        if self.is_node() {
            let forwarded = Forwarded {
                message: Arc::clone(message),
                publisher: publisher.map(|key| &key.client),
                retained_at,
            };
            self.forward(topic, forwarded, now, &mut effects.crossing);
        }
        self.notify_published(message.parts(), effects);
        Ok(())
    }

    /// Finds the receivers of a message that no connection publishes, and hands it to them. True if there
    /// are any.
    pub(super) fn hand_out<'a>(
        &self,
        topic: TopicName<'_>,
        publisher: Option<SessionId>,
        now: Timestamp,
        effects: &'a mut Effects,
        make: impl FnOnce(&'a mut Frames) -> Publication<'a>,
    ) -> bool {
        let (scratch, mut rest) = effects.split();
        let mut receivers = core::mem::take(scratch.receivers);
        self.receivers(topic, publisher, &mut receivers);
        let mut publication = make(scratch.frames);
        self.deliver_to(&receivers, &mut publication, now, &mut rest);
        let found = !receivers.is_empty();
        receivers.clear();
        *scratch.receivers = receivers;
        found
    }

    /// Hands a retained message to a session that has just subscribed.
    pub(crate) fn deliver_retained(
        &self,
        session: &Arc<Session>,
        message: &Arc<Message>,
        granted: QoS,
        subscription_ids: &SubscriptionIds,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let (scratch, mut rest) = effects.split();
        let mut publication = match TopicName::new(message.topic()) {
            Ok(topic) if is_of_the_broker(topic) => {
                Publication::own(message.parts(), scratch.frames, now)
            }
            _ => Publication::of(message, scratch.frames, now),
        };
        publication.note_receivers(1);
        publication.limit_queueing(self.options.queued_message_expiry_secs);
        let terms = Terms {
            qos: granted.min(message.qos()),
            retain: true,
            subscription_ids,
            share: None,
        };
        let rules = self.rules(now);
        if let Err(refused) = session.deliver(&mut publication, &terms, rules, &mut rest)
            && !publication.is_own()
        {
            rules.counters.count_refused(refused);
        }
    }
}

/// The parts of the scratch memory that routing uses while deliveries use the rest.
pub(crate) struct RouteScratch<'a> {
    pub(crate) receivers: &'a mut Receivers,
    pub(crate) frames: &'a mut Frames,
}

impl Effects {
    /// Splits the effects into what routing reads and what deliveries write.
    pub(crate) fn split(&mut self) -> (RouteScratch<'_>, DeliveryEffects<'_>) {
        let Self {
            batch,
            ticket,
            wakes,
            scratch,
            loose: _,
            uncommitted: _,
            crossing: _,
            traffic,
            lane: _,
        } = self;
        let Scratch {
            receivers,
            frames,
            outboxes,
        } = scratch;
        (
            RouteScratch { receivers, frames },
            DeliveryEffects {
                batch,
                releases: &mut ticket.releases,
                wakes,
                outboxes,
                sent: &mut traffic.sent,
            },
        )
    }
}
