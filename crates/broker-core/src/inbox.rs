//! What the program around the broker is to have, until it takes it: bounded, and nobody waits for one who
//! takes it slowly.

use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;

use parking_lot::Mutex;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboxLimit {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// What is waited for, and how much memory it keeps.
pub(crate) trait Item {
    fn size_bytes(&self) -> usize;
}

/// There is no room, or nobody to take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotPut {
    Full,
    Closed,
}

/// A queue with one end for everybody, and the other for the program. What has no room is dropped and
/// counted: who is slow misses what comes last, as a client does at QoS 0.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    limit: InboxLimit,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    bytes: usize,
    waker: Option<Waker>,
    missed: u64,
    closed: bool,
}

impl<T: Item> Inbox<T> {
    pub(crate) fn new(limit: InboxLimit) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                waker: None,
                missed: 0,
                closed: false,
            }),
        }
    }

    /// Returns the task to be woken, if one waits. One item is taken however large it is.
    pub(crate) fn put(&self, item: T) -> Result<Option<Waker>, NotPut> {
        let bytes = item.size_bytes();
        let mut state = self.state.lock();
        if state.closed {
            return Err(NotPut::Closed);
        }
        let is_full = state.queue.len() >= self.limit.items
            || !state.queue.is_empty() && state.bytes + bytes > self.limit.bytes;
        if is_full {
            state.missed += 1;
            return Err(NotPut::Full);
        }
        state.bytes += bytes;
        state.queue.push_back(item);
        Ok(state.waker.take())
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.state.lock().take()
    }

    /// Ready with `None` when it is closed and empty.
    pub(crate) fn poll_take(&self, task: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.state.lock();
        let item = state.take();
        if item.is_some() || state.closed {
            return Poll::Ready(item);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(task.waker()),
            none => *none = Some(task.waker().clone()),
        }
        Poll::Pending
    }

    /// Nothing more comes. What is there can still be taken.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many had no room.
    pub(crate) fn missed(&self) -> u64 {
        self.state.lock().missed
    }
}

impl<T: Item> State<T> {
    fn take(&mut self) -> Option<T> {
        let item = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.size_bytes());
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Item for usize {
        fn size_bytes(&self) -> usize {
            *self
        }
    }

    fn inbox(items: usize, bytes: usize) -> Inbox<usize> {
        Inbox::new(InboxLimit { items, bytes })
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_was_taken_makes_room() {
        let inbox = inbox(2, 100);
        assert!(inbox.put(1).is_ok() && inbox.put(2).is_ok());
        assert_eq!(inbox.put(3).unwrap_err(), NotPut::Full);
        assert_eq!((inbox.missed(), inbox.take()), (1, Some(1)));
        assert!(inbox.put(4).is_ok());
        assert_eq!((inbox.take(), inbox.take()), (Some(2), Some(4)));
        assert_eq!((inbox.take(), inbox.missed()), (None, 1));
    }

    #[test]
    fn bytes_count_too_and_what_is_larger_than_all_of_it_comes_alone() {
        let inbox = inbox(100, 10);
        assert!(inbox.put(50).is_ok());
        assert_eq!(inbox.put(1).unwrap_err(), NotPut::Full);
        assert_eq!(inbox.take(), Some(50));
        assert!(inbox.put(4).is_ok() && inbox.put(6).is_ok());
        assert_eq!(inbox.put(1).unwrap_err(), NotPut::Full);
    }

    #[test]
    fn what_was_there_comes_before_the_end() {
        let inbox = inbox(2, 100);
        assert!(inbox.put(1).is_ok());
        inbox.close();
        assert_eq!(inbox.put(2).unwrap_err(), NotPut::Closed);
        let mut task = Context::from_waker(Waker::noop());
        assert_eq!(inbox.poll_take(&mut task), Poll::Ready(Some(1)));
        assert_eq!(inbox.poll_take(&mut task), Poll::Ready(None));
        assert_eq!(inbox.missed(), 0);
    }
}
