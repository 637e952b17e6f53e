//! A store of one's own: one in memory, which writes down what the broker commits to it.
//!
//! ```console
//! $ cargo run -p mosca --example custom_persistence
//! $ mosquitto_pub -r -t lamp -m on
//! $ cat broker.journal
//! ```
//!
//! Whoever writes a store from nothing implements the same trait, whose text has all promises, and lets
//! `mosca::persistence::contract` test it.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mosca::persistence::{
    Answer, Batch, Operation, Persistence, PersistenceError, StoredOutgoing, StoredQueue,
    StoredSession, StoredSubscription, StoredWill,
};
use mosca::{Interface, Message, Server};
use mqtt_codec::PacketId;
use persistence_memory::MemoryPersistence;
use topic_trie::TopicFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Journaled::new(MemoryPersistence::new(), File::create("broker.journal")?);
    let server = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:1883"))
        .persistence(Arc::new(store))
        .start()
        .await?;
    tokio::signal::ctrl_c().await?;
    server.close(Duration::from_secs(5)).await;
    Ok(())
}

/// A store that writes a line for each operation before another store has it.
pub struct Journaled<S, W> {
    inner: S,
    journal: Mutex<W>,
}

impl<S, W: Write> Journaled<S, W> {
    /// Keeps in `inner` what it has written to `journal`.
    pub fn new(inner: S, journal: W) -> Self {
        let journal = Mutex::new(journal);
        Self { inner, journal }
    }

    fn note(&self, batch: &Batch) -> io::Result<()> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        for operation in batch.operations() {
            let line = match operation {
                Operation::PutSession(stored) => format!("session {:?}", stored.session.client),
                Operation::DropSession { session } => format!("no session {:?}", session.client),
                Operation::PutRetained { message } => format!("retained {:?}", message.topic()),
                Operation::DropRetained { topic } => format!("not retained {topic:?}"),
                Operation::Enqueue {
                    session, message, ..
                } => {
                    format!("for {:?}: {:?}", session.client, message.topic())
                }
                _ => continue,
            };
            writeln!(journal, "{line}")?;
        }
        journal.flush()
    }
}

impl<S: Persistence, W: Write + Send + 'static> Persistence for Journaled<S, W> {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        match self.note(batch) {
            Ok(()) => self.inner.commit(batch),
            // Nothing is acknowledged that could not be written down.
            Err(error) => {
                batch.drain().for_each(drop);
                Answer::Ready(Err(PersistenceError::Unavailable(error.into())))
            }
        }
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        self.inner.sessions(after, limit)
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        self.inner.session(client)
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        self.inner.subscriptions(client, after, limit)
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        self.inner.outgoing(client, after, limit)
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        self.inner.queue(client)
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        self.inner.incoming(client)
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        self.inner.retained(filter, after, limit)
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        self.inner.wills(node, after, limit)
    }

    fn outlives_process(&self) -> bool {
        self.inner.outlives_process()
    }
}
