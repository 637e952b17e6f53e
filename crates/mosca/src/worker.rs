//! Memory that belongs to a worker thread and serves whichever connection it runs.
//!
//! This is why an idle connection owns no buffer.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use broker_core::Effects;

/// Bytes read from a socket at a time, unless a large packet is on its way.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// Bytes read at a time while large packets come. The system acknowledges to the sender what was read:
/// in larger steps that is less work per byte. Of small packets so many would keep others waiting.
pub(crate) const READ_BYTES_MAX: usize = 256 << 10;

pub(crate) struct Worker {
    /// What was read; always [`READ_BYTES_MAX`] long. The system gives it memory as it is used.
    pub(crate) input: Box<[u8]>,
    pub(crate) effects: Effects,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker {
        input: vec![0; READ_BYTES_MAX].into_boxed_slice(),
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
