//! A lock under which readers do not queue behind waiting writers, unless one has waited long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

pub(crate) struct Shard<T> {
    inner: RwLock<T>,
    /// How many filters there are, so that readers pass an empty shard without locking it.
    filters: AtomicUsize,
    /// Writers that have waited for [`PATIENCE`] and now go before new readers.
    impatient: AtomicUsize,
}

impl<T> Shard<T> {
    pub(crate) fn new(inner: T) -> Self {
        let (filters, impatient) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self {
            inner: RwLock::new(inner),
            filters,
            impatient,
        }
    }

    /// Calls `look` unless there is nothing to look at.
    #[inline]
    pub(crate) fn read(&self, look: impl FnOnce(&T)) {
        // Acquire, as for the generations: who knows of an insertion also sees this.
        if self.filters.load(Ordering::Acquire) == 0 {
            return;
        }
        let inner = if self.impatient.load(Ordering::Relaxed) == 0 {
            // "Recursive" readers pass a writer that waits for other readers to finish.
            self.inner.read_recursive()
        } else {
            self.inner.read()
        };
        look(&inner);
    }

    /// Calls `change`, which returns its result and the number of filters after it.
    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut T) -> (R, usize)) -> R {
        let mut inner = self.inner.try_write_for(PATIENCE).unwrap_or_else(|| {
            self.impatient.fetch_add(1, Ordering::Relaxed);
            let inner = self.inner.write();
            self.impatient.fetch_sub(1, Ordering::Relaxed);
            inner
        });
        let (result, filters) = change(&mut inner);
        self.filters.store(filters, Ordering::Release);
        result
    }
}

const PATIENCE: Duration = Duration::from_millis(5);
