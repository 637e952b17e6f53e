//! An engine of one's own between servers that stand for one another: a channel of tokio's, in one process.
//!
//! ```console
//! $ cargo run -p mosca --example custom_backend
//! $ mosquitto_sub -p 1883 -t lamp &
//! $ mosquitto_pub -p 1884 -t lamp -m on
//! ```
//!
//! Everything goes to everybody: each server picks out what it needs, once. Whoever writes an engine over a
//! network implements the same traits, whose text has all promises, and lets `mosca::backend::contract` test it.

use std::sync::{Mutex, PoisonError};
use std::{sync::Arc, time::Duration};

use mosca::backend::{Answer, Backend, BackendError, Envelope, Inbound, Membership, NodeId};
use mosca::{Interface, Server};
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};
use tokio::task::JoinHandle;
use topic_trie::TopicFilterBuf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine: Arc<dyn Backend> = Arc::new(Channel::new(10_000));
    let mut servers = Vec::new();
    for (id, address) in [("one", "127.0.0.1:1883"), ("other", "127.0.0.1:1884")] {
        let server = Server::builder()
            .id(id)
            .listen(Interface::mqtt(address))
            .backend(Arc::clone(&engine));
        servers.push(server.start().await?);
    }
    tokio::signal::ctrl_c().await?;
    for server in servers {
        server.close(Duration::from_secs(5)).await;
    }
    Ok(())
}

/// An engine that is a channel.
pub struct Channel(Sender<Envelope>);

impl Channel {
    /// One that keeps so many envelopes for who is slow; what is more, he misses.
    pub fn new(envelopes: usize) -> Self {
        Self(Sender::new(envelopes))
    }
}

impl Backend for Channel {
    fn join(&self, _: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let (all, from_all) = (self.0.clone(), self.0.subscribe());
        Box::pin(async move {
            let task = Mutex::new(Some(tokio::spawn(deliver(from_all, inbound))));
            Ok(Arc::new(Member { all, task }) as Arc<dyn Membership>)
        })
    }
}

/// Hands on what comes, in its order, and says what does not.
async fn deliver(mut from_all: Receiver<Envelope>, inbound: Inbound) {
    loop {
        match from_all.recv().await {
            Ok(envelope) => {
                if !inbound.put(envelope).await {
                    return;
                }
            }
            Err(RecvError::Lagged(missed)) => inbound.note_missed(missed),
            Err(RecvError::Closed) => return,
        }
    }
}

/// A server that takes part, until its task is taken away.
struct Member {
    all: Sender<Envelope>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Member {
    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), BackendError> {
        match *self.task() {
            Some(_) => Ok(()),
            None => Err(BackendError::Refused("the server has left".into())),
        }
    }
}

impl Membership for Member {
    fn publish(&self, batch: Vec<Envelope>) -> Answer<usize> {
        let checked = self.check().map(|()| {
            for envelope in batch {
                // There is one receiver at least: this server's own.
                let _receivers = self.all.send(envelope);
            }
            0
        });
        Box::pin(async { checked })
    }

    /// All comes, whatever is subscribed to.
    fn subscribe(&self, _: Vec<TopicFilterBuf>) -> Answer<()> {
        let checked = self.check();
        Box::pin(async { checked })
    }

    fn unsubscribe(&self, _: Vec<TopicFilterBuf>) -> Answer<()> {
        let checked = self.check();
        Box::pin(async { checked })
    }

    fn leave(&self) -> Answer<()> {
        let task = self.task().take();
        Box::pin(async {
            let task = task.ok_or(BackendError::Refused("the server has left".into()))?;
            task.abort();
            let _aborted = task.await;
            Ok(())
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }
}
