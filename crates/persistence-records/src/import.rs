//! What imports from elsewhere have in common: operations are gathered and committed together, and what
//! became of what was found is counted, and told while the import runs.

mod session;

use broker_core::persistence::{Batch, Operation, Persistence, PersistenceError};
pub use session::ImportedSession;

use crate::line::bytes;

/// Operations that are committed together.
const OPERATIONS: usize = 1_000;
/// Bytes of them, about.
const BYTES: usize = 4 << 20;

/// What was imported, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Sessions, made or completed.
    pub sessions: u64,
    /// Their subscriptions.
    pub subscriptions: u64,
    /// Messages in their queues.
    pub messages: u64,
    /// Retained messages.
    pub retained: u64,
    /// Sessions and retained messages that the store had already, and that were left as they were.
    pub present: u64,
    /// What clients are not to get: further copies of one message, messages of `$SYS`.
    pub left_out: u64,
    /// What could not be read, and was left out.
    pub skipped: u64,
}

/// What an import tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportProgress {
    /// So much so far.
    Imported(Imported),
    /// Something cannot be read, and is left out.
    Skipped {
        /// Where it is: a key, or the name of a document.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Fills a store with what an import finds, in batches of bounded size and in its order.
///
/// ```
/// use broker_core::persistence::Operation;
/// use persistence_records::{Filler, ImportProgress};
///
/// # async fn example(store: &dyn broker_core::persistence::Persistence) -> Result<(), broker_core::persistence::PersistenceError> {
/// let mut filler = Filler::new(store, |progress| {
///     if let ImportProgress::Skipped { key, reason } = progress {
///         eprintln!("{key}: {reason}");
///     }
/// });
/// filler.push(Operation::DropRetained { topic: "a".into() }).await?;
/// filler.skip("b", "this is no message");
/// filler.flush().await?;
/// assert_eq!(filler.imported.skipped, 1);
/// # Ok(())
/// # }
/// ```
pub struct Filler<'s, P> {
    store: &'s dyn Persistence,
    progress: P,
    batch: Batch,
    bytes: usize,
    /// What was imported so far: for the import to count.
    pub imported: Imported,
}

impl<'s, P: FnMut(ImportProgress) + Send> Filler<'s, P> {
    /// Nothing is imported yet; `progress` is told of each batch that is in the store, and of what is left
    /// out.
    pub fn new(store: &'s dyn Persistence, progress: P) -> Self {
        Self {
            store,
            progress,
            batch: Batch::new(),
            bytes: 0,
            imported: Imported::default(),
        }
    }

    /// The store that is filled. What was pushed and not flushed may not be in it yet.
    pub fn store(&self) -> &'s dyn Persistence {
        self.store
    }

    /// Adds an operation, and commits what has been gathered if that is enough.
    ///
    /// # Errors
    /// If the store cannot be written to. What was gathered is lost then.
    ///
    /// # Cancel safety
    /// Dropping the future may leave what was gathered in the store or not.
    pub async fn push(&mut self, operation: Operation) -> Result<(), PersistenceError> {
        self.bytes += bytes(core::slice::from_ref(&operation));
        self.batch.push(operation);
        if self.batch.len() >= OPERATIONS || self.bytes >= BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Commits what has been gathered, if anything has.
    ///
    /// # Errors
    /// As those of [`push`](Self::push).
    ///
    /// # Cancel safety
    /// As that of [`push`](Self::push).
    pub async fn flush(&mut self) -> Result<(), PersistenceError> {
        self.bytes = 0;
        if !self.batch.is_empty() {
            self.store.commit(&mut self.batch).await?;
            (self.progress)(ImportProgress::Imported(self.imported));
        }
        Ok(())
    }

    /// Counts and tells what is left out because it cannot be read.
    pub fn skip(&mut self, key: impl Into<String>, reason: impl core::fmt::Display) {
        self.imported.skipped += 1;
        (self.progress)(ImportProgress::Skipped {
            key: key.into(),
            reason: reason.to_string(),
        });
    }
}

impl<P> core::fmt::Debug for Filler<'_, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Filler")
            .field("imported", &self.imported)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
