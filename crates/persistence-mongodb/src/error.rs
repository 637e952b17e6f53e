//! What can go wrong, and whether trying again may help.

use std::error::Error as StdError;

use broker_core::persistence::PersistenceError;
use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be understood.
    #[error("{url} is no address of a MongoDB: {reason}")]
    Url {
        /// The address, without user and password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No server answers, or none lets us in.
    #[error("MongoDB at {url} cannot be used: {source}")]
    Unreachable {
        /// The address, without user and password.
        url: String,
        /// What the driver says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server is not part of a replica set.
    #[error(
        "MongoDB at {url} is a standalone server, which has no transactions, so that a batch could \
         be written in part; start it with --replSet and initiate a replica set, which may have \
         one member"
    )]
    Standalone {
        /// The address, without user and password.
        url: String,
    },
    /// The database has collections by our names that we did not make.
    #[error(
        "the database {database:?} is not mosca's: it has a collection {collection:?} but says no \
         version of mosca's format; choose another database (what the Node.js mosca stored is \
         imported from its database into another one)"
    )]
    Foreign {
        /// The database.
        database: String,
        /// One of the collections.
        collection: String,
    },
    /// The database was written in another format.
    #[error(
        "the database {database:?} is in format {found} of mosca's, and this version reads format \
         {understood}; open it with the version of mosca that wrote it, or choose another database"
    )]
    Version {
        /// The database.
        database: String,
        /// What it says.
        found: String,
        /// What we understand.
        understood: u32,
    },
    /// There is an index by the name of one of ours that is another one.
    #[error(
        "the index {index:?} of the collection {collection:?} is {found}, and must be {wanted}; \
         remove it, and it will be made anew"
    )]
    Index {
        /// The collection.
        collection: String,
        /// The index.
        index: String,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the driver or the server says.
    Driver(Error),
    /// What the server says of one statement of a command.
    Statement { code: i32, message: String },
    /// It took too long.
    TimedOut,
    /// Trying again cannot help.
    Final(PersistenceError),
}

pub(crate) type Attempt<T> = Result<T, Failure>;

/// Two writers have made the same document. As ours are named after what was found not to be
/// there, the next attempt finds it.
const DUPLICATE_KEY: i32 = 11_000;
const WRITE_CONFLICT: i32 = 112;
const TRANSACTION_TOO_LARGE_FOR_CACHE: i32 = 388;
const OUT_OF_DISK_SPACE: i32 = 14_031;

/// Errors of commands that another attempt may not meet: no primary, a shutdown, an election, a
/// transaction or a cursor that is gone or was ended by somebody else, time that is up.
const PASSING: [i32; 27] = [
    6, 7, 24, 43, 46, 50, 64, 89, 91, 133, 134, 189, 202, 225, 237, 246, 251, 262, 290, 317, 358,
    9_001, 10_107, 11_600, 11_601, 11_602, 13_435,
];
const NOT_PRIMARY_OR_SECONDARY: i32 = 13_436;

impl Failure {
    /// Something in the store is not as it should be.
    pub(crate) fn damaged(what: String) -> Self {
        Self::Final(PersistenceError::Damaged(what.into()))
    }

    /// Whether another attempt may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Final(_) => false,
            Self::Statement { code, .. } => is_passing(*code),
            Self::Driver(error) => {
                error.contains_label(TRANSIENT_TRANSACTION_ERROR)
                    || error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
                    || matches!(
                        *error.kind,
                        ErrorKind::Io(_)
                            | ErrorKind::ServerSelection { .. }
                            | ErrorKind::ConnectionPoolCleared { .. }
                            | ErrorKind::DnsResolve { .. }
                    )
                    || code(error).is_some_and(is_passing)
            }
        }
    }

    /// Whether something is there that was to be made.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.code() == Some(DUPLICATE_KEY)
    }

    /// Whether somebody else has what was to be changed.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == Some(WRITE_CONFLICT)
    }

    fn code(&self) -> Option<i32> {
        match self {
            Self::Statement { code, .. } => Some(*code),
            Self::Driver(error) => code(error),
            Self::TimedOut | Self::Final(_) => None,
        }
    }

    /// Whether a commit that failed in this way may have come into force all the same.
    pub(crate) fn leaves_commit_unknown(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Driver(error) => {
                error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
                    || !error.contains_label(TRANSIENT_TRANSACTION_ERROR)
            }
            Self::Statement { .. } | Self::Final(_) => false,
        }
    }

    /// As the broker is told it.
    pub(crate) fn into_error(self, doing: &str) -> PersistenceError {
        let full = |code: i32| matches!(code, OUT_OF_DISK_SPACE | TRANSACTION_TOO_LARGE_FOR_CACHE);
        match self {
            Self::Final(error) => error,
            Self::TimedOut => PersistenceError::Unavailable(
                format!("MongoDB, {doing}: it did not answer in time").into(),
            ),
            Self::Statement { code, message } => {
                let text = format!("MongoDB, {doing}: {message} (code {code})").into();
                if full(code) {
                    PersistenceError::Full(text)
                } else {
                    PersistenceError::Unavailable(text)
                }
            }
            Self::Driver(error) => {
                let text = format!("MongoDB, {doing}: {}", error.kind).into();
                match code(&error) {
                    Some(found) if full(found) => PersistenceError::Full(text),
                    _ => PersistenceError::Unavailable(text),
                }
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Driver(error) => write!(f, "{}", error.kind),
            Self::Statement { code, message } => write!(f, "{message} (code {code})"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Final(error) => write!(f, "{error}"),
        }
    }
}

fn is_passing(code: i32) -> bool {
    matches!(
        code,
        DUPLICATE_KEY | WRITE_CONFLICT | NOT_PRIMARY_OR_SECONDARY
    ) || PASSING.contains(&code)
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteConcernError(concern)) => {
            Some(concern.code)
        }
        _ => None,
    }
}
