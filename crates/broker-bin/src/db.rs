//! `mosca db`: looking after a store on disk that no broker has open.
//!
//! Exit codes: 0 done, and nothing is wrong; 1 it could not be done; 3 the store is damaged.

use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use persistence_fjall::maintenance::{self, Verified};

use crate::args::DbCommand;
use crate::progress::Progress;

/// The exit code of `verify` for a store that is damaged.
const DAMAGED: u8 = 3;

/// Does what was asked for.
pub(crate) fn run(command: &DbCommand) -> anyhow::Result<ExitCode> {
    match command {
        DbCommand::Verify { path } => verify(path),
        DbCommand::Dump { path } => dump(path),
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
    let found = shown(|report| maintenance::verify(path, report))?;
    let mut out = BufWriter::new(io::stdout().lock());
    for (name, count) in counts(&found) {
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
