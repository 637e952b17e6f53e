//! `mosca adduser` and `mosca rmuser`: who is in a users file.
//!
//! Exit codes: 0 done, also if nothing was to be done; 1 it could not be done, and the file is as it was.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use authorizer::{HashCost, Users};

/// Adds `user`, or gives him another password. The patterns say what he may publish and subscribe to.
pub(crate) fn add(
    file: &Path,
    user: &str,
    password: Option<&str>,
    (publish, subscribe): (Option<&str>, Option<&str>),
) -> anyhow::Result<()> {
    let typed;
    let password = match password {
        Some(password) => password,
        None => {
            typed = first_line().context("cannot read the password")?;
            &typed
        }
    };
    Users::edit(file, |users| {
        let cost = HashCost::default();
        users.set_password(user, password.as_bytes(), cost, publish, subscribe)
    })?;
    Ok(())
}

/// Removes `user` if he is there.
pub(crate) fn remove(file: &Path, user: &str) -> anyhow::Result<()> {
    // A file that is not there is a mistake here, not a user less.
    Users::load(file)?;
    Users::edit(file, |users| users.remove(user))?;
    Ok(())
}

/// Of the standard input, without what ends it.
fn first_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
