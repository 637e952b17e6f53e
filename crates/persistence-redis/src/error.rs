//! What can go wrong between the store and Redis, and what of it is whose fault.

use broker_core::persistence::PersistenceError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why there is no store to be had at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// An option has a value that it cannot have.
    #[error("the option {option} of the store in Redis is {found}, and has to be {wanted}")]
    Option {
        /// Which one.
        option: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// A file with certificates or a key cannot be read.
    #[error("cannot read {file}: {reason}")]
    File {
        /// Which one.
        file: String,
        /// Why not.
        reason: std::io::Error,
    },
    /// Redis does not know the user or the password, or the user may not do what is needed.
    #[error("Redis at {address} refuses the user or the password: {reason}")]
    Refused {
        /// The server's name and port.
        address: String,
        /// Redis' own words.
        reason: String,
    },
    /// There is something else under this prefix: a store of another version of mosca, or of somebody
    /// else.
    #[error(
        "Redis at {address} has {found} below the prefix {prefix:?}; this version of mosca reads {wanted:?}. \
         Use another prefix or database, or the version of mosca that wrote it"
    )]
    Foreign {
        /// The server's name and port.
        address: String,
        /// What keys begin with.
        prefix: String,
        /// What is there.
        found: String,
        /// The format that can be read.
        wanted: &'static str,
    },
    /// Nobody answers, or whoever does is not ready.
    #[error("Redis at {address} cannot be used: {reason}")]
    Unreachable {
        /// The server's name and port.
        address: String,
        /// Why.
        reason: String,
    },
}

impl ConnectError {
    pub(crate) fn unreachable(address: &str, reason: impl core::fmt::Display) -> Self {
        Self::Unreachable {
            address: address.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Of an error while connecting.
    pub(crate) fn of(address: &str, error: &RedisError) -> Self {
        if is_refusal(error) {
            return Self::Refused {
                address: address.to_owned(),
                reason: error.to_string(),
            };
        }
        Self::unreachable(address, error)
    }

    /// Whether it may be otherwise in a moment, without anybody changing the options.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

fn is_refusal(error: &RedisError) -> bool {
    let known = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm)
    );
    known || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
}

/// What an error in place of the answer to a group of batches means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing was applied, and nothing is wrong with the connection: what to answer.
    NotApplied(PersistenceError),
    /// Not known, or not to be had on this connection: begin a new one and see.
    Broken(String),
}

/// Judges an error that came in place of the answer to a script that writes.
///
/// Redis checks before the first write of a script whether writing is allowed, so these errors mean
/// that nothing has been applied.
pub(crate) fn judge(error: &RedisError) -> Verdict {
    let text = error.to_string();
    match error.code() {
        Some("OOM") => Verdict::NotApplied(PersistenceError::Full(
            format!("Redis has reached its maxmemory: {text}").into(),
        )),
        Some("MISCONF") => Verdict::NotApplied(PersistenceError::Full(
            format!("Redis cannot write to its disk: {text}").into(),
        )),
        Some("NOREPLICAS") => Verdict::NotApplied(PersistenceError::Unavailable(
            format!("Redis has too few replicas: {text}").into(),
        )),
        // An error of the script itself: what it found is not what it has written.
        Some("ERR" | "WRONGTYPE") => Verdict::NotApplied(PersistenceError::Damaged(
            format!("Redis cannot apply a batch: {text}").into(),
        )),
        _ => Verdict::Broken(text),
    }
}

pub(crate) fn unavailable(text: impl Into<String>) -> PersistenceError {
    PersistenceError::Unavailable(text.into().into())
}

pub(crate) fn damaged(text: impl Into<String>) -> PersistenceError {
    PersistenceError::Damaged(text.into().into())
}
