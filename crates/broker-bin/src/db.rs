//! `mosca db`: looking after a store on disk that no broker has open.
//!
//! Exit codes: 0 done, and nothing is wrong; 1 it could not be done; 3 the store is damaged, for
//! `repair` still damaged afterwards.

use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use persistence_fjall::OpenError;
use persistence_fjall::maintenance::{self, Cut, MaintenanceError, Repaired, Verified};

use crate::args::DbCommand;
use crate::progress::Progress;

/// The exit code of `verify` and `repair` for a store that is damaged.
const DAMAGED: u8 = 3;

/// Does what was asked for.
pub(crate) fn run(command: &DbCommand) -> anyhow::Result<ExitCode> {
    match command {
        DbCommand::Verify { path } => verify(path),
        DbCommand::Dump { path } => dump(path),
        DbCommand::Repair { path } => repair(path),
        DbCommand::Compact { path } => compact(path),
    }
}

/// Shows the progress while `work` runs, and nothing of it afterwards.
fn shown<T, E>(work: impl FnOnce(maintenance::Report<'_>) -> Result<T, E>) -> Result<T, E> {
    let mut progress = Progress::start();
    let result = work(&mut |now| {
        progress.show(now.doing, now.done, now.total);
        ControlFlow::Continue(())
    });
    progress.finish();
    result
}

fn verify(path: &Path) -> anyhow::Result<ExitCode> {
    match shown(|report| maintenance::verify(path, report)) {
        Ok(found) => say(&found),
        Err(MaintenanceError::Open(damaged @ OpenError::Damaged { .. })) => say_damaged(&damaged),
        Err(error) => Err(error.into()),
    }
}

fn repair(path: &Path) -> anyhow::Result<ExitCode> {
    match shown(|report| maintenance::repair(path, report)) {
        Ok(Repaired { cut, verified }) => {
            say_cut(cut.as_ref())?;
            say(&verified)
        }
        Err(MaintenanceError::Open(damaged @ OpenError::Damaged { .. })) => say_damaged(&damaged),
        Err(error) => Err(error.into()),
    }
}

fn say_cut(cut: Option<&Cut>) -> io::Result<()> {
    let mut out = io::stdout();
    let Some(cut) = cut else {
        return writeln!(out, "the journals are whole, nothing was cut off");
    };
    writeln!(
        out,
        "cut off: {} bytes, behind byte {} of {}\ncommits among them that could be read: {}\ncopy: {}",
        cut.bytes,
        cut.at,
        cut.journal.display(),
        cut.batches,
        cut.copy.display()
    )
}

/// It is so damaged that it cannot be opened.
fn say_damaged(damaged: &OpenError) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout(), "fault: {damaged}\nthe store is damaged")?;
    Ok(ExitCode::from(DAMAGED))
}

/// Prints what is in a store, and what is wrong with it.
fn say(found: &Verified) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    for (name, count) in counts(found) {
        writeln!(out, "{name}: {count}")?;
    }
    for fault in &found.faults {
        writeln!(out, "fault: {fault}")?;
    }
    if found.fault_count == 0 {
        writeln!(out, "the store is whole")?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "the store is damaged, faults: {}", found.fault_count)?;
    out.flush()?;
    Ok(ExitCode::from(DAMAGED))
}

fn counts(found: &Verified) -> [(&'static str, u64); 8] {
    [
        ("sessions", found.sessions),
        ("subscriptions", found.subscriptions),
        ("places in queues", found.queued),
        ("messages in queues", found.messages),
        ("QoS 2 messages begun", found.incoming),
        ("retained messages", found.retained),
        ("wills", found.wills),
        ("remains of dropped sessions", found.remains),
    ]
}

fn dump(path: &Path) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    shown(|report| maintenance::dump(path, &mut out, report))?;
    Ok(ExitCode::SUCCESS)
}

fn compact(path: &Path) -> anyhow::Result<ExitCode> {
    let done = shown(|report| maintenance::compact(path, report))?;
    let (before, after) = (done.bytes_before, done.bytes_after);
    writeln!(io::stdout(), "bytes before: {before}\nbytes after: {after}")?;
    Ok(ExitCode::SUCCESS)
}
