//! Calls of hooks, which are somebody else's code: what panics in there ends one request, and no thread.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{HookSet, Hooks};
use crate::authentication::Verdict;
use crate::events::EventSet;

/// The hooks of a broker, and which of them are called.
pub(crate) struct Hooked {
    hooks: Arc<dyn Hooks>,
    pub(crate) wanted: HookSet,
    /// The events among that.
    pub(crate) told: EventSet,
}

/// A hook has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// A future of a hook, which may panic: when it is polled, and when it is dropped.
pub(crate) struct Guarded<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

/// A verdict of a hook that may panic.
pub(crate) enum Answer<T> {
    Ready(Result<T, Failed>),
    Pending(Guarded<T>),
}

impl Hooked {
    pub(crate) fn new(hooks: Arc<dyn Hooks>) -> Self {
        let wanted = hooks.wanted();
        let told = EventSet::of_hooks(&wanted);
        Self {
            hooks,
            wanted,
            told,
        }
    }

    /// Calls one of them.
    pub(crate) fn ask<T>(&self, call: impl FnOnce(&dyn Hooks) -> Verdict<T>) -> Answer<T> {
        match catch_unwind(AssertUnwindSafe(|| call(&*self.hooks))) {
            Ok(Verdict::Ready(verdict)) => Answer::Ready(Ok(verdict)),
            Ok(Verdict::Pending(future)) => Answer::Pending(Guarded(Some(future))),
            Err(_) => Answer::Ready(Err(Failed)),
        }
    }
}

impl<T> Answer<T> {
    /// The verdict, however long that takes.
    pub(crate) async fn wait(self) -> Result<T, Failed> {
        match self {
            Self::Ready(verdict) => verdict,
            Self::Pending(future) => future.await,
        }
    }
}

impl<T> Future for Guarded<T> {
    type Output = Result<T, Failed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let guarded = self.get_mut();
        let Some(future) = &mut guarded.0 else {
            return Poll::Ready(Err(Failed));
        };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(verdict)) => Ok(verdict),
            Err(_) => Err(Failed),
        };
        Poll::Ready(guarded.discard().and(result))
    }
}

impl<T> Guarded<T> {
    /// Drops the future, which runs somebody else's code once more.
    fn discard(&mut self) -> Result<(), Failed> {
        let future = self.0.take();
        catch_unwind(AssertUnwindSafe(|| drop(future))).map_err(|_| Failed)
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        if self.0.is_some() {
            // Nobody waits for what it would have come to.
            let _dropped = self.discard();
        }
    }
}

impl core::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hooked")
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl<T> core::fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Guarded")
    }
}
