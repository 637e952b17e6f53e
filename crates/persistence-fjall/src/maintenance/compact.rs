//! Making a store smaller: what was replaced and removed is dropped from its files.

use std::path::Path;

use super::{MaintenanceError, Report, Steps};
use crate::shared::guarded;
use crate::{FjallOptions, open};

/// What compacting has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of files before, journals not counted.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

/// Merges all files of a store. Needs as much free space as its largest part takes up. One step of
/// the progress is one part of the store; it can be ended between two of them.
///
/// # Errors
/// If the store cannot be opened, read or written, or the callback has ended it; it is whole in any
/// case.
pub fn compact(path: &Path, report: Report<'_>) -> Result<Compacted, MaintenanceError> {
    let (_place, engine) = open(path, &FjallOptions::default(), false)?;
    let parts = engine.parts();
    let total = u64::try_from(parts.len()).unwrap_or(u64::MAX);
    let mut steps = Steps::new(report, total)?;
    let mut bytes = (0, 0);
    steps.begin("compacting")?;
    for part in parts {
        guarded(|| {
            // What is in memory belongs to it: written to a file, and the journals with it.
            part.rotate_memtable_and_wait()?;
            bytes.0 += part.disk_space();
            part.major_compact()?;
            bytes.1 += part.disk_space();
            Ok(())
        })?;
        steps.done += 1;
        steps.tell()?;
    }
    Ok(Compacted {
        bytes_before: bytes.0,
        bytes_after: bytes.1,
    })
}
