//! Drawn operations, against a model that is nothing but lists: the store answers every lookup as
//! the model does, with limits and without; a batch that does not fit leaves no trace.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::collections::HashMap;
use std::sync::Arc;

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    InflightStage, Operation, Persistence, PersistenceError, SessionKey, StoredOutgoing,
    StoredSession, StoredSubscription, StoredWill, SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_memory::{MemoryLimits, MemoryPersistence, MemorySizes};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use topic_trie::{TopicFilter, TopicName};

const CLIENTS: [&str; 3] = ["a", "a/b", "b"];
const FILTERS: [&str; 6] = ["#", "+", "+/b", "a/#", "$a/#", "a/b"];
const TOPICS: [&str; 5] = ["$a/b", "a", "a/b", "a/b/c", "b/b"];
const NODES: [&str; 2] = ["m", "n"];

#[derive(Clone, Default)]
struct Model {
    sessions: Vec<(StoredSession, Contents)>,
    retained: Vec<Arc<Message>>,
    wills: Vec<StoredWill>,
}

#[derive(Clone, Default)]
struct Contents {
    subscriptions: Vec<StoredSubscription>,
    outgoing: Vec<StoredOutgoing>,
    incoming: Vec<PacketId>,
}

impl Model {
    fn contents(&mut self, key: &SessionKey) -> Option<&mut Contents> {
        let found = self
            .sessions
            .iter_mut()
            .find(|(stored, _)| stored.session == *key);
        found.map(|(_, contents)| contents)
    }

    fn apply(&mut self, operation: Operation) {
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
            operation => self.apply_to_contents(operation),
        }
    }

    fn put_session(&mut self, stored: StoredSession) {
        let client = &stored.session.client;
        let there = self
            .sessions
            .iter_mut()
            .find(|(there, _)| there.session.client == *client);
        match there {
            Some((there, _)) if there.session == stored.session => *there = stored,
            Some((there, _)) if there.session.incarnation > stored.session.incarnation => {}
            other => {
                if let Some(earlier) = other.map(|(there, _)| there.session.clone()) {
                    self.drop_session(&earlier);
                }
                self.sessions.push((stored, Contents::default()));
            }
        }
    }

    fn drop_session(&mut self, key: &SessionKey) {
        if self.contents(key).is_some() {
            self.sessions.retain(|(there, _)| there.session != *key);
            self.wills.retain(|there| there.session != *key);
        }
    }

    fn apply_to_contents(&mut self, operation: Operation) {
        match operation {
            Operation::PutSubscription {
                session,
                filter,
                options,
            } => {
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                contents
                    .subscriptions
                    .retain(|there| there.filter != filter);
                contents
                    .subscriptions
                    .push(StoredSubscription { filter, options });
            }
            Operation::DropSubscription { session, filter } => {
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                contents
                    .subscriptions
                    .retain(|there| there.filter != filter);
            }
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
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                contents.outgoing.retain(|there| there.sequence != sequence);
                contents.outgoing.push(StoredOutgoing {
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
                session,
                sequence,
                packet_id,
                stage,
            } => {
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                for there in contents
                    .outgoing
                    .iter_mut()
                    .filter(|one| one.sequence == sequence)
                {
                    there.inflight = Some((packet_id, stage));
                    if stage == InflightStage::Released {
                        there.message = None;
                    }
                }
            }
            Operation::Dequeue { session, sequence } => {
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                contents.outgoing.retain(|there| there.sequence != sequence);
            }
            Operation::IncomingReceived { session, packet_id } => {
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                contents.incoming.retain(|there| *there != packet_id);
                contents.incoming.push(packet_id);
            }
            Operation::IncomingReleased { session, packet_id } => {
                let Some(contents) = self.contents(&session) else {
                    return;
                };
                contents.incoming.retain(|there| *there != packet_id);
            }
            other => unreachable!("not an operation on contents: {other:?}"),
        }
    }

    /// The sizes that a store with these contents reports; the bytes if it counts them.
    fn sizes(&self) -> (MemorySizes, usize) {
        let contents = || self.sessions.iter().map(|(_, contents)| contents);
        let mut sizes = MemorySizes::default();
        sizes.sessions = self.sessions.len();
        sizes.subscriptions = contents().map(|one| one.subscriptions.len()).sum();
        sizes.queued_messages = contents().map(|one| one.outgoing.len()).sum();
        sizes.retained_messages = self.retained.len();
        sizes.wills = self.wills.len();
        let queued = contents()
            .flat_map(|one| &one.outgoing)
            .filter_map(|one| one.message.as_ref());
        let wills = self.wills.iter().map(|will| &will.message);
        let messages: HashMap<_, _> = queued
            .chain(&self.retained)
            .chain(wills)
            .map(|message| (Arc::as_ptr(message), message.size_bytes()))
            .collect();
        (sizes, messages.into_values().sum())
    }

    fn fits(&self, limits: &MemoryLimits) -> bool {
        let (sizes, message_bytes) = self.sizes();
        sizes.sessions <= limits.max_sessions
            && sizes.subscriptions <= limits.max_subscriptions
            && sizes.queued_messages <= limits.max_queued_messages
            && message_bytes <= limits.max_message_bytes
    }
}

/// The page of a list that was sorted by `name`.
fn page<T: Clone, K: Ord>(
    list: &[T],
    name: impl Fn(&T) -> K,
    after: Option<K>,
    limit: usize,
) -> Vec<T> {
    let mut sorted = list.to_vec();
    sorted.sort_by_key(|one| name(one));
    sorted.retain(|one| after.as_ref().is_none_or(|after| name(one) > *after));
    sorted.truncate(limit);
    sorted
}

/// Compares every lookup, from the beginning and behind every name.
fn assert_same(store: &MemoryPersistence, model: &Model, limit: usize) {
    let names = || CLIENTS.into_iter().map(Some).chain([None]);
    let (mut sizes, message_bytes) = model.sizes();
    let found = store.sizes();
    sizes.message_bytes = found.message_bytes;
    assert_eq!(found, sizes);
    assert!(
        found
            .message_bytes
            .is_none_or(|counted| counted == message_bytes)
    );

    let sessions: Vec<_> = model
        .sessions
        .iter()
        .map(|(stored, _)| stored.clone())
        .collect();
    for after in names() {
        let wanted = page(
            &sessions,
            |one| one.session.client.to_string(),
            after.map(str::to_owned),
            limit,
        );
        assert_eq!(block_on(store.sessions(after, limit)).unwrap(), wanted);
        for node in NODES {
            let mut wills = model.wills.clone();
            wills.retain(|will| &*will.node == node);
            let name = |will: &StoredWill| will.session.client.to_string();
            let wanted = page(&wills, name, after.map(str::to_owned), limit);
            assert_eq!(block_on(store.wills(node, after, limit)).unwrap(), wanted);
        }
    }
    for client in CLIENTS {
        let known = model
            .sessions
            .iter()
            .find(|(stored, _)| &*stored.session.client == client);
        let stored = known.map(|(stored, _)| stored.clone());
        let contents = known
            .map(|(_, contents)| contents.clone())
            .unwrap_or_default();
        assert_eq!(block_on(store.session(client)).unwrap(), stored);
        for after in FILTERS.into_iter().map(Some).chain([None]) {
            let name = |one: &StoredSubscription| one.filter.to_string();
            let wanted = page(
                &contents.subscriptions,
                name,
                after.map(str::to_owned),
                limit,
            );
            assert_eq!(
                block_on(store.subscriptions(client, after, limit)).unwrap(),
                wanted
            );
        }
        for after in [None, Some(0), Some(7), Some(30)] {
            let wanted = page(&contents.outgoing, |one| one.sequence, after, limit);
            assert_eq!(
                block_on(store.outgoing(client, after, limit)).unwrap(),
                wanted
            );
        }
        let wanted = page(&contents.incoming, |one| *one, None, usize::MAX);
        assert_eq!(block_on(store.incoming(client)).unwrap(), wanted);
    }
    for filter in FILTERS
        .into_iter()
        .map(|text| TopicFilter::new(text).ok())
        .chain([None])
    {
        let mut retained = model.retained.clone();
        retained.retain(|message| {
            let topic = TopicName::new(message.topic()).unwrap();
            filter.is_none_or(|filter| filter.matches(topic))
        });
        for after in TOPICS.into_iter().map(Some).chain([None]) {
            let name = |message: &Arc<Message>| message.topic().to_owned();
            let wanted = page(&retained, name, after.map(str::to_owned), limit);
            assert_eq!(
                block_on(store.retained(filter, after, limit)).unwrap(),
                wanted
            );
        }
    }
}

/// Two messages of different sizes for each topic, the same ones in every operation.
fn pool() -> Vec<Arc<Message>> {
    let message = |topic, payload| {
        Message::new(MessageParts {
            topic,
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            expires: Timestamp::MAX,
        })
    };
    TOPICS
        .into_iter()
        .flat_map(|topic| [message(topic, b"x"), message(topic, &[0; 40])])
        .collect()
}

fn key() -> impl Strategy<Value = SessionKey> {
    (prop::sample::select(&CLIENTS[..]), 1_u64..4).prop_map(|(client, incarnation)| SessionKey {
        client: client.into(),
        incarnation,
    })
}

fn filter() -> impl Strategy<Value = Box<str>> {
    prop::sample::select(&FILTERS[..]).prop_map(Box::from)
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1_u16..5).prop_map(|number| PacketId::new(number).unwrap())
}

fn operation(pool: Vec<Arc<Message>>) -> impl Strategy<Value = Operation> {
    let message = || prop::sample::select(pool.clone());
    // More than a session keeps in a list before it makes a tree of it.
    let sequence = || 0_u64..40;
    let stage = prop::sample::select(&[InflightStage::Published, InflightStage::Released][..]);
    prop_oneof![
        2 => (key(), 0_u32..3, prop::option::of(0_u64..3)).prop_map(|(session, secs, at)| {
            Operation::PutSession(StoredSession {
                session,
                expiry_interval_secs: secs,
                disconnected_at: at.map(Timestamp::from_millis),
            })
        }),
        1 => key().prop_map(|session| Operation::DropSession { session }),
        3 => (key(), filter(), 0_u32..3).prop_map(|(session, filter, identifier)| {
            let options = SubscriptionOptions {
                qos: QoS::AtLeastOnce,
                no_local: false,
                retain_as_published: false,
                identifier,
            };
            Operation::PutSubscription { session, filter, options }
        }),
        2 => (key(), filter())
            .prop_map(|(session, filter)| Operation::DropSubscription { session, filter }),
        3 => message().prop_map(|message| Operation::PutRetained { message }),
        2 => prop::sample::select(&TOPICS[..])
            .prop_map(|topic| Operation::DropRetained { topic: topic.into() }),
        12 => (key(), sequence(), message(), prop::option::of(packet_id())).prop_map(
            |(session, sequence, message, packet_id)| Operation::Enqueue {
                session,
                sequence,
                message,
                qos: QoS::ExactlyOnce,
                retain: sequence % 2 == 0,
                subscription_ids: SubscriptionIds::One(9),
                shared: (sequence % 3 == 0).then(|| "$share/g/a".into()),
                packet_id,
            }
        ),
        3 => (key(), sequence(), packet_id(), stage).prop_map(
            |(session, sequence, packet_id, stage)| Operation::MarkInflight {
                session,
                sequence,
                packet_id,
                stage,
            }
        ),
        6 => (key(), sequence())
            .prop_map(|(session, sequence)| Operation::Dequeue { session, sequence }),
        2 => (key(), packet_id())
            .prop_map(|(session, packet_id)| Operation::IncomingReceived { session, packet_id }),
        2 => (key(), packet_id())
            .prop_map(|(session, packet_id)| Operation::IncomingReleased { session, packet_id }),
        2 => (key(), prop::sample::select(&NODES[..]), message()).prop_map(
            |(session, node, message)| Operation::PutWill(StoredWill {
                session,
                node: node.into(),
                message,
                delay_secs: 0,
                expiry_interval_secs: None,
            })
        ),
        1 => key().prop_map(|session| Operation::DropWill { session }),
    ]
}

fn batches() -> impl Strategy<Value = Vec<Vec<Operation>>> {
    let batch = prop::collection::vec(operation(pool()), 0..24);
    prop::collection::vec(batch, 0..24)
}

proptest! {
    // Each of them is hundreds of operations, and every lookup after each batch.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_store_is_the_model(batches in batches(), limit in 0_usize..6) {
        let store = MemoryPersistence::new();
        let mut model = Model::default();
        for operations in batches {
            operations.iter().for_each(|operation| model.apply(operation.clone()));
            block_on(store.commit(&mut operations.into_iter().collect())).unwrap();
            assert_same(&store, &model, limit);
        }
    }

    #[test]
    fn a_batch_that_does_not_fit_leaves_no_trace(
        batches in batches(),
        max_sessions in 1_usize..4,
        max_subscriptions in 0_usize..6,
        max_queued_messages in 0_usize..30,
        max_message_bytes in 0_usize..200,
    ) {
        let limits = MemoryLimits {
            max_sessions,
            max_subscriptions,
            max_queued_messages,
            max_message_bytes,
        };
        let store = MemoryPersistence::with_limits(limits);
        let mut model = Model::default();
        for operations in batches {
            let mut after = model.clone();
            operations.iter().for_each(|operation| after.apply(operation.clone()));
            let outcome = block_on(store.commit(&mut operations.into_iter().collect()));
            if after.fits(&limits) {
                outcome.unwrap();
                model = after;
            } else {
                prop_assert!(matches!(outcome, Err(PersistenceError::Full(_))));
            }
            assert_same(&store, &model, usize::MAX);
        }
    }
}

/// The drawn limits are met and exceeded, so the property above is about both.
#[test]
fn drawn_batches_fit_and_do_not() {
    let limits = MemoryLimits {
        max_queued_messages: 4,
        ..MemoryLimits::default()
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0, 0];
    for _ in 0..50 {
        let mut model = Model::default();
        for operations in batches().new_tree(&mut runner).unwrap().current() {
            operations
                .into_iter()
                .for_each(|operation| model.apply(operation));
            counts[usize::from(model.fits(&limits))] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}
