//! Operations that tests of the store commit.

use std::sync::Arc;

use broker_core::persistence::{
    Batch, Operation, Persistence, PersistenceError, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_redis::RedisPersistence;

pub(crate) fn key(client: &str) -> SessionKey {
    SessionKey {
        client: client.into(),
        incarnation: 1,
    }
}

pub(crate) fn put_session(client: &str) -> Operation {
    Operation::PutSession(StoredSession {
        session: key(client),
        expiry_interval_secs: 60,
        disconnected_at: None,
    })
}

pub(crate) fn drop_session(client: &str) -> Operation {
    Operation::DropSession {
        session: key(client),
    }
}

pub(crate) fn message(topic: &str, payload: &[u8]) -> Arc<Message> {
    expiring(topic, payload, Timestamp::MAX)
}

pub(crate) fn expiring(topic: &str, payload: &[u8], expires: Timestamp) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        expires,
    })
}

pub(crate) fn enqueue(client: &str, sequence: u64, message: &Arc<Message>) -> Operation {
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

pub(crate) fn dequeue(client: &str, sequence: u64) -> Operation {
    Operation::Dequeue {
        session: key(client),
        sequence,
    }
}

pub(crate) async fn commit(
    store: &RedisPersistence,
    operations: impl IntoIterator<Item = Operation>,
) -> Result<(), PersistenceError> {
    let mut batch: Batch = operations.into_iter().collect();
    store.commit(&mut batch).await
}

/// The numbers of the messages in a queue.
pub(crate) async fn numbers(
    store: &RedisPersistence,
    client: &str,
) -> Result<Vec<u64>, PersistenceError> {
    let page = store.outgoing(client, None, 10_000).await?;
    Ok(page.iter().map(|one| one.sequence).collect())
}

/// How many messages are in the queue of each worker while [`Load`] runs.
pub(crate) const WINDOW: u64 = 10;

/// Clients that write as fast as they are answered: each puts its next message into its queue and
/// takes out the one ten before, so that a batch that is missing, is repeated late or is out of its
/// turn shows in what is left.
pub(crate) struct Load {
    workers: Vec<tokio::task::JoinHandle<u64>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    confirmed: Arc<std::sync::atomic::AtomicU64>,
}

impl Load {
    pub(crate) async fn start(store: &Arc<RedisPersistence>, workers: usize) -> Self {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut load = Self {
            workers: Vec::new(),
            stop: Arc::clone(&stop),
            confirmed: Arc::default(),
        };
        for worker in 0..workers {
            let (store, stop) = (Arc::clone(store), Arc::clone(&stop));
            let confirmed = Arc::clone(&load.confirmed);
            let client = format!("worker {worker}");
            commit(&store, [put_session(&client)]).await.unwrap();
            load.workers.push(tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    number += 1;
                    // Every third is too large for the queue itself.
                    let size = if number % 3 == 0 { 2_000 } else { 20 };
                    let message = message("a/b", &vec![7; size]);
                    let mut operations = vec![enqueue(&client, number, &message)];
                    if number > WINDOW {
                        operations.push(dequeue(&client, number - WINDOW));
                    }
                    commit(&store, operations).await.unwrap();
                    confirmed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                number
            }));
        }
        load
    }

    /// Waits until as many batches have been confirmed as there were, and `more`: that there is load,
    /// and that it goes on after a fault.
    pub(crate) async fn confirms(&self, more: u64) {
        let confirmed = || self.confirmed.load(std::sync::atomic::Ordering::SeqCst);
        let wanted = confirmed() + more;
        let end = std::time::Instant::now() + super::PATIENCE;
        while confirmed() < wanted {
            assert!(
                std::time::Instant::now() < end,
                "{} of {wanted} batches are confirmed",
                confirmed()
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Stops, and compares what is there with what was confirmed.
    pub(crate) async fn finish(self, store: &RedisPersistence) {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        for (worker, task) in self.workers.into_iter().enumerate() {
            let last = task.await.unwrap();
            let found = numbers(store, &format!("worker {worker}")).await.unwrap();
            let wanted: Vec<u64> = (last.saturating_sub(WINDOW - 1).max(1)..=last).collect();
            assert_eq!(found, wanted, "worker {worker}");
        }
    }
}
