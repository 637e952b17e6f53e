//! What went wrong with the server, in words for the operator.

use std::fmt::Display;

use broker_core::backend::BackendError;
use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// Why something did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server cannot be reached or does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// It does not want to, or what it was told is wrong.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    pub(crate) fn refused(reason: impl Display) -> Self {
        Self::Refused(reason.to_string())
    }

    pub(crate) fn unavailable(reason: impl Display) -> Self {
        Self::Unavailable(reason.to_string())
    }

    /// What was tried stands in front.
    pub(crate) fn when(self, tried: &str) -> Self {
        match self {
            Self::Unavailable(reason) => Self::Unavailable(format!("{tried}: {reason}")),
            Self::Refused(reason) => Self::Refused(format!("{tried}: {reason}")),
        }
    }

    /// The error of a call, which names the server.
    pub(crate) fn into_error(self, server: &str) -> BackendError {
        match self {
            Self::Unavailable(reason) => {
                BackendError::Unavailable(format!("{server}: {reason}").into())
            }
            Self::Refused(reason) => BackendError::Refused(format!("{server}: {reason}").into()),
        }
    }
}

impl From<lapin::Error> for Failure {
    fn from(error: lapin::Error) -> Self {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return Self::unavailable(error);
        };
        let reason = said.get_message().to_string();
        match said.kind() {
            AMQPErrorKind::Soft(
                AMQPSoftError::ACCESSREFUSED
                | AMQPSoftError::NOTFOUND
                | AMQPSoftError::PRECONDITIONFAILED
                | AMQPSoftError::RESOURCELOCKED,
            )
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH) => {
                Self::Refused(reason)
            }
            _ => Self::Unavailable(reason),
        }
    }
}
