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
    /// How many the writer waits for; it is not to be woken up for less.
    wanted: usize,
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
                if state.within.len() >= state.wanted {
                    self.changed.notify_one();
                }
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
        let mut group = Group::default();
        self.fill(&mut state, &mut group);
        match group.commits.is_empty() && state.closed {
            true => Taken::Closed,
            false => Taken::Group(group),
        }
    }

    /// Waits a moment for more to come to a group, until `wanted` are in it: callers that were just
    /// answered come again, and a group that goes with the first of them has all others wait for a
    /// sync of their own. Says whether any came.
    pub(crate) fn take_more(&self, group: &mut Group, wanted: usize, moment: Duration) -> bool {
        let before = group.commits.len();
        let mut state = self.state.lock();
        // To be woken up by each of them would cost more than all else.
        state.wanted = wanted.saturating_sub(before);
        if state.within.len() < state.wanted && !state.closed {
            self.changed.wait_for(&mut state, moment);
        }
        state.wanted = 0;
        self.fill(&mut state, group);
        group.commits.len() > before
    }

    /// How many are waiting to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().within.len()
    }

    /// As much as makes a group, with what is in it already.
    fn fill(&self, state: &mut State, group: &mut Group) {
        let Group {
            commits,
            operations,
            bytes,
        } = group;
        commits.extend(self.take_while(state, |commit| {
            let fits = *operations == 0
                || (*operations + commit.operations.len() <= GROUP_OPERATIONS
                    && *bytes + commit.bytes <= GROUP_BYTES);
            if fits {
                // An empty batch is an operation to whoever waits for it.
                *operations += commit.operations.len().max(1);
                *bytes += commit.bytes;
            }
            fits
        }));
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

/// Batches that are written together, in the order of the calls.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) commits: Vec<Arc<Commit>>,
    /// Of all of them, when they came.
    operations: usize,
    bytes: usize,
}

/// What [`Queue::take`] has found.
pub(crate) enum Taken {
    /// A group; empty if nothing has come in time.
    Group(Group),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(max_batches: usize, max_bytes: usize) -> Queue {
        Queue::new(&FjallOptions {
            max_queued_batches: max_batches,
            max_queued_bytes: max_bytes,
            ..FjallOptions::default()
        })
    }

    /// A batch that can be told from others by the length of its topic name.
    fn batch(name: usize) -> Vec<Operation> {
        let topic = "t".repeat(name).into();
        vec![Operation::DropRetained { topic }]
    }

    fn taken(queue: &Queue) -> Vec<usize> {
        match queue.take(Duration::ZERO) {
            Taken::Closed => panic!("it is not closed"),
            Taken::Group(group) => names(&group),
        }
    }

    fn names(group: &Group) -> Vec<usize> {
        let names = group.commits.iter().flat_map(|commit| &commit.operations);
        let names = names.map(|operation| match operation {
            Operation::DropRetained { topic } => topic.len(),
            other => panic!("{other:?}"),
        });
        names.collect()
    }

    /// At the limit one waits within, the next one outside; it comes behind the others, and is given up
    /// with its answer.
    #[test]
    fn what_is_beyond_the_number_of_batches_waits_outside_in_its_order() {
        let queue = queue(3, usize::MAX);
        let mut answers: Vec<_> = (1..=6).map(|name| queue.push(batch(name))).collect();
        let (within, beyond) = {
            let state = queue.state.lock();
            (state.within.len(), state.beyond.len())
        };
        assert_eq!((within, beyond), (3, 3));
        // Nobody waits for the second within, nor for the second outside.
        drop(answers.remove(4));
        drop(answers.remove(1));
        assert_eq!(taken(&queue), [1, 2, 3, 4, 6]);
        assert_eq!(taken(&queue), [] as [usize; 0]);
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Answer::Pending(_)))
        );
    }

    /// Bytes at the limit fit, one more does not, and a batch that is larger than all of it goes alone.
    #[test]
    fn what_is_beyond_the_bytes_waits_outside_and_one_batch_always_fits() {
        let queue = queue(100, 2 * (OPERATION_BYTES + 10));
        let state = |queue: &Queue| {
            let state = queue.state.lock();
            (state.within.len(), state.beyond.len(), state.bytes)
        };
        let _two = [queue.push(batch(10)), queue.push(batch(10))];
        assert_eq!(state(&queue), (2, 0, 2 * (OPERATION_BYTES + 10)));
        let _one = queue.push(batch(1));
        assert_eq!(state(&queue), (2, 1, 2 * (OPERATION_BYTES + 10)));
        // What would fit does not overtake.
        let _none = queue.push(Vec::new());
        assert_eq!(state(&queue), (2, 2, 2 * (OPERATION_BYTES + 10)));
        assert_eq!(taken(&queue), [10, 10, 1]);
        let _large = queue.push(batch(10_000));
        assert_eq!(state(&queue), (1, 0, OPERATION_BYTES + 10_000));
        let _behind = queue.push(batch(1));
        assert_eq!(state(&queue), (1, 1, OPERATION_BYTES + 10_000));
        assert_eq!(taken(&queue), [10_000, 1]);
        assert_eq!(state(&queue), (0, 0, 0));
    }

    /// More that comes to a group is taken in its order, within what makes a group.
    #[test]
    fn a_group_waits_for_as_many_as_are_wanted_and_no_longer_than_it_may() {
        let queue = queue(100, usize::MAX);
        let _first = queue.push(batch(1));
        let Taken::Group(mut group) = queue.take(Duration::MAX) else {
            panic!("it is not closed");
        };
        assert!(!queue.take_more(&mut group, 3, Duration::from_millis(1)));
        let come = std::thread::scope(|scope| {
            let queue = &queue;
            let pushed = scope.spawn(move || [queue.push(batch(2)), queue.push(batch(3))]);
            // Far longer than it takes, and not waited for.
            let mut come = false;
            while group.commits.len() < 3 {
                come |= queue.take_more(&mut group, 3, Duration::from_secs(600));
            }
            pushed.join().map(|_answers| come)
        });
        assert!(come.is_ok_and(|come| come));
        assert_eq!(names(&group), [1, 2, 3]);
        queue.close();
        assert!(!queue.take_more(&mut group, 9, Duration::from_secs(600)));
        assert!(matches!(queue.take(Duration::MAX), Taken::Closed));
    }
}
