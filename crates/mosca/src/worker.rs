//! Memory that belongs to a worker thread and serves whichever connection it runs.
//!
//! This is why an idle connection owns no buffer.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
///
/// `None` if it panicked. What it had left in the memory is then gone, so that the next connection
/// on this thread does not find the replies of another one; who had to be woken is woken, for nobody
/// else will.
pub(crate) fn with<R>(use_it: impl FnOnce(&mut Worker) -> R) -> Option<R> {
    WORKER.with_borrow_mut(|worker| {
        let result = catch_unwind(AssertUnwindSafe(|| use_it(worker)));
        if result.is_err() {
            mem::take(&mut worker.effects).wake();
        }
        result.ok()
    })
}
