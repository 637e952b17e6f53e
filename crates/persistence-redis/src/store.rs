//! The store itself: takes batches into the line, and answers lookups.

use core::future::Future;
use std::sync::Arc;
use std::time::Instant;

use broker_core::persistence::{
    Answer, Batch, Persistence, PersistenceError, StoredOutgoing, StoredQueue, StoredSession,
    StoredSubscription, StoredWill,
};
use broker_core::{Escaped, Message};
use mqtt_codec::PacketId;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use topic_trie::TopicFilter;

use crate::error::{ConnectError, unavailable};
use crate::lookup::Lookups;
use crate::reader::Reader;
use crate::shared::{Shared, backoff};
use crate::writer::Writer;
use crate::{RedisOptions, health, sweeper};

/// A store in Redis; see the [crate's text](crate).
///
/// To be shared by [`Arc`]. It works on the tokio runtime on which it was
/// [connected](Self::connect), and answers on any.
#[derive(Debug)]
pub struct RedisPersistence {
    core: Arc<Core>,
    runtime: Handle,
    warnings: Vec<String>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What lookups and the sweeper share with the store.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) lookups: Lookups,
    /// Told when the store is dropped.
    pub(crate) dropped: Arc<Notify>,
}

impl RedisPersistence {
    /// Connects, and creates the store if there is none at the place.
    ///
    /// Has to be called on a tokio runtime with time and input and output, on which the store's
    /// tasks then run. Tries for as long as [`RedisOptions::connect_timeout_ms`] says.
    ///
    /// # Errors
    /// If an option is wrong, Redis cannot be reached or refuses the login, or there is something else
    /// at the place.
    pub async fn connect(options: RedisOptions) -> Result<Self, ConnectError> {
        let shared = Arc::new(Shared::new(options)?);
        let patience = shared.options().connect_timeout();
        let (start, mut backoff) = (Instant::now(), backoff());
        let (writer, mut first) = loop {
            match Writer::start(Arc::clone(&shared)).await {
                Ok(started) => break started,
                Err(error) if !error.may_pass() || start.elapsed() >= patience => {
                    return Err(error);
                }
                Err(_) => sleep(backoff.pause()).await,
            }
        };
        let warnings = health::warnings(&mut first.link, shared.options()).await;
        for warning in &warnings {
            tracing::warn!(address = %first.link.address, "{}", Escaped(warning));
        }
        let reader = Reader::new(Arc::clone(&shared));
        let core = Arc::new(Core {
            lookups: Lookups { shared, reader },
            dropped: Arc::default(),
        });
        let runtime = Handle::current();
        runtime.spawn(sweeper::run(Arc::downgrade(&core)));
        Ok(Self {
            writer: Mutex::new(Some(runtime.spawn(writer.run(first)))),
            core,
            runtime,
            warnings,
        })
    }

    /// What the operator should know about how Redis is set up: that it keeps nothing on its disk, say,
    /// or throws things away when it is full. They are logged when the store is connected, too.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Writes what waits, and ends; what comes later is refused. Dropping the store does the same
    /// without waiting for it.
    pub async fn close(&self) {
        self.core.lookups.shared.line.close();
        if let Some(writer) = self.writer.lock().await.take() {
            let _ = writer.await;
        }
    }

    /// Runs a lookup on the store's runtime.
    fn lookup<T, F>(&self, lookup: impl FnOnce(Arc<Core>) -> F) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PersistenceError>> + Send + 'static,
    {
        let task = self.runtime.spawn(lookup(Arc::clone(&self.core)));
        Answer::pending(async {
            match task.await {
                Ok(result) => result,
                Err(_) => Err(unavailable("the runtime of the store has ended")),
            }
        })
    }
}

impl Drop for RedisPersistence {
    fn drop(&mut self) {
        self.core.lookups.shared.line.close();
        self.core.dropped.notify_one();
    }
}

impl Persistence for RedisPersistence {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        if batch.is_empty() {
            return Answer::ready(());
        }
        self.core.lookups.shared.line.push(batch.drain().collect())
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        let after = after.map(str::to_owned);
        self.lookup(move |core| async move { core.lookups.sessions(after, limit).await })
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        let client = client.to_owned();
        self.lookup(move |core| async move { core.lookups.session(client).await })
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        let (client, after) = (client.to_owned(), after.map(str::to_owned));
        self.lookup(
            move |core| async move { core.lookups.subscriptions(client, after, limit).await },
        )
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        let client = client.to_owned();
        self.lookup(move |core| async move { core.lookups.outgoing(client, after, limit).await })
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let client = client.to_owned();
        self.lookup(move |core| async move { core.lookups.queue(client).await })
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        let client = client.to_owned();
        self.lookup(move |core| async move { core.lookups.incoming(client).await })
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let filter = filter.map(TopicFilter::to_buf);
        let after = after.map(str::to_owned);
        self.lookup(move |core| async move { core.lookups.retained(filter, after, limit).await })
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let (node, after) = (node.to_owned(), after.map(str::to_owned));
        self.lookup(move |core| async move { core.lookups.wills(node, after, limit).await })
    }
}
