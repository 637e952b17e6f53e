//! Looking after a store that no broker has open: checking it, printing it, making it smaller, repairing
//! its journals.
//!
//! Each function opens the store as a broker would, so it is refused while one has it, and says how
//! far it has come through a callback. The callback can end it at any time: verifying and printing
//! change nothing, and compacting and repairing may be broken off wherever they are.

mod compact;
mod dump;
mod repair;
mod verify;

use core::ops::ControlFlow;

pub use compact::{Compacted, compact};
pub use dump::{Dumped, dump};
pub use repair::{Cut, Repaired, repair};
pub use verify::{Verified, verify};

use crate::OpenError;
use crate::error::Failure;

/// How far a function has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing, a word or two.
    pub doing: &'static str,
    /// Steps that are done, of all that it does.
    pub done: u64,
    /// Steps in all, roughly; not less than `done`.
    pub total: u64,
}

/// What is told about the progress, and says whether to go on.
pub type Report<'r> = &'r mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Why a function has not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read or written.
    #[error("the store is at fault: {0}")]
    Store(String),
    /// What was to be printed cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// The callback has ended it.
    #[error("it was cancelled")]
    Cancelled,
}

impl From<Failure> for MaintenanceError {
    fn from(failure: Failure) -> Self {
        Self::Store(failure.reason)
    }
}

impl From<fjall::Error> for MaintenanceError {
    fn from(error: fjall::Error) -> Self {
        Failure::from(error).into()
    }
}

/// Counts steps, and reports some of them.
struct Steps<'r> {
    report: Report<'r>,
    doing: &'static str,
    done: u64,
    total: u64,
}

/// Records between two reports.
const REPORT_EVERY: u64 = 1_000;

impl<'r> Steps<'r> {
    fn new(report: Report<'r>, total: u64) -> Result<Self, MaintenanceError> {
        let mut steps = Self {
            report,
            doing: "opening",
            done: 0,
            total,
        };
        steps.tell()?;
        Ok(steps)
    }

    fn begin(&mut self, doing: &'static str) -> Result<(), MaintenanceError> {
        self.doing = doing;
        self.tell()
    }

    fn step(&mut self) -> Result<(), MaintenanceError> {
        self.done += 1;
        if self.done.is_multiple_of(REPORT_EVERY) {
            return self.tell();
        }
        Ok(())
    }

    /// All is done, also if it was less than it seemed.
    fn end(&mut self) -> Result<(), MaintenanceError> {
        self.total = self.done;
        self.tell()
    }

    fn tell(&mut self) -> Result<(), MaintenanceError> {
        let progress = Progress {
            doing: self.doing,
            done: self.done,
            total: self.total.max(self.done),
        };
        match (self.report)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(MaintenanceError::Cancelled),
        }
    }
}
