//! The memory of what is under way to one client: none while there is nothing, and not much more than
//! the entries need while they are many.

use std::collections::VecDeque;

use super::{Entry, Outgoing};
use crate::persistence::SubscriptionIds;

/// With room for so many entries the sequence grows in smaller steps, and gives back what it does not
/// need.
const LARGE: usize = 4_096;

impl Entry {
    /// The subscription identifiers to be sent with it.
    pub(crate) fn subscription_ids(&self) -> &[u32] {
        let ids = self.subscription_ids.as_deref();
        ids.map_or(&[], SubscriptionIds::as_slice)
    }
}

/// Subscription identifiers as an entry keeps them.
pub(super) fn kept(ids: &SubscriptionIds) -> Option<Box<SubscriptionIds>> {
    match ids {
        SubscriptionIds::None => None,
        SubscriptionIds::One(_) | SubscriptionIds::Many(_) => Some(Box::new(ids.clone())),
    }
}

impl Outgoing {
    pub(super) fn append(&mut self, entry: Entry) {
        let entries = self.entries.len();
        if entries == self.entries.capacity() {
            // From one on: a list left to itself begins with room for four.
            let more = if entries < LARGE {
                entries
            } else {
                entries / 4
            };
            self.entries.reserve_exact(more.max(1));
        }
        self.entries.push_back(entry);
    }

    /// Gives memory back while a long queue becomes short.
    pub(super) fn give_back(&mut self) {
        let capacity = self.entries.capacity();
        if capacity > LARGE && self.entries.len() < capacity / 4 {
            self.entries.shrink_to(capacity / 2);
        }
    }

    /// Gives back memory that a burst left behind.
    pub(crate) fn shrink(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > 0 {
            self.entries = VecDeque::new();
        }
    }
}
