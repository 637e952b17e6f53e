//! A store that is nothing but lists, simple enough to be right by reading it: what it answers, every
//! store must answer.

use core::cmp::Ordering;
use std::sync::Arc;

use mqtt_codec::PacketId;
use topic_trie::{TopicFilter, TopicName};

use crate::Message;
use crate::persistence::{
    InflightStage, Operation, SessionKey, StoredOutgoing, StoredQueue, StoredSession,
    StoredSubscription, StoredWill,
};

/// All that a store holds, in lists without an order.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Sessions and what belongs to them.
    pub sessions: Vec<(StoredSession, ModelContents)>,
    /// Retained messages.
    pub retained: Vec<Arc<Message>>,
    /// Wills.
    pub wills: Vec<StoredWill>,
}

/// The contents of a session in a [`Model`].
#[derive(Clone, Debug, Default)]
pub struct ModelContents {
    /// Its subscriptions.
    pub subscriptions: Vec<StoredSubscription>,
    /// Messages on their way to it.
    pub outgoing: Vec<StoredOutgoing>,
    /// Packet identifiers of what came from it and was not released.
    pub incoming: Vec<PacketId>,
}

impl Model {
    /// Does what the operation says.
    pub fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::PutSession(stored) => self.put_session(stored),
            Operation::DropSession { session } => self.drop_session(&session),
            Operation::PutRetained { message } => {
                self.retained
                    .retain(|there| there.topic() != message.topic());
                self.retained.push(message);
            }
            Operation::DropRetained { topic } => {
                self.retained.retain(|there| there.topic() != &*topic);
            }
            Operation::PutWill(will) => {
                let key = &will.session;
                let is_late = |there: &StoredWill| {
                    there.session.client == key.client
                        && there.session.incarnation > key.incarnation
                };
                if !self.wills.iter().any(is_late) {
                    self.wills
                        .retain(|there| there.session.client != key.client);
                    self.wills.push(will);
                }
            }
            Operation::DropWill { session } => self.wills.retain(|there| there.session != session),
            Operation::PutSubscription { ref session, .. }
            | Operation::DropSubscription { ref session, .. }
            | Operation::Enqueue { ref session, .. }
            | Operation::MarkInflight { ref session, .. }
            | Operation::Dequeue { ref session, .. }
            | Operation::IncomingReceived { ref session, .. }
            | Operation::IncomingReleased { ref session, .. } => {
                let mut sessions = self.sessions.iter_mut();
                let found = sessions.find(|(stored, _)| stored.session == *session);
                if let Some((_, contents)) = found {
                    contents.apply(operation);
                }
            }
        }
    }

    fn put_session(&mut self, stored: StoredSession) {
        let client = &stored.session.client;
        let found = self
            .sessions
            .iter_mut()
            .find(|(there, _)| there.session.client == *client);
        let Some((there, _)) = found else {
            self.sessions.push((stored, ModelContents::default()));
            return;
        };
        let earlier = there.session.clone();
        match stored.session.incarnation.cmp(&earlier.incarnation) {
            Ordering::Less => {}
            Ordering::Equal => *there = stored,
            Ordering::Greater => {
                self.drop_session(&earlier);
                self.sessions.push((stored, ModelContents::default()));
            }
        }
    }

    fn drop_session(&mut self, key: &SessionKey) {
        if self
            .sessions
            .iter()
            .any(|(stored, _)| stored.session == *key)
        {
            self.sessions.retain(|(stored, _)| stored.session != *key);
            self.wills.retain(|there| there.session != *key);
        }
    }

    fn contents(&self, client: &str) -> Option<&(StoredSession, ModelContents)> {
        let mut sessions = self.sessions.iter();
        sessions.find(|(there, _)| &*there.session.client == client)
    }

    /// What [`Persistence::sessions`](crate::persistence::Persistence::sessions) answers.
    pub fn sessions(&self, after: Option<&str>, limit: usize) -> Vec<StoredSession> {
        let all = self.sessions.iter().map(|(stored, _)| stored);
        page(all, |one| &*one.session.client, after, limit)
    }

    /// What [`Persistence::session`](crate::persistence::Persistence::session) answers.
    pub fn session(&self, client: &str) -> Option<StoredSession> {
        self.contents(client).map(|(stored, _)| stored.clone())
    }

    /// What [`Persistence::subscriptions`](crate::persistence::Persistence::subscriptions) answers.
    pub fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<StoredSubscription> {
        let contents = self.contents(client).into_iter();
        let all = contents.flat_map(|(_, contents)| &contents.subscriptions);
        page(all, |one| &*one.filter, after, limit)
    }

    /// What [`Persistence::outgoing`](crate::persistence::Persistence::outgoing) answers.
    pub fn outgoing(&self, client: &str, after: Option<u64>, limit: usize) -> Vec<StoredOutgoing> {
        let contents = self.contents(client).into_iter();
        let all = contents.flat_map(|(_, contents)| &contents.outgoing);
        page(all, |one| one.sequence, after, limit)
    }

    /// What [`Persistence::queue`](crate::persistence::Persistence::queue) answers.
    pub fn queue(&self, client: &str) -> StoredQueue {
        let contents = self.contents(client).into_iter();
        let all = contents.flat_map(|(_, contents)| &contents.outgoing);
        all.fold(StoredQueue::default(), |queue, one| StoredQueue {
            messages: queue.messages + 1,
            bytes: queue.bytes
                + one
                    .message
                    .as_ref()
                    .map_or(0, |one| one.size_bytes() as u64),
            last: queue.last.max(Some(one.sequence)),
        })
    }

    /// What [`Persistence::incoming`](crate::persistence::Persistence::incoming) answers.
    pub fn incoming(&self, client: &str) -> Vec<PacketId> {
        let contents = self.contents(client).into_iter();
        let all = contents.flat_map(|(_, contents)| &contents.incoming);
        page(all, |one| *one, None, usize::MAX)
    }

    /// What [`Persistence::retained`](crate::persistence::Persistence::retained) answers.
    pub fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        let matches = |message: &&Arc<Message>| {
            let topic = TopicName::new(message.topic());
            filter.is_none_or(|filter| topic.is_ok_and(|topic| filter.matches(topic)))
        };
        let all = self.retained.iter().filter(matches);
        page(all, |message| message.topic(), after, limit)
    }

    /// What [`Persistence::wills`](crate::persistence::Persistence::wills) answers.
    pub fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Vec<StoredWill> {
        let all = self.wills.iter().filter(|will| &*will.node == node);
        page(all, |will| &*will.session.client, after, limit)
    }
}

impl ModelContents {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::PutSubscription {
                filter, options, ..
            } => {
                self.subscriptions.retain(|there| there.filter != filter);
                self.subscriptions
                    .push(StoredSubscription { filter, options });
            }
            Operation::DropSubscription { filter, .. } => {
                self.subscriptions.retain(|there| there.filter != filter);
            }
            Operation::Enqueue {
                session: _,
                sequence,
                message,
                qos,
                retain,
                subscription_ids,
                shared,
                packet_id,
            } => {
                self.outgoing.retain(|there| there.sequence != sequence);
                self.outgoing.push(StoredOutgoing {
                    sequence,
                    message: Some(message),
                    qos,
                    retain,
                    subscription_ids,
                    shared,
                    inflight: packet_id.map(|id| (id, InflightStage::Published)),
                });
            }
            Operation::MarkInflight {
                session: _,
                sequence,
                packet_id,
                stage,
            } => {
                let mut outgoing = self.outgoing.iter_mut();
                if let Some(there) = outgoing.find(|one| one.sequence == sequence) {
                    there.inflight = Some((packet_id, stage));
                    if stage == InflightStage::Released {
                        there.message = None;
                    }
                }
            }
            Operation::Dequeue { sequence, .. } => {
                self.outgoing.retain(|there| there.sequence != sequence);
            }
            Operation::IncomingReceived { packet_id, .. } => {
                self.incoming.retain(|there| *there != packet_id);
                self.incoming.push(packet_id);
            }
            Operation::IncomingReleased { packet_id, .. } => {
                self.incoming.retain(|there| *there != packet_id);
            }
            other => panic!("not an operation on the contents of a session: {other:?}"),
        }
    }
}

/// The page of a list that is sorted by `name`.
fn page<'m, T: Clone + 'm, K: Ord>(
    list: impl Iterator<Item = &'m T>,
    name: impl Fn(&'m T) -> K,
    after: Option<K>,
    limit: usize,
) -> Vec<T> {
    let is_behind = |one: &&'m T| after.as_ref().is_none_or(|after| name(one) > *after);
    let mut behind: Vec<&T> = list.filter(is_behind).collect();
    behind.sort_by_key(|one| name(one));
    behind.into_iter().take(limit).cloned().collect()
}
