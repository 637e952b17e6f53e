//! What can be chosen about a store on disk.

use core::time::Duration;

use crate::OpenError;

/// When a batch counts as durable, and is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it: nothing that was answered is lost, not even if the power fails. All
    /// batches that wait share one `fdatasync`, so many callers at a time cost little more than one.
    #[default]
    Always,
    /// When the operating system has it; `fdatasync` follows within this time. A crash of the
    /// process loses nothing; if the power fails, or the system crashes, the batches of the last
    /// interval may be lost, the last ones first. 1 ms to 1 h.
    Interval(Duration),
    /// When the operating system has it, which writes it to the disk when it likes to (Linux:
    /// within about 30 s). A crash of the process loses nothing.
    Os,
}

/// The options of a [`FjallPersistence`](crate::FjallPersistence).
///
/// ```
/// use std::time::Duration;
///
/// use persistence_fjall::{Durability, FjallOptions};
///
/// let options = FjallOptions {
///     durability: Durability::Interval(Duration::from_millis(100)),
///     ..FjallOptions::default()
/// };
/// assert_eq!(options.cache_bytes, 33_554_432);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FjallOptions {
    /// When a batch is answered; always when it is on the disk if not chosen otherwise.
    pub durability: Durability,
    /// Batches that may wait to be written, 1 or more; by default 10,000. What is committed beyond
    /// that waits outside, its answer pending, and is given up if the answer is dropped.
    pub max_queued_batches: usize,
    /// Bytes of messages and names in batches that may wait to be written; by default 64 MiB. One
    /// batch always fits.
    pub max_queued_bytes: usize,
    /// For how long a batch is tried again while the disk is full or broken before its answer is
    /// an error; by default 10 s. 0 tries once.
    pub retry: Duration,
    /// Bytes of blocks of the files that are kept in memory; by default 32 MiB.
    pub cache_bytes: u64,
    /// Bytes of what was written last that each part of the store keeps in memory before it writes
    /// a file, 1 MiB to 1 GiB; by default 16 MiB. There are seven parts, of which three see most
    /// of the writes; each may have this twice over while a file is being written. Counts when a
    /// store is made, and stays with it: opening it with another value changes nothing.
    pub memtable_bytes: u64,
    /// Bytes of journals, from which a store is read back after a crash, 64 MiB or more; by default
    /// 128 MiB. More makes the start after a crash slower, and files fewer.
    pub journal_bytes: u64,
    /// Threads that look things up, 1 to 64; by default 2.
    pub reader_threads: usize,
    /// Threads that write files and merge them, 1 to 64; by default 2.
    pub worker_threads: usize,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            max_queued_batches: 10_000,
            max_queued_bytes: 64 << 20,
            retry: Duration::from_secs(10),
            cache_bytes: 32 << 20,
            memtable_bytes: 16 << 20,
            journal_bytes: 128 << 20,
            reader_threads: 2,
            worker_threads: 2,
        }
    }
}

impl FjallOptions {
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let in_range = |name, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(OpenError::Option {
                name,
                value,
                least,
                most,
            })
        };
        let threads = |threads| u64::try_from(threads).unwrap_or(u64::MAX);
        if let Durability::Interval(interval) = self.durability {
            let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            in_range("durability interval in milliseconds", millis, 1, 3_600_000)?;
        }
        in_range(
            "max_queued_batches",
            threads(self.max_queued_batches),
            1,
            u64::MAX,
        )?;
        in_range("memtable_bytes", self.memtable_bytes, 1 << 20, 1 << 30)?;
        in_range("journal_bytes", self.journal_bytes, 64 << 20, u64::MAX)?;
        in_range("reader_threads", threads(self.reader_threads), 1, 64)?;
        in_range("worker_threads", threads(self.worker_threads), 1, 64)
    }
}
