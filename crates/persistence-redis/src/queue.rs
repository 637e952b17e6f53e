//! Batches in the order of the calls that brought them, until the writer takes them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use broker_core::persistence::{Operation, PersistenceError};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::encode::size_bytes;
use crate::error::unavailable;

/// A batch that waits, and who waits for it.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) operations: Vec<Operation>,
    bytes: usize,
    since: Instant,
    answer: oneshot::Sender<Result<(), PersistenceError>>,
}

impl Queued {
    /// Tells who waits, if there still is someone.
    pub(crate) fn answer(self, result: Result<(), PersistenceError>) {
        let _ = self.answer.send(result);
    }
}

/// How much is written together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupLimits {
    pub(crate) batches: usize,
    pub(crate) operations: usize,
    pub(crate) bytes: usize,
}

/// The line in which batches wait.
#[derive(Debug)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    /// Something has come, or nothing will any more.
    changed: Notify,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Queued>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(max_batches: usize, max_bytes: usize) -> Self {
        Self {
            line: Mutex::default(),
            changed: Notify::new(),
            max_batches,
            max_bytes,
        }
    }

    /// Takes a batch in.
    ///
    /// # Errors
    /// If there is no room, or the store was closed.
    pub(crate) fn push(
        &self,
        operations: Vec<Operation>,
    ) -> Result<oneshot::Receiver<Result<(), PersistenceError>>, PersistenceError> {
        let bytes = size_bytes(&operations);
        let (sender, receiver) = oneshot::channel();
        let mut line = self.line.lock();
        if line.closed {
            return Err(unavailable("the store in Redis was closed"));
        }
        // One that is too large for any room is let in alone.
        let is_full = line.waiting.len() >= self.max_batches
            || (line.bytes.saturating_add(bytes) > self.max_bytes && !line.waiting.is_empty());
        if is_full {
            let text = format!(
                "{} batches of {} bytes wait for Redis already",
                line.waiting.len(),
                line.bytes
            );
            return Err(unavailable(text));
        }
        line.bytes += bytes;
        line.waiting.push_back(Queued {
            operations,
            bytes,
            since: Instant::now(),
            answer: sender,
        });
        drop(line);
        self.changed.notify_one();
        Ok(receiver)
    }

    /// Takes out what is to be written together, the first batch at least; nothing if there is none.
    pub(crate) fn take(&self, limits: &GroupLimits) -> Vec<Queued> {
        let mut line = self.line.lock();
        let mut group = Vec::new();
        let (mut operations, mut bytes) = (0, 0);
        while let Some(next) = line.waiting.front() {
            operations += next.operations.len();
            bytes += next.bytes;
            let fits = group.len() < limits.batches
                && operations <= limits.operations
                && bytes <= limits.bytes;
            if !group.is_empty() && !fits {
                break;
            }
            let Some(next) = line.waiting.pop_front() else {
                break;
            };
            line.bytes = line.bytes.saturating_sub(next.bytes);
            group.push(next);
        }
        group
    }

    /// Puts batches back in front of all others, in their order.
    pub(crate) fn put_back(&self, batches: impl DoubleEndedIterator<Item = Queued>) {
        let mut line = self.line.lock();
        for batch in batches.rev() {
            line.bytes += batch.bytes;
            line.waiting.push_front(batch);
        }
    }

    /// Fails all that have waited for longer than that.
    pub(crate) fn expire(&self, patience: Duration, reason: &str) {
        let mut expired = Vec::new();
        let mut line = self.line.lock();
        // In the order in which they came, so the oldest is in front.
        while line
            .waiting
            .front()
            .is_some_and(|one| one.since.elapsed() > patience)
        {
            if let Some(batch) = line.waiting.pop_front() {
                line.bytes = line.bytes.saturating_sub(batch.bytes);
                expired.push(batch);
            }
        }
        drop(line);
        for batch in expired {
            batch.answer(Err(unavailable(reason)));
        }
    }

    pub(crate) fn close(&self) {
        self.line.lock().closed = true;
        self.changed.notify_one();
    }

    /// Whether it was closed and is empty.
    pub(crate) fn is_done(&self) -> bool {
        let line = self.line.lock();
        line.closed && line.waiting.is_empty()
    }

    /// Waits until something has come or nothing will any more, since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
