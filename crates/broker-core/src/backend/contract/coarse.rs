//! An engine that does all that the promises leave open, to the node's disadvantage.

use core::cmp::Reverse;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;
use topic_trie::TopicFilterBuf;

use crate::backend::{
    Answer, Backend, BackendError, Content, Envelope, Inbound, Membership, NodeId, NotTaken,
};

/// An engine in the process that gives everything to everybody, also to who has published it, and all of it
/// twice; what one batch has on different topics comes in another order. It carries bytes. What has no room
/// is missed. Clones are the same engine.
#[derive(Clone, Debug, Default)]
pub struct Coarse {
    members: Arc<Mutex<Vec<Arc<Member>>>>,
}

#[derive(Debug)]
struct Member {
    inbound: Inbound,
    has_left: AtomicBool,
}

#[derive(Debug)]
struct CoarseMembership {
    engine: Coarse,
    member: Arc<Member>,
}

impl Coarse {
    /// An engine without members.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for Coarse {
    fn join(&self, _: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let engine = self.clone();
        Box::pin(async move {
            let has_left = AtomicBool::new(false);
            let member = Arc::new(Member { inbound, has_left });
            engine.members.lock().push(Arc::clone(&member));
            let membership = CoarseMembership { engine, member };
            Ok(Arc::new(membership) as Arc<dyn Membership>)
        })
    }
}

impl CoarseMembership {
    fn check(&self) -> Result<(), BackendError> {
        match self.member.has_left.load(Ordering::SeqCst) {
            true => Err(BackendError::Unavailable("the node has left".into())),
            false => Ok(()),
        }
    }

    fn checked(&self) -> Answer<()> {
        let checked = self.check();
        Box::pin(async move { checked })
    }

    fn end(&self) {
        self.member.has_left.store(true, Ordering::SeqCst);
        let mut members = self.engine.members.lock();
        members.retain(|it| !Arc::ptr_eq(it, &self.member));
    }
}

impl Membership for CoarseMembership {
    fn publish(&self, mut batch: Vec<Envelope>) -> Answer<usize> {
        if let Err(error) = self.check() {
            return Box::pin(async move { Err(error) });
        }
        batch.sort_by_key(|envelope| match &envelope.content {
            Content::Connected { .. } => Reverse(None),
            Content::Message { message, .. } => Reverse(Some(message.topic().to_owned())),
        });
        let carried = batch.iter().map(|envelope| {
            let mut bytes = Vec::new();
            envelope.encode(&mut bytes);
            bytes
        });
        let carried: Vec<_> = carried.collect();
        // With the lock held: of two who publish at once, one is first everywhere.
        for member in &*self.engine.members.lock() {
            for is_copy in [false, true] {
                for bytes in &carried {
                    let envelope = Envelope::decode(bytes).unwrap();
                    let put = member.inbound.try_put(envelope);
                    if matches!(put, Err(NotTaken::Full(_))) && !is_copy {
                        member.inbound.note_missed(1);
                    }
                }
            }
        }
        Box::pin(async { Ok(0) })
    }

    fn subscribe(&self, _: Vec<TopicFilterBuf>) -> Answer<()> {
        self.checked()
    }

    fn unsubscribe(&self, _: Vec<TopicFilterBuf>) -> Answer<()> {
        self.checked()
    }

    fn leave(&self) -> Answer<()> {
        let checked = self.checked();
        self.end();
        checked
    }
}

impl Drop for CoarseMembership {
    fn drop(&mut self) {
        self.end();
    }
}
