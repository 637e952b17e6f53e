//! Runs one future on the calling thread: all that a store without a runtime needs, and a program that waits
//! for the next message without one.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

/// Runs a future to its end; the thread sleeps while the future waits.
///
/// It drives no input or output and no timers: a future that needs those needs their runtime.
///
/// ```
/// assert_eq!(broker_core::block_on(async { 7 }), 7);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // A wake-up that comes before this line is not lost: the thread then does not sleep.
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::persistence::Answer;

    #[test]
    fn a_wake_from_another_thread_is_heard() {
        let (waker_out, waker_in) = mpsc::channel::<Waker>();
        let mut polls = 0;
        let future = core::future::poll_fn(move |context| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(polls);
            }
            waker_out.send(context.waker().clone()).unwrap();
            Poll::Pending
        });
        let other = thread::spawn(move || waker_in.iter().for_each(|waker| waker.wake()));
        assert_eq!(block_on(future), 3);
        other.join().unwrap();
    }

    #[test]
    fn an_answer_to_come_is_awaited() {
        assert_eq!(block_on(Answer::pending(async { Ok(5) })).unwrap(), 5);
    }
}
