//! Memory that belongs to a worker thread and serves whichever connection it runs.
//!
//! This is why an idle connection owns no buffer.

use std::cell::RefCell;

use broker_core::Effects;

/// Bytes read from a socket at a time.
pub(crate) const READ_BYTES: usize = 64 << 10;

pub(crate) struct Worker {
    /// What was read; always [`READ_BYTES`] long.
    pub(crate) input: Box<[u8]>,
    pub(crate) effects: Effects,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker {
        input: vec![0; READ_BYTES].into_boxed_slice(),
        effects: Effects::new(),
    });
}

/// Runs `use_it` with this thread's worker memory. Calls must not nest.
pub(crate) fn with<R>(use_it: impl FnOnce(&mut Worker) -> R) -> R {
    WORKER.with_borrow_mut(use_it)
}
