//! What a session asked for with one topic filter, and who receives a message in consequence.

use std::sync::Arc;

use mqtt_codec::QoS;

use crate::persistence::SubscriptionIds;
use crate::program::MessageInbox;
use crate::session::{Session, SessionId};
use crate::share::Group;

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

impl SubscriptionOptions {
    /// The identifier as a delivery carries it.
    pub(crate) fn subscription_ids(&self) -> SubscriptionIds {
        match self.identifier {
            0 => SubscriptionIds::None,
            id => SubscriptionIds::One(id),
        }
    }
}

/// Who subscribes, as the router knows it: a session, a group that shares a filter, or the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriberId(u64);

/// Set in the numbers of groups. Sessions are counted from 1 and do not get there.
const GROUP: u64 = 1 << 63;

/// Set in the numbers of the program's subscriptions.
const PROGRAM: u64 = 1 << 62;

impl SubscriberId {
    /// The group with this number.
    pub(crate) fn group(number: u64) -> Self {
        Self(number | GROUP)
    }

    /// The subscription of the program with this number.
    pub(crate) fn program(number: u64) -> Self {
        Self(number | PROGRAM)
    }
}

impl From<SessionId> for SubscriberId {
    fn from(session: SessionId) -> Self {
        Self(session.0 & !(GROUP | PROGRAM))
    }
}

/// A subscription as the router keeps it.
#[derive(Clone, Debug)]
pub(crate) enum Subscription {
    /// A session's own.
    Own {
        session: Arc<Session>,
        options: SubscriptionOptions,
    },
    /// One that a group shares.
    Shared(Arc<Group>),
    /// One of the program around the broker.
    Program(Arc<MessageInbox>),
}

/// Who receives a message: each of the sessions, one member of each of the groups, and the program once
/// for each of its subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    pub(crate) sessions: Vec<Receiver>,
    pub(crate) groups: Vec<Arc<Group>>,
    pub(crate) programs: Vec<Arc<MessageInbox>>,
}

impl Receivers {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len() + self.groups.len() + self.programs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.groups.is_empty() && self.programs.is_empty()
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.sessions.clear();
        self.groups.clear();
        self.programs.clear();
    }

    /// Takes all out, into as much memory as they need.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            sessions: self.sessions.drain(..).collect(),
            groups: self.groups.drain(..).collect(),
            programs: self.programs.drain(..).collect(),
        }
    }
}

/// One session that receives a message, however many of its filters match.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) session: Arc<Session>,
    /// The highest quality of service among the matching subscriptions [MQTT-3.3.4-2].
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_ids: SubscriptionIds,
}

impl Receiver {
    pub(crate) fn new(session: &Arc<Session>, options: &SubscriptionOptions) -> Self {
        Self {
            session: Arc::clone(session),
            qos: options.qos,
            retain_as_published: options.retain_as_published,
            subscription_ids: options.subscription_ids(),
        }
    }

    /// Joins all that are the same session: one copy at the highest QoS, with all subscription
    /// identifiers [MQTT-3.3.4-4].
    fn join(&mut self, others: &[Self]) {
        let all = || core::iter::once(&*self).chain(others);
        let count = all().map(|receiver| receiver.subscription_ids.as_slice().len());
        let mut ids = Vec::with_capacity(count.sum());
        for receiver in all() {
            ids.extend_from_slice(receiver.subscription_ids.as_slice());
        }
        self.subscription_ids = ids.into();
        for other in others {
            self.qos = self.qos.max(other.qos);
            self.retain_as_published |= other.retain_as_published;
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
    for same in receivers.chunk_by_mut(|a, b| a.session.id() == b.session.id()) {
        if let [first, others @ ..] = same
            && !others.is_empty()
        {
            first.join(others);
        }
    }
    receivers.dedup_by_key(|receiver| receiver.session.id());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(session: u64, qos: QoS, identifier: u32) -> Receiver {
        let session = Session::new(
            SessionId(session),
            "client".into(),
            0,
            false,
            &Arc::default(),
        );
        let options = SubscriptionOptions {
            qos,
            no_local: false,
            retain_as_published: identifier == 3,
            identifier,
        };
        Receiver::new(&session, &options)
    }

    /// Paid for every subscription.
    #[test]
    fn a_subscription_is_small() {
        assert_eq!(
            (size_of::<SubscriberId>(), size_of::<Subscription>()),
            (8, 16)
        );
    }

    fn joined(subscriptions: &[(u64, QoS, u32)]) -> Vec<(u64, QoS, bool, Vec<u32>)> {
        let mut receivers: Vec<Receiver> = subscriptions
            .iter()
            .map(|(session, qos, id)| receiver(*session, *qos, *id))
            .collect();
        join_overlapping(&mut receivers);
        receivers
            .iter()
            .map(|receiver| {
                let mut ids = receiver.subscription_ids.as_slice().to_vec();
                ids.sort_unstable();
                (
                    receiver.session.id().0,
                    receiver.qos,
                    receiver.retain_as_published,
                    ids,
                )
            })
            .collect()
    }

    #[test]
    fn each_session_is_left_once_with_the_highest_qos_and_all_identifiers() {
        use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
        let found = joined(&[
            (7, AtMostOnce, 1),
            (2, AtLeastOnce, 0),
            (7, ExactlyOnce, 3),
            (9, AtMostOnce, 0),
            (7, AtLeastOnce, 1),
            (2, AtMostOnce, 5),
        ]);
        assert_eq!(
            found,
            [
                (2, AtLeastOnce, false, vec![5]),
                (7, ExactlyOnce, true, vec![1, 1, 3]),
                (9, AtMostOnce, false, vec![]),
            ]
        );
    }

    /// Each identifier is copied once, not once more for each that follows.
    #[test]
    fn ten_thousand_filters_of_one_session_leave_one_receiver_with_all_identifiers() {
        let mut receivers: Vec<Receiver> = (1..=10_000)
            .map(|id| receiver(7, QoS::AtMostOnce, id))
            .collect();
        join_overlapping(&mut receivers);
        let [only] = &*receivers else {
            panic!("one receiver");
        };
        let ids: Vec<u32> = (1..=10_000).collect();
        assert_eq!(only.subscription_ids.as_slice(), ids);
    }

    #[test]
    fn nothing_changes_where_nothing_overlaps() {
        use QoS::AtMostOnce;
        let found = joined(&[(1, AtMostOnce, 0), (2, AtMostOnce, 4), (5, AtMostOnce, 0)]);
        assert_eq!(found.len(), 3);
        assert_eq!(joined(&[]), []);
    }
}
