//! A store in memory with a fault.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use broker_core::Message;
use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    Answer, Batch, InflightStage, Operation, Persistence, SessionKey, StoredOutgoing, StoredQueue,
    StoredSession, StoredSubscription, StoredWill,
};
use mqtt_codec::PacketId;
use persistence_memory::MemoryPersistence;
use topic_trie::{TopicFilter, TopicName};

use super::faults::Fault;
use super::place::{LONG_AGO, Place};

/// A store in memory with a fault.
pub(crate) struct Faulty {
    pub(crate) fault: Fault,
    pub(crate) inner: Arc<MemoryPersistence>,
    pub(crate) place: Arc<Place>,
    pub(crate) late: Mutex<Vec<Operation>>,
    pub(crate) waiting: Arc<Mutex<Vec<Vec<Operation>>>>,
    pub(crate) cached: Mutex<HashMap<String, Vec<StoredSubscription>>>,
}

impl Faulty {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn client(&self, client: &str) -> String {
        match self.fault {
            Fault::CutsAtColons => client.split(':').next().unwrap_or_default().to_owned(),
            Fault::IgnoresCase => client.to_lowercase(),
            _ => client.to_owned(),
        }
    }

    pub(crate) fn commit_all(&self, operations: impl IntoIterator<Item = Operation>) {
        block_on(self.inner.commit(&mut operations.into_iter().collect())).unwrap();
    }

    /// An operation with the fault in it.
    pub(crate) fn spoil(&self, mut operation: Operation) -> Operation {
        if let Operation::PutSession(stored) = &mut operation {
            stored.session.client = self.client(&stored.session.client).into();
        }
        let incarnation = |client: &str| {
            let there = block_on(self.inner.session(client)).unwrap();
            there.map_or(0, |there| there.session.incarnation)
        };
        match &mut operation {
            Operation::PutSubscription { session, .. }
            | Operation::DropSubscription { session, .. }
            | Operation::Dequeue { session, .. }
            | Operation::MarkInflight { session, .. }
            | Operation::Enqueue { session, .. }
            | Operation::IncomingReceived { session, .. }
            | Operation::IncomingReleased { session, .. } => {
                session.client = self.client(&session.client).into();
                if self.has(Fault::IgnoresIncarnations) {
                    session.incarnation = incarnation(&session.client);
                }
            }
            _ => {}
        }
        match &mut operation {
            Operation::Enqueue { sequence, .. } if self.has(Fault::RoundsNumbers) => {
                *sequence = *sequence as f64 as u64;
            }
            Operation::Enqueue { message, .. } if self.has(Fault::Copies) => {
                *message = Message::new(message.parts());
            }
            Operation::Enqueue { message, .. } if self.has(Fault::DropsProperties) => {
                *message = Message::new(broker_core::MessageParts {
                    properties: &[],
                    ..message.parts()
                });
            }
            Operation::Enqueue { shared, .. } if self.has(Fault::DropsShares) => *shared = None,
            Operation::MarkInflight { stage, .. } if self.has(Fault::KeepsReleased) => {
                *stage = InflightStage::Published;
            }
            _ => {}
        }
        operation
    }

    /// The sessions whose names begin with this one and a colon.
    fn behind(&self, client: &str) -> Vec<SessionKey> {
        let prefix = format!("{client}:");
        let all = block_on(self.inner.sessions(None, usize::MAX)).unwrap();
        let all = all.into_iter().map(|stored| stored.session);
        all.filter(|session| session.client.starts_with(&prefix))
            .collect()
    }

    /// How many are asked for when so many were.
    fn limit(&self, limit: usize) -> usize {
        limit.saturating_add(usize::from(self.has(Fault::PagesTooLong)))
    }
}
impl Persistence for Faulty {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        let mut operations: Vec<Operation> = batch.operations().to_vec();
        if !self.has(Fault::KeepsTheBatch) {
            batch.drain().for_each(drop);
        }
        match self.fault {
            Fault::NotAtomic => {
                for operation in operations {
                    self.commit_all([operation]);
                    std::thread::yield_now();
                }
                return Answer::ready(());
            }
            Fault::Lazy => {
                let inner = Arc::clone(&self.inner);
                return Answer::pending(async move {
                    inner.commit(&mut operations.into_iter().collect()).await
                });
            }
            Fault::LastFirst => {
                let (inner, waiting) = (Arc::clone(&self.inner), Arc::clone(&self.waiting));
                waiting.lock().unwrap().push(operations);
                return Answer::pending(async move {
                    let mut waiting = waiting.lock().unwrap();
                    while let Some(operations) = waiting.pop() {
                        block_on(inner.commit(&mut operations.into_iter().collect()))?;
                    }
                    Ok(())
                });
            }
            Fault::LosesTheMiddle => {
                let mut journal = self.place.journal.lock().unwrap();
                journal.push(operations.clone());
            }
            Fault::BackwardBatches => operations.reverse(),
            Fault::LosesTheLastOfMany if operations.len() > 1_000 => drop(operations.pop()),
            Fault::Late => {
                operations = std::mem::replace(&mut *self.late.lock().unwrap(), operations);
            }
            Fault::DropsFirst => {
                let is_drop = |one: &Operation| matches!(one, Operation::DropSession { .. });
                operations.sort_by_key(|one| !is_drop(one));
            }
            Fault::DropsPrefixes => {
                let gone = operations.iter().filter_map(|one| match one {
                    Operation::DropSession { session } => Some(session),
                    _ => None,
                });
                let neighbours = gone.flat_map(|gone| self.behind(&gone.client));
                let neighbours: Vec<_> = neighbours
                    .map(|session| Operation::DropSession { session })
                    .collect();
                operations.extend(neighbours);
            }
            Fault::KeepsOnSuccession => {
                for operation in operations.clone() {
                    if let Operation::PutSession(stored) = &operation {
                        let session = stored.session.clone();
                        let kept = self.inner.subscriptions(&session.client, None, usize::MAX);
                        let kept = block_on(kept).unwrap().into_iter();
                        operations.extend(kept.map(|one| Operation::PutSubscription {
                            session: session.clone(),
                            filter: one.filter,
                            options: one.options,
                        }));
                    }
                }
            }
            Fault::LeaksMessages => {
                // One that several wait for counts once.
                let messages = operations.iter().filter_map(|one| match one {
                    Operation::Enqueue { message, .. } => Some((Arc::as_ptr(message), message)),
                    _ => None,
                });
                let messages: HashMap<_, _> = messages.collect();
                let bytes = messages.values().map(|message| message.size_bytes() as u64);
                *self.place.ever.lock().unwrap() += bytes.sum::<u64>();
            }
            Fault::ShortSeconds => operations.retain(|one| match one {
                Operation::Enqueue { message, .. } | Operation::PutRetained { message } => {
                    u32::try_from(message.expires().as_millis() / 1_000).is_ok()
                }
                _ => true,
            }),
            Fault::ExpiresSuccessors => {
                for operation in operations.clone() {
                    if let Operation::PutRetained { message } = &operation {
                        let topic = TopicFilter::new(message.topic()).unwrap();
                        let there = block_on(self.inner.retained(Some(topic), None, 1)).unwrap();
                        let mut there = there.iter();
                        if there.any(|there| there.expires().as_millis() < LONG_AGO) {
                            let topic = message.topic().into();
                            operations.push(Operation::DropRetained { topic });
                        }
                    }
                }
            }
            Fault::ForgetsTheWill => {
                for operation in &operations {
                    if let Operation::DropSession { session } = operation {
                        let wills = block_on(self.inner.wills("n", None, usize::MAX)).unwrap();
                        let own = wills.into_iter().filter(|will| will.session == *session);
                        let kept: Vec<_> = own.map(Operation::PutWill).collect();
                        operations.extend(kept);
                        break;
                    }
                }
            }
            _ => {}
        }
        self.commit_all(
            operations
                .into_iter()
                .map(|operation| self.spoil(operation)),
        );
        Answer::ready(())
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        if self.has(Fault::ExpiresSessions) {
            let mut page = block_on(self.inner.sessions(after, limit)).unwrap();
            page.retain(|one| one.disconnected_at.is_none() || one.expiry_interval_secs > 1);
            return Answer::ready(page);
        }
        self.inner.sessions(after, self.limit(limit))
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        self.inner.session(&self.client(client))
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        if self.has(Fault::JoinsNames) {
            // Whatever begins with this name, less the name.
            let mut found = Vec::new();
            for session in block_on(self.inner.sessions(None, usize::MAX)).unwrap() {
                let owner = &*session.session.client;
                for mut one in block_on(self.inner.subscriptions(owner, None, usize::MAX)).unwrap()
                {
                    let key = format!("{owner}{}", one.filter);
                    if let Some(rest) = key.strip_prefix(client) {
                        one.filter = rest.into();
                        found.push(one);
                    }
                }
            }
            found.retain(|one| after.is_none_or(|after| *one.filter > *after));
            found.sort_by(|one, other| one.filter.cmp(&other.filter));
            found.truncate(limit);
            return Answer::ready(found);
        }
        if self.has(Fault::CachesSubscriptions) {
            let mut cached = self.cached.lock().unwrap();
            let known = cached.entry(client.to_owned()).or_insert_with(|| {
                block_on(self.inner.subscriptions(client, None, usize::MAX)).unwrap()
            });
            let behind = |one: &&StoredSubscription| after.is_none_or(|after| *one.filter > *after);
            return Answer::ready(known.iter().filter(behind).take(limit).cloned().collect());
        }
        self.inner
            .subscriptions(&self.client(client), after, self.limit(limit))
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        let overlaps = self.has(Fault::PagesOverlap);
        let after = after.filter(|_| !self.has(Fault::SamePageAgain));
        let after = after.and_then(|after| {
            if overlaps {
                after.checked_sub(1)
            } else {
                Some(after)
            }
        });
        let answer = self
            .inner
            .outgoing(&self.client(client), after, self.limit(limit));
        let mut page = block_on(answer).unwrap();
        if self.has(Fault::Unordered) {
            page.sort_by_key(|one| one.sequence.to_string());
        }
        if self.has(Fault::ShortQueues) {
            let first = block_on(self.inner.outgoing(client, None, 1_000)).unwrap();
            page.retain(|one| {
                first
                    .last()
                    .is_some_and(|last| one.sequence <= last.sequence)
            });
        }
        if self.has(Fault::LeaksPrefixes) {
            for other in self.behind(client) {
                page.extend(block_on(self.inner.outgoing(&other.client, after, limit)).unwrap());
            }
            page.sort_by_key(|one| one.sequence);
            page.truncate(limit);
        }
        Answer::ready(page)
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let mut queue = block_on(self.inner.queue(&self.client(client))).unwrap();
        if self.has(Fault::CountsReleased) {
            let all = self.inner.outgoing(&self.client(client), None, usize::MAX);
            let released = block_on(all).unwrap().into_iter();
            queue.bytes += 3 * released.filter(|one| one.message.is_none()).count() as u64;
        }
        Answer::ready(queue)
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        self.inner.incoming(&self.client(client))
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let Some(filter) = filter else {
            return self.inner.retained(None, after, self.limit(limit));
        };
        let looked_at = match self.fault {
            Fault::ShortSearches => 1_000,
            _ => usize::MAX,
        };
        let mut page = block_on(self.inner.retained(None, after, looked_at)).unwrap();
        page.retain(|message| {
            let topic = TopicName::new(message.topic()).unwrap();
            let parent = filter.as_str().strip_suffix("/#");
            let hides = self.has(Fault::ForgetsParent) && parent == Some(topic.as_str());
            let shows = self.has(Fault::ShowsDollar) && filter.as_str() == "#";
            (filter.matches(topic) || shows) && !hides
        });
        page.truncate(self.limit(limit));
        Answer::ready(page)
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let node = if self.has(Fault::IgnoresNodes) {
            "n"
        } else {
            node
        };
        self.inner.wills(node, after, self.limit(limit))
    }
}
