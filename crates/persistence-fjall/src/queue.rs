//! Batches on their way to the writer, in the order of the calls, within bounds.
//!
//! What finds no room waits behind the queue, in the same order, and belongs to whoever awaits its
//! answer: if he gives up, it is gone. So nothing blocks a thread, and what is in memory is what the
//! queue may hold and what somebody waits for.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use broker_core::Message;
use broker_core::persistence::{Answer, Operation, PersistenceError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::FjallOptions;
use crate::error::Failure;

/// Bytes of an operation apart from names and messages.
const OPERATION_BYTES: usize = 64;

/// Operations of one group: what makes an answer wait for others no longer than milliseconds.
const GROUP_OPERATIONS: usize = 20_000;
/// Bytes of one group.
const GROUP_BYTES: usize = 8 << 20;

/// A batch on its way.
pub(crate) struct Commit {
    pub(crate) operations: Vec<Operation>,
    bytes: usize,
    since: Instant,
    answer: Mutex<Option<oneshot::Sender<Result<(), PersistenceError>>>>,
}

impl Commit {
    pub(crate) fn answer(&self, outcome: Result<(), Failure>) {
        if let Some(answer) = self.answer.lock().take() {
            // Nobody waits any more: nothing to be told.
            let _ = answer.send(outcome.map_err(PersistenceError::from));
        }
    }

    /// For how long it has been waiting.
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    within: VecDeque<Arc<Commit>>,
    /// Of all that is `within`.
    bytes: usize,
    beyond: VecDeque<Weak<Commit>>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(options: &FjallOptions) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            max_batches: options.max_queued_batches,
            max_bytes: options.max_queued_bytes,
        }
    }

    /// Puts a batch at the end.
    pub(crate) fn push(&self, operations: Vec<Operation>) -> Answer<()> {
        let (sender, receiver) = oneshot::channel();
        let commit = Arc::new(Commit {
            bytes: operations.iter().map(size).sum(),
            operations,
            since: Instant::now(),
            answer: Mutex::new(Some(sender)),
        });
        {
            let mut state = self.state.lock();
            if state.closed {
                return Answer::Ready(Err(closed().into()));
            }
            if state.beyond.is_empty() && self.has_room(&state, &commit) {
                state.bytes += commit.bytes;
                state.within.push_back(Arc::clone(&commit));
                self.changed.notify_one();
            } else {
                state.beyond.push_back(Arc::downgrade(&commit));
            }
        }
        Answer::pending(async move {
            // What waits behind the queue lives as long as this.
            let commit = commit;
            let outcome = receiver.await;
            drop(commit);
            outcome.unwrap_or_else(|_| Err(closed().into()))
        })
    }

    fn has_room(&self, state: &State, commit: &Commit) -> bool {
        state.within.is_empty()
            || (state.within.len() < self.max_batches
                && state.bytes.saturating_add(commit.bytes) <= self.max_bytes)
    }

    /// Waits a moment for as many as were in the last group: callers that were just answered come
    /// again, and a group that goes with the first of them has all others wait for a sync of their
    /// own.
    pub(crate) fn linger(&self, wanted: usize, moment: Duration) {
        let deadline = Instant::now() + moment;
        let mut state = self.state.lock();
        while state.within.len() < wanted && !state.closed {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Takes what is waiting, as much as makes a group; waits for something for at most `patience`.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let deadline = Instant::now().checked_add(patience);
        let mut state = self.state.lock();
        while state.within.is_empty() && !state.closed && !patience.is_zero() {
            let late = match deadline {
                Some(deadline) => self.changed.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.changed.wait(&mut state);
                    false
                }
            };
            if late {
                break;
            }
        }
        let (mut operations, mut bytes) = (0, 0);
        let group = self.take_while(&mut state, |commit| {
            let fits = operations == 0
                || (operations + commit.operations.len() <= GROUP_OPERATIONS
                    && bytes + commit.bytes <= GROUP_BYTES);
            // An empty batch is an operation to whoever waits for it.
            operations += commit.operations.len().max(1);
            bytes += commit.bytes;
            fits
        });
        match group.is_empty() && state.closed {
            true => Taken::Closed,
            false => Taken::Group(group),
        }
    }

    /// Takes those that have waited for longer than `limit`.
    pub(crate) fn take_overdue(&self, limit: Duration) -> Vec<Arc<Commit>> {
        let mut state = self.state.lock();
        self.take_while(&mut state, |commit| commit.waited() >= limit)
    }

    fn take_while(
        &self,
        state: &mut State,
        mut wanted: impl FnMut(&Commit) -> bool,
    ) -> Vec<Arc<Commit>> {
        let mut taken = Vec::new();
        while state.within.front().is_some_and(|commit| wanted(commit)) {
            if let Some(commit) = state.within.pop_front() {
                state.bytes = state.bytes.saturating_sub(commit.bytes);
                taken.push(commit);
            }
            self.refill(state);
        }
        taken
    }

    fn refill(&self, state: &mut State) {
        while let Some(next) = state.beyond.front() {
            if let Some(commit) = next.upgrade() {
                if !self.has_room(state, &commit) {
                    return;
                }
                state.bytes += commit.bytes;
                state.within.push_back(commit);
            }
            state.beyond.pop_front();
        }
    }

    /// Takes no more; what is in it is still to be taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits for at most `patience`; ends early when the queue is closed.
    pub(crate) fn pause(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        while !state.closed && !self.changed.wait_until(&mut state, deadline).timed_out() {}
    }
}

/// What [`Queue::take`] has found.
pub(crate) enum Taken {
    /// A group; empty if nothing has come in time.
    Group(Vec<Arc<Commit>>),
    /// Nothing is there, and nothing will come.
    Closed,
}

fn closed() -> Failure {
    Failure::unavailable("it was closed")
}

fn size(operation: &Operation) -> usize {
    let message = |message: &Message| message.size_bytes();
    OPERATION_BYTES
        + match operation {
            Operation::PutSession(stored) => stored.session.client.len(),
            Operation::PutWill(will) => will.session.client.len() + message(&will.message),
            Operation::PutRetained { message: retained } => message(retained),
            Operation::DropRetained { topic } => topic.len(),
            Operation::Enqueue {
                session,
                message: queued,
                ..
            } => session.client.len() + message(queued),
            Operation::PutSubscription {
                session, filter, ..
            }
            | Operation::DropSubscription { session, filter } => {
                session.client.len() + filter.len()
            }
            Operation::DropSession { session }
            | Operation::MarkInflight { session, .. }
            | Operation::Dequeue { session, .. }
            | Operation::IncomingReceived { session, .. }
            | Operation::IncomingReleased { session, .. }
            | Operation::DropWill { session } => session.client.len(),
        }
}
