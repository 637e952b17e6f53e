//! The server as one of several: what goes to the engine between them, and what comes from it.
//!
//! Three tasks have to do with the engine, and no connection waits for any of them for long: one publishes what
//! has gathered ([`forwarding`]), one says which topic filters are needed ([`asking`]), one takes what comes
//! ([`receiving`]).

mod asking;
mod awaited;
mod forwarding;
mod line;
mod receiving;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use broker_core::backend::{
    Answer, Backend, BackendError, BackendState, Crossing, InboundLimits, Incoming, Membership,
    NodeId, inbound,
};
use broker_core::{Broker, Effects, Escaped, NodeOptions};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use topic_trie::TopicFilter;

use self::awaited::Awaited;
use self::line::Line;
use crate::random::random_bytes;
use crate::server::{StartError, for_ever};
use crate::shared::Shared;

/// How a server deals with the engine between it and others; see
/// [`ServerBuilder::backend_options`](crate::ServerBuilder::backend_options).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendOptions {
    /// Messages that may wait for the engine; default 100,000. Further ones are published here and not
    /// forwarded, which is counted ([`not_forwarded_to_nodes`](crate::Counters::not_forwarded_to_nodes)).
    pub max_forward_messages: usize,
    /// Bytes of them, with about 128 for each beside its contents; default 64 MiB. One message may wait however
    /// large it is.
    pub max_forward_bytes: usize,
    /// Messages from other nodes that may wait until the server takes them; default 100,000. The engine is told
    /// when there is no room; what it cannot keep meanwhile is lost here, and counted
    /// ([`missed_from_nodes`](crate::Counters::missed_from_nodes)).
    pub max_receive_messages: usize,
    /// Bytes of them; default 64 MiB.
    pub max_receive_bytes: usize,
    /// How long clients wait for an engine that takes its time; default 5 s. PUBACK and PUBREC go out when the
    /// engine has accepted the message, SUBACK when it has the topic filters; or after that time. Then
    /// nobody waits any more until the engine has answered.
    pub acceptance_timeout: Duration,
    /// Topic filters of messages that stay at their node: they are neither sent to others nor taken from
    /// them. Default: none. What is below `$SYS` stays in any case.
    pub local_topics: Vec<String>,
}

impl Default for BackendOptions {
    fn default() -> Self {
        Self {
            max_forward_messages: 100_000,
            max_forward_bytes: 64 << 20,
            max_receive_messages: 100_000,
            max_receive_bytes: 64 << 20,
            acceptance_timeout: Duration::from_secs(5),
            local_topics: Vec::new(),
        }
    }
}

/// What all tasks of a server share that have to do with the engine.
pub(crate) struct Link {
    broker: Arc<Broker>,
    membership: Arc<dyn Membership>,
    state: watch::Sender<BackendState>,
    line: Line,
    /// The versions of the topic filters that the engine has.
    filters: Awaited,
    patience: Duration,
    incoming: Mutex<Incoming>,
}

impl Link {
    /// Makes the server a member.
    pub(crate) async fn join(
        backend: &dyn Backend,
        broker: &Arc<Broker>,
        options: &BackendOptions,
    ) -> Result<Arc<Self>, BackendError> {
        let limits = InboundLimits {
            envelopes: options.max_receive_messages,
            bytes: options.max_receive_bytes,
        };
        let (inbound, incoming) = inbound(limits);
        let Some(id) = broker.node_id() else {
            return Err(BackendError::Refused("the broker is no node".into()));
        };
        let membership = backend.join(id.clone(), inbound).await?;
        Ok(Arc::new(Self {
            broker: Arc::clone(broker),
            membership,
            state: watch::Sender::new(BackendState::Connected),
            line: Line::new(options.max_forward_messages, options.max_forward_bytes),
            filters: Awaited::default(),
            patience: options.acceptance_timeout,
            incoming: Mutex::new(incoming),
        }))
    }

    /// How it stands with the engine.
    pub(crate) fn state(&self) -> BackendState {
        *self.state.borrow()
    }

    /// Waits until it stands so with the engine.
    pub(crate) async fn wait_for(&self, state: BackendState) {
        let mut states = self.state.subscribe();
        // The sender is this link's own.
        let _gone = states.wait_for(|it| *it == state).await;
    }

    /// Hands what was committed to the task that publishes. Returns what acknowledgements have to wait for,
    /// if they have to.
    pub(crate) fn forward(&self, crossing: Crossing) -> Option<Acceptance> {
        let filters = crossing
            .awaits_filters
            .then(|| self.filters.wait_for(self.broker.filters_version()))
            .flatten();
        let is_awaited = crossing.is_awaited;
        let messages = if crossing.envelopes.is_empty() {
            None
        } else if self.state() == BackendState::Lost {
            self.broker.note_not_forwarded(crossing.messages());
            None
        } else {
            let (position, left_out) = self.line.put(crossing.envelopes);
            self.broker.note_not_forwarded(left_out);
            let wait = is_awaited.then(|| self.line.accepted.wait_for(position));
            wait.flatten()
        };
        let acceptance = Acceptance([messages, filters]);
        (!acceptance.is_over()).then_some(acceptance)
    }

    /// The answer of the engine. The one for whom others wait says so with `let_go` when they are to wait no
    /// longer. A loss ends it: nobody knows what became of it.
    async fn answer<T>(
        &self,
        mut answer: Answer<T>,
        let_go: impl FnOnce(),
    ) -> Result<T, BackendError> {
        let mut state = self.state.subscribe();
        let lost = state.wait_for(|state| *state == BackendState::Lost);
        tokio::pin!(lost);
        let answered = async {
            if let Ok(answered) = timeout(self.patience, &mut answer).await {
                return answered;
            }
            tracing::warn!(
                "the engine between nodes takes its time: clients are not kept waiting for it any more"
            );
            let_go();
            answer.await
        };
        tokio::select! {
            biased;
            answered = answered => answered,
            _ = lost => Err(BackendError::Unavailable("lost while it was asked".into())),
        }
    }

    /// The engine has said how the server stands with it.
    fn set_state(&self, state: BackendState) {
        match state {
            BackendState::Lost => tracing::error!(
                "the engine between nodes is lost: this node serves its own clients, and what they publish is not forwarded until it is back"
            ),
            BackendState::Connected => {
                tracing::info!(
                    "the engine between nodes is back; what was retained elsewhere meanwhile is not here"
                );
            }
        }
        self.state.send_replace(state);
        if state == BackendState::Connected {
            self.broker.repeat_filters();
        }
    }

    /// Waits until the engine has been told of all topic filters that are needed now.
    pub(crate) async fn filters_said(&self) {
        let said = self.filters.wait_for(self.broker.filters_version());
        if let Some(said) = said {
            let _gone = said.await;
        }
    }

    /// Waits until the engine has what waits for it, but not beyond `until`.
    pub(crate) async fn drain(&self, until: Instant) {
        if let Some(accepted) = self.line.all_accepted() {
            let _late = timeout_at(until, accepted).await;
        }
    }

    /// Ends the membership, when its tasks have ended; does not wait beyond `until`.
    pub(crate) async fn leave(&self, until: Instant) {
        let left = self.line.close();
        self.broker.note_not_forwarded(left);
        match timeout_at(until, self.membership.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %Escaped(&error), "the engine between nodes does not know that this one leaves");
            }
            Err(_) => tracing::warn!("the engine between nodes does not answer at the end"),
        }
    }
}

/// What makes the broker of this id a node.
pub(crate) fn node(id: &Arc<str>, options: &BackendOptions) -> Result<NodeOptions, StartError> {
    let local = options.local_topics.iter().map(|filter| {
        let parsed = TopicFilter::new(filter).map(TopicFilter::to_buf);
        parsed.map_err(|source| StartError::LocalTopics {
            filter: filter.clone(),
            source,
        })
    });
    Ok(NodeOptions {
        id: NodeId::new(Arc::clone(id), u64::from_be_bytes(random_bytes())),
        local_topics: local.collect::<Result<_, _>>()?,
    })
}

/// Begins to be a node, if the server is one: with what it has to tell already, and the topic filters of the
/// sessions that it knows. The tasks end with what is returned.
pub(crate) async fn begin(shared: &Arc<Shared>, effects: &mut Effects) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let Some(link) = &shared.link else {
        return tasks;
    };
    // Nobody waits until others have heard of wills that were due.
    drop(link.forward(effects.take_crossing()));
    let (sender, asker) = (Arc::clone(link), Arc::clone(link));
    let (shared, receiver) = (Arc::clone(shared), Arc::clone(link));
    tasks.spawn(for_ever("what goes to other nodes", move || {
        forwarding::forward(Arc::clone(&sender))
    }));
    tasks.spawn(for_ever("what is asked of other nodes", move || {
        asking::ask(Arc::clone(&asker))
    }));
    tasks.spawn(for_ever("what comes from other nodes", move || {
        receiving::receive(Arc::clone(&shared), Arc::clone(&receiver))
    }));
    link.filters_said().await;
    tasks
}

/// What acknowledgements wait for; a future that is over when they may go out, whatever has become of it.
#[derive(Debug)]
pub(crate) struct Acceptance([Option<oneshot::Receiver<()>>; 2]);

impl Acceptance {
    fn is_over(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Future for Acceptance {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        for part in &mut self.0 {
            if let Some(waits) = part
                && Pin::new(waits).poll(context).is_ready()
            {
                *part = None;
            }
        }
        match self.is_over() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
