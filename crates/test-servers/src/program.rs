//! Where the program of a server is.

use std::path::PathBuf;

/// The command that installs all servers.
const INSTALL: &str = "cargo xtask services";

/// The file to run for `program`: what the environment variable `variable` names, or else the first
/// of that name in `PATH`.
///
/// # Panics
/// If there is none; the text says what installs it.
pub fn find_program(variable: &str, program: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "{variable} names {}, which is not there; `{INSTALL}` installs it and prints where it is",
            path.display()
        );
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file());
    match found {
        Some(found) => found,
        None => panic!(
            "{program} is neither in PATH nor named by {variable}; `{INSTALL}` installs it and \
             prints what to set"
        ),
    }
}
