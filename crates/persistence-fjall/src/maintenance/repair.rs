//! Repairing a store whose journals were torn: what is whole from the beginning on stays.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{MaintenanceError, Report, Steps, Verified, verify};
use crate::OpenError;
use crate::journal::{Damage, cut, find_damage};
use crate::place::Place;

/// What repairing has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What was cut off, if anything was.
    pub cut: Option<Cut>,
    /// What the store is like now.
    pub verified: Verified,
}

/// What was cut off the journals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The journal that has something in it that cannot be read.
    pub journal: PathBuf,
    /// Where in it the last whole batch ends, in bytes.
    pub at: u64,
    /// Bytes that were cut off behind it, here and with newer journals.
    pub bytes: u64,
    /// Batches among them that could still be read: what was stored together, later than what is
    /// missing. The batches that cannot be read are not counted.
    pub batches: u64,
    /// The folder where a copy of all of it is.
    pub copy: PathBuf,
}

/// Makes a store usable whose journals have something in them that cannot be read, as the loss of power
/// may leave them unless the durability is `always`: all that was written before stays, and what was
/// written after it goes, since it may rest on what is missing. A copy of what goes is made first, in a
/// folder `cut-N` of the store. A store whose journals are whole is left as it is.
///
/// What is wrong with files of the store other than journals is not repaired; it is in the answer, or an
/// error. One step of the progress is a journal, then a record that is checked.
///
/// # Errors
/// If the store cannot be opened, read or written, or the callback has ended it; it may be repeated.
pub fn repair(path: &Path, report: Report<'_>) -> Result<Repaired, MaintenanceError> {
    let cut = {
        let place = Place::open(path, false)?;
        let mut steps = Steps::new(&mut *report, 0)?;
        let found = find_damage(&place.data(), &mut |done, total| {
            let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
            (steps.done, steps.total) = (count(done), count(total));
            steps.begin("journals")
        })?;
        match found {
            Some(damage) => Some(cut_off(path, damage)?),
            None => None,
        }
    };
    let verified = verify(path, report)?;
    Ok(Repaired { cut, verified })
}

fn cut_off(path: &Path, damage: Damage) -> Result<Cut, MaintenanceError> {
    let io = |error| {
        MaintenanceError::Open(OpenError::Io {
            path: path.to_owned(),
            error,
        })
    };
    let copy = copies(path).map_err(io)?;
    let mut bytes = copy_rest(&damage, &copy).map_err(io)?;
    // The newest first: what is left is a beginning of what was there at any time.
    for journal in damage.newer.iter().rev() {
        bytes += move_to(journal, &copy).map_err(io)?;
    }
    sync_folder(&path.join("data")).map_err(io)?;
    cut(&damage.journal, damage.whole)?;
    Ok(Cut {
        journal: damage.journal,
        at: damage.whole,
        bytes,
        batches: damage.batches,
        copy,
    })
}

/// A new folder in the store for what is cut off.
fn copies(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let copy = path.join(format!("cut-{number}"));
        match fs::create_dir(&copy) {
            Ok(()) => {
                sync_folder(path)?;
                return Ok(copy);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Copies what is behind the last whole batch.
fn copy_rest(damage: &Damage, copy: &Path) -> io::Result<u64> {
    let mut from = File::open(&damage.journal)?;
    from.seek(SeekFrom::Start(damage.whole))?;
    let name = name(&damage.journal);
    let mut to = File::create(copy.join(format!("{name}-from-{}", damage.whole)))?;
    io::copy(&mut from.take(damage.bytes), &mut to)?;
    to.sync_all()?;
    sync_folder(copy)?;
    Ok(damage.bytes)
}

fn move_to(journal: &Path, copy: &Path) -> io::Result<u64> {
    let bytes = fs::metadata(journal)?.len();
    fs::rename(journal, copy.join(name(journal)))?;
    sync_folder(copy)?;
    Ok(bytes)
}

fn name(journal: &Path) -> String {
    let name = journal.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
