//! Retained messages: one per topic, kept for those who subscribe later
//! (sections 3.3.1.3 of both versions).

mod search;
mod unsettled;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use topic_trie::{Cursor, Progress, TopicFilter, TopicMap, TopicName};

use crate::counters::Counters;
use crate::effects::Release;
use crate::options::BrokerOptions;
use crate::own_topics::{asks_for_the_broker, is_of_the_broker};
use crate::persistence::{Batch, Operation};
use crate::{Message, MessageParts, Timestamp};
pub(crate) use search::RetainedSearch;
pub(crate) use unsettled::RetainedChange;
use unsettled::Unsettled;

/// Topics looked at in one go while the lock is held.
const STEP: usize = 256;

/// How often all are looked at to see whether they have expired. Until then one that has is there, but
/// not sent.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Topics looked at to see whether there is anything to be found.
const GLANCE: usize = 8;

/// All retained messages.
#[derive(Debug, Default)]
pub(crate) struct RetainedMessages {
    kept: RwLock<Kept>,
    expiry: Mutex<Expiry>,
}

/// How far the search for expired messages has come.
#[derive(Debug, Default)]
struct Expiry {
    /// When the next one begins.
    next: Timestamp,
    /// Of one that is under way, the last topic that it has looked at.
    checked: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Kept {
    topics: TopicMap<Arc<Message>>,
    /// Those on topics of the broker's own: in no store, and counted against no limit.
    own: TopicMap<Arc<Message>>,
    bytes: usize,
    /// How many of them expire.
    expiring: usize,
    /// What is not committed yet.
    unsettled: Unsettled,
}

/// What became of a message that was to be retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retained {
    /// It is the topic's retained message now, or, being empty, has removed the one there was.
    Yes,
    /// There are too many; counted.
    Refused,
}

impl RetainedMessages {
    /// Makes a message the retained one of its topic, or, if its payload is empty, removes the one
    /// there is [MQTT-3.3.1-6]. That is undone if the batch cannot be committed, by what is added to
    /// `releases`.
    pub(crate) fn put(
        self: &Arc<Self>,
        topic: TopicName<'_>,
        message: &Arc<Message>,
        options: &BrokerOptions,
        counters: &Counters,
        batch: &mut Batch,
        releases: &mut Vec<Release>,
    ) -> Retained {
        let mut kept = self.kept.write();
        let change = || {
            Release::Retained(RetainedChange {
                kept: Arc::clone(self),
                message: Arc::clone(message),
            })
        };
        if message.payload().is_empty() {
            let removed = kept.remove(topic);
            // If there is none because of another one whose commit is under way, and may fail.
            if removed.is_some() || kept.unsettled.has(topic.as_str()) {
                kept.unsettled.begin(message, removed);
                releases.push(change());
                batch.push(Operation::DropRetained {
                    topic: topic.as_str().into(),
                });
            }
            return Retained::Yes;
        }
        let replaced = kept.insert(Arc::clone(message));
        let messages = kept.topics.len();
        if messages > options.max_retained_messages || kept.bytes > options.max_retained_bytes {
            // It is as before. That is rare, and to ask first would be a search for each message.
            kept.remove(topic);
            replaced.map(|replaced| kept.insert(replaced));
            counters.refused_retained.add(1);
            return Retained::Refused;
        }
        kept.unsettled.begin(message, replaced);
        releases.push(change());
        // Under the lock, so that batches name the messages of one topic in the order in which
        // they replaced each other here.
        batch.push(Operation::PutRetained {
            message: Arc::clone(message),
        });
        Retained::Yes
    }

    /// Makes a message the retained one of a topic of the broker's own, or removes the one there is.
    pub(crate) fn put_own(&self, topic: TopicName<'_>, parts: MessageParts<'_>) {
        let message = (!parts.payload.is_empty()).then(|| Message::new(parts));
        let own = &mut self.kept.write().own;
        match message {
            Some(message) => drop(own.insert(message)),
            None => drop(own.remove(topic)),
        }
    }

    /// Puts back what a store kept. What is retained on topics of the broker's own it says anew.
    pub(crate) fn restore(&self, message: Arc<Message>) {
        if TopicName::new(message.topic()).is_ok_and(|topic| !is_of_the_broker(topic)) {
            self.kept.write().insert(message);
        }
    }

    /// Appends the next of the messages that match `filter` and have not expired to `found`.
    pub(crate) fn step(
        &self,
        filter: TopicFilter<'_>,
        cursor: &mut Cursor,
        now: Timestamp,
        found: &mut VecDeque<Arc<Message>>,
    ) -> Progress {
        let kept = self.kept.read();
        let topics = kept.topics_for(filter);
        if let Some(topic) = filter.as_name() {
            let message = topics.get(topic).filter(|message| message.expires() > now);
            found.extend(message.cloned());
            return Progress::Done;
        }
        topics.matches_from(filter, cursor, STEP, |message| {
            if message.expires() > now {
                found.push_back(Arc::clone(message));
            }
        })
    }

    /// Whether a search for `filter` may find anything. Looks at a few topics at most, so that it
    /// costs next to nothing where there is nothing; if they do not tell, the answer is yes.
    pub(crate) fn may_match(&self, filter: TopicFilter<'_>) -> bool {
        let kept = self.kept.read();
        let topics = kept.topics_for(filter);
        if topics.is_empty() {
            return false;
        }
        if let Some(topic) = filter.as_name() {
            return topics.get(topic).is_some();
        }
        let mut found = false;
        let progress = topics.matches_from(filter, &mut Cursor::new(), GLANCE, |_| found = true);
        found || progress == Progress::More
    }

    /// Whether there is any that expires at some time.
    fn may_expire(&self) -> bool {
        self.kept.read().expiring > 0
    }

    /// When [`remove_expired`](Self::remove_expired) has something to do; `None` for never, as
    /// it is.
    pub(crate) fn next_check(&self) -> Option<Timestamp> {
        let expiry = self.expiry.lock();
        match expiry.checked {
            Some(_) => Some(Timestamp::from_millis(0)),
            None => self.may_expire().then_some(expiry.next),
        }
    }

    /// Removes messages that have expired. From time to time looks at all of them, a limited number in
    /// each call. True if there are more to look at.
    pub(crate) fn remove_expired(
        &self,
        now: Timestamp,
        counters: &Counters,
        batch: &mut Batch,
    ) -> bool {
        let mut expiry = self.expiry.lock();
        let checked = match expiry.checked.take() {
            Some(checked) => checked,
            None if now >= expiry.next && self.may_expire() => {
                expiry.next = now + CHECK_INTERVAL;
                "".into()
            }
            None => return false,
        };
        let mut expired = Vec::new();
        expiry.checked = self.find_expired(&checked, now, &mut expired);
        if !expired.is_empty() {
            let mut kept = self.kept.write();
            // One of them may have been replaced meanwhile.
            expired.retain(|message| kept.remove_this(message));
        }
        counters.dropped_expired.add(expired.len() as u64);
        for message in &expired {
            batch.push(Operation::DropRetained {
                topic: message.topic().into(),
            });
        }
        expiry.checked.is_some()
    }

    /// Looks at some messages behind the topic `checked`. Returns the last topic looked at, unless it
    /// was the last of all.
    fn find_expired(
        &self,
        checked: &str,
        now: Timestamp,
        expired: &mut Vec<Arc<Message>>,
    ) -> Option<Box<str>> {
        let kept = self.kept.read();
        let mut last = None;
        let mut looked_at = 0;
        for message in kept.topics.iter_after(checked).take(STEP) {
            if message.expires() <= now {
                expired.push(Arc::clone(message));
            }
            last = Some(message);
            looked_at += 1;
        }
        last.filter(|_| looked_at == STEP)
            .map(|message| message.topic().into())
    }

    /// How many there are, and their bytes of topic, properties and payload.
    pub(crate) fn size(&self) -> (usize, usize) {
        let kept = self.kept.read();
        (kept.topics.len(), kept.bytes)
    }
}

impl Kept {
    /// Those among which the ones are that match `filter`.
    fn topics_for(&self, filter: TopicFilter<'_>) -> &TopicMap<Arc<Message>> {
        match asks_for_the_broker(filter) {
            true => &self.own,
            false => &self.topics,
        }
    }

    /// Returns what it replaces.
    fn insert(&mut self, message: Arc<Message>) -> Option<Arc<Message>> {
        self.bytes += message.size_bytes();
        self.expiring += usize::from(message.expires() < Timestamp::MAX);
        let replaced = self.topics.insert(message)?;
        self.uncount(&replaced);
        Some(replaced)
    }

    fn remove(&mut self, topic: TopicName<'_>) -> Option<Arc<Message>> {
        let removed = self.topics.remove(topic)?;
        self.uncount(&removed);
        Some(removed)
    }

    /// Removes this message, unless its topic has another one by now.
    fn remove_this(&mut self, message: &Arc<Message>) -> bool {
        let Ok(topic) = TopicName::new(message.topic()) else {
            return false;
        };
        let is_it = |kept: &Arc<Message>| Arc::ptr_eq(kept, message);
        self.topics.get(topic).is_some_and(is_it) && self.remove(topic).is_some()
    }

    fn uncount(&mut self, old: &Message) {
        self.bytes -= old.size_bytes();
        self.expiring -= usize::from(old.expires() < Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::QoS;

    use super::*;
    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    fn put(retained: &Arc<RetainedMessages>, number: usize, expires: Timestamp) {
        let message = Message::new(MessageParts {
            topic: &format!("topic/{number}"),
            properties: &[],
            payload: b"x",
            qos: QoS::AtMostOnce,
            retain: true,
            expires,
        });
        let topic = TopicName::new(message.topic()).unwrap();
        let (options, counters) = (BrokerOptions::default(), Counters::default());
        let (batch, releases) = (&mut Batch::default(), &mut Vec::new());
        let put = retained.put(topic, &message, &options, &counters, batch, releases);
        assert_eq!(put, Retained::Yes);
        for release in releases.drain(..) {
            release.commit();
        }
    }

    #[test]
    fn what_has_expired_is_removed_in_steps_once_a_minute() {
        const ALL: usize = 3 * STEP - 100;
        let retained = Arc::new(RetainedMessages::default());
        let counters = Counters::default();
        let mut batch = Batch::default();
        for number in 0..ALL {
            let expires = if number % 3 == 0 {
                at(100)
            } else {
                Timestamp::MAX
            };
            put(&retained, number, expires);
        }
        assert_eq!(retained.next_check(), Some(at(0)));
        let mut check = |now| {
            let mut calls = 1;
            while retained.remove_expired(now, &counters, &mut batch) {
                assert_eq!(retained.next_check(), Some(at(0)), "it goes on at once");
                calls += 1;
            }
            (calls, retained.size().0, batch.drain().count())
        };
        assert_eq!(check(at(50)), (3, ALL, 0), "nothing has expired");
        assert_eq!(retained.next_check(), Some(at(110)));
        assert_eq!(check(at(109)), (1, ALL, 0), "it is not time to look");
        let expired = ALL.div_ceil(3);
        assert_eq!(check(at(110)), (3, ALL - expired, expired));
        assert_eq!(retained.next_check(), None);
        assert_eq!(check(at(1_000)), (1, ALL - expired, 0));
        assert_eq!(counters.dropped_expired.get(), expired as u64);
    }

    #[test]
    fn one_that_was_replaced_while_the_others_are_looked_at_stays() {
        let retained = Arc::new(RetainedMessages::default());
        for number in 0..2 * STEP {
            put(&retained, number, at(100));
        }
        let (counters, mut batch) = (Counters::default(), Batch::default());
        assert!(retained.remove_expired(at(200), &counters, &mut batch));
        assert_eq!(retained.size().0, STEP);
        for number in 0..2 * STEP {
            put(&retained, number, Timestamp::MAX);
        }
        while retained.remove_expired(at(200), &counters, &mut batch) {}
        assert_eq!(retained.size().0, 2 * STEP);
        assert_eq!(batch.drain().count(), STEP);
    }
}
