//! What callers, readers and the writer have in common: the queue, and the engine, which the writer
//! takes away for as long as it has to be opened again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::FjallOptions;
use crate::engine::Engine;
use crate::error::{Failure, FailureKind};
use crate::place::Place;
use crate::queue::Queue;

/// How long a lookup waits while the engine is being opened again.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Shared {
    pub(crate) options: FjallOptions,
    pub(crate) queue: Queue,
    engine: Mutex<Option<Arc<Engine>>>,
    opened: Condvar,
    /// After the engine: the lock of the folder goes last.
    pub(crate) place: Place,
}

impl Shared {
    pub(crate) fn new(place: Place, engine: Engine, options: FjallOptions) -> Self {
        Self {
            queue: Queue::new(&options),
            options,
            engine: Mutex::new(Some(Arc::new(engine))),
            opened: Condvar::new(),
            place,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.place.path().to_owned()
    }

    /// The engine; waits for it while it is being opened.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut engine = self.engine.lock();
        while engine.is_none() && !self.queue.is_closed() {
            if self.opened.wait_until(&mut engine, deadline).timed_out() {
                break;
            }
        }
        engine
            .clone()
            .ok_or_else(|| Failure::unavailable("it is being opened again after an error"))
    }

    /// The engine, if it is there.
    pub(crate) fn engine_now(&self) -> Option<Arc<Engine>> {
        self.engine.lock().clone()
    }

    /// Closes the engine, once the last reader has let go of it.
    pub(crate) fn close_engine(&self) {
        let Some(mut engine) = self.engine.lock().take() else {
            return;
        };
        loop {
            match Arc::try_unwrap(engine) {
                Ok(alone) => {
                    // An engine that is broken must not take the writer with it.
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(alone)));
                    return;
                }
                Err(held) => {
                    engine = held;
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    /// Opens the engine again.
    pub(crate) fn open_engine(&self) -> Result<Arc<Engine>, Failure> {
        let opened = guarded(|| Engine::open(&self.place.data(), &self.options))?;
        let opened = Arc::new(opened);
        *self.engine.lock() = Some(Arc::clone(&opened));
        self.opened.notify_all();
        Ok(opened)
    }

    /// What a caller is told: which store, and what is known about the reason.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        /// With less than this, background work of the engine fails for want of space.
        const TIGHT_BYTES: u64 = 16 << 20;
        let free = self.place.free_bytes();
        let kind = match failure.kind {
            FailureKind::Stopped if free.is_some_and(|free| free < TIGHT_BYTES) => {
                FailureKind::Full
            }
            FailureKind::Stopped => FailureKind::Unavailable,
            kind => kind,
        };
        let free = match (kind, free) {
            (FailureKind::Full, Some(free)) => format!(", {free} bytes are free"),
            _ => String::new(),
        };
        let path = self.place.path().display();
        Failure {
            kind,
            reason: format!("{path}: {}{free}", failure.reason),
        }
    }
}

/// Makes an error of a panic: the engine panics over some of what it may find in damaged files.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Err(Failure::damaged(format!("the engine gave up: {text}")))
    })
}
