//! Why certificates cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls;

/// Why TLS is not to be had from these files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The system does not give us a file.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What should be in a file is not.
    #[error("there is no {what} in {}{hint}", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
        /// What is there instead, if that is known.
        hint: &'static str,
    },
    /// What is in a file cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A key and a certificate do not belong together.
    #[error("the key in {} is not that of the certificate in {}", key.display(), chain.display())]
    Mismatch {
        /// The file of the certificate.
        chain: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// Clients are asked for certificates that nobody may issue.
    #[error("client certificates are asked for, and no file says which authorities may issue them")]
    NoClientCa,
    /// No file alone is to blame.
    #[error("cannot use TLS like this: {0}")]
    Refused(String),
}

impl TlsError {
    pub(super) fn unusable(error: rustls::Error) -> Self {
        Self::Refused(error.to_string())
    }

    pub(super) fn in_file(path: &Path, reason: impl ToString) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
