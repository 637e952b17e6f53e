//! What must hold whenever no call is under way: looked at by tests and by the fuzz target.

use std::sync::Arc;

use topic_trie::TopicFilter;

use super::Broker;
use crate::Timestamp;

impl Broker {
    /// Checks what must hold whenever no call is under way. For tests and the fuzz target.
    ///
    /// # Panics
    /// When it does not hold.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        let mut filters = 0;
        let mut deadlines = 0;
        let sessions: Vec<_> = self
            .sessions
            .iter()
            .map(|session| Arc::clone(session.value()))
            .collect();
        for session in &sessions {
            let state = session.state();
            assert!(!state.ended, "what has ended is not in the registry");
            state.outgoing.check(usize::from(self.options.max_inflight));
            if let Some(link) = &state.link {
                let unacknowledged = state.outgoing.unacknowledged();
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
            filters += state.filters.len();
            deadlines += usize::from(state.deadline != Timestamp::MAX);
            for filter in &state.filters {
                let routed = TopicFilter::new(filter)
                    .is_ok_and(|filter| self.subscriptions.get(filter, &session.id()).is_some());
                assert!(routed, "what a session subscribed to is routed to it");
            }
        }
        assert_eq!(
            filters,
            self.subscriptions.len(),
            "the router knows no one else"
        );
        assert_eq!(
            deadlines,
            self.deadlines.len(),
            "every deadline is a session's"
        );
    }
}
