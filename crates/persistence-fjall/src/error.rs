//! Why a store cannot be opened, and what the engine's errors mean to a caller.

use std::io;
use std::path::PathBuf;

use broker_core::persistence::PersistenceError;

use crate::place::FORMAT;

/// Why the store in a folder could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error(
        "the store in {} is in use by {owner}: stop it first, or choose another path",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who has it, as far as is known.
        owner: String,
    },
    /// The folder contains something else.
    #[error(
        "{} is not a store of mosca: it contains {found:?}; choose an empty folder, or one that \
         does not exist",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The name of something that was found there.
        found: String,
    },
    /// There is no store, and none was to be made.
    #[error("there is no store in {}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The store is of another format.
    #[error(
        "the store in {} is of format {found}, and this version of mosca understands format \
         {FORMAT}: start the version that has written it, or choose another path",
        path.display()
    )]
    Format {
        /// The folder.
        path: PathBuf,
        /// What the store says that it is.
        found: String,
    },
    /// Something in the store cannot be read.
    #[error("the store in {} is damaged: {reason}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused something.
    #[error("the store in {} cannot be opened: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// An option has a value that it cannot have.
    #[error("the option {name} is {value}, and can be {least} to {most}")]
    Option {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: u64,
        /// The least that it can be.
        least: u64,
        /// The most that it can be.
        most: u64,
    },
}

/// What went wrong in the engine, in a form that many callers can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Unavailable,
    Full,
    Damaged,
    /// The engine has stopped writing after an earlier error, and does not say which.
    Stopped,
}

impl Failure {
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Unavailable,
            reason: reason.into(),
        }
    }

    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Damaged,
            reason: reason.into(),
        }
    }

    fn io(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureKind::Full,
            _ => FailureKind::Unavailable,
        };
        Self {
            kind,
            reason: error.to_string(),
        }
    }
}

impl From<fjall::Error> for Failure {
    fn from(error: fjall::Error) -> Self {
        use fjall::{Error, LsmError};
        match error {
            Error::Io(error) | Error::Storage(LsmError::Io(error)) => Self::io(&error),
            Error::Poisoned => Self {
                kind: FailureKind::Stopped,
                reason: "the engine has stopped writing after an error".to_owned(),
            },
            Error::Locked | Error::KeyspaceDeleted => Self::unavailable(error.to_string()),
            other => Self::damaged(other.to_string()),
        }
    }
}

impl From<Failure> for PersistenceError {
    fn from(failure: Failure) -> Self {
        let reason = failure.reason.into();
        match failure.kind {
            FailureKind::Unavailable | FailureKind::Stopped => Self::Unavailable(reason),
            FailureKind::Full => Self::Full(reason),
            FailureKind::Damaged => Self::Damaged(reason),
        }
    }
}

/// A record that cannot be read, or a key.
pub(crate) fn damaged(key: impl core::fmt::Display, reason: impl core::fmt::Display) -> Failure {
    Failure::damaged(format!("{key}: {reason}"))
}
