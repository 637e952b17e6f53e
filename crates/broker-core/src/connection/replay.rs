//! Retained messages on their way to a client that has just subscribed.
//!
//! A filter may match a million retained messages. They are not put into the outbox at once: each
//! time the outbox has run low the next few are looked up. The last place is remembered, and of the
//! messages no more than one look has found.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::QoS;
use topic_trie::{Cursor, Progress, TopicFilter, TopicFilterBuf};

use super::Connected;
use crate::broker::Broker;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::persistence::SubscriptionIds;
use crate::{Message, Timestamp};

/// Bytes in the outbox up to which more retained messages are added.
const OUTBOX_LOW_BYTES: usize = 64 << 10;

/// Steps of the retained messages' enumeration taken in one go.
const STEPS_MAX: usize = 64;

/// Subscriptions whose retained messages are still to be sent, in the order of the subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    waiting: VecDeque<Replay>,
}

#[derive(Debug)]
struct Replay {
    filter: TopicFilterBuf,
    cursor: Cursor,
    /// Found and not yet added.
    found: VecDeque<Arc<Message>>,
    /// Whether there is nothing more to be found.
    searched: bool,
    granted: QoS,
    subscription_ids: SubscriptionIds,
}

impl Replays {
    pub(crate) fn push(&mut self, filter: TopicFilter<'_>, granted: QoS, ids: SubscriptionIds) {
        // At most one for a filter: a second SUBSCRIBE begins anew.
        self.remove(filter);
        self.waiting.push_back(Replay {
            filter: filter.to_buf(),
            cursor: Cursor::new(),
            found: VecDeque::new(),
            searched: false,
            granted,
            subscription_ids: ids,
        });
    }

    /// Whether there may be more to send.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The filter was unsubscribed: what has not been sent is not sent any more.
    pub(crate) fn remove(&mut self, filter: TopicFilter<'_>) {
        if !self.waiting.is_empty() {
            self.waiting
                .retain(|replay| replay.filter.as_str() != filter.as_str());
        }
    }
}

impl Connected {
    /// Adds retained messages to the session until it has enough to send for now.
    pub(super) fn replay(
        &mut self,
        broker: &Arc<Broker>,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), CloseCause> {
        let mut steps = 0;
        while self.has_room_for_replay(broker)?
            && let Some(replay) = self.replays.waiting.front_mut()
        {
            if let Some(message) = replay.found.pop_front() {
                let ids = &replay.subscription_ids;
                broker.deliver_retained(&self.session, &message, replay.granted, ids, now, effects);
            } else if replay.searched {
                self.replays.waiting.pop_front();
            } else if steps < STEPS_MAX {
                steps += 1;
                replay.search(broker, now);
            } else {
                break;
            }
        }
        if self.replays.waiting.is_empty() {
            self.replays.waiting = VecDeque::new();
        }
        Ok(())
    }

    /// Whether the session has so little to send that retained messages may be added.
    fn has_room_for_replay(&self, broker: &Broker) -> Result<bool, CloseCause> {
        let state = self.session.state();
        self.check_hold(&state)?;
        Ok(state.outbox.len() < OUTBOX_LOW_BYTES
            && state.outgoing.len() < state.window(broker.options().max_inflight))
    }
}

impl Replay {
    fn search(&mut self, broker: &Broker, now: Timestamp) {
        let filter = self.filter.as_filter();
        let progress = broker
            .retained
            .step(filter, &mut self.cursor, now, &mut self.found);
        self.searched = progress == Progress::Done;
    }
}
