//! The membership of a node: what it calls, and the task that receives and finds the way back.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_core::backend::{
    Answer, BackendError, BackendState, Envelope, Inbound, Membership, NodeId,
};
use broker_core::{Backoff, Escaped};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use topic_trie::TopicFilterBuf;

use crate::AmqpBackendOptions;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::link::Link;
use crate::publishing::{self, NotPublished};
use crate::receiving::{Receiver, Recipient};

/// Before the server is looked for again, at first and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// A node that is a member.
pub(crate) struct Member {
    node: Arc<Node>,
    task: Mutex<Option<Task>>,
}

/// The task that receives. What it has of the link when it ends outlives the end of the connection: lapin would
/// cancel consumers that are dropped, and take it for an error that the connection is about to close.
type Task = JoinHandle<Option<Receiver>>;

/// What calls and task share.
struct Node {
    options: AmqpBackendOptions,
    server: String,
    recipient: Recipient,
    standing: Mutex<Standing>,
    /// Told once, when the node leaves.
    is_over: Notify,
}

enum Standing {
    Connected(Arc<Link>),
    Lost,
    Left,
}

/// Connects, and begins to receive.
pub(crate) async fn join(
    options: AmqpBackendOptions,
    id: NodeId,
    inbound: Inbound,
) -> Result<Member, BackendError> {
    let server = format!("RabbitMQ at {}", options.shown_url());
    let Some(keys) = Keys::new(options.prefix.clone()) else {
        let reason = Failure::refused("the prefix is too long for a routing key");
        return Err(reason.into_error(&server));
    };
    let opened = Link::open(&options, &keys, &id.name).await;
    let (link, receiver) = opened.map_err(|error| error.into_error(&server))?;
    let node = Arc::new(Node {
        options,
        server,
        recipient: Recipient {
            id,
            keys,
            inbound,
            has_left: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
        },
        standing: Mutex::new(Standing::Connected(link)),
        is_over: Notify::new(),
    });
    let task = tokio::spawn(stay(Arc::clone(&node), receiver));
    Ok(Member {
        node,
        task: Mutex::new(Some(task)),
    })
}

/// Receives for as long as the node is a member, over one link after the other. Returns what it has of the last.
async fn stay(node: Arc<Node>, mut receiver: Receiver) -> Option<Receiver> {
    loop {
        let reason = tokio::select! {
            biased;
            () = node.is_over.notified() => return Some(receiver),
            reason = receiver.run(&node.recipient) => reason,
        };
        node.lose(receiver.link(), &reason);
        drop(receiver);
        receiver = tokio::select! {
            biased;
            () = node.is_over.notified() => return None,
            found = node.find_back() => found?,
        };
    }
}

impl Node {
    /// The link over which calls go.
    fn link(&self) -> Result<Arc<Link>, BackendError> {
        let reason = match &*self.standing.lock() {
            Standing::Connected(link) => return Ok(Arc::clone(link)),
            Standing::Lost => "the connection is lost",
            Standing::Left => "the node has left",
        };
        Err(Failure::unavailable(reason).into_error(&self.server))
    }

    /// This link is of no use any more. Says so, unless that was said.
    fn lose(&self, link: &Arc<Link>, reason: &Failure) {
        let mut standing = self.standing.lock();
        if matches!(&*standing, Standing::Connected(current) if Arc::ptr_eq(current, link)) {
            *standing = Standing::Lost;
            self.recipient.inbound.set_state(BackendState::Lost);
            drop(standing);
            tracing::warn!(
                error = %Escaped(reason),
                "the connection to RabbitMQ is lost"
            );
        }
        link.cut();
    }

    /// Connects again, however long it takes; none if the node has left.
    async fn find_back(&self) -> Option<Receiver> {
        let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut before = String::new();
        loop {
            sleep(pauses.pause()).await;
            let (keys, name) = (&self.recipient.keys, &self.recipient.id.name);
            match Link::open(&self.options, keys, name).await {
                Ok((link, receiver)) => return self.is_back(link).then_some(receiver),
                Err(reason) => {
                    let now = reason.to_string();
                    if now != before {
                        tracing::warn!(
                            error = %Escaped(&now),
                            "RabbitMQ cannot be reached; it is tried again and again"
                        );
                    }
                    before = now;
                }
            }
        }
    }

    /// Says that the node is connected again. False if it has left.
    fn is_back(&self, link: Arc<Link>) -> bool {
        let mut standing = self.standing.lock();
        if matches!(*standing, Standing::Left) {
            return false;
        }
        *standing = Standing::Connected(link);
        self.recipient.inbound.set_state(BackendState::Connected);
        true
    }

    /// What a call answers, for which the link was lost or not.
    fn failed(&self, link: &Arc<Link>, reason: Failure) -> BackendError {
        self.lose(link, &reason);
        reason.into_error(&self.server)
    }
}

impl Member {
    /// Binds or unbinds the keys of filters; those without a key are bound in any case.
    fn change(&self, filters: &[TopicFilterBuf], is_bind: bool) -> Answer<()> {
        let link = match self.node.link() {
            Ok(link) => link,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let node = Arc::clone(&self.node);
        let keys = filters.iter().filter_map(|filter| {
            let keys = &node.recipient.keys;
            keys.filter(filter.as_filter())
        });
        let keys: Vec<_> = keys.collect();
        Box::pin(async move {
            let changed = match is_bind {
                true => link.bind(&keys).await,
                false => link.unbind(&keys).await,
            };
            changed.map_err(|reason| node.failed(&link, reason))
        })
    }

    /// Ends the membership. Returns the link, if there was one, and the task, which is about to end.
    fn end(&self) -> (Option<Arc<Link>>, Option<Task>) {
        self.node.recipient.has_left.store(true, Ordering::SeqCst);
        let before = std::mem::replace(&mut *self.node.standing.lock(), Standing::Left);
        let task = self.task.lock().take();
        self.node.is_over.notify_one();
        match before {
            Standing::Connected(link) => (Some(link), task),
            Standing::Lost | Standing::Left => (None, task),
        }
    }
}

impl Membership for Member {
    fn publish(&self, batch: Vec<Envelope>) -> Answer<usize> {
        let link = match self.node.link() {
            Ok(link) => link,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let node = Arc::clone(&self.node);
        Box::pin(async move {
            let keys = &node.recipient.keys;
            let payload_max = node.options.max_message_bytes;
            let published = publishing::publish(&link, keys, payload_max, batch).await;
            published.map_err(|error| match error {
                NotPublished::Lost(reason) => node.failed(&link, reason),
                NotPublished::Declined => {
                    Failure::unavailable("it did not take a message").into_error(&node.server)
                }
            })
        })
    }

    fn subscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.change(&filters, true)
    }

    fn unsubscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.change(&filters, false)
    }

    fn leave(&self) -> Answer<()> {
        if matches!(*self.node.standing.lock(), Standing::Left) {
            let reason = Failure::unavailable("the node has left");
            return Box::pin(ready(Err(reason.into_error(&self.node.server))));
        }
        let (link, task) = self.end();
        let server = self.node.server.clone();
        Box::pin(async move {
            let receiver = match task {
                Some(task) => task.await.ok().flatten(),
                None => None,
            };
            let closed = match link {
                Some(link) => link.close().await.map_err(|it| it.into_error(&server)),
                None => Ok(()),
            };
            drop(receiver);
            closed
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let (Some(link), _) = self.end() {
            link.cut();
        }
    }
}
