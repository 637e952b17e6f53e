//! Something that goes on in numbered steps, and those who wait until it has come to one of them.

use std::collections::VecDeque;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How far it has come, and who waits.
#[derive(Debug, Default)]
pub(super) struct Awaited(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reached: u64,
    /// Whether it takes too long to be waited for.
    is_slow: bool,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Awaited {
    /// What says that `step` is reached, or is not to be waited for any longer; `None` if that is so now.
    pub(super) fn wait_for(&self, step: u64) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.reached >= step || state.is_slow {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back((step, sender));
        Some(receiver)
    }

    /// It has come so far.
    pub(super) fn reach(&self, step: u64) {
        let mut state = self.state();
        state.is_slow = false;
        state.reached = state.reached.max(step);
        let reached = state.reached;
        // Mostly in their order; who is not is called with the one in front.
        while let Some((step, _)) = state.waiting.front()
            && *step <= reached
        {
            if let Some((_, waits)) = state.waiting.pop_front() {
                let _gone = waits.send(());
            }
        }
    }

    /// Nobody is to wait until it goes on.
    pub(super) fn let_go(&self) {
        let mut state = self.state();
        state.is_slow = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (_, waits) in waiting {
            let _gone = waits.send(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_called_when_it_is_reached_or_takes_too_long() {
        let awaited = Awaited::default();
        assert!(awaited.wait_for(0).is_none());
        let mut first = awaited.wait_for(1).unwrap();
        let mut second = awaited.wait_for(2).unwrap();
        awaited.reach(1);
        assert!(first.try_recv().is_ok() && second.try_recv().is_err());
        awaited.let_go();
        assert!(second.try_recv().is_ok());
        assert!(awaited.wait_for(3).is_none());
        awaited.reach(2);
        let mut third = awaited.wait_for(3).unwrap();
        awaited.reach(9);
        assert!(third.try_recv().is_ok());
    }
}
