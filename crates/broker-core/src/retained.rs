//! Retained messages: one per topic, kept for those who subscribe later
//! (sections 3.3.1.3 of both versions).

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use topic_trie::{Cursor, Progress, TopicFilter, TopicMap, TopicName};

use crate::counters::Counters;
use crate::options::BrokerOptions;
use crate::persistence::{Batch, Operation};
use crate::{Message, Timestamp};

/// Topics looked at in one go while the lock is held.
const STEP: usize = 256;

/// Topics looked at to see whether there is anything to be found.
const GLANCE: usize = 8;

/// All retained messages.
#[derive(Debug, Default)]
pub(crate) struct RetainedMessages {
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    topics: TopicMap<Arc<Message>>,
    bytes: usize,
    /// How many of them expire.
    expiring: usize,
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
    /// there is [MQTT-3.3.1-6].
    pub(crate) fn put(
        &self,
        topic: TopicName<'_>,
        message: &Arc<Message>,
        options: &BrokerOptions,
        counters: &Counters,
        batch: &mut Batch,
    ) -> Retained {
        let mut kept = self.kept.write();
        if message.payload().is_empty() {
            if kept.remove(topic) {
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
        // Under the lock, so that batches name the messages of one topic in the order in which
        // they replaced each other here.
        batch.push(Operation::PutRetained {
            message: Arc::clone(message),
        });
        Retained::Yes
    }

    /// Puts back what a store kept.
    pub(crate) fn restore(&self, message: Arc<Message>) {
        if TopicName::new(message.topic()).is_ok() {
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
        if let Some(topic) = filter.as_name() {
            let message = kept
                .topics
                .get(topic)
                .filter(|message| message.expires() > now);
            found.extend(message.cloned());
            return Progress::Done;
        }
        kept.topics.matches_from(filter, cursor, STEP, |message| {
            if message.expires() > now {
                found.push_back(Arc::clone(message));
            }
        })
    }

    /// Whether a search for `filter` may find anything. Looks at a few topics at most, so that it
    /// costs next to nothing where there is nothing; if they do not tell, the answer is yes.
    pub(crate) fn may_match(&self, filter: TopicFilter<'_>) -> bool {
        let kept = self.kept.read();
        if kept.topics.is_empty() {
            return false;
        }
        if let Some(topic) = filter.as_name() {
            return kept.topics.get(topic).is_some();
        }
        let mut found = false;
        let progress = kept
            .topics
            .matches_from(filter, &mut Cursor::new(), GLANCE, |_| found = true);
        found || progress == Progress::More
    }

    /// Whether there is any that expires at some time.
    pub(crate) fn may_expire(&self) -> bool {
        self.kept.read().expiring > 0
    }

    /// Removes messages that have expired; looks at all of them.
    pub(crate) fn remove_expired(&self, now: Timestamp, counters: &Counters, batch: &mut Batch) {
        let mut kept = self.kept.write();
        let Kept {
            topics,
            bytes,
            expiring,
        } = &mut *kept;
        topics.retain(|message| {
            let keep = message.expires() > now;
            if !keep {
                *bytes -= message.size_bytes();
                *expiring -= 1;
                counters.dropped_expired.add(1);
                batch.push(Operation::DropRetained {
                    topic: message.topic().into(),
                });
            }
            keep
        });
    }

    /// How many there are, and their bytes of topic, properties and payload.
    pub(crate) fn size(&self) -> (usize, usize) {
        let kept = self.kept.read();
        (kept.topics.len(), kept.bytes)
    }
}

impl Kept {
    /// Returns what it replaces.
    fn insert(&mut self, message: Arc<Message>) -> Option<Arc<Message>> {
        self.bytes += message.size_bytes();
        self.expiring += usize::from(message.expires() < Timestamp::MAX);
        let replaced = self.topics.insert(message)?;
        self.uncount(&replaced);
        Some(replaced)
    }

    fn remove(&mut self, topic: TopicName<'_>) -> bool {
        let removed = self.topics.remove(topic);
        if let Some(old) = &removed {
            self.uncount(old);
        }
        removed.is_some()
    }

    fn uncount(&mut self, old: &Message) {
        self.bytes -= old.size_bytes();
        self.expiring -= usize::from(old.expires() < Timestamp::MAX);
    }
}
