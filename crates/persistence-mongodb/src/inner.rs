//! What the store's tasks and its lookups share.

use core::time::Duration;
use std::sync::Arc;

use broker_core::Backoff;
use bson::Timestamp;
use mongodb::{Client, ClientSession, ClusterTime, Database};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::MongoOptions;
use crate::abandoned::WritingSessions;
use crate::error::Attempt;
use crate::health::Health;
use crate::queue::Queue;

/// One store, as all who work on it see it.
pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) database: Database,
    pub(crate) options: MongoOptions,
    pub(crate) queue: Queue,
    /// Something has been left to be removed.
    pub(crate) litter: Notify,
    pub(crate) health: Arc<Health>,
    pub(crate) writing: WritingSessions,
    seen: Mutex<Seen>,
}

/// The latest state of the database of which anyone here knows.
#[derive(Default)]
struct Seen {
    operation: Option<Timestamp>,
    cluster: Option<ClusterTime>,
}

impl Inner {
    pub(crate) fn new(
        client: Client,
        database: Database,
        options: MongoOptions,
        health: Arc<Health>,
    ) -> Self {
        Self {
            queue: Queue::new(options.max_queued_batches, options.max_queued_bytes),
            client,
            database,
            options,
            litter: Notify::new(),
            health,
            writing: WritingSessions::default(),
            seen: Mutex::default(),
        }
    }

    /// A session that sees all that was seen before, also where another server answers now.
    pub(crate) async fn session(&self) -> Attempt<ClientSession> {
        let mut session = self.client.start_session().causal_consistency(true).await?;
        let seen = self.seen.lock();
        if let Some(time) = &seen.cluster {
            session.advance_cluster_time(time);
        }
        if let Some(time) = seen.operation {
            session.advance_operation_time(time);
        }
        drop(seen);
        Ok(session)
    }

    /// The same, for transactions that write.
    pub(crate) async fn writing_session(&self) -> Attempt<ClientSession> {
        let session = self.session().await?;
        self.writing.note(&self.database, &session).await?;
        Ok(session)
    }

    /// What this session has seen the others see from now on.
    pub(crate) fn note(&self, session: &ClientSession) {
        let mut seen = self.seen.lock();
        seen.operation = seen.operation.max(session.operation_time());
        if let Some(time) = session.cluster_time()
            && seen.cluster.as_ref().is_none_or(|known| known < time)
        {
            seen.cluster = Some(time.clone());
        }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        Duration::from_millis(self.options.response_timeout_ms.max(1))
    }
}

/// Pauses between attempts, of different lengths for different tasks, so that those who are in each other's way
/// part.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(4), Duration::from_secs(1))
}
