//! The way from an engine into a node: a queue with a limit, and what the engine says of itself.

use core::future::{Future, poll_fn};
use core::task::{Context, Poll};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{BackendState, Envelope};
use crate::inbox::{Inbox, InboxLimit, NotPut};

/// How much may wait for a node until it takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundLimits {
    /// Envelopes, at least 1.
    pub envelopes: usize,
    /// Bytes of them; one may wait however large it is.
    pub bytes: usize,
}

/// Makes the two ends of the way into a node: that of the engine, and that of the node.
///
/// ```
/// use broker_core::backend::{Arrival, BackendState, InboundLimits, inbound};
/// use core::task::{Context, Poll, Waker};
///
/// let (engine, mut node) = inbound(InboundLimits { envelopes: 10, bytes: 1 << 20 });
/// engine.set_state(BackendState::Lost);
/// let mut task = Context::from_waker(Waker::noop());
/// let Poll::Ready(Some(Arrival::State(state))) = node.poll_next(&mut task) else {
///     panic!("the state was said");
/// };
/// assert_eq!(state, BackendState::Lost);
/// ```
pub fn inbound(limits: InboundLimits) -> (Inbound, Incoming) {
    let way = Arc::new(Way {
        inbox: Inbox::new(InboxLimit {
            items: limits.envelopes.max(1),
            bytes: limits.bytes,
        }),
        standing: Mutex::default(),
    });
    let incoming = Incoming {
        way: Arc::clone(&way),
        told: Standing::default(),
        missed: 0,
    };
    (Inbound { way }, incoming)
}

/// What both ends share.
#[derive(Debug)]
struct Way {
    inbox: Inbox<Envelope>,
    standing: Mutex<Standing>,
}

/// How the node stands with the engine, and how often it has lost it: one that was lost and is back before
/// anybody looked may have forgotten the filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    state: BackendState,
    losses: u64,
}

/// The engine's end. Clones are the same end.
#[derive(Clone, Debug)]
pub struct Inbound {
    way: Arc<Way>,
}

/// What a node did not take at once.
#[derive(Debug)]
pub enum NotTaken {
    /// There is no room for it now.
    Full(Envelope),
    /// The node has gone.
    Closed,
}

impl Inbound {
    /// Hands an envelope to the node, as soon as there is room for it. When it returns true the node has
    /// it, in memory; false if the node has gone. What one task puts stays in its order.
    ///
    /// # Cancel safety
    /// The envelope is lost, if it is not with the node already.
    pub fn put(&self, envelope: Envelope) -> impl Future<Output = bool> + Send + use<> {
        let way = Arc::clone(&self.way);
        let mut item = Some(envelope);
        poll_fn(move |task| way.inbox.poll_put(&mut item, task))
    }

    /// Hands an envelope to the node if there is room for it.
    ///
    /// # Errors
    /// If there is none, or the node has gone.
    pub fn try_put(&self, envelope: Envelope) -> Result<(), NotTaken> {
        let mut item = Some(envelope);
        match (self.way.inbox.offer(&mut item), item) {
            (Ok(()), _) => Ok(()),
            (Err(NotPut::Full), Some(envelope)) => Err(NotTaken::Full(envelope)),
            (Err(_), _) => Err(NotTaken::Closed),
        }
    }

    /// Tells the node that so many messages for it are lost, because it took them too slowly or the engine
    /// could not keep them: it counts them.
    pub fn note_missed(&self, messages: u64) {
        self.way.inbox.note_missed(messages);
        self.way.inbox.nudge();
    }

    /// Tells the node how it stands with the engine. To say the same again is harmless.
    pub fn set_state(&self, state: BackendState) {
        let mut standing = self.way.standing.lock();
        if standing.state != state {
            standing.losses += u64::from(state == BackendState::Lost);
            standing.state = state;
            drop(standing);
            self.way.inbox.nudge();
        }
    }
}

/// What comes to a node.
#[derive(Debug)]
#[non_exhaustive]
pub enum Arrival {
    /// From another node.
    Envelope(Envelope),
    /// How it stands with the engine, when that has changed: lost and connected in turn, as often as the
    /// node looked in between, and once at least.
    State(BackendState),
    /// So many messages are lost.
    Missed(u64),
}

/// The node's end. Dropping it tells the engine that the node has gone.
#[derive(Debug)]
pub struct Incoming {
    way: Arc<Way>,
    told: Standing,
    missed: u64,
}

impl Incoming {
    /// Ready with what comes next: states before envelopes.
    pub fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Arrival>> {
        // The task is noted before what it is woken for is looked at.
        let envelope = self.way.inbox.poll_peek(task);
        let standing = *self.way.standing.lock();
        if self.told.losses != standing.losses {
            self.told = Standing {
                state: BackendState::Lost,
                ..standing
            };
            return Poll::Ready(Some(Arrival::State(BackendState::Lost)));
        }
        if self.told != standing {
            self.told = standing;
            return Poll::Ready(Some(Arrival::State(standing.state)));
        }
        let missed = self.way.inbox.missed();
        let before = core::mem::replace(&mut self.missed, missed);
        if missed != before {
            return Poll::Ready(Some(Arrival::Missed(missed - before)));
        }
        if envelope {
            return self
                .way
                .inbox
                .poll_take(task)
                .map(|it| it.map(Arrival::Envelope));
        }
        Poll::Pending
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.way.inbox.close();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::backend::Content;

    fn envelope(client: &str) -> Envelope {
        let content = Content::Connected {
            client: client.into(),
            at: 1,
        };
        Envelope { tag: None, content }
    }

    /// What comes now, in words.
    fn next(node: &mut Incoming) -> Option<String> {
        let mut task = Context::from_waker(Waker::noop());
        match node.poll_next(&mut task) {
            Poll::Ready(Some(Arrival::Envelope(envelope))) => match envelope.content {
                Content::Connected { client, .. } => Some(client.to_string()),
                Content::Message { .. } => None,
            },
            Poll::Ready(Some(Arrival::State(state))) => Some(state.to_string()),
            Poll::Ready(Some(Arrival::Missed(messages))) => Some(format!("missed {messages}")),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    #[test]
    fn a_loss_that_is_over_before_anybody_looked_is_told_nevertheless() {
        let (engine, mut node) = inbound(InboundLimits {
            envelopes: 2,
            bytes: 1 << 20,
        });
        assert!(engine.try_put(envelope("a")).is_ok());
        for state in [
            BackendState::Lost,
            BackendState::Lost,
            BackendState::Connected,
        ] {
            engine.set_state(state);
        }
        assert!(engine.try_put(envelope("b")).is_ok());
        assert!(matches!(
            engine.try_put(envelope("c")),
            Err(NotTaken::Full(_))
        ));
        engine.note_missed(1);
        let told = std::iter::from_fn(|| next(&mut node)).collect::<Vec<_>>();
        assert_eq!(told, ["lost", "connected", "missed 1", "a", "b"]);
        drop(node);
        assert!(matches!(
            engine.try_put(envelope("d")),
            Err(NotTaken::Closed)
        ));
    }
}
