//! What is served as `/mqtt.js`: the browser build of MQTT.js that this command was built with, or a file
//! that somebody hands over.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

/// Empty if the build did without it (`build.rs`).
const BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mqtt.js"));

/// Which script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bundle {
    /// The one that this command was built with: `--http-bundle`, or `"bundle": true`.
    BuiltIn,
    /// The one in a file, for who cannot build the command: `--http-bundle=FILE`, or `"bundle": "FILE"`.
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
    pub(crate) fn load(&self) -> Result<Bytes, BundleError> {
        let path = match self {
            Self::BuiltIn => return built_in(BUILT_IN),
            Self::File(path) => path,
        };
        let unreadable = |error| BundleError::Unreadable(path.clone(), error);
        let script = std::fs::read(path).map_err(unreadable)?;
        if script.is_empty() {
            return Err(BundleError::Empty(path.clone()));
        }
        Ok(script.into())
    }
}

fn built_in(script: &'static [u8]) -> Result<Bytes, BundleError> {
    if script.is_empty() {
        return Err(BundleError::NotBuiltIn);
    }
    Ok(Bytes::from_static(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_was_built_without_names_what_is_to_be_done() {
        let error = built_in(b"").unwrap_err().to_string();
        assert!(error.contains("`cargo xtask bundle`"), "{error}");
        assert!(error.contains("dist/mqtt.min.js"), "{error}");
        assert_eq!(Bundle::BuiltIn.load().is_err(), BUILT_IN.is_empty());
    }

    #[test]
    fn a_file_is_served_as_it_is() {
        let folder = test_servers::Folder::new("bundle");
        let file = folder.path().join("mqtt.js");
        let bundle = Bundle::File(file.clone());
        let path = file.display().to_string();
        for (content, expected) in [
            (None, Err(format!("cannot read {path}"))),
            (Some(""), Err(format!("{path} is empty"))),
            (Some("var mqtt"), Ok(Bytes::from_static(b"var mqtt"))),
        ] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            assert_eq!(bundle.load().map_err(|error| error.to_string()), expected);
        }
    }
}
