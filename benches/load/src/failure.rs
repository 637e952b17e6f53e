//! Why a run ended without a result, and the exit status that says so.

use std::fmt;

/// A run that has no figures. (A run whose checks failed has figures, and errors among them.)
#[derive(Debug)]
pub enum Failure {
    /// The arguments contradict each other.
    Usage(String),
    /// No connection came about, or the broker broke off the conversation.
    Broken(String),
}

impl Failure {
    /// What the process ends with.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Broken(_) => 3,
        }
    }

    /// A conversation that cannot go on.
    pub fn broken(reason: impl fmt::Display) -> Self {
        Self::Broken(reason.to_string())
    }

    /// Arguments that make no sense together.
    pub fn usage(reason: impl fmt::Display) -> Self {
        Self::Usage(reason.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(reason) | Self::Broken(reason) => formatter.write_str(reason),
        }
    }
}
