//! What a full store refuses, what it says, and that memory goes when what used it goes.

use std::sync::Arc;

use broker_core::persistence::contract::{Behaviour, FailingPersistence, block_on};
use broker_core::persistence::{
    Answer, Batch, Operation, Persistence, PersistenceError, SessionKey, StoredSession,
    SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_memory::{LimitExceeded, MemoryLimits, MemoryPersistence, MemorySizes};

fn key(client: &str) -> SessionKey {
    SessionKey {
        client: client.into(),
        incarnation: 1,
    }
}

fn message(topic: &str, payload_bytes: usize) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: &vec![0; payload_bytes],
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

fn put_session(client: &str) -> Operation {
    Operation::PutSession(StoredSession {
        session: key(client),
        expiry_interval_secs: 1,
        disconnected_at: None,
    })
}

fn enqueue(client: &str, sequence: u64, message: &Arc<Message>) -> Operation {
    Operation::Enqueue {
        session: key(client),
        sequence,
        message: Arc::clone(message),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    }
}

fn dequeue(client: &str, sequence: u64) -> Operation {
    Operation::Dequeue {
        session: key(client),
        sequence,
    }
}

fn commit(
    store: &impl Persistence,
    operations: impl IntoIterator<Item = Operation>,
) -> Result<(), PersistenceError> {
    block_on(store.commit(&mut operations.into_iter().collect()))
}

#[test]
fn a_full_store_says_which_limit_it_has_reached() {
    let store = MemoryPersistence::with_limits(MemoryLimits {
        max_sessions: 1,
        ..MemoryLimits::default()
    });
    commit(&store, [put_session("a")]).unwrap();
    let Err(PersistenceError::Full(reason)) = commit(&store, [put_session("b")]) else {
        panic!("the second session was accepted");
    };
    let wanted = LimitExceeded {
        what: "sessions",
        limit: 1,
    };
    assert_eq!(reason.downcast_ref::<LimitExceeded>(), Some(&wanted));
    assert_eq!(
        PersistenceError::Full(reason).to_string(),
        "the store is full: the store in memory may hold 1 sessions and no more"
    );
}

#[test]
fn of_a_batch_that_does_not_fit_nothing_is_applied() {
    let store = MemoryPersistence::with_limits(MemoryLimits {
        max_queued_messages: 2,
        ..MemoryLimits::default()
    });
    let message = message("a", 10);
    commit(&store, [put_session("a"), enqueue("a", 1, &message)]).unwrap();
    let before = store.sizes();
    let mut batch: Batch = [
        dequeue("a", 1),
        put_session("b"),
        Operation::PutRetained {
            message: Arc::clone(&message),
        },
        enqueue("a", 2, &message),
        enqueue("a", 3, &message),
        enqueue("b", 1, &message),
    ]
    .into_iter()
    .collect();
    assert!(block_on(store.commit(&mut batch)).is_err());
    assert!(batch.is_empty());
    assert_eq!(store.sizes(), before);
    let queue = block_on(store.outgoing("a", None, 10)).unwrap();
    assert_eq!(
        queue.iter().map(|one| one.sequence).collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_full_store_still_takes_what_makes_it_no_fuller() {
    let store = MemoryPersistence::with_limits(MemoryLimits {
        max_sessions: 2,
        max_queued_messages: 1,
        max_message_bytes: 11,
        ..MemoryLimits::default()
    });
    let small = message("a", 10);
    commit(
        &store,
        [put_session("a"), put_session("b"), enqueue("a", 1, &small)],
    )
    .unwrap();
    // The new one is put before the old one goes; what counts is the end of the batch.
    commit(&store, [enqueue("b", 1, &small), dequeue("a", 1)]).unwrap();
    commit(
        &store,
        [Operation::PutRetained {
            message: Arc::clone(&small),
        }],
    )
    .unwrap();
    assert_eq!(
        store.sizes().message_bytes,
        Some(11),
        "queued and retained, but one message"
    );
    let other = message("a", 10);
    assert!(
        commit(
            &store,
            [Operation::PutRetained {
                message: Arc::clone(&other)
            }]
        )
        .is_err()
    );
    commit(
        &store,
        [dequeue("b", 1), Operation::PutRetained { message: other }],
    )
    .unwrap();
    assert_eq!(store.sizes().message_bytes, Some(11));
}

#[test]
fn memory_goes_with_what_used_it() {
    for store in [
        MemoryPersistence::new(),
        MemoryPersistence::with_limits(MemoryLimits::default()),
    ] {
        let message = message("a", 10);
        let empty = store.sizes();
        let sessions = ["a", "b", "c"];
        commit(&store, sessions.map(put_session)).unwrap();
        commit(&store, sessions.map(|client| enqueue(client, 1, &message))).unwrap();
        commit(
            &store,
            [Operation::PutRetained {
                message: Arc::clone(&message),
            }],
        )
        .unwrap();
        assert_eq!(Arc::strong_count(&message), 1 + 3 + 1, "shared, not copied");
        let found = block_on(store.outgoing("b", None, 1)).unwrap();
        assert!(
            found[0]
                .message
                .as_ref()
                .is_some_and(|found| Arc::ptr_eq(found, &message))
        );
        drop(found);

        commit(&store, [dequeue("a", 1)]).unwrap();
        commit(
            &store,
            sessions.map(|client| Operation::DropSession {
                session: key(client),
            }),
        )
        .unwrap();
        commit(&store, [Operation::DropRetained { topic: "a".into() }]).unwrap();
        assert_eq!(Arc::strong_count(&message), 1);
        assert_eq!(store.sizes(), empty);
    }
}

#[test]
fn every_answer_is_there_at_once() {
    let store = MemoryPersistence::new();
    assert!(matches!(
        store.commit(&mut Batch::new()),
        Answer::Ready(Ok(()))
    ));
    assert!(matches!(store.sessions(None, 1), Answer::Ready(Ok(_))));
    assert!(matches!(store.outgoing("a", None, 1), Answer::Ready(Ok(_))));
}

/// The decorator that tests of the broker use, around a real store.
#[test]
fn a_commit_that_was_told_to_fail_leaves_the_store_as_it_was() {
    let store = FailingPersistence::new(MemoryPersistence::new());
    commit(&store, [put_session("a")]).unwrap();
    let before = store.inner().sizes();
    assert_ne!(before, MemorySizes::default());
    store.set_commits(Behaviour::Fail);
    assert!(
        commit(
            &store,
            [put_session("b"), enqueue("a", 1, &message("a", 1))]
        )
        .is_err()
    );
    assert_eq!(store.inner().sizes(), before);
    store.set_commits(Behaviour::Hold);
    let answer = store.commit(&mut [put_session("b")].into_iter().collect());
    assert_eq!(store.inner().sizes(), before);
    store.release_all();
    block_on(answer).unwrap();
    assert_eq!(store.inner().sizes().sessions, 2);
}
