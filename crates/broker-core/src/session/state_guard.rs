//! The lock on a session's state. Whoever gives it back has counted what waits for the client, whatever
//! he did.

use core::ops::{Deref, DerefMut};

use parking_lot::MutexGuard;

use super::{Outgoing, Session, State};
use crate::outbox::Outbox;
use crate::totals::{Held, STEP_BYTES, STEP_MESSAGES, Totals};

/// A session's state, locked.
pub(crate) struct StateGuard<'a> {
    state: MutexGuard<'a, State>,
    totals: &'a Totals,
}

impl<'a> StateGuard<'a> {
    #[inline]
    pub(super) fn new(state: MutexGuard<'a, State>, totals: &'a Totals) -> Self {
        Self { state, totals }
    }
}

impl Deref for StateGuard<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for StateGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.state.is_own() {
            self.state.settle(self.totals);
        }
    }
}

impl Session {
    /// The state, for the few steps that every message takes: whoever has it calls
    /// [`settle`](State::settle) before he gives it back, if there may be more or less for the client.
    #[inline]
    pub(crate) fn state_unsettled(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Counts what `state` has now, which is this session's.
    #[inline(always)]
    pub(crate) fn settle(&self, state: &mut State) {
        if !state.is_own() {
            state.settle(&self.totals);
        }
    }

    /// Whether a message of so many bytes may be added to what there is, now that memory is short.
    #[cold]
    #[inline(never)]
    pub(super) fn may_grow(&self, state: &State, size_bytes: usize) -> bool {
        let pressure = self.totals.note_pressure();
        state.held().may_grow(size_bytes, pressure)
    }

    /// All that is to be written now, of this session's state; none if there is nothing.
    #[inline(always)]
    pub(crate) fn give_out(&self, state: &mut State) -> Option<Outbox> {
        state.given_out = state.outbox.len();
        if state.given_out == 0 {
            self.settle(state);
            return None;
        }
        let outbox = core::mem::take(&mut state.outbox);
        self.settle(state);
        Some(outbox)
    }
}

impl State {
    /// Whether what it has is no more than its own step.
    #[inline(always)]
    fn is_own(&self) -> bool {
        let output = self.outbox.len() + self.given_out;
        let queue = self.outgoing.get().map(Outgoing::held);
        self.charged.is_nothing()
            && match queue {
                None => output < STEP_BYTES,
                Some(queue) => output + queue.bytes < STEP_BYTES && queue.messages < STEP_MESSAGES,
            }
    }

    #[inline(never)]
    fn settle(&mut self, totals: &Totals) {
        let held = self.held();
        totals.settle(&mut self.charged, held);
    }

    /// What it has in memory for its client, with what is being written.
    #[inline]
    pub(crate) fn held(&self) -> Held {
        let mut held = self.outgoing.held();
        held.bytes += self.outbox.len() + self.given_out;
        held
    }

    /// There is nobody to whom it could be written.
    pub(super) fn drop_output(&mut self) {
        self.outbox = Outbox::default();
        self.given_out = 0;
    }

    /// What is counted of it: messages and bytes.
    #[cfg(any(test, feature = "invariants"))]
    pub(crate) fn counted(&self) -> (usize, usize) {
        (self.charged.messages(), self.charged.bytes())
    }
}

impl Drop for Session {
    /// One that nobody knows any more counts for nothing, whatever was left in it.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if !state.charged.is_nothing() {
            self.totals.settle(&mut state.charged, Held::default());
        }
    }
}
