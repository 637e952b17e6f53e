//! A store that keeps everything in maps, and fails or hesitates when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use broker_core::Message;
use broker_core::persistence::{
    Answer, Batch, InflightStage, Operation, Persistence, PersistenceError, SessionKey,
    StoredOutgoing, StoredQueue, StoredSession, StoredSubscription, StoredWill,
};
use mqtt_codec::PacketId;
use topic_trie::{TopicFilter, TopicName};

/// What the store does with the next batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Applies them at once.
    Willing,
    /// Refuses them.
    Failing,
    /// Refuses them because it is full.
    Full,
    /// Keeps them waiting until [`Store::let_go`] or [`Store::refuse_held`].
    Holding,
}

/// The store; what it keeps outlives the brokers that use it.
pub(crate) struct Store(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    mood: Option<Mood>,
    is_behind: bool,
    held: Vec<Arc<Held>>,
    /// Whether lookups are answered only when they are let go, or not at all.
    holds_lookups: bool,
    fails_lookups: bool,
    waiting: Vec<Arc<Lookup>>,
    pages: usize,
    sessions: BTreeMap<String, Contents>,
    retained: BTreeMap<String, Arc<Message>>,
    wills: BTreeMap<String, StoredWill>,
}

struct Contents {
    session: StoredSession,
    subscriptions: BTreeMap<Box<str>, StoredSubscription>,
    outgoing: BTreeMap<u64, StoredOutgoing>,
    incoming: BTreeSet<PacketId>,
}

/// A batch that waits, and what became of it.
struct Held(Mutex<HeldBatch>);

/// Whether a lookup may be answered, and who waits for it.
#[derive(Default)]
struct Lookup(Mutex<(bool, Option<Waker>)>);

struct HeldBatch {
    operations: Vec<Operation>,
    answer: Option<Result<(), PersistenceError>>,
}

impl Store {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    pub(super) fn mood(&self) -> Mood {
        self.kept().mood.unwrap_or(Mood::Willing)
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.kept().mood = Some(mood);
    }

    /// Applies the oldest held batch, or the one at this place.
    pub(crate) fn let_go(&self, place: usize) {
        let mut kept = self.kept();
        kept.is_behind |= place > 0;
        let held = kept.held.remove(place);
        let mut batch = held.0.lock().unwrap();
        for operation in batch.operations.drain(..) {
            kept.apply(operation);
        }
        batch.answer = Some(Ok(()));
    }

    /// Fails the held batch at this place.
    pub(crate) fn refuse_held(&self, place: usize) {
        let held = self.kept().held.remove(place);
        let mut batch = held.0.lock().unwrap();
        batch.operations.clear();
        batch.answer = Some(Err(failure()));
        self.kept().is_behind = true;
    }

    /// Whether a batch was refused, lost, or applied out of turn: then it may hold what the broker
    /// took for gone, and the next broker has to find it.
    pub(crate) fn is_behind(&self) -> bool {
        self.kept().is_behind
    }

    pub(crate) fn set_behind(&self) {
        self.kept().is_behind = true;
    }

    pub(crate) fn held(&self) -> usize {
        self.kept().held.len()
    }

    /// Batches that wait when the process dies are lost.
    pub(crate) fn crash(&self) {
        self.kept().held.clear();
    }

    /// The names of all that it keeps.
    pub(crate) fn contents(&self) -> Vec<String> {
        let kept = self.kept();
        let sessions = kept
            .sessions
            .keys()
            .map(|client| format!("session of {client:?}"));
        let retained = kept
            .retained
            .keys()
            .map(|topic| format!("retained on {topic:?}"));
        let wills = kept
            .wills
            .values()
            .map(|will| format!("will of {:?}", will.session));
        sessions.chain(retained).chain(wills).collect()
    }

    /// From now on lookups of what is under way wait for [`let_lookups_go`](Self::let_lookups_go).
    /// They are answered with what was there when they were made.
    pub(crate) fn hold_lookups(&self) {
        self.kept().holds_lookups = true;
    }

    /// Answers the lookups that wait, and all others at once.
    pub(crate) fn let_lookups_go(&self) {
        let mut kept = self.kept();
        kept.holds_lookups = false;
        let waiting = core::mem::take(&mut kept.waiting);
        drop(kept);
        for lookup in waiting {
            let mut lookup = lookup.0.lock().unwrap();
            lookup.0 = true;
            lookup.1.take().into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) fn fail_lookups(&self, fails: bool) {
        self.kept().fails_lookups = fails;
    }

    /// Messages at these places in a client's queue are gone.
    pub(crate) fn lose_messages(&self, client: &str, places: core::ops::Range<usize>) {
        let mut kept = self.kept();
        let contents = kept.sessions.get_mut(client).expect("a session");
        let sequences: Vec<u64> = contents.outgoing.keys().copied().collect();
        for sequence in &sequences[places] {
            contents.outgoing.remove(sequence);
        }
    }

    /// How many pages of queues were asked for.
    pub(crate) fn pages(&self) -> usize {
        self.kept().pages
    }

    /// Messages of a client's queue that somebody else keeps too: the broker.
    pub(crate) fn in_memory(&self, client: &str) -> usize {
        let kept = self.kept();
        let contents = kept.sessions.get(client);
        contents.map_or(0, |contents| {
            let messages = contents
                .outgoing
                .values()
                .filter_map(|it| it.message.as_ref());
            messages
                .filter(|message| Arc::strong_count(message) > 1)
                .count()
        })
    }

    /// An answer as the tests want it.
    fn look<T: Clone + Send + 'static>(&self, found: T) -> Answer<T> {
        let mut kept = self.kept();
        if kept.fails_lookups {
            return Answer::Ready(Err(failure()));
        }
        if !kept.holds_lookups {
            return Answer::ready(found);
        }
        let lookup = Arc::new(Lookup::default());
        kept.waiting.push(Arc::clone(&lookup));
        Answer::pending(poll_fn(move |context| {
            let mut lookup = lookup.0.lock().unwrap();
            if lookup.0 {
                return Poll::Ready(Ok(found.clone()));
            }
            lookup.1 = Some(context.waker().clone());
            Poll::Pending
        }))
    }

    /// Messages stored for a client, with their identifiers and stages.
    pub(crate) fn queue(&self, client: &str) -> Vec<StoredOutgoing> {
        let kept = self.kept();
        kept.sessions
            .get(client)
            .map(|contents| contents.outgoing.values().cloned().collect())
            .unwrap_or_default()
    }

    pub(crate) fn knows(&self, client: &str) -> bool {
        self.kept().sessions.contains_key(client)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }
}

fn failure() -> PersistenceError {
    PersistenceError::Unavailable("the test said so".into())
}

impl Kept {
    fn contents(&mut self, key: &SessionKey) -> Option<&mut Contents> {
        self.sessions
            .get_mut(&*key.client)
            .filter(|contents| contents.session.session == *key)
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::PutSession(session) => self.put_session(session),
            Operation::DropSession { session } => {
                if self.contents(&session).is_some() {
                    self.sessions.remove(&*session.client);
                }
                self.drop_will(&session);
            }
            Operation::PutSubscription {
                session,
                filter,
                options,
            } => {
                if let Some(contents) = self.contents(&session) {
                    let subscription = StoredSubscription {
                        filter: filter.clone(),
                        options,
                    };
                    contents.subscriptions.insert(filter, subscription);
                }
            }
            Operation::DropSubscription { session, filter } => {
                if let Some(contents) = self.contents(&session) {
                    contents.subscriptions.remove(&filter);
                }
            }
            Operation::PutRetained { message } => {
                self.retained.insert(message.topic().to_owned(), message);
            }
            Operation::DropRetained { topic } => drop(self.retained.remove(&*topic)),
            Operation::Enqueue {
                session,
                sequence,
                message,
                qos,
                retain,
                subscription_ids,
                shared,
                packet_id,
            } => {
                if let Some(contents) = self.contents(&session) {
                    let stored = StoredOutgoing {
                        sequence,
                        message: Some(message),
                        qos,
                        retain,
                        subscription_ids,
                        shared,
                        inflight: packet_id.map(|id| (id, InflightStage::Published)),
                    };
                    let before = contents.outgoing.insert(sequence, stored);
                    assert!(before.is_none(), "a sequence number was used twice");
                }
            }
            Operation::MarkInflight {
                session,
                sequence,
                packet_id,
                stage,
            } => {
                if let Some(contents) = self.contents(&session)
                    && let Some(stored) = contents.outgoing.get_mut(&sequence)
                {
                    stored.inflight = Some((packet_id, stage));
                    if stage == InflightStage::Released {
                        stored.message = None;
                    }
                }
            }
            Operation::Dequeue { session, sequence } => {
                if let Some(contents) = self.contents(&session) {
                    contents.outgoing.remove(&sequence);
                }
            }
            Operation::IncomingReceived { session, packet_id } => {
                if let Some(contents) = self.contents(&session) {
                    contents.incoming.insert(packet_id);
                }
            }
            Operation::IncomingReleased { session, packet_id } => {
                if let Some(contents) = self.contents(&session) {
                    contents.incoming.remove(&packet_id);
                }
            }
            Operation::PutWill(will) => {
                let client = will.session.client.to_string();
                let known = self
                    .wills
                    .get(&client)
                    .map(|known| known.session.incarnation);
                if known.is_none_or(|known| known <= will.session.incarnation) {
                    self.wills.insert(client, will);
                }
            }
            Operation::DropWill { session } => self.drop_will(&session),
            #[allow(unreachable_patterns, reason = "the enum may grow")]
            other => panic!("this store does not know {other:?}"),
        }
    }

    fn put_session(&mut self, session: StoredSession) {
        let client = session.session.client.to_string();
        if let Some(contents) = self.sessions.get_mut(&client) {
            let known = contents.session.session.incarnation;
            if known > session.session.incarnation {
                return;
            }
            if known == session.session.incarnation {
                contents.session = session;
                return;
            }
        }
        let contents = Contents {
            session,
            subscriptions: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeSet::new(),
        };
        self.sessions.insert(client, contents);
    }

    fn drop_will(&mut self, session: &SessionKey) {
        if self
            .wills
            .get(&*session.client)
            .is_some_and(|will| will.session == *session)
        {
            self.wills.remove(&*session.client);
        }
    }
}

fn page<'a, T: 'a + Clone>(
    found: impl Iterator<Item = (impl AsRef<str>, &'a T)>,
    after: Option<&str>,
    limit: usize,
) -> Answer<Vec<T>> {
    // Small pages, so that every test that restores something turns them.
    let limit = limit.min(2);
    Answer::ready(
        found
            .filter(|(name, _)| after.is_none_or(|after| name.as_ref() > after))
            .take(limit)
            .map(|(_, value)| value.clone())
            .collect(),
    )
}

impl Persistence for Store {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        let mut kept = self.kept();
        match kept.mood.unwrap_or(Mood::Willing) {
            Mood::Willing => {
                kept.is_behind |= !kept.held.is_empty();
                for operation in batch.drain() {
                    kept.apply(operation);
                }
                Answer::ready(())
            }
            Mood::Failing => {
                batch.drain().for_each(drop);
                kept.is_behind = true;
                Answer::Ready(Err(failure()))
            }
            Mood::Full => {
                batch.drain().for_each(drop);
                kept.is_behind = true;
                Answer::Ready(Err(PersistenceError::Full("the test said so".into())))
            }
            Mood::Holding => {
                let operations = batch.drain().collect();
                let held = Arc::new(Held(Mutex::new(HeldBatch {
                    operations,
                    answer: None,
                })));
                kept.held.push(Arc::clone(&held));
                Answer::pending(poll_fn(move |_| {
                    held.0
                        .lock()
                        .unwrap()
                        .answer
                        .take()
                        .map_or(Poll::Pending, Poll::Ready)
                }))
            }
        }
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        page(
            self.kept()
                .sessions
                .iter()
                .map(|(name, it)| (name, &it.session)),
            after,
            limit,
        )
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        Answer::ready(
            self.kept()
                .sessions
                .get(client)
                .map(|contents| contents.session.clone()),
        )
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        match self.kept().sessions.get(client) {
            Some(contents) => page(contents.subscriptions.iter(), after, limit),
            None => Answer::ready(Vec::new()),
        }
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        self.kept().pages += 1;
        let queue = self.queue(client).into_iter();
        let behind = queue.filter(|stored| after.is_none_or(|after| stored.sequence > after));
        self.look(behind.take(limit.min(2)).collect())
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let all = self.queue(client);
        let messages = all.iter().filter_map(|stored| stored.message.as_ref());
        Answer::ready(StoredQueue {
            messages: all.len() as u64,
            bytes: messages.map(|message| message.size_bytes() as u64).sum(),
            last: all.last().map(|stored| stored.sequence),
        })
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        let kept = self.kept();
        let ids = kept.sessions.get(client).map(|contents| &contents.incoming);
        let ids = ids.into_iter().flatten().copied().collect();
        drop(kept);
        self.look(ids)
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let kept = self.kept();
        let matching = kept.retained.iter().filter(|(topic, _)| {
            filter.is_none_or(|filter| filter.matches(TopicName::new(topic).unwrap()))
        });
        page(matching, after, limit)
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let kept = self.kept();
        page(
            kept.wills.iter().filter(|(_, will)| *will.node == *node),
            after,
            limit,
        )
    }
}
