//! Drawn operations, against a model that is nothing but lists: the store answers every lookup as
//! the model does, with limits and without; a batch that does not fit leaves no trace.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::collections::HashMap;
use std::sync::Arc;

use broker_core::persistence::contract::{Model, block_on};
use broker_core::persistence::{
    InflightStage, Operation, Persistence, PersistenceError, SessionKey, StoredSession, StoredWill,
    SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_memory::{MemoryLimits, MemoryPersistence, MemorySizes};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use topic_trie::TopicFilter;

const CLIENTS: [&str; 3] = ["a", "a/b", "b"];
const FILTERS: [&str; 6] = ["#", "+", "+/b", "a/#", "$a/#", "a/b"];
const TOPICS: [&str; 5] = ["$a/b", "a", "a/b", "a/b/c", "b/b"];
const NODES: [&str; 2] = ["m", "n"];

/// The sizes that a store with these contents reports; the bytes if it counts them.
fn sizes_of(model: &Model) -> (MemorySizes, usize) {
    let contents = || model.sessions.iter().map(|(_, contents)| contents);
    let mut sizes = MemorySizes::default();
    sizes.sessions = model.sessions.len();
    sizes.subscriptions = contents().map(|one| one.subscriptions.len()).sum();
    sizes.queued_messages = contents().map(|one| one.outgoing.len()).sum();
    sizes.retained_messages = model.retained.len();
    sizes.wills = model.wills.len();
    let queued = contents()
        .flat_map(|one| &one.outgoing)
        .filter_map(|one| one.message.as_ref());
    let wills = model.wills.iter().map(|will| &will.message);
    let messages: HashMap<_, _> = queued
        .chain(&model.retained)
        .chain(wills)
        .map(|message| (Arc::as_ptr(message), message.size_bytes()))
        .collect();
    (sizes, messages.into_values().sum())
}

fn fits(model: &Model, limits: &MemoryLimits) -> bool {
    let (sizes, message_bytes) = sizes_of(model);
    sizes.sessions <= limits.max_sessions
        && sizes.subscriptions <= limits.max_subscriptions
        && sizes.queued_messages <= limits.max_queued_messages
        && message_bytes <= limits.max_message_bytes
}

/// Compares every lookup, from the beginning and behind every name.
fn assert_same(store: &MemoryPersistence, model: &Model, limit: usize) {
    let (mut sizes, message_bytes) = sizes_of(model);
    let found = store.sizes();
    sizes.message_bytes = found.message_bytes;
    assert_eq!(found, sizes);
    assert!(
        found
            .message_bytes
            .is_none_or(|counted| counted == message_bytes)
    );

    for after in CLIENTS.into_iter().map(Some).chain([None]) {
        let found = block_on(store.sessions(after, limit)).unwrap();
        assert_eq!(found, model.sessions(after, limit));
        for node in NODES {
            let found = block_on(store.wills(node, after, limit)).unwrap();
            assert_eq!(found, model.wills(node, after, limit));
        }
    }
    for client in CLIENTS {
        let found = block_on(store.session(client)).unwrap();
        assert_eq!(found, model.session(client));
        for after in FILTERS.into_iter().map(Some).chain([None]) {
            let found = block_on(store.subscriptions(client, after, limit)).unwrap();
            assert_eq!(found, model.subscriptions(client, after, limit));
        }
        for after in [None, Some(0), Some(7), Some(30)] {
            let found = block_on(store.outgoing(client, after, limit)).unwrap();
            assert_eq!(found, model.outgoing(client, after, limit));
        }
        let found = block_on(store.queue(client)).unwrap();
        assert_eq!(found, model.queue(client));
        let found = block_on(store.incoming(client)).unwrap();
        assert_eq!(found, model.incoming(client));
    }
    let filters = FILTERS.into_iter().map(|text| TopicFilter::new(text).ok());
    for filter in filters.chain([None]) {
        for after in TOPICS.into_iter().map(Some).chain([None]) {
            let found = block_on(store.retained(filter, after, limit)).unwrap();
            assert_eq!(found, model.retained(filter, after, limit));
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
            if fits(&after, &limits) {
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
            counts[usize::from(fits(&model, &limits))] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}
