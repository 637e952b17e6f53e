//! What a group of batches comes to: the operations are applied, in their order, to what they touch
//! of what is stored, and in memory. What has changed in the end is written once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker_core::persistence::{
    InflightStage, Operation, SessionKey, StoredSession, StoredWill, SubscriptionIds,
};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use bson::oid::ObjectId;
use mqtt_codec::{PacketId, QoS};

/// What is known of a session, and where its contents are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    pub(crate) incarnation: u64,
    pub(crate) contents: ObjectId,
    pub(crate) expiry_interval_secs: u32,
    pub(crate) disconnected_at: Option<Timestamp>,
}

/// A session as it is stored, and as it is to be.
#[derive(Debug, Default)]
pub(crate) struct SessionSlot {
    pub(crate) stored: Option<SessionRow>,
    pub(crate) now: Option<SessionRow>,
}

/// A will as it is stored, and as it is to be.
#[derive(Debug, Default)]
pub(crate) struct WillSlot<'g> {
    pub(crate) stored: Option<WillRow>,
    pub(crate) now: WillNow<'g>,
}

/// What matters of a will that is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WillRow {
    pub(crate) incarnation: u64,
    /// Where its message is, if that is somewhere else.
    pub(crate) message: Option<ObjectId>,
}

#[derive(Debug, Default)]
pub(crate) enum WillNow<'g> {
    #[default]
    AsStored,
    Gone,
    Put(&'g StoredWill),
}

/// A retained message: where the stored one is, if that is somewhere else, and what is to be.
#[derive(Debug, Default)]
pub(crate) struct RetainedSlot<'g> {
    pub(crate) stored_message: Option<ObjectId>,
    pub(crate) now: Option<&'g Arc<Message>>,
}

/// A message in a queue as it is stored, and as it is to be.
#[derive(Debug, Default)]
pub(crate) struct OutgoingSlot<'g> {
    pub(crate) stored: Option<OutgoingRow>,
    /// Whether it matters what is stored.
    pub(crate) is_read: bool,
    pub(crate) now: OutgoingNow<'g>,
}

/// What matters of a message in a queue that is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutgoingRow {
    /// Where the message is, if that is somewhere else.
    pub(crate) message: Option<ObjectId>,
    /// Bytes of the message, as long as it is kept.
    pub(crate) bytes: i64,
}

#[derive(Debug, Default)]
pub(crate) enum OutgoingNow<'g> {
    #[default]
    AsStored,
    Gone,
    Marked(PacketId, InflightStage),
    New(NewOutgoing<'g>),
}

/// A message that was queued just now.
#[derive(Debug)]
pub(crate) struct NewOutgoing<'g> {
    /// None once it has been released.
    pub(crate) message: Option<&'g Arc<Message>>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: &'g SubscriptionIds,
    pub(crate) shared: Option<&'g Arc<str>>,
    pub(crate) inflight: Option<(PacketId, InflightStage)>,
}

/// All that a group touches.
#[derive(Debug, Default)]
pub(crate) struct Plan<'g> {
    pub(crate) sessions: BTreeMap<&'g str, SessionSlot>,
    pub(crate) wills: BTreeMap<&'g str, WillSlot<'g>>,
    pub(crate) retained: BTreeMap<&'g str, RetainedSlot<'g>>,
    pub(crate) subscriptions: BTreeMap<(ObjectId, &'g str), Option<SubscriptionOptions>>,
    pub(crate) incoming: BTreeMap<(ObjectId, PacketId), bool>,
    pub(crate) outgoing: BTreeMap<(ObjectId, u64), OutgoingSlot<'g>>,
    /// Contents of sessions that have ended.
    pub(crate) gone: BTreeSet<ObjectId>,
    /// Whether places in queues that are written anew may be taken already. They are not, but for what
    /// somebody repeats: so this is found out by the insertion of the message, which fails.
    pub(crate) may_be_there: bool,
}

/// The session on whose contents an operation is.
pub(crate) fn contents_of(operation: &Operation) -> Option<&SessionKey> {
    match operation {
        Operation::PutSubscription { session, .. }
        | Operation::DropSubscription { session, .. }
        | Operation::Enqueue { session, .. }
        | Operation::MarkInflight { session, .. }
        | Operation::Dequeue { session, .. }
        | Operation::IncomingReceived { session, .. }
        | Operation::IncomingReleased { session, .. } => Some(session),
        Operation::PutSession(_)
        | Operation::DropSession { .. }
        | Operation::PutRetained { .. }
        | Operation::DropRetained { .. }
        | Operation::PutWill(_)
        | Operation::DropWill { .. } => None,
    }
}

impl<'g> Plan<'g> {
    /// Makes a place for each session, will and retained message that is touched, to be filled with
    /// what is stored of them.
    pub(crate) fn touch(&mut self, operation: &'g Operation) {
        if let Some(session) = contents_of(operation) {
            self.sessions.entry(&session.client).or_default();
        }
        match operation {
            Operation::PutSession(StoredSession { session, .. })
            | Operation::DropSession { session } => {
                self.sessions.entry(&session.client).or_default();
                self.wills.entry(&session.client).or_default();
            }
            Operation::PutWill(StoredWill { session, .. }) | Operation::DropWill { session } => {
                self.wills.entry(&session.client).or_default();
            }
            Operation::PutRetained { message } => {
                self.retained.entry(message.topic()).or_default();
            }
            Operation::DropRetained { topic } => {
                self.retained.entry(topic).or_default();
            }
            _ => {}
        }
    }

    /// The same for a message in a queue. Those of a session that is not stored in this incarnation
    /// are not stored; those that are new and stay are not either.
    pub(crate) fn touch_outgoing(&mut self, operation: &'g Operation) {
        let (Operation::Enqueue {
            session, sequence, ..
        }
        | Operation::MarkInflight {
            session, sequence, ..
        }
        | Operation::Dequeue { session, sequence }) = operation
        else {
            return;
        };
        let stored = self
            .sessions
            .get(&*session.client)
            .and_then(|slot| slot.stored);
        let Some(row) = stored.filter(|row| row.incarnation == session.incarnation) else {
            return;
        };
        let is_new = matches!(operation, Operation::Enqueue { .. }) && !self.may_be_there;
        let is_dequeued = matches!(operation, Operation::Dequeue { .. });
        match self.outgoing.entry((row.contents, *sequence)) {
            Entry::Vacant(place) => {
                place.insert(OutgoingSlot {
                    is_read: !is_new,
                    ..OutgoingSlot::default()
                });
            }
            Entry::Occupied(mut place) => place.get_mut().is_read |= is_dequeued,
        }
    }

    /// What is stored is there; now the operations have their effects.
    pub(crate) fn apply(&mut self, operation: &'g Operation) {
        let contents = contents_of(operation).map(|session| self.contents(session));
        match (operation, contents) {
            (_, Some(None)) => {}
            (
                Operation::PutSubscription {
                    filter, options, ..
                },
                Some(Some(contents)),
            ) => {
                self.subscriptions
                    .insert((contents, filter), Some(*options));
            }
            (Operation::DropSubscription { filter, .. }, Some(Some(contents))) => {
                self.subscriptions.insert((contents, filter), None);
            }
            (Operation::IncomingReceived { packet_id, .. }, Some(Some(contents))) => {
                self.incoming.insert((contents, *packet_id), true);
            }
            (Operation::IncomingReleased { packet_id, .. }, Some(Some(contents))) => {
                self.incoming.insert((contents, *packet_id), false);
            }
            (operation, Some(Some(contents))) => self.apply_to_queue(operation, contents),
            (Operation::PutSession(stored), _) => self.put_session(stored),
            (Operation::DropSession { session }, _) => self.drop_session(session),
            (Operation::PutWill(will), _) => self.put_will(will),
            (Operation::DropWill { session }, _) => self.drop_will(session),
            (Operation::PutRetained { message }, _) => {
                self.retained.entry(message.topic()).or_default().now = Some(message);
            }
            (Operation::DropRetained { topic }, _) => {
                self.retained.entry(topic).or_default().now = None;
            }
            // All that are left are on contents, and those are above.
            (_, None) => {}
        }
    }

    /// Where the contents of a session are, if it is there in this incarnation.
    fn contents(&self, session: &SessionKey) -> Option<ObjectId> {
        let row = self.sessions.get(&*session.client)?.now?;
        (row.incarnation == session.incarnation).then_some(row.contents)
    }

    fn apply_to_queue(&mut self, operation: &'g Operation, contents: ObjectId) {
        match operation {
            Operation::Enqueue {
                sequence,
                message,
                qos,
                retain,
                subscription_ids,
                shared,
                packet_id,
                ..
            } => {
                let slot = self.outgoing.entry((contents, *sequence)).or_default();
                slot.now = OutgoingNow::New(NewOutgoing {
                    message: Some(message),
                    qos: *qos,
                    retain: *retain,
                    subscription_ids,
                    shared: shared.as_ref(),
                    inflight: packet_id.map(|id| (id, InflightStage::Published)),
                });
            }
            Operation::Dequeue { sequence, .. } => {
                if let Some(slot) = self.outgoing.get_mut(&(contents, *sequence)) {
                    slot.now = OutgoingNow::Gone;
                }
            }
            Operation::MarkInflight {
                sequence,
                packet_id,
                stage,
                ..
            } => {
                if let Some(slot) = self.outgoing.get_mut(&(contents, *sequence)) {
                    slot.mark(*packet_id, *stage);
                }
            }
            _ => {}
        }
    }

    fn put_session(&mut self, stored: &'g StoredSession) {
        let key = &stored.session;
        let now = self.sessions.get(&*key.client).and_then(|slot| slot.now);
        let contents = match now {
            Some(row) if row.incarnation > key.incarnation => return,
            Some(row) if row.incarnation == key.incarnation => row.contents,
            Some(row) => {
                self.end(&key.client, row);
                ObjectId::new()
            }
            None => ObjectId::new(),
        };
        self.sessions.entry(&key.client).or_default().now = Some(SessionRow {
            incarnation: key.incarnation,
            contents,
            expiry_interval_secs: stored.expiry_interval_secs,
            disconnected_at: stored.disconnected_at,
        });
    }

    fn drop_session(&mut self, key: &'g SessionKey) {
        let now = self.sessions.get(&*key.client).and_then(|slot| slot.now);
        if let Some(row) = now.filter(|row| row.incarnation == key.incarnation) {
            self.end(&key.client, row);
        }
    }

    /// Ends a session that is there.
    fn end(&mut self, client: &'g str, row: SessionRow) {
        self.gone.insert(row.contents);
        self.sessions.entry(client).or_default().now = None;
        self.drop_will_of(client, row.incarnation);
    }

    fn put_will(&mut self, will: &'g StoredWill) {
        let slot = self.wills.entry(&will.session.client).or_default();
        if slot
            .incarnation()
            .is_none_or(|there| there <= will.session.incarnation)
        {
            slot.now = WillNow::Put(will);
        }
    }

    fn drop_will(&mut self, key: &'g SessionKey) {
        self.drop_will_of(&key.client, key.incarnation);
    }

    fn drop_will_of(&mut self, client: &'g str, incarnation: u64) {
        let slot = self.wills.entry(client).or_default();
        if slot.incarnation() == Some(incarnation) {
            slot.now = WillNow::Gone;
        }
    }
}

impl WillSlot<'_> {
    /// Of the will that is there now.
    fn incarnation(&self) -> Option<u64> {
        match self.now {
            WillNow::AsStored => self.stored.map(|row| row.incarnation),
            WillNow::Gone => None,
            WillNow::Put(will) => Some(will.session.incarnation),
        }
    }
}

impl OutgoingSlot<'_> {
    fn mark(&mut self, packet_id: PacketId, stage: InflightStage) {
        match &mut self.now {
            OutgoingNow::Gone => {}
            OutgoingNow::AsStored if self.stored.is_none() => {}
            OutgoingNow::AsStored => self.now = OutgoingNow::Marked(packet_id, stage),
            OutgoingNow::Marked(id, before) => {
                // What was released once has no message any more, whatever is said of it later.
                *id = packet_id;
                if *before != InflightStage::Released {
                    *before = stage;
                }
            }
            OutgoingNow::New(new) => {
                new.inflight = Some((packet_id, stage));
                if stage == InflightStage::Released {
                    new.message = None;
                }
            }
        }
    }
}
