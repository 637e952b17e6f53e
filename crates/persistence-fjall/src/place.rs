//! The folder of a store: who has it open, what format it is of, and how it comes to be.
//!
//! | name | what |
//! | --- | --- |
//! | `lock` | locked by the process that has the store open, with its process id in it |
//! | `format` | one line that names the format; written last, so what has none is not complete |
//! | `data/` | the engine's own |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// The format that is written, and the only one that is read so far.
pub const FORMAT: u32 = 1;

/// What the file `format` begins with.
const HEADING: &str = "mosca store on fjall, format ";

/// What may stand in a folder that is about to become a store.
const OWN: [&str; 4] = ["lock", "format", "format.new", "data"];

/// A folder that this process alone has open.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Unlocked when it is closed.
    lock: File,
}

impl Place {
    /// Locks the folder of a store; makes it first if there is none and `create` says so.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io {
            path: path.to_owned(),
            error,
        };
        if create {
            fs::create_dir_all(path).map_err(io)?;
        }
        if !path.join("format").try_exists().map_err(io)? {
            if let Some(found) = foreign(path).map_err(io)? {
                return Err(OpenError::Foreign {
                    path: path.to_owned(),
                    found,
                });
            }
            if !create {
                return Err(OpenError::Missing {
                    path: path.to_owned(),
                });
            }
        }
        let place = Self {
            path: path.to_owned(),
            lock: lock(path)?,
        };
        // Looked at again: whoever had the lock may have made it meanwhile.
        match fs::read_to_string(path.join("format")) {
            Ok(text) => place.check_format(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                place.remove_incomplete().map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        Ok(place)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Says what format the store is of, once everything else is there.
    pub(crate) fn complete(&self) -> io::Result<()> {
        let path = self.path.join("format");
        if path.try_exists()? {
            return Ok(());
        }
        let new = self.path.join("format.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{HEADING}{FORMAT}")?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.path)?.sync_all()
    }

    /// Bytes that can still be written to the file system of this folder.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn check_format(&self, text: &str) -> Result<(), OpenError> {
        let found = text.trim_end().strip_prefix(HEADING);
        if found.and_then(|number| number.parse().ok()) == Some(FORMAT) {
            return Ok(());
        }
        Err(OpenError::Format {
            path: self.path.clone(),
            found: found.map_or_else(
                || format!("unknown ({:?})", text.chars().take(60).collect::<String>()),
                str::to_owned,
            ),
        })
    }

    /// A process was killed while it made the store: nothing was ever answered from it.
    fn remove_incomplete(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody has it any more, so nobody's id stands in it. The lock goes with the file.
        let _ = self.lock.set_len(0);
        let _ = self.lock.unlock();
    }
}

/// Something in the folder that is not ours.
fn foreign(path: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // The file system's own, on a partition that is used as a whole.
        if !OWN.contains(&&*name) && name != "lost+found" {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::Io {
        path: path.to_owned(),
        error,
    };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path.join("lock"))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            let owner = match text.trim() {
                "" => "another process".to_owned(),
                own if own == std::process::id().to_string() => {
                    "this process, which has opened it already".to_owned()
                }
                id => format!("another process, whose id is {id}"),
            };
            return Err(OpenError::InUse {
                path: path.to_owned(),
                owner,
            });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    // For whoever is refused; the lock holds without it.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}
