//! Subscriptions of the program around the broker: topic filters whose messages it takes itself, without a
//! client, a session or a connection.
//!
//! In the router they stand beside those of sessions, with a number of their own, so a message finds them in
//! the same walk. What they receive is the message as it was published, shared with all others who keep it,
//! in an inbox that the program empties. There are no packets, no acknowledgements and no questions to
//! hooks.

use core::ops::Deref;
use core::task::{Context, Poll, ready};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use topic_trie::{TopicError, TopicFilter, TopicFilterBuf, TopicName};

use crate::broker::Broker;
use crate::inbox::{Inbox, InboxLimit, Item};
use crate::retained::RetainedSearch;
use crate::subscription::SubscriberId;
use crate::{Message, Timestamp};

/// Steps of the search for retained messages taken before others have their turn.
const STEPS_MAX: usize = 64;

/// What the program may say of a subscription of its own; see [`Broker::subscribe_program`].
///
/// ```
/// use broker_core::SubscribeOptions;
///
/// let with_state = SubscribeOptions { retained: true, ..SubscribeOptions::default() };
/// assert_eq!(with_state.max_messages, 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Whether the retained messages that match come first; default false. One that is replaced meanwhile
    /// may come twice.
    pub retained: bool,
    /// Messages that may wait until they are taken, at least 1; default 10,000. Further ones are dropped
    /// and counted ([`ProgramSubscription::missed`], and
    /// [`dropped_program`](crate::Counters::dropped_program) for all subscriptions). Retained messages are
    /// looked up when they are taken, and take no room.
    pub max_messages: usize,
    /// Bytes of their topics, properties and payloads; default 64 MiB. One message may wait however large
    /// it is.
    pub max_bytes: usize,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            retained: false,
            max_messages: 10_000,
            max_bytes: 64 << 20,
        }
    }
}

/// Why the program cannot subscribe to a topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It is none.
    #[error("not a topic filter: {0}")]
    Filter(#[from] TopicError),
    /// It begins with `$share/`: clients alone share subscriptions.
    #[error("the program takes no part in shared subscriptions")]
    Shared,
}

/// A message that the program has subscribed to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The message as it was published.
    pub message: Arc<Message>,
    /// Whether it was there before the subscription was: it is its topic's retained message.
    pub is_retained: bool,
}

impl Deref for Received {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// A subscription of the program; see [`Broker::subscribe_program`]. Dropping it ends it.
#[derive(Debug)]
pub struct ProgramSubscription {
    broker: Weak<Broker>,
    subscriber: SubscriberId,
    inbox: Arc<MessageInbox>,
    filters: Vec<TopicFilterBuf>,
    /// Of the filters whose retained messages are still to come.
    searches: VecDeque<RetainedSearch>,
    retained: bool,
}

/// What waits for a subscription of the program.
pub(crate) type MessageInbox = Inbox<Arc<Message>>;

impl Item for Arc<Message> {
    fn size_bytes(&self) -> usize {
        Message::size_bytes(self)
    }
}

impl Broker {
    /// Subscribes the program around the broker to topic filters. A message that matches several of them
    /// comes once, at the quality of service at which it was published. Messages in `$SYS` and others that
    /// begin with `$` come for filters that say so, as for clients (section 4.7.2). Hooks are not asked,
    /// and no limit on what clients subscribe to holds.
    ///
    /// What comes is to be taken with [`ProgramSubscription::poll_recv`]. Nobody waits for the program:
    /// see [`SubscribeOptions::max_messages`].
    ///
    /// # Errors
    /// If a topic filter is none, or that of a shared subscription.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use broker_core::{Broker, BrokerOptions, Effects, Message, SubscribeOptions, Timestamp};
    ///
    /// let broker = Broker::new(BrokerOptions::default());
    /// let options = SubscribeOptions::default();
    /// let mut readings = broker.subscribe_program(["plant/+/pressure", "plant/2/#"], options)?;
    ///
    /// let now = Timestamp::from_millis(1);
    /// let reading = Message::new(broker_core::MessageParts {
    ///     topic: "plant/2/pressure",
    ///     properties: &[],
    ///     payload: b"1013",
    ///     qos: mqtt_codec::QoS::AtMostOnce,
    ///     retain: false,
    ///     expires: Timestamp::MAX,
    /// });
    /// let mut effects = Effects::new();
    /// broker.publish(now, &reading, &mut effects)?;
    /// effects.wake();
    /// assert_eq!(readings.try_recv(now).unwrap().payload(), b"1013");
    /// assert!(readings.try_recv(now).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_program(
        self: &Arc<Self>,
        filters: impl IntoIterator<Item = impl AsRef<str>>,
        options: SubscribeOptions,
    ) -> Result<ProgramSubscription, SubscribeError> {
        let inbox = Arc::new(Inbox::new(InboxLimit {
            items: options.max_messages.max(1),
            bytes: options.max_bytes,
        }));
        let mut subscription = ProgramSubscription {
            broker: Arc::downgrade(self),
            subscriber: self.admit_program(&inbox),
            inbox,
            filters: Vec::new(),
            searches: VecDeque::new(),
            retained: options.retained,
        };
        for filter in filters {
            subscription.add(filter.as_ref())?;
        }
        Ok(subscription)
    }
}

impl ProgramSubscription {
    /// Subscribes to one more topic filter. Nothing happens if it is there already.
    ///
    /// # Errors
    /// Those of [`Broker::subscribe_program`].
    pub fn add(&mut self, filter: &str) -> Result<(), SubscribeError> {
        let parsed = TopicFilter::new(filter)?;
        if parsed.shared()?.is_some() {
            return Err(SubscribeError::Shared);
        }
        let Some(broker) = self.broker.upgrade().filter(|_| !self.has(parsed)) else {
            return Ok(());
        };
        self.filters.push(parsed.to_buf());
        broker.route_to_program(parsed, self.subscriber, &self.inbox);
        if self.retained && broker.retained.may_match(parsed) {
            self.searches.push_back(RetainedSearch::new(parsed));
        }
        Ok(())
    }

    /// Cancels one of the topic filters, and says whether it was there. Messages that have come for it
    /// are still to be taken.
    pub fn remove(&mut self, filter: &str) -> bool {
        let Some(at) = self.filters.iter().position(|held| held.as_str() == filter) else {
            return false;
        };
        let removed = self.filters.swap_remove(at);
        self.searches
            .retain(|search| search.filter() != removed.as_filter());
        if let Some(broker) = self.broker.upgrade() {
            broker.stop_routing_to_program(removed.as_filter(), self.subscriber);
        }
        true
    }

    /// Its topic filters.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.filters.iter().map(TopicFilterBuf::as_str)
    }

    /// Messages that it has missed because there was no room.
    pub fn missed(&self) -> u64 {
        self.inbox.missed()
    }

    /// The next message, if there is one at the moment.
    pub fn try_recv(&mut self, now: Timestamp) -> Option<Received> {
        loop {
            match self.take_retained(now) {
                Poll::Ready(Some(message)) => return Some(message),
                Poll::Ready(None) => return self.inbox.take().map(published),
                Poll::Pending => {}
            }
        }
    }

    /// Ready with the next message: retained ones first, where they are wanted, then others in the order
    /// in which they were published. Ready with `None` after the last one, when
    /// [`end_program`](Broker::end_program) was called.
    pub fn poll_recv(&mut self, now: Timestamp, task: &mut Context<'_>) -> Poll<Option<Received>> {
        match self.take_retained(now) {
            Poll::Ready(Some(message)) => Poll::Ready(Some(message)),
            Poll::Ready(None) => Poll::Ready(ready!(self.inbox.poll_take(task)).map(published)),
            Poll::Pending => {
                task.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// The next retained message; `None` if there are no more. Pending if more have to be looked for.
    fn take_retained(&mut self, now: Timestamp) -> Poll<Option<Received>> {
        let mut steps = 0;
        while let Some(search) = self.searches.front_mut() {
            if let Some(message) = search.take() {
                let own = search.filter();
                if !comes_before(&self.filters, own, &message) {
                    return Poll::Ready(Some(Received {
                        message,
                        is_retained: true,
                    }));
                }
            } else if search.is_over() {
                self.searches.pop_front();
            } else if steps == STEPS_MAX {
                return Poll::Pending;
            } else if let Some(broker) = self.broker.upgrade() {
                steps += 1;
                search.step(&broker.retained, now);
            } else {
                self.searches.clear();
            }
        }
        Poll::Ready(None)
    }

    fn has(&self, filter: TopicFilter<'_>) -> bool {
        self.filters.iter().any(|held| held.as_filter() == filter)
    }
}

impl Drop for ProgramSubscription {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.upgrade() {
            for filter in self.filters.drain(..) {
                broker.stop_routing_to_program(filter.as_filter(), self.subscriber);
            }
            broker.dismiss_program(self.subscriber);
        }
    }
}

/// Whether a retained message has come, or will, for another filter that is in front of this one.
fn comes_before(filters: &[TopicFilterBuf], own: TopicFilter<'_>, message: &Message) -> bool {
    let Ok(topic) = TopicName::new(message.topic()) else {
        return false;
    };
    let mut before = filters.iter().map(TopicFilterBuf::as_filter);
    before
        .by_ref()
        .take_while(|filter| *filter != own)
        .any(|filter| filter.matches(topic))
}

fn published(message: Arc<Message>) -> Received {
    Received {
        message,
        is_retained: false,
    }
}
