//! The line in which batches wait for the one who writes them, in the order of the calls of
//! [`commit`](broker_core::persistence::Persistence::commit), within bounds.
//!
//! What finds no room waits behind the line, in the same order, and belongs to whoever awaits its
//! answer: if he gives up, it is gone. So a line that is full refuses nobody, loses nothing and blocks
//! no thread; what is in memory is what the line may hold and what somebody waits for, and how much
//! that is, is for the callers to limit.
//!
//! The writer may be a thread ([`Line::wait`]) or a task ([`Line::reached`]).

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Instant;

use broker_core::Message;
use broker_core::persistence::{Answer, Operation, PersistenceError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

/// Behind a line that is full, so many places are looked through for such as nobody waits for any more.
const FEW: usize = 64;

/// A batch that waits to be written.
#[derive(Debug)]
pub struct Waiting {
    /// What is to be done, in this order.
    pub operations: Vec<Operation>,
    bytes: usize,
    since: Instant,
    answer: oneshot::Sender<Result<(), PersistenceError>>,
}

impl Waiting {
    /// Bytes that it takes up, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When it came.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Tells who waits, if there still is someone.
    pub fn answer(self, outcome: Result<(), PersistenceError>) {
        let _ = self.answer.send(outcome);
    }
}

/// How much is written together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Batches.
    pub batches: usize,
    /// Operations in them; an empty batch counts as one.
    pub operations: usize,
    /// Bytes of them, about.
    pub bytes: usize,
}

/// Batches on their way to a writer.
///
/// ```
/// use broker_core::persistence::Operation;
/// use persistence_records::{GroupLimits, Line};
///
/// // Room for one batch.
/// let line = Line::new("the store", 1, 1_024);
/// let drop_retained = || vec![Operation::DropRetained { topic: "a".into() }];
/// let first = line.push(drop_retained());
/// let second = line.push(drop_retained());
/// let third = line.push(drop_retained());
///
/// // Who gives up while he waits behind the line is forgotten.
/// drop(second);
/// let limits = GroupLimits { batches: 10, operations: 10, bytes: 1_024 };
/// assert_eq!(line.take(&limits).len(), 2);
/// # drop((first, third));
/// ```
#[derive(Debug)]
pub struct Line {
    state: Mutex<State>,
    /// For a thread.
    changed: Condvar,
    /// For a task.
    arrived: Notify,
    is_closed: AtomicBool,
    store: &'static str,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    within: VecDeque<Waiting>,
    /// Of all that is `within`.
    bytes: usize,
    beyond: VecDeque<Weak<Place>>,
    /// How many batches `within` the writer waits for.
    wanted: usize,
}

/// A place behind the line: it and the batch in it go when nobody waits for the answer any more.
type Place = Mutex<Option<Waiting>>;

impl Line {
    /// An empty line for so many batches and bytes of batches; one at least is let in, however large it
    /// is. `store` is what is said to be closed once it is.
    pub fn new(store: &'static str, max_batches: usize, max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            arrived: Notify::new(),
            is_closed: AtomicBool::new(false),
            store,
            max_batches,
            max_bytes,
        }
    }

    /// Puts a batch at the end. The answer is an error if the line was closed, or the writer has ended
    /// without giving one.
    pub fn push(&self, operations: Vec<Operation>) -> Answer<()> {
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting {
            bytes: bytes(&operations),
            operations,
            since: Instant::now(),
            answer: sender,
        };
        let store = self.store;
        let mut state = self.state.lock();
        if self.is_closed() {
            return Answer::Ready(Err(closed(store)));
        }
        let mut place = None;
        if state.beyond.is_empty() && self.has_room(&state, &waiting) {
            state.bytes += waiting.bytes;
            state.within.push_back(waiting);
        } else {
            let behind = Arc::new(Mutex::new(Some(waiting)));
            state.put_behind(&behind);
            place = Some(behind);
        }
        let is_enough = self.is_enough(&state);
        drop(state);
        if is_enough {
            self.wake();
        }
        Answer::pending(async move {
            let outcome = receiver.await;
            // Lives as long as somebody waits.
            drop(place);
            outcome.unwrap_or_else(|_| Err(closed(store)))
        })
    }

    fn has_room(&self, state: &State, waiting: &Waiting) -> bool {
        state.within.is_empty()
            || (state.within.len() < self.max_batches
                && state.bytes.saturating_add(waiting.bytes) <= self.max_bytes)
    }

    /// Whether the writer need not wait any longer.
    fn is_enough(&self, state: &State) -> bool {
        state.within.len() >= state.wanted || !state.beyond.is_empty() || self.is_closed()
    }

    fn wake(&self) {
        self.changed.notify_all();
        self.arrived.notify_one();
    }

    /// Takes out what is to be written together: the first batch at least, whatever the limits are;
    /// nothing if there is none.
    pub fn take(&self, limits: &GroupLimits) -> Vec<Waiting> {
        let (mut batches, mut operations, mut bytes) = (0, 0_usize, 0_usize);
        self.take_while(|next| {
            batches += 1;
            operations = operations.saturating_add(next.operations.len().max(1));
            bytes = bytes.saturating_add(next.bytes);
            batches == 1
                || (batches <= limits.batches
                    && operations <= limits.operations
                    && bytes <= limits.bytes)
        })
    }

    /// Takes out those that have waited for that long, the first ones.
    pub fn take_overdue(&self, patience: Duration) -> Vec<Waiting> {
        self.take_while(|next| next.since.elapsed() >= patience)
    }

    fn take_while(&self, mut wanted: impl FnMut(&Waiting) -> bool) -> Vec<Waiting> {
        let mut taken = Vec::new();
        let mut state = self.state.lock();
        while state.within.front().is_some_and(&mut wanted) {
            if let Some(next) = state.within.pop_front() {
                state.bytes = state.bytes.saturating_sub(next.bytes);
                taken.push(next);
            }
            self.refill(&mut state);
        }
        taken
    }

    /// Lets in from behind what there is room for.
    fn refill(&self, state: &mut State) {
        while let Some(next) = state.beyond.front() {
            if let Some(place) = next.upgrade() {
                let mut waiting = place.lock();
                if waiting
                    .as_ref()
                    .is_some_and(|one| !self.has_room(state, one))
                {
                    return;
                }
                if let Some(waiting) = waiting.take() {
                    state.bytes += waiting.bytes;
                    state.within.push_back(waiting);
                }
            }
            state.beyond.pop_front();
        }
    }

    /// Puts batches back in front of all others, in their order, whether there is room or not.
    pub fn put_back(&self, batches: impl DoubleEndedIterator<Item = Waiting>) {
        let mut state = self.state.lock();
        for batch in batches.rev() {
            state.bytes += batch.bytes;
            state.within.push_front(batch);
        }
    }

    /// Takes no more; what is in it, and behind it, is still to be taken.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // Who has found it open has put his batch in before this, or is not told that it is closed.
        drop(self.state.lock());
        self.wake();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Whether it was closed and nothing is left in it.
    pub fn is_done(&self) -> bool {
        self.is_closed() && self.is_empty()
    }

    /// How many batches can be taken at once.
    pub fn len(&self) -> usize {
        self.state.lock().within.len()
    }

    /// Whether there is nothing to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Blocks the thread until there are so many batches, no more find room, or the line is closed; for at
    /// most `patience`.
    pub fn wait(&self, wanted: usize, patience: Duration) {
        let deadline = Instant::now().checked_add(patience);
        let mut state = self.state.lock();
        state.wanted = wanted;
        while !self.is_enough(&state) {
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) if self.changed.wait_until(&mut state, deadline).timed_out() => {
                    break;
                }
                Some(_) => {}
            }
        }
    }

    /// Waits until there are so many batches, no more find room, or the line is closed.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn reached(&self, wanted: usize) {
        loop {
            {
                let mut state = self.state.lock();
                state.wanted = wanted;
                if self.is_enough(&state) {
                    return;
                }
            }
            // A notice that came before this is kept.
            self.arrived.notified().await;
        }
    }
}

impl State {
    fn put_behind(&mut self, place: &Arc<Place>) {
        // No more places that were given up than such as somebody waits for.
        if self.beyond.len() >= FEW && self.beyond.len() == self.beyond.capacity() {
            self.beyond.retain(|place| place.strong_count() > 0);
        }
        self.beyond.push_back(Arc::downgrade(place));
    }
}

fn closed(store: &str) -> PersistenceError {
    PersistenceError::Unavailable(format!("{store} was closed").into())
}

/// Bytes that operations take up, about. A message for many sessions, one operation behind the other,
/// counts once.
pub(crate) fn bytes(operations: &[Operation]) -> usize {
    let mut last: *const Message = core::ptr::null();
    let mut of_message = |message: &Arc<Message>| {
        let is_new = last != Arc::as_ptr(message);
        last = Arc::as_ptr(message);
        if is_new { message.size_bytes() } else { 0 }
    };
    let contents = operations.iter().map(|operation| match operation {
        Operation::Enqueue { message, .. } | Operation::PutRetained { message } => {
            of_message(message)
        }
        Operation::PutWill(will) => of_message(&will.message),
        Operation::PutSubscription { filter, .. } | Operation::DropSubscription { filter, .. } => {
            filter.len()
        }
        Operation::DropRetained { topic } => topic.len(),
        _ => 0,
    });
    contents.sum::<usize>() + size_of_val(operations)
}
