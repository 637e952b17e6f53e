//! What a session asked for with one topic filter, and who receives a message in consequence.

use std::sync::Arc;

use mqtt_codec::QoS;

use crate::persistence::SubscriptionIds;
use crate::session::{Session, SessionId};

/// What was granted to a subscription (MQTT 5.0 3.8.3.1; 3.x subscriptions have only the QoS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// The quality of service granted: messages are delivered at most at this.
    pub qos: QoS,
    /// Whether messages that the session itself published are left out.
    pub no_local: bool,
    /// Whether the retain flag is passed on as the publisher set it.
    pub retain_as_published: bool,
    /// The subscription identifier, 1 to 268,435,455; 0 where there is none.
    pub identifier: u32,
}

/// A subscription as the router keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) session: Arc<Session>,
    pub(crate) options: SubscriptionOptions,
}

/// One session that receives a message, however many of its filters match.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) session: Arc<Session>,
    /// The highest quality of service among the matching subscriptions [MQTT-3.3.5-1].
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_ids: SubscriptionIds,
}

impl Receiver {
    pub(crate) fn new(subscription: &Subscription) -> Self {
        let mut ids = SubscriptionIds::None;
        if subscription.options.identifier != 0 {
            ids.add(subscription.options.identifier);
        }
        Self {
            session: Arc::clone(&subscription.session),
            qos: subscription.options.qos,
            retain_as_published: subscription.options.retain_as_published,
            subscription_ids: ids,
        }
    }

    /// Joins two receivers that are the same session: one copy at the highest QoS, with all
    /// subscription identifiers [MQTT-3.3.4-4].
    fn join(&mut self, other: Self) {
        self.qos = self.qos.max(other.qos);
        self.retain_as_published |= other.retain_as_published;
        for id in other.subscription_ids.as_slice() {
            self.subscription_ids.add(*id);
        }
    }
}

/// Leaves one receiver per session.
pub(crate) fn join_overlapping(receivers: &mut Vec<Receiver>) {
    let ordered = receivers.windows(2).all(|pair| match pair {
        [a, b] => a.session.id() < b.session.id(),
        _ => true,
    });
    if ordered {
        return;
    }
    receivers.sort_by_key(|receiver| receiver.session.id());
    let mut joined: Vec<Receiver> = Vec::with_capacity(receivers.len());
    let mut last: Option<SessionId> = None;
    for receiver in receivers.drain(..) {
        let id = receiver.session.id();
        match joined.last_mut() {
            Some(previous) if last == Some(id) => previous.join(receiver),
            _ => joined.push(receiver),
        }
        last = Some(id);
    }
    *receivers = joined;
}
