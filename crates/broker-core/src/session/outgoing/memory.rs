//! The memory of what is under way to one client: none while there is nothing, and not much more than
//! the entries need while they are many.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Entry, Outgoing};
use crate::Message;
use crate::persistence::SubscriptionIds;
use crate::publication::Publication;
use crate::totals::Held;

/// With room for so many entries the sequence grows in smaller steps, and gives back what it does not
/// need.
const LARGE: usize = 4_096;

/// What few messages have.
#[derive(Debug, Default)]
pub(super) struct Aside {
    subscription_ids: SubscriptionIds,
    /// What goes out in the message's place.
    pub(super) replacement: Option<Arc<Message>>,
}

impl Entry {
    /// The subscription identifiers to be sent with it.
    pub(crate) fn subscription_ids(&self) -> &[u32] {
        let aside = self.aside.as_deref();
        aside.map_or(&[], |aside| aside.subscription_ids.as_slice())
    }

    /// Takes the message out, which is not needed any more.
    #[inline]
    pub(super) fn take_message(&mut self) -> Option<Arc<Message>> {
        let message = self.message.take();
        if message.is_some() {
            self.aside = None;
        }
        message
    }
}

/// Subscription identifiers as an entry keeps them.
pub(super) fn kept(ids: &SubscriptionIds) -> Option<Box<Aside>> {
    match ids {
        SubscriptionIds::None => None,
        SubscriptionIds::One(_) | SubscriptionIds::Many(_) => Some(Box::new(Aside {
            subscription_ids: ids.clone(),
            replacement: None,
        })),
    }
}

impl Outgoing {
    /// Messages in memory, done ones included, and their bytes.
    #[inline]
    pub(crate) fn held(&self) -> Held {
        let (messages, bytes) = self.unsent();
        Held {
            messages: self.entries.len() + messages,
            bytes: self.bytes + bytes,
        }
    }

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

    /// Keeps the message that was appended last, if it is not kept already: somebody wants to know which
    /// it was when it is acknowledged.
    #[cold]
    pub(crate) fn keep_last(&mut self, publication: &mut Publication<'_>) {
        if let Some(last) = self.entries.back_mut()
            && last.message.is_none()
        {
            let message = publication.message();
            self.bytes += message.size_bytes();
            last.message = Some(message);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    /// The default of `max_total_queued_messages` counts on it.
    #[test]
    fn a_message_that_waits_takes_no_more_than_200_bytes_besides_what_it_carries() {
        let counters_of_arc = 16;
        let bytes = size_of::<Entry>() + counters_of_arc + size_of::<Message>();
        assert!(bytes <= 200, "{bytes} bytes");
    }
}
