//! The store on disk keeps what every store promises, whatever its durability is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where a store cannot answer"
)]

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use broker_core::persistence::contract::{Factory, Scale, block_on};
use persistence_fjall::{Durability, FORMAT, FjallOptions, FjallPersistence};
use tempfile::TempDir;

/// Answers when the disk has it.
struct OnDisk;

/// Answers when the operating system has it, and syncs soon after.
struct Soon;

const SOON: Durability = Durability::Interval(Duration::from_millis(5));

fn options(durability: Durability) -> FjallOptions {
    FjallOptions {
        durability,
        ..FjallOptions::default()
    }
}

fn open(place: &TempDir, durability: Durability) -> FjallPersistence {
    FjallPersistence::open(place.path(), options(durability)).unwrap()
}

fn try_open(place: &TempDir) -> Result<FjallPersistence, String> {
    let opened = FjallPersistence::open(place.path(), FjallOptions::default());
    opened.map_err(|error| error.to_string())
}

fn spoil_version(place: &TempDir, version: u32) -> Option<u32> {
    let text = format!("mosca store on fjall, format {version}\n");
    fs::write(place.path().join("format"), text).unwrap();
    Some(FORMAT)
}

/// Files come and go while they are copied; a process that is killed leaves what was there at one
/// moment, so it is tried until nothing was missing.
fn crash_image(place: &TempDir) -> Option<TempDir> {
    for _ in 0..100 {
        let image = tempfile::tempdir().unwrap();
        match copy(place.path(), image.path()) {
            Ok(()) => return Some(image),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
    }
    panic!("the folder does not come to rest");
}

/// Copies a folder in which somebody may be writing.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => {
                // Most of a journal is a hole, which a copy should not fill with zeros on the disk.
                let bytes = fs::read(entry.path())?;
                let end = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |at| at + 1);
                fs::write(&target, &bytes[..end])?;
                fs::File::options()
                    .write(true)
                    .open(&target)?
                    .set_len(bytes.len() as u64)?;
            }
        }
    }
    Ok(())
}

impl Factory for OnDisk {
    type Place = TempDir;
    type Store = FjallPersistence;

    /// The second handle is refused.
    const SHARED: bool = false;

    fn create(&self) -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn open(&self, place: &TempDir) -> FjallPersistence {
        open(place, Durability::Always)
    }

    fn try_open(&self, place: &TempDir) -> Result<FjallPersistence, String> {
        try_open(place)
    }

    fn spoil_version(&self, place: &TempDir, version: u32) -> Option<u32> {
        spoil_version(place, version)
    }

    fn crash_image(&self, place: &TempDir) -> Option<TempDir> {
        crash_image(place)
    }

    fn stored_message_bytes(&self, _: &TempDir, store: &FjallPersistence) -> Option<u64> {
        Some(block_on(store.message_bytes()).unwrap())
    }
}

impl Factory for Soon {
    type Place = TempDir;
    type Store = FjallPersistence;

    const SHARED: bool = false;

    /// The other one is at full scale.
    fn scale(&self) -> Scale {
        Scale::SERVER
    }

    fn create(&self) -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn open(&self, place: &TempDir) -> FjallPersistence {
        open(place, SOON)
    }

    fn try_open(&self, place: &TempDir) -> Result<FjallPersistence, String> {
        try_open(place)
    }

    fn spoil_version(&self, place: &TempDir, version: u32) -> Option<u32> {
        spoil_version(place, version)
    }

    fn crash_image(&self, place: &TempDir) -> Option<TempDir> {
        crash_image(place)
    }

    fn stored_message_bytes(&self, _: &TempDir, store: &FjallPersistence) -> Option<u64> {
        Some(block_on(store.message_bytes()).unwrap())
    }
}

mod always {
    use super::*;
    broker_core::persistence_contract!(OnDisk);
}

mod interval {
    use super::*;
    broker_core::persistence_contract!(Soon);
}
