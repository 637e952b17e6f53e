//! All that is stored, and what each operation does to it.
//!
//! What changes the amount of anything goes through one of the `set_*` methods, which count, so that
//! a step and its undoing cannot disagree about the sizes.

use std::collections::BTreeSet;
use std::sync::Arc;

use broker_core::persistence::{
    ClientId, InflightStage, Operation, SessionKey, StoredSession, StoredWill,
};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use hashbrown::HashMap;
use mqtt_codec::PacketId;
use topic_trie::{TopicMap, TopicName};

use crate::limits::{MemorySizes, MessageBytes};
use crate::queue::{Extra, Queue, Queued};
use crate::small_map::SmallMap;
use crate::undo::{Journal, Undo};
use crate::wills::Wills;

/// A session without contents beyond this number is dropped in no time.
const SMALL: usize = 16;

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sessions: HashMap<ClientId, Session>,
    /// The keys of `sessions`, in order.
    pub(crate) clients: BTreeSet<ClientId>,
    pub(crate) retained: TopicMap<Arc<Message>>,
    pub(crate) wills: Wills,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    subscriptions: usize,
    queued: usize,
    messages: Option<MessageBytes>,
}

/// A session with its contents.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) incarnation: u64,
    pub(crate) expiry_interval_secs: u32,
    pub(crate) disconnected_at: Option<Timestamp>,
    pub(crate) subscriptions: SmallMap<Box<str>, SubscriptionOptions>,
    pub(crate) queue: Queue,
    pub(crate) incoming: BTreeSet<PacketId>,
}

impl Session {
    pub(crate) fn is_small(&self) -> bool {
        self.subscriptions.len() + self.queue.len() + self.incoming.len() <= SMALL
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.queue
            .values()
            .filter_map(|queued| queued.message.as_ref())
    }
}

impl Counts {
    fn message_added(&mut self, message: Option<&Arc<Message>>) {
        if let (Some(messages), Some(message)) = (&mut self.messages, message) {
            messages.add(message);
        }
    }

    fn message_removed(&mut self, message: Option<&Arc<Message>>) {
        if let (Some(messages), Some(message)) = (&mut self.messages, message) {
            messages.remove(message);
        }
    }
}

/// Applying operations, and taking them back.
impl State {
    /// An empty state that knows the bytes of its messages.
    pub(crate) fn counting_messages() -> Self {
        let counts = Counts {
            messages: Some(MessageBytes::default()),
            ..Counts::default()
        };
        Self {
            counts,
            ..Self::default()
        }
    }

    pub(crate) fn sizes(&self) -> MemorySizes {
        MemorySizes {
            sessions: self.sessions.len(),
            subscriptions: self.counts.subscriptions,
            queued_messages: self.counts.queued,
            retained_messages: self.retained.len(),
            wills: self.wills.len(),
            message_bytes: self.counts.messages.as_ref().map(MessageBytes::bytes),
        }
    }

    pub(crate) fn apply(&mut self, operation: Operation, journal: &mut impl Journal) {
        match operation {
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
                let inflight = packet_id.map(|id| (id, InflightStage::Published));
                let message = Some(message);
                let queued = Queued {
                    message,
                    extra: Extra::of(subscription_ids, shared),
                    inflight,
                    qos,
                    retain,
                };
                self.put_queued(session, sequence, Some(queued), journal);
            }
            Operation::Dequeue { session, sequence } => {
                self.put_queued(session, sequence, None, journal);
            }
            Operation::MarkInflight {
                session,
                sequence,
                packet_id,
                stage,
            } => {
                self.mark(session, sequence, (packet_id, stage), journal);
            }
            Operation::IncomingReceived { session, packet_id } => {
                self.put_incoming(session, packet_id, true, journal);
            }
            Operation::IncomingReleased { session, packet_id } => {
                self.put_incoming(session, packet_id, false, journal);
            }
            Operation::PutSession(stored) => self.put_session(stored, journal),
            Operation::DropSession { session } => self.drop_session(&session, journal),
            Operation::PutSubscription {
                session,
                filter,
                options,
            } => {
                self.put_subscription(session, filter, Some(options), journal);
            }
            Operation::DropSubscription { session, filter } => {
                self.put_subscription(session, filter, None, journal);
            }
            Operation::PutRetained { message } => {
                let before = self.set_retained(message.topic(), Some(&message));
                journal.note(|| Undo::Retained {
                    topic: message.topic().into(),
                    before,
                });
            }
            Operation::DropRetained { topic } => {
                let before = self.set_retained(&topic, None);
                journal.note(|| Undo::Retained { topic, before });
            }
            Operation::PutWill(will) => self.put_will(will, journal),
            Operation::DropWill { session } => self.drop_will(session, journal),
        }
    }

    /// Takes one step back.
    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::NoSession { client } => drop(self.take_session(&client)),
            Undo::Session { client, session } => self.insert_session(client, session),
            Undo::Record {
                client,
                expiry_interval_secs,
                disconnected_at,
            } => {
                if let Some(session) = self.sessions.get_mut(&client) {
                    session.expiry_interval_secs = expiry_interval_secs;
                    session.disconnected_at = disconnected_at;
                }
            }
            Undo::Subscription {
                client,
                filter,
                before,
            } => {
                if let Some(session) = self.sessions.get_mut(&client) {
                    set_subscription(session, &mut self.counts, filter, before);
                }
            }
            Undo::Queued {
                client,
                sequence,
                before,
            } => {
                if let Some(session) = self.sessions.get_mut(&client) {
                    set_queued(session, &mut self.counts, sequence, before);
                }
            }
            Undo::Incoming {
                client,
                packet_id,
                was_there,
            } => {
                if let Some(session) = self.sessions.get_mut(&client) {
                    set_incoming(session, packet_id, was_there);
                }
            }
            Undo::Retained { topic, before } => drop(self.set_retained(&topic, before.as_ref())),
            Undo::Will { client, before } => drop(self.set_will(&client, before)),
        }
    }

    fn put_session(&mut self, stored: StoredSession, journal: &mut impl Journal) {
        let StoredSession {
            session: key,
            expiry_interval_secs,
            disconnected_at,
        } = stored;
        if let Some(session) = self.sessions.get_mut(&key.client) {
            if session.incarnation > key.incarnation {
                return;
            }
            if session.incarnation == key.incarnation {
                journal.note(|| Undo::Record {
                    client: key.client,
                    expiry_interval_secs: session.expiry_interval_secs,
                    disconnected_at: session.disconnected_at,
                });
                session.expiry_interval_secs = expiry_interval_secs;
                session.disconnected_at = disconnected_at;
                return;
            }
            let incarnation = session.incarnation;
            let earlier = SessionKey {
                client: Arc::clone(&key.client),
                incarnation,
            };
            self.drop_session(&earlier, journal);
        }
        journal.note(|| Undo::NoSession {
            client: Arc::clone(&key.client),
        });
        let session = Session {
            incarnation: key.incarnation,
            expiry_interval_secs,
            disconnected_at,
            subscriptions: SmallMap::default(),
            queue: Queue::default(),
            incoming: BTreeSet::new(),
        };
        self.insert_session(key.client, session);
    }

    fn drop_session(&mut self, key: &SessionKey, journal: &mut impl Journal) {
        if session_of(&mut self.sessions, key).is_none() {
            return;
        }
        self.drop_will(key.clone(), journal);
        if let Some((client, session)) = self.take_session(&key.client) {
            journal.note_removed(client, session);
        }
    }

    fn put_subscription(
        &mut self,
        key: SessionKey,
        filter: Box<str>,
        options: Option<SubscriptionOptions>,
        journal: &mut impl Journal,
    ) {
        let Some(session) = session_of(&mut self.sessions, &key) else {
            return;
        };
        journal.note(|| Undo::Subscription {
            client: key.client,
            before: session.subscriptions.get(&filter).copied(),
            filter: filter.clone(),
        });
        set_subscription(session, &mut self.counts, filter, options);
    }

    fn put_queued(
        &mut self,
        key: SessionKey,
        sequence: u64,
        queued: Option<Queued>,
        journal: &mut impl Journal,
    ) {
        let Some(session) = session_of(&mut self.sessions, &key) else {
            return;
        };
        let before = set_queued(session, &mut self.counts, sequence, queued);
        journal.note(|| Undo::Queued {
            client: key.client,
            sequence,
            before,
        });
    }

    fn mark(
        &mut self,
        key: SessionKey,
        sequence: u64,
        inflight: (PacketId, InflightStage),
        journal: &mut impl Journal,
    ) {
        let Some(session) = session_of(&mut self.sessions, &key) else {
            return;
        };
        let Some(queued) = session.queue.get_mut(sequence) else {
            return;
        };
        journal.note(|| Undo::Queued {
            client: key.client,
            sequence,
            before: Some(queued.clone()),
        });
        queued.inflight = Some(inflight);
        if inflight.1 == InflightStage::Released {
            self.counts.message_removed(queued.message.take().as_ref());
        }
    }

    fn put_incoming(
        &mut self,
        key: SessionKey,
        packet_id: PacketId,
        is_there: bool,
        journal: &mut impl Journal,
    ) {
        let Some(session) = session_of(&mut self.sessions, &key) else {
            return;
        };
        let was_there = set_incoming(session, packet_id, is_there);
        journal.note(|| Undo::Incoming {
            client: key.client,
            packet_id,
            was_there,
        });
    }

    fn drop_will(&mut self, key: SessionKey, journal: &mut impl Journal) {
        let there = self.wills.get(&key.client);
        if there.is_some_and(|will| will.session.incarnation == key.incarnation) {
            let before = self.set_will(&key.client, None);
            journal.note(|| Undo::Will {
                client: key.client,
                before,
            });
        }
    }

    fn put_will(&mut self, will: StoredWill, journal: &mut impl Journal) {
        let key = &will.session;
        let there = self.wills.get(&key.client);
        if there.is_none_or(|will| will.session.incarnation <= key.incarnation) {
            let client = Arc::clone(&key.client);
            let before = self.set_will(&client, Some(will));
            journal.note(|| Undo::Will { client, before });
        }
    }

    fn insert_session(&mut self, client: ClientId, session: Session) {
        self.counts.subscriptions += session.subscriptions.len();
        self.counts.queued += session.queue.len();
        if self.counts.messages.is_some() {
            session
                .messages()
                .for_each(|message| self.counts.message_added(Some(message)));
        }
        self.clients.insert(Arc::clone(&client));
        self.sessions.insert(client, session);
    }

    fn take_session(&mut self, client: &str) -> Option<(ClientId, Session)> {
        let (client, session) = self.sessions.remove_entry(client)?;
        self.clients.remove(&client);
        self.counts.subscriptions -= session.subscriptions.len();
        self.counts.queued -= session.queue.len();
        if self.counts.messages.is_some() {
            session
                .messages()
                .for_each(|message| self.counts.message_removed(Some(message)));
        }
        Some((client, session))
    }

    fn set_retained(
        &mut self,
        topic: &str,
        message: Option<&Arc<Message>>,
    ) -> Option<Arc<Message>> {
        // The broker retains nothing under a topic that is none.
        let topic = TopicName::new(topic).ok()?;
        self.counts.message_added(message);
        let before = match message {
            Some(message) => self.retained.insert(Arc::clone(message)),
            None => self.retained.remove(topic),
        };
        self.counts.message_removed(before.as_ref());
        before
    }

    fn set_will(&mut self, client: &str, will: Option<StoredWill>) -> Option<StoredWill> {
        self.counts
            .message_added(will.as_ref().map(|will| &will.message));
        let before = match will {
            Some(will) => self.wills.put(will),
            None => self.wills.remove(client),
        };
        self.counts
            .message_removed(before.as_ref().map(|will| &will.message));
        before
    }
}

/// The session, if it is there in this incarnation.
fn session_of<'a>(
    sessions: &'a mut HashMap<ClientId, Session>,
    key: &SessionKey,
) -> Option<&'a mut Session> {
    sessions
        .get_mut(&key.client)
        .filter(|session| session.incarnation == key.incarnation)
}

fn set_subscription(
    session: &mut Session,
    counts: &mut Counts,
    filter: Box<str>,
    options: Option<SubscriptionOptions>,
) {
    let is_there = options.is_some();
    let was_there = match options {
        Some(options) => session.subscriptions.insert(filter, options),
        None => session.subscriptions.remove(&filter),
    }
    .is_some();
    counts.subscriptions += usize::from(is_there);
    counts.subscriptions -= usize::from(was_there);
}

fn set_queued(
    session: &mut Session,
    counts: &mut Counts,
    sequence: u64,
    queued: Option<Queued>,
) -> Option<Queued> {
    let is_there = queued.is_some();
    counts.message_added(queued.as_ref().and_then(|queued| queued.message.as_ref()));
    let before = match queued {
        Some(queued) => session.queue.insert(sequence, queued),
        None => session.queue.remove(sequence),
    };
    counts.message_removed(before.as_ref().and_then(|queued| queued.message.as_ref()));
    counts.queued += usize::from(is_there);
    counts.queued -= usize::from(before.is_some());
    before
}

/// Whether it was there before.
fn set_incoming(session: &mut Session, packet_id: PacketId, is_there: bool) -> bool {
    if is_there {
        return !session.incoming.insert(packet_id);
    }
    let was_there = session.incoming.remove(&packet_id);
    if session.incoming.is_empty() {
        // An empty set would keep memory for the next ones.
        session.incoming = BTreeSet::new();
    }
    was_there
}
