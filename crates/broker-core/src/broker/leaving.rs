//! Sessions that have ended leave the router in steps: all other clients wait for the thread that takes
//! thousands of filters out of it.
//!
//! To everybody else such a session has gone. It is not in the registry, takes no message, and has a
//! number that no other session gets: its client may be back, and subscribe to the same filters, before
//! the old ones have left.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Broker;
use crate::Timestamp;
use crate::effects::Effects;
use crate::own_topics::Announcement;
use crate::session::{Filters, Held, HeldIter, Session};

/// Filters that leave with their session at once. Most clients have no more.
const AT_ONCE: usize = 16;

/// Filters that leave in one step.
const STEP: usize = 128;

/// Filters that may be about to leave; sessions that end beyond that leave at once, however many they
/// have. So those who end sessions cannot run ahead of the steps for ever.
const FILTERS_MAX: usize = 1_000_000;

/// The sessions that have ended and are not out of the router yet.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    sessions: Mutex<VecDeque<Leaver>>,
    filters: AtomicUsize,
}

#[derive(Debug)]
struct Leaver {
    session: Arc<Session>,
    filters: HeldIter,
}

impl Leaving {
    /// Filters that are still in the router.
    pub(super) fn filters(&self) -> usize {
        self.filters.load(Ordering::Relaxed)
    }
}

impl Broker {
    /// Takes the filters of a session that has ended out of the router: few of them at once, others
    /// by [`let_leave`](Self::let_leave).
    pub(super) fn begin_to_leave(
        &self,
        session: &Arc<Session>,
        filters: Filters,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let mut filters = filters.into_iter();
        for held in filters.by_ref().take(AT_ONCE) {
            self.leave(session, held, now, effects);
        }
        let left = filters.len();
        if left == 0 {
            return;
        }
        if self.leaving.filters.fetch_add(left, Ordering::Relaxed) + left > FILTERS_MAX {
            self.leaving.filters.fetch_sub(left, Ordering::Relaxed);
            for held in filters {
                self.leave(session, held, now, effects);
            }
            return;
        }
        self.leaving.sessions.lock().push_back(Leaver {
            session: Arc::clone(session),
            filters,
        });
    }

    /// One step. True if there is more to do.
    pub(super) fn let_leave(&self, now: Timestamp, effects: &mut Effects) -> bool {
        let mut room = STEP;
        while room > 0 {
            // With the lock given back meanwhile: whoever ends a session does not wait for us.
            let Some(mut leaver) = self.leaving.sessions.lock().pop_front() else {
                return false;
            };
            let mut left = 0;
            for held in leaver.filters.by_ref().take(room) {
                self.leave(&leaver.session, held, now, effects);
                left += 1;
            }
            self.leaving.filters.fetch_sub(left, Ordering::Relaxed);
            room -= left;
            if leaver.filters.len() > 0 {
                self.leaving.sessions.lock().push_front(leaver);
            }
        }
        self.leaving.filters() > 0
    }

    fn leave(&self, session: &Session, held: Held, now: Timestamp, effects: &mut Effects) {
        let left = match held {
            Held::Own(id) => {
                // Read as long as it is there, and not at all where nobody listens.
                let tells = self.tells_of_unsubscribed();
                let filter = (tells || self.is_node()).then(|| self.subscriptions.filter(id));
                let filter = filter.flatten();
                self.subscriptions.remove_by_id(id, &session.id().into());
                if let Some(filter) = &filter {
                    self.need_filter_no_more(filter.as_filter());
                }
                filter
                    .filter(|_| tells)
                    .map(|filter| filter.as_str().into())
            }
            Held::Shared(text) => {
                self.leave_group(session, &text);
                Some(text)
            }
        };
        if let Some(filter) = left {
            let announcement = Announcement::Unsubscribed(session.client(), &filter);
            self.announce(announcement, now, effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::QoS;

    use super::*;
    use crate::BrokerOptions;
    use crate::broker::Asked;
    use crate::session::SessionId;
    use crate::subscription::SubscriptionOptions;

    const OPTIONS: SubscriptionOptions = SubscriptionOptions {
        qos: QoS::AtMostOnce,
        no_local: false,
        retain_as_published: false,
        identifier: 0,
    };

    #[test]
    fn where_too_many_filters_leave_already_those_of_the_next_session_leave_at_once() {
        let broker = Broker::new(BrokerOptions::default());
        for (others, waiting) in [(0, 100 - AT_ONCE), (FILTERS_MAX, 0)] {
            let session = Session::new(SessionId(1), "client".into(), 0, false, &Arc::default());
            let mut filters = Filters::default();
            for number in 0..100 {
                let text = format!("filter/{number}");
                let asked = Asked::parse(&text).unwrap();
                broker.route_to(&session, &mut filters, &text, asked, OPTIONS, 100);
            }
            broker.leaving.filters.store(others, Ordering::Relaxed);
            let (now, effects) = (Timestamp::default(), &mut Effects::new());
            broker.begin_to_leave(&session, filters, now, effects);
            assert_eq!(broker.subscriptions.len(), waiting);
            assert_eq!(broker.leaving.filters(), others + waiting);
            while broker.let_leave(now, effects) && broker.leaving.filters() > others {}
            assert_eq!(broker.subscriptions.len(), 0);
        }
    }
}
