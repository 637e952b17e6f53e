//! What is served as `/mqtt.js`: the browser build of MQTT.js that this command was built with, or a file
//! that somebody hands over.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// Empty if the build did without it (`build.rs`).
const BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mqtt.js"));

/// Which script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bundle {
    /// The one that this command was built with.
    BuiltIn,
    /// The one in a file.
    File(PathBuf),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// The build did without it.
    #[error(
        "this mosca was built without MQTT.js for browsers: run `cargo xtask bundle` and build it again, \
         or name a file that has it (`dist/mqtt.min.js` of the npm package `mqtt`)"
    )]
    NotBuiltIn,
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file has nothing in it.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
}

impl Bundle {
    /// The script.
    ///
    /// # Errors
    /// If this command has none, or the file cannot be read or is empty.
    pub(crate) fn load(&self) -> Result<Cow<'static, [u8]>, BundleError> {
        let path = match self {
            Self::BuiltIn if BUILT_IN.is_empty() => return Err(BundleError::NotBuiltIn),
            Self::BuiltIn => return Ok(Cow::Borrowed(BUILT_IN)),
            Self::File(path) => path,
        };
        let unreadable = |error| BundleError::Unreadable(path.clone(), error);
        let script = std::fs::read(path).map_err(unreadable)?;
        if script.is_empty() {
            return Err(BundleError::Empty(path.clone()));
        }
        Ok(Cow::Owned(script))
    }
}
