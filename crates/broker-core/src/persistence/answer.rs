//! An answer of a store: there already, or to be awaited.
//!
//! A store in memory answers at once, and the hot path must not pay for a boxed future there.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::PersistenceError;

/// The answer to a call on a [`Persistence`](super::Persistence): ready, or still to come.
///
/// It is a future itself; awaiting one that is ready does not yield.
///
/// ```
/// use broker_core::persistence::Answer;
///
/// match Answer::ready(7) {
///     Answer::Ready(value) => assert_eq!(value.unwrap(), 7),
///     Answer::Pending(_) => unreachable!(),
/// }
/// ```
pub enum Answer<T> {
    /// The answer.
    Ready(Result<T, PersistenceError>),
    /// The answer is being worked on.
    Pending(Pin<Box<dyn Future<Output = Result<T, PersistenceError>> + Send>>),
}

impl<T> Answer<T> {
    /// An answer that is there already.
    pub fn ready(value: T) -> Self {
        Self::Ready(Ok(value))
    }

    /// An answer that `future` will give.
    pub fn pending(
        future: impl Future<Output = Result<T, PersistenceError>> + Send + 'static,
    ) -> Self {
        Self::Pending(Box::pin(future))
    }
}

// The answer is never pinned structurally: the future has its own box.
impl<T> Unpin for Answer<T> {}

impl<T> Future for Answer<T> {
    type Output = Result<T, PersistenceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Pending(future) => future.as_mut().poll(context),
            Self::Ready(result) => {
                // A future is not polled again once it has answered; should it be, the second
                // answer is an error rather than a panic.
                let taken = core::mem::replace(
                    result,
                    Err(PersistenceError::Unavailable(
                        "the answer was taken already".into(),
                    )),
                );
                Poll::Ready(taken)
            }
        }
    }
}
