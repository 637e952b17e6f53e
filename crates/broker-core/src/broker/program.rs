//! Subscriptions of the program around the broker, in the router and beside it.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Waker;

use hashbrown::HashMap;
use parking_lot::Mutex;
use topic_trie::TopicFilter;

use super::Broker;
use crate::inbox::NotPut;
use crate::program::MessageInbox;
use crate::publication::Publication;
use crate::subscription::{SubscriberId, Subscription};

/// All subscriptions of the program.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    next: AtomicU64,
    /// Their topic filters in the router.
    filters: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    inboxes: HashMap<SubscriberId, Arc<MessageInbox>>,
    /// Whether there are to be no more of them.
    is_over: bool,
}

impl Programs {
    /// Topic filters of all of them.
    pub(crate) fn filters(&self) -> usize {
        self.filters.load(Ordering::Relaxed)
    }
}

impl Broker {
    /// Ends all [subscriptions](Self::subscribe_program) and [events](Self::watch) of the program: each
    /// still gives out what waits, and then says that it is over. Those that are made later are over at once.
    pub fn end_program(&self) {
        self.watchers.end();
        let mut open = self.programs.open.lock();
        open.is_over = true;
        let inboxes = core::mem::take(&mut open.inboxes);
        drop(open);
        for inbox in inboxes.into_values() {
            inbox.close();
        }
    }

    /// A subscription begins.
    pub(crate) fn admit_program(&self, inbox: &Arc<MessageInbox>) -> SubscriberId {
        let programs = &self.programs;
        let subscriber = SubscriberId::program(programs.next.fetch_add(1, Ordering::Relaxed));
        let mut open = programs.open.lock();
        if open.is_over {
            drop(open);
            inbox.close();
        } else {
            open.inboxes.insert(subscriber, Arc::clone(inbox));
        }
        subscriber
    }

    /// A subscription is over, and its filters are not in the router any more.
    pub(crate) fn dismiss_program(&self, subscriber: SubscriberId) {
        self.programs.open.lock().inboxes.remove(&subscriber);
    }

    pub(crate) fn route_to_program(
        &self,
        filter: TopicFilter<'_>,
        subscriber: SubscriberId,
        inbox: &Arc<MessageInbox>,
    ) {
        let subscription = Subscription::Program(Arc::clone(inbox));
        self.subscriptions.insert(filter, subscriber, subscription);
        self.need_filter(filter);
        self.programs.filters.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stop_routing_to_program(
        &self,
        filter: TopicFilter<'_>,
        subscriber: SubscriberId,
    ) {
        if self.subscriptions.remove(filter, &subscriber).is_some() {
            self.programs.filters.fetch_sub(1, Ordering::Relaxed);
            self.need_filter_no_more(filter);
        }
    }

    /// Hands a message to subscriptions of the program. It is not held back by a commit: who takes it is
    /// in the same process, and would not outlive it either.
    #[inline(never)]
    pub(super) fn deliver_to_programs(
        &self,
        inboxes: &[Arc<MessageInbox>],
        publication: &mut Publication<'_>,
        wakes: &mut Vec<Waker>,
    ) {
        let message = publication.original();
        for inbox in inboxes {
            match inbox.put(Arc::clone(&message)) {
                Ok(waker) => wakes.extend(waker),
                Err(NotPut::Full) => self.counters.dropped_program.add(1),
                Err(NotPut::Closed) => {}
            }
        }
    }
}
