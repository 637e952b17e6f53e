//! An engine between nodes that are in one process.
//!
//! Envelopes go from the task that publishes straight into the queues of the nodes that want them. There is
//! no queue in between: the limits are those of the nodes' own ([`InboundLimits`]), and a full one holds up
//! whoever publishes, for a limited time.
//!
//! [`InboundLimits`]: broker_core::backend::InboundLimits

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_core::backend::{
    Answer, Audience, Backend, BackendError, Envelope, Inbound, Membership, NodeId, NotTaken,
};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, timeout_at};
use topic_trie::{FilterTrie, TopicFilterBuf, TopicName};

/// How long a batch waits for nodes that have no room.
const PATIENCE: Duration = Duration::from_secs(1);

/// An engine for as many nodes of this process as like to share it. Clones are the same engine.
///
/// Publishing needs a tokio runtime with time enabled, as servers do.
#[derive(Clone, Debug)]
pub struct MemoryBackend {
    engine: Arc<Engine>,
}

#[derive(Debug)]
struct Engine {
    patience: Duration,
    members: RwLock<HashMap<NodeId, Arc<Member>>>,
}

#[derive(Debug)]
struct Member {
    id: NodeId,
    inbound: Inbound,
    filters: Mutex<FilterTrie<(), ()>>,
    /// Whether it has let a batch wait for too long and has taken nothing since.
    is_behind: AtomicBool,
    has_left: AtomicBool,
}

impl MemoryBackend {
    /// An engine without members.
    pub fn new() -> Self {
        Self::with_patience(PATIENCE)
    }

    /// One in which a batch waits for so long at most until nodes have room for it; default 1 s. What has no
    /// room by then, those nodes have missed.
    pub fn with_patience(patience: Duration) -> Self {
        Self {
            engine: Arc::new(Engine {
                patience,
                members: RwLock::default(),
            }),
        }
    }

    /// How many nodes are members.
    pub fn members(&self) -> usize {
        self.engine.members.read().len()
    }

    /// How many topic filters all nodes together ask for.
    pub fn filters(&self) -> usize {
        let members = self.engine.members.read();
        members.values().map(|it| it.filters.lock().len()).sum()
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for MemoryBackend {
    /// Never fails, unless the node is a member already.
    fn join(&self, node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let engine = Arc::clone(&self.engine);
        Box::pin(async move {
            let member = Arc::new(Member {
                id: node.clone(),
                inbound,
                filters: Mutex::new(FilterTrie::new()),
                is_behind: AtomicBool::new(false),
                has_left: AtomicBool::new(false),
            });
            let mut members = engine.members.write();
            if members.contains_key(&node) {
                return Err(BackendError::Refused("the node is a member already".into()));
            }
            members.insert(node, Arc::clone(&member));
            drop(members);
            Ok(Arc::new(InMemory { engine, member }) as Arc<dyn Membership>)
        })
    }
}

/// The membership of one node.
#[derive(Debug)]
struct InMemory {
    engine: Arc<Engine>,
    member: Arc<Member>,
}

impl InMemory {
    fn check(&self) -> Result<(), BackendError> {
        match self.member.has_left.load(Ordering::SeqCst) {
            true => Err(BackendError::Unavailable("the node has left".into())),
            false => Ok(()),
        }
    }

    /// Changes the filters, unless the node has left.
    fn change(&self, change: impl FnOnce(&mut FilterTrie<(), ()>)) -> Answer<()> {
        let checked = self.check();
        if checked.is_ok() {
            change(&mut self.member.filters.lock());
        }
        Box::pin(ready(checked))
    }

    fn end(&self) {
        self.member.has_left.store(true, Ordering::SeqCst);
        self.engine.members.write().remove(&self.member.id);
    }
}

impl Membership for InMemory {
    fn publish(&self, batch: Vec<Envelope>) -> Answer<usize> {
        if let Err(error) = self.check() {
            return Box::pin(ready(Err(error)));
        }
        let members = self.engine.members.read();
        let others = members.values().filter(|it| it.id != self.member.id);
        let others: Vec<_> = others.map(Arc::clone).collect();
        drop(members);
        let patience = self.engine.patience;
        Box::pin(async move {
            // All that have room first, then those that have none.
            let left = others.iter().map(|other| other.take(&batch));
            let left: Vec<_> = left.collect();
            let until = Instant::now() + patience;
            for (other, left) in others.iter().zip(left) {
                other.wait(left, until).await;
            }
            Ok(0)
        })
    }

    fn subscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.change(|known| {
            for filter in &filters {
                known.insert(filter.as_filter(), (), ());
            }
        })
    }

    fn unsubscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.change(|known| {
            for filter in &filters {
                known.remove(filter.as_filter(), &());
            }
        })
    }

    fn leave(&self) -> Answer<()> {
        let checked = self.check();
        self.end();
        Box::pin(ready(checked))
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.end();
    }
}

impl Member {
    /// Takes what there is room for of what it wants. Returns the rest, from the first for which there is
    /// none.
    fn take(&self, batch: &[Envelope]) -> Vec<Envelope> {
        let filters = self.filters.lock();
        let mut wanted = batch.iter().filter(|it| wants(&filters, it)).cloned();
        let Some(first) = wanted.next() else {
            return Vec::new();
        };
        let mut next = Some(first);
        while let Some(envelope) = next {
            match self.inbound.try_put(envelope) {
                Ok(()) => self.is_behind.store(false, Ordering::Relaxed),
                Err(NotTaken::Full(envelope)) => {
                    return core::iter::once(envelope).chain(wanted).collect();
                }
                Err(NotTaken::Closed) => return Vec::new(),
            }
            next = wanted.next();
        }
        Vec::new()
    }

    /// Waits until it has room for these, but not beyond `until`.
    async fn wait(&self, envelopes: Vec<Envelope>, until: Instant) {
        let mut missed = 0;
        for envelope in envelopes {
            if self.is_behind.load(Ordering::Relaxed) {
                let put = self.inbound.try_put(envelope);
                missed += u64::from(matches!(put, Err(NotTaken::Full(_))));
                continue;
            }
            let put = self.inbound.put(envelope);
            if timeout_at(until, put).await.is_err() {
                self.is_behind.store(true, Ordering::Relaxed);
                missed += 1;
            }
        }
        if missed > 0 {
            self.inbound.note_missed(missed);
        }
    }
}

fn wants(filters: &FilterTrie<(), ()>, envelope: &Envelope) -> bool {
    match envelope.audience() {
        Audience::AllNodes => true,
        Audience::Subscribers(topic) => TopicName::new(topic).is_ok_and(|topic| {
            let mut found = false;
            filters.matches(topic, |(), ()| found = true);
            found
        }),
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
