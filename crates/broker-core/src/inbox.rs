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
    /// Those who wait until there is room.
    waiting: Vec<Waker>,
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
                waiting: Vec::new(),
                missed: 0,
                closed: false,
            }),
        }
    }

    /// Returns the task to be woken, if one waits. One item is taken however large it is.
    pub(crate) fn put(&self, item: T) -> Result<Option<Waker>, NotPut> {
        let mut state = self.state.lock();
        let put = state.put(&mut Some(item), &self.limit);
        state.missed += u64::from(matches!(put, Err(NotPut::Full)));
        put
    }

    /// The same for one who keeps what has no room; that counts as missed if he says so.
    pub(crate) fn offer(&self, item: &mut Option<T>) -> Result<(), NotPut> {
        let waker = self.state.lock().put(item, &self.limit)?;
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// [`offer`](Self::offer) for one who waits until there is room. False if it is closed.
    pub(crate) fn poll_put(&self, item: &mut Option<T>, task: &Context<'_>) -> Poll<bool> {
        let mut state = self.state.lock();
        match state.put(item, &self.limit) {
            Ok(waker) => {
                drop(state);
                waker.into_iter().for_each(Waker::wake);
                Poll::Ready(true)
            }
            Err(NotPut::Closed) => Poll::Ready(false),
            Err(NotPut::Full) => {
                let waits = |waker: &Waker| waker.will_wake(task.waker());
                if !state.waiting.iter().any(waits) {
                    state.waiting.push(task.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// So many things had no room and are gone.
    pub(crate) fn note_missed(&self, number: u64) {
        self.state.lock().missed += number;
    }

    /// Wakes who takes, although there may be nothing to take.
    pub(crate) fn nudge(&self) {
        let waker = self.state.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.state.lock();
        let item = state.take();
        let waiting = state.make_room(&self.limit);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        item
    }

    /// Whether [`poll_take`](Self::poll_take) would be ready; if not, the task is woken when it is, or by
    /// [`nudge`](Self::nudge).
    pub(crate) fn poll_peek(&self, task: &Context<'_>) -> bool {
        let mut state = self.state.lock();
        if !state.queue.is_empty() || state.closed {
            return true;
        }
        state.note_waker(task);
        false
    }

    /// Ready with `None` when it is closed and empty.
    pub(crate) fn poll_take(&self, task: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.state.lock();
        let item = state.take();
        if item.is_some() || state.closed {
            let waiting = state.make_room(&self.limit);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
            return Poll::Ready(item);
        }
        state.note_waker(task);
        Poll::Pending
    }

    /// Nothing more comes. What is there can still be taken.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = core::mem::take(&mut state.waiting);
        let waker = state.waker.take();
        drop(state);
        waiting.into_iter().chain(waker).for_each(Waker::wake);
    }

    /// How many had no room.
    pub(crate) fn missed(&self) -> u64 {
        self.state.lock().missed
    }
}

impl<T: Item> State<T> {
    /// Takes the item out if there is room for it. Returns the task to be woken.
    fn put(&mut self, item: &mut Option<T>, limit: &InboxLimit) -> Result<Option<Waker>, NotPut> {
        if self.closed {
            return Err(NotPut::Closed);
        }
        let bytes = item.as_ref().map_or(0, Item::size_bytes);
        let is_full = self.queue.len() >= limit.items
            || !self.queue.is_empty() && self.bytes + bytes > limit.bytes;
        if is_full {
            return Err(NotPut::Full);
        }
        self.bytes += bytes;
        self.queue.extend(item.take());
        Ok(self.waker.take())
    }

    fn note_waker(&mut self, task: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(task.waker()),
            none => *none = Some(task.waker().clone()),
        }
    }

    /// Those who wait for room, once there is enough of it for more than one.
    fn make_room(&mut self, limit: &InboxLimit) -> Vec<Waker> {
        if self.queue.len() <= limit.items / 2 && self.bytes <= limit.bytes / 2 {
            core::mem::take(&mut self.waiting)
        } else {
            Vec::new()
        }
    }

    fn take(&mut self) -> Option<T> {
        let item = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.size_bytes());
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

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
    fn who_waits_for_room_is_woken_when_half_of_it_is_there() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let inbox = inbox(2, 100);
        assert!(inbox.put(1).is_ok() && inbox.put(2).is_ok());
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let task = Context::from_waker(&waker);
        let mut item = Some(3);
        for _ in 0..2 {
            assert!(inbox.poll_put(&mut item, &task).is_pending());
        }
        assert_eq!((item, inbox.missed()), (Some(3), 0));
        assert_eq!(inbox.take(), Some(1));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(inbox.poll_put(&mut item, &task), Poll::Ready(true));
        assert!(inbox.poll_put(&mut Some(4), &task).is_pending());
        inbox.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(inbox.poll_put(&mut Some(4), &task), Poll::Ready(false));
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
