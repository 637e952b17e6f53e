//! A lock under which readers do not queue behind waiting writers, unless one has waited long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};

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

    /// Locks the shard for reading, unless there is nothing to read.
    #[inline]
    pub(crate) fn read(&self) -> Option<RwLockReadGuard<'_, T>> {
        // Acquire, as for the generations: who knows of an insertion also sees this.
        if self.filters.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(if self.impatient.load(Ordering::Relaxed) == 0 {
            // "Recursive" readers pass a writer that waits for other readers to finish.
            self.inner.read_recursive()
        } else {
            self.inner.read()
        })
    }

    /// Calls `change`, which returns its result and the number of filters after it.
    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut T) -> (R, usize)) -> R {
        self.write_after(PATIENCE, change)
    }

    fn write_after<R>(&self, patience: Duration, change: impl FnOnce(&mut T) -> (R, usize)) -> R {
        let mut inner = self.inner.try_write_for(patience).unwrap_or_else(|| {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn holding(value: u32) -> Shard<u32> {
        let shard = Shard::new(value);
        shard.filters.store(1, Ordering::Release);
        shard
    }

    /// Whether a writer stands at the lock: a reader that queues would not get in.
    fn wait_for_writer<T>(shard: &Shard<T>) {
        while shard.inner.try_read().is_some() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_reader_passes_a_writer_that_waits_for_another_reader() {
        let shard = &holding(1);
        let (second_read, first_may_end) = mpsc::channel();
        let (first_reads, others_may_start) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let _guard = shard.read();
                first_reads.send(()).unwrap();
                first_may_end.recv().unwrap();
            });
            others_may_start.recv().unwrap();
            scope.spawn(|| shard.write_after(HOUR, |value| (*value = 2, 1)));
            wait_for_writer(shard);
            let seen = shard.read().map(|value| *value);
            assert_eq!(
                seen,
                Some(1),
                "read beside the first reader, before the writer"
            );
            second_read.send(()).unwrap();
        });
        assert_eq!(*shard.inner.read(), 2, "the writer had its turn");
    }

    #[test]
    fn a_writer_out_of_patience_goes_before_new_readers() {
        let shard = &holding(1);
        let (release, first_may_end) = mpsc::channel::<()>();
        let (first_reads, others_may_start) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let _guard = shard.read();
                first_reads.send(()).unwrap();
                first_may_end.recv().unwrap();
            });
            others_may_start.recv().unwrap();
            scope.spawn(|| shard.write_after(Duration::ZERO, |value| (*value = 2, 1)));
            while shard.impatient.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            wait_for_writer(shard);
            let reader = scope.spawn(|| shard.read().map(|value| *value));
            release.send(()).unwrap();
            assert_eq!(reader.join().unwrap(), Some(2));
        });
        assert_eq!(shard.impatient.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_empty_shard_is_passed_without_the_lock() {
        let shard = Shard::new(1);
        let _writer = shard.inner.write();
        assert!(shard.read().is_none());
    }
}
