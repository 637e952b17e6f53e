//! What must hold whenever no call is under way: looked at by tests and by the fuzz target.

use std::sync::Arc;

use super::{Asked, Broker};
use crate::session::{Session, State};

impl Broker {
    /// Checks what must hold whenever no call is under way. For tests and the fuzz target.
    ///
    /// # Panics
    /// When it does not hold.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        let mut filters = 0;
        let mut deadlines = 0;
        let mut counted = (0, 0);
        let mut sessions = Vec::new();
        self.sessions
            .for_each(|session| sessions.push(Arc::clone(session)));
        for session in &sessions {
            let state = session.state();
            self.check_session(session, &state);
            filters += state.filters.len();
            let (messages, bytes) = state.counted();
            counted = (counted.0 + messages, counted.1 + bytes);
            deadlines += usize::from(session.deadline().is_set());
        }
        assert_eq!(
            filters,
            self.sizes().subscriptions,
            "the router knows no one else"
        );
        assert_eq!(
            deadlines,
            self.deadlines.len(),
            "every deadline is a session's"
        );
        assert_eq!(
            counted,
            self.totals().queued(),
            "the total is the sum of what sessions have"
        );
        let groups = self.groups.all();
        for group in &groups {
            assert!(group.len() > 0, "a group has members");
        }
        let memberships = groups.iter().map(|group| group.len()).sum::<usize>();
        assert_eq!(
            memberships,
            self.groups.memberships(),
            "members are counted right"
        );
    }

    fn check_session(&self, session: &Arc<Session>, state: &State) {
        assert!(!state.ended, "what has ended is not in the registry");
        let (held, counted) = (state.held(), state.counted());
        assert_eq!(
            counted,
            (held.messages / 16 * 16, held.bytes / 4_096 * 4_096),
            "what it has is counted"
        );
        state.outgoing.check(usize::from(self.options.max_inflight));
        assert_eq!(
            session.owed() as usize,
            state.outgoing.len(),
            "groups know what it is owed"
        );
        assert_eq!(
            session.is_connected(),
            state.link.is_some(),
            "groups may read whether it is connected"
        );
        if let Some(link) = &state.link {
            // PUBREL needs no quota, and there may be more of them from earlier connections.
            let unacknowledged = state.outgoing.unacknowledged_messages();
            assert!(
                unacknowledged <= usize::from(link.receive_maximum),
                "receive maximum"
            );
            assert!(
                !link.asleep || state.outbox.is_empty(),
                "nobody sleeps on output"
            );
        } else {
            assert!(
                session.is_durable(),
                "only a durable session is without a connection"
            );
            assert!(state.outbox.is_empty(), "nothing is written to nobody");
        }
        assert_eq!(
            state.will.is_some(),
            state.has_stored_will,
            "the store knows each will"
        );
        assert!(
            state.has_shared || !state.outgoing.has_shared(),
            "what is shared is noticed"
        );
        let own = state.filters.own().all(|id| {
            let filter = self.subscriptions.filter(id);
            filter.is_some_and(|filter| self.is_routed(session, filter.as_str()))
        });
        let shared = |text| self.is_routed(session, text);
        assert!(
            own && state.filters.shared().all(shared),
            "what a session subscribed to is routed to it"
        );
    }

    fn is_routed(&self, session: &Session, text: &str) -> bool {
        match Asked::parse(text) {
            None => false,
            Some(Asked::Own(filter)) => {
                let subscriber = session.id().into();
                self.subscriptions.get(filter, &subscriber).is_some()
            }
            Some(Asked::Shared(shared)) => {
                let group = self
                    .groups
                    .all()
                    .into_iter()
                    .find(|it| **it.text() == *text);
                group.is_some_and(|group| {
                    group.knows(session.id()) == Some(session.is_connected())
                        && self
                            .subscriptions
                            .get(shared.filter(), &group.id())
                            .is_some()
                })
            }
        }
    }
}
