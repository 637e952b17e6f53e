//! The engine's lists of its own files, looked at before the engine does.
//!
//! Over some of what may be wrong with them the engine ends the process, for want of the memory that a
//! wrong number asks for; and files that a list does not name it removes. So nothing is opened whose
//! lists are not what was written.
//!
//! Each part of the engine has a folder with a list of its files, `v` and a number, and the file `current`:
//! the number of the list that counts (8 bytes), the sum of that file (16), and 0. Numbers have their
//! low byte first.

use std::fs;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Failure, damaged};

/// One for the engine itself, and the parts in [`crate::engine::Engine`].
const FOLDERS: usize = 8;

/// Checks the lists in the engine's folder, if it was opened before.
pub(crate) fn check(data: &Path) -> Result<(), Failure> {
    if !data.try_exists().map_err(failed)? {
        return Ok(());
    }
    // Without it the engine would begin anew.
    if !data.join("version").try_exists().map_err(failed)? {
        return Err(damaged(data.display(), "the file \"version\" is missing"));
    }
    let parts = data.join("keyspaces");
    let mut folders = 0;
    for entry in fs::read_dir(&parts).map_err(|error| missing(&parts, error))? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            check_part(&entry.path())?;
            folders += 1;
        }
    }
    // A part without a folder would begin anew, too.
    if folders < FOLDERS {
        let reason = format!("it has {folders} of the {FOLDERS} folders of the engine");
        return Err(damaged(parts.display(), reason));
    }
    Ok(())
}

fn check_part(folder: &Path) -> Result<(), Failure> {
    let current = folder.join("current");
    let said = fs::read(&current).map_err(|error| missing(&current, error))?;
    let (number, rest) = split::<8>(&said);
    let (sum, rest) = split::<16>(rest);
    let (Some(number), Some(sum), [0]) = (number, sum, rest) else {
        return Err(damaged(current.display(), "it cannot be read"));
    };
    let list = folder.join(format!("v{}", u64::from_le_bytes(number)));
    let bytes = fs::read(&list).map_err(|error| missing(&list, error))?;
    if xxh3_128(&bytes) != u128::from_le_bytes(sum) {
        return Err(damaged(
            list.display(),
            "the list of files is not what was written",
        ));
    }
    Ok(())
}

fn split<const N: usize>(bytes: &[u8]) -> (Option<[u8; N]>, &[u8]) {
    match bytes.split_first_chunk::<N>() {
        Some((first, rest)) => (Some(*first), rest),
        None => (None, bytes),
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::from(fjall::Error::Io(error))
}

fn missing(path: &Path, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => damaged(path.display(), "it is missing"),
        _ => failed(error),
    }
}
