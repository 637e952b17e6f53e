//! Retained messages on their way to a client that has just subscribed.
//!
//! A filter may match a million retained messages. They are not put into the outbox at once: each
//! time the outbox has run low the next few are looked up. The last place is remembered, and of the
//! messages no more than one look has found.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use mqtt_codec::QoS;
use topic_trie::TopicFilter;

use super::Connected;
use crate::Timestamp;
use crate::broker::Broker;
use crate::effects::Effects;
use crate::persistence::SubscriptionIds;
use crate::retained::RetainedSearch;
use crate::session::State;

/// Bytes in the outbox up to which more retained messages are added.
const OUTBOX_LOW_BYTES: usize = 64 << 10;

/// Steps of the retained messages' enumeration taken in one go.
const STEPS_MAX: usize = 64;

/// Subscriptions of a session whose retained messages are still to be sent, in their order.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    waiting: BTreeMap<u64, Replay>,
    /// Where each filter is in `waiting`.
    places: HashMap<Box<str>, u64>,
    next_place: u64,
}

#[derive(Debug)]
struct Replay {
    search: RetainedSearch,
    granted: QoS,
    subscription_ids: SubscriptionIds,
}

impl Replays {
    pub(crate) fn push(&mut self, filter: TopicFilter<'_>, granted: QoS, ids: SubscriptionIds) {
        self.insert(Replay {
            search: RetainedSearch::new(filter),
            granted,
            subscription_ids: ids,
        });
    }

    /// Appends those that were added meanwhile.
    pub(crate) fn append(&mut self, later: Self) {
        for replay in later.waiting.into_values() {
            self.insert(replay);
        }
    }

    /// The filter was unsubscribed: what has not been sent is not sent any more.
    pub(crate) fn remove(&mut self, filter: TopicFilter<'_>) {
        if let Some(place) = self.places.remove(filter.as_str()) {
            self.waiting.remove(&place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn insert(&mut self, replay: Replay) {
        // At most one for a filter: a second SUBSCRIBE begins anew.
        let filter = replay.search.filter();
        self.remove(filter);
        self.places.insert(filter.as_str().into(), self.next_place);
        self.waiting.insert(self.next_place, replay);
        self.next_place += 1;
    }

    fn pop_front(&mut self) {
        if let Some((_, replay)) = self.waiting.pop_first() {
            self.places.remove(replay.search.filter().as_str());
        }
    }
}

impl Connected {
    /// Adds retained messages to the session until it has enough to send for now. What is still to
    /// be sent stays with the session, and goes on with its next connection.
    pub(super) fn replay(
        &self,
        mut replays: Box<Replays>,
        broker: &Arc<Broker>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let mut steps = 0;
        while self.may_replay(broker)
            && let Some(mut first) = replays.waiting.first_entry()
        {
            let replay = first.get_mut();
            if let Some(message) = replay.search.take() {
                let ids = &replay.subscription_ids;
                broker.deliver_retained(&self.session, &message, replay.granted, ids, now, effects);
            } else if replay.search.is_over() {
                replays.pop_front();
            } else if steps < STEPS_MAX {
                steps += 1;
                replay.search.step(&broker.retained, now);
            } else {
                break;
            }
        }
        if !replays.is_empty() {
            self.session.state().keep_replays(replays);
        }
    }

    fn may_replay(&self, broker: &Broker) -> bool {
        let state = self.session.state();
        state.is_current(self.epoch) && has_room_for_replay(&state, broker)
    }
}

/// Whether more retained messages may be added to what the client is to be sent.
pub(super) fn has_room_for_replay(state: &State, broker: &Broker) -> bool {
    state.outbox_bytes() < OUTBOX_LOW_BYTES
        && state.outgoing.len() < state.window(broker.options().max_inflight)
}
