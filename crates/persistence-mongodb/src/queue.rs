//! The line in which batches wait for the writer, in the order of the calls of `commit`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use broker_core::persistence::{Operation, PersistenceError};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// Bytes that an operation takes beyond its message and its names, roughly.
const OPERATION_BYTES: usize = 128;

/// A batch that waits.
pub(crate) struct Waiting {
    pub(crate) operations: Vec<Operation>,
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Result<(), PersistenceError>>,
    bytes: usize,
}

/// All that wait.
pub(crate) struct Queue {
    line: Mutex<Line>,
    arrived: Notify,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    is_closed: bool,
    /// The writer is told when so many wait.
    wanted: usize,
}

/// What goes together at most, and what is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupLimits {
    pub(crate) batches: usize,
    pub(crate) bytes: usize,
    /// Once one batch is there, others are waited for until there are so many,
    pub(crate) wanted: usize,
    /// but not longer than this. Callers that were just answered come again; a group that goes with the
    /// first of them has all others wait for a transaction of their own.
    pub(crate) moment: Duration,
}

/// Why a batch has not been let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The store has been closed.
    Closed,
    /// Too many wait already.
    Full,
}

impl Queue {
    pub(crate) fn new(max_batches: usize, max_bytes: usize) -> Self {
        Self {
            line: Mutex::default(),
            arrived: Notify::new(),
            max_batches,
            max_bytes,
        }
    }

    /// Takes a place at the end.
    pub(crate) fn push(
        &self,
        operations: Vec<Operation>,
    ) -> Result<oneshot::Receiver<Result<(), PersistenceError>>, Refusal> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            bytes: operations.iter().map(bytes).sum(),
            operations,
            since: Instant::now(),
            answer,
        };
        let mut line = self.line.lock();
        if line.is_closed {
            return Err(Refusal::Closed);
        }
        let bytes = line.bytes.saturating_add(waiting.bytes);
        // One that is too large for the queue at any time gets in when nobody else waits.
        let is_first = line.waiting.is_empty();
        if !is_first && (line.waiting.len() >= self.max_batches || bytes > self.max_bytes) {
            return Err(Refusal::Full);
        }
        line.bytes = bytes;
        line.waiting.push_back(waiting);
        let is_awaited = line.waiting.len() >= line.wanted;
        drop(line);
        if is_awaited {
            self.arrived.notify_one();
        }
        Ok(answered)
    }

    /// Lets nobody in any more; those who wait stay.
    pub(crate) fn close(&self) {
        self.line.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// The batches from the front that go together: one at least, and no more than the limits allow.
    /// `None` once the queue is closed and empty.
    pub(crate) async fn next_group(&self, limits: GroupLimits) -> Option<Vec<Waiting>> {
        self.await_some(1).await;
        let wanted = limits.wanted.min(limits.batches);
        if wanted > 1 {
            let others = self.await_some(wanted);
            drop(tokio::time::timeout(limits.moment, others).await);
        }
        let mut line = self.line.lock();
        line.wanted = 1;
        let group = line.take(limits.batches, limits.bytes);
        (!group.is_empty()).then_some(group)
    }

    /// Returns when so many wait, or nobody will come any more.
    async fn await_some(&self, wanted: usize) {
        loop {
            {
                let mut line = self.line.lock();
                if line.waiting.len() >= wanted || line.is_closed {
                    return;
                }
                line.wanted = wanted;
            }
            // A notice that comes before this line is kept.
            self.arrived.notified().await;
        }
    }
}

impl Line {
    fn take(&mut self, batches: usize, bytes: usize) -> Vec<Waiting> {
        let (mut count, mut sum) = (0, 0_usize);
        for waiting in &self.waiting {
            sum = sum.saturating_add(waiting.bytes);
            if count > 0 && (count >= batches || sum > bytes) {
                break;
            }
            count += 1;
        }
        let group: Vec<Waiting> = self.waiting.drain(..count).collect();
        self.bytes -= group.iter().map(|one| one.bytes).sum::<usize>();
        group
    }
}

/// What an operation weighs in a transaction.
fn bytes(operation: &Operation) -> usize {
    OPERATION_BYTES
        + match operation {
            Operation::Enqueue { message, .. } | Operation::PutRetained { message } => {
                message.size_bytes()
            }
            Operation::PutWill(will) => will.message.size_bytes(),
            Operation::PutSubscription { filter, .. } => filter.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(topics: usize) -> Vec<Operation> {
        let drop_one = || Operation::DropRetained { topic: "a".into() };
        std::iter::repeat_with(drop_one).take(topics).collect()
    }

    #[tokio::test]
    async fn a_group_is_bounded_and_never_empty() {
        let queue = Queue::new(5, 200 * OPERATION_BYTES);
        for operations in [1, 1, 1, 100, 1] {
            drop(queue.push(batch(operations)).unwrap());
        }
        assert_eq!(queue.push(batch(1)).err(), Some(Refusal::Full));
        let sizes = async |batches: usize, bytes| {
            let batches = batches.max(1);
            let limits = GroupLimits {
                batches,
                bytes,
                wanted: 1,
                moment: Duration::ZERO,
            };
            let group = queue.next_group(limits).await?;
            Some(
                group
                    .iter()
                    .map(|one| one.operations.len())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(sizes(2, usize::MAX).await, Some(vec![1, 1]));
        assert_eq!(sizes(9, 2 * OPERATION_BYTES).await, Some(vec![1]));
        assert_eq!(sizes(9, 2 * OPERATION_BYTES).await, Some(vec![100]));
        drop(queue.push(batch(1)).unwrap());
        assert_eq!(queue.push(batch(200)).err(), Some(Refusal::Full));
        queue.close();
        assert_eq!(queue.push(batch(1)).err(), Some(Refusal::Closed));
        assert_eq!(sizes(0, 0).await, Some(vec![1]));
        assert_eq!(sizes(9, 9).await, Some(vec![1]));
        assert_eq!(sizes(9, 9).await, None);
    }

    #[tokio::test]
    async fn others_are_waited_for_until_there_are_enough_or_a_moment_is_over() {
        let queue = Queue::new(100, usize::MAX);
        let limits = |wanted, secs| GroupLimits {
            batches: 100,
            bytes: usize::MAX,
            wanted,
            moment: Duration::from_secs(secs),
        };
        let come = async {
            for _ in 0..3 {
                drop(queue.push(batch(1)).unwrap());
                tokio::task::yield_now().await;
            }
        };
        // An hour is over when the third is there.
        let (group, ()) = tokio::join!(queue.next_group(limits(3, 3_600)), come);
        assert_eq!(group.unwrap().len(), 3);
        drop(queue.push(batch(1)).unwrap());
        assert_eq!(queue.next_group(limits(3, 0)).await.unwrap().len(), 1);
        // Nobody has asked for more since: the next one is heard of at once.
        let (group, ()) = tokio::join!(queue.next_group(limits(1, 0)), async {
            drop(queue.push(batch(1)).unwrap());
        });
        assert_eq!(group.unwrap().len(), 1);
        // Nobody else will come.
        drop(queue.push(batch(1)).unwrap());
        let (group, ()) = tokio::join!(queue.next_group(limits(3, 3_600)), async { queue.close() });
        assert_eq!(group.unwrap().len(), 1);
        assert!(queue.next_group(limits(3, 3_600)).await.is_none());
    }
}
