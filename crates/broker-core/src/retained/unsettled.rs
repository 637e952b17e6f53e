//! Retained messages whose commit is under way, and what their topics have if it fails.
//!
//! What a client retains is the topic's retained message at once: whoever publishes next finds it
//! there. Until its batch has been committed the message before it is remembered. Several changes of
//! one topic may be under way; they apply in their order, each of them or not.

use core::borrow::Borrow;
use core::hash::{Hash, Hasher};
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::RetainedMessages;
use crate::Message;

/// A change of a retained message that waits for its commit.
#[derive(Debug)]
pub(crate) struct RetainedChange {
    pub(super) kept: Arc<RetainedMessages>,
    /// As it was published: an empty payload removes what there is.
    pub(super) message: Arc<Message>,
}

/// The topics of such changes.
#[derive(Debug, Default)]
pub(super) struct Unsettled(HashMap<ByTopic, Changes>);

/// A message that is found by its topic.
#[derive(Debug)]
struct ByTopic(Arc<Message>);

/// The changes of one topic.
#[derive(Debug)]
struct Changes {
    /// What the store has, as far as it is known.
    stored: Option<Arc<Message>>,
    /// What was published since, in its order.
    later: VecDeque<Arc<Message>>,
}

impl Borrow<str> for ByTopic {
    fn borrow(&self) -> &str {
        self.0.topic()
    }
}

impl Hash for ByTopic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.topic().hash(state);
    }
}

impl PartialEq for ByTopic {
    fn eq(&self, other: &Self) -> bool {
        self.0.topic() == other.0.topic()
    }
}

impl Eq for ByTopic {}

/// What a topic has when this was the last that was published to it.
fn kept(message: Arc<Message>) -> Option<Arc<Message>> {
    (!message.payload().is_empty()).then_some(message)
}

impl Unsettled {
    /// Whether the topic has changes under way.
    pub(super) fn has(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// A change begins. Before it the topic had `before`.
    pub(super) fn begin(&mut self, message: &Arc<Message>, before: Option<Arc<Message>>) {
        if let Some(changes) = self.0.get_mut(message.topic()) {
            changes.later.push_back(Arc::clone(message));
            return;
        }
        let changes = Changes {
            stored: before,
            later: VecDeque::from([Arc::clone(message)]),
        };
        self.0.insert(ByTopic(Arc::clone(message)), changes);
    }

    /// A change was committed: whatever becomes of those before it, the store has none of them.
    fn commit(&mut self, message: &Arc<Message>) {
        let Some((changes, place)) = self.find(message) else {
            return;
        };
        if place + 1 == changes.later.len() {
            self.0.remove(message.topic());
            return;
        }
        changes.later.drain(..=place);
        changes.stored = kept(Arc::clone(message));
    }

    /// A change could not be committed. If it was the last one, returns what the topic has now.
    fn abort(&mut self, message: &Arc<Message>) -> Option<Option<Arc<Message>>> {
        let (changes, place) = self.find(message)?;
        let was_last = place + 1 == changes.later.len();
        changes.later.remove(place);
        let now = match changes.later.back() {
            Some(last) => kept(Arc::clone(last)),
            None => changes.stored.take(),
        };
        if changes.later.is_empty() {
            self.0.remove(message.topic());
        }
        was_last.then_some(now)
    }

    /// The changes of the topic, and the place of this one among them; one after which another was
    /// committed is not there any more.
    fn find(&mut self, message: &Arc<Message>) -> Option<(&mut Changes, usize)> {
        let changes = self.0.get_mut(message.topic())?;
        let mut later = changes.later.iter();
        let place = later.position(|it| Arc::ptr_eq(it, message))?;
        Some((changes, place))
    }
}

impl RetainedChange {
    /// The store has it.
    pub(crate) fn commit(self) {
        self.kept.kept.write().unsettled.commit(&self.message);
    }

    /// The store does not have it: the topic has what it had before.
    pub(crate) fn abort(self) {
        let mut kept = self.kept.kept.write();
        let Some(before) = kept.unsettled.abort(&self.message) else {
            return;
        };
        match (before, topic_trie::TopicName::new(self.message.topic())) {
            (Some(before), _) => drop(kept.insert(before)),
            (None, Ok(topic)) => drop(kept.remove(topic)),
            (None, Err(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mqtt_codec::QoS;
    use topic_trie::TopicName;

    use super::*;
    use crate::counters::Counters;
    use crate::effects::Release;
    use crate::persistence::Batch;
    use crate::{BrokerOptions, MessageParts, Timestamp};

    /// Publishes a retained message; nothing removes the one there is.
    fn publish(retained: &Arc<RetainedMessages>, payload: &[u8]) -> Option<Release> {
        let message = Message::new(MessageParts {
            topic: "a",
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: true,
            expires: Timestamp::MAX,
        });
        let topic = TopicName::new("a").unwrap();
        let (options, counters) = (BrokerOptions::default(), Counters::default());
        let (mut batch, mut changes) = (Batch::default(), Vec::new());
        retained.put(
            topic,
            &message,
            &options,
            &counters,
            &mut batch,
            &mut changes,
        );
        assert_eq!(
            batch.drain().count(),
            changes.len(),
            "what is stored may fail"
        );
        changes.pop()
    }

    fn visible(retained: &RetainedMessages) -> Option<Vec<u8>> {
        let kept = retained.kept.read();
        let message = kept.topics.get(TopicName::new("a").unwrap())?;
        Some(message.payload().to_vec())
    }

    /// All orders in which three may end.
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];

    /// Three changes of a topic, each a message or a removal, each committed or not, ending in any
    /// order, on a topic that had a message or none: at the end there is what the store has.
    #[test]
    fn however_commits_end_the_topic_has_what_the_store_has() {
        for case in 0..2 * 8 * 8 * 6_usize {
            let had_one = case % 2 == 0;
            let (removals, failures) = (case / 2 % 8, case / 16 % 8);
            let order = ORDERS[case / 128];
            let retained = Arc::new(RetainedMessages::default());
            let mut stored = None;
            if had_one {
                publish(&retained, b"before").unwrap().commit();
                stored = Some(b"before".to_vec());
            }
            let mut changes = Vec::new();
            for number in 0..3 {
                let payload = match removals >> number & 1 {
                    0 => vec![b'0' + u8::try_from(number).unwrap()],
                    _ => Vec::new(),
                };
                let is_stored = failures >> number & 1 == 0;
                let change = publish(&retained, &payload);
                if change.is_some() && is_stored {
                    stored = (!payload.is_empty()).then_some(payload);
                }
                changes.push(change.map(|change| (change, is_stored)));
            }
            for place in order {
                match changes[place].take() {
                    Some((change, true)) => drop(change.commit()),
                    Some((change, false)) => drop(change.abort(&Counters::default())),
                    None => {}
                }
            }
            assert_eq!(visible(&retained), stored, "case {case}");
            let kept = retained.kept.read();
            let bytes = kept.topics.iter_after("").map(|it| it.size_bytes());
            assert_eq!(kept.bytes, bytes.sum::<usize>(), "case {case}");
            assert!(!kept.unsettled.has("a"), "case {case}");
        }
    }
}
