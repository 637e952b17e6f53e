//! `mosca import`: what the mosca of Node.js has left in Redis or MongoDB, taken over into a store.
//!
//! Exit codes: 0 everything was brought in; 1 it could not be done, or not to its end, and may be
//! repeated; 3 something could not be read, and was left out.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use mosca::persistence::Persistence;

use crate::progress::Progress;
use crate::store::StoreChoice;

/// The exit code if something was left out because it could not be read.
const INCOMPLETE: u8 = 3;

/// What was brought in, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Summary {
    sessions: u64,
    subscriptions: u64,
    messages: u64,
    retained: u64,
    /// Sessions and retained messages that the store had already.
    present: u64,
    /// Copies of messages that are there already, and what clients are not sent.
    left_out: u64,
    unreadable: u64,
}

impl Summary {
    fn lines(&self) -> [(&'static str, u64); 7] {
        [
            ("sessions", self.sessions),
            ("subscriptions", self.subscriptions),
            ("messages in queues", self.messages),
            ("retained messages", self.retained),
            ("skipped, as the store has them already", self.present),
            ("skipped, as they are copies or of $SYS", self.left_out),
            ("skipped, as they cannot be read", self.unreadable),
        ]
    }
}

/// Brings what is at `source` into the store `target`, or into the one at the same address. Sessions
/// whose clients do not come expire after `expiry_secs` seconds; `u32::MAX` is never.
pub(crate) async fn run(
    source: &str,
    target: Option<&str>,
    expiry_secs: u32,
) -> anyhow::Result<ExitCode> {
    let from: StoreChoice = source.parse().context("cannot import")?;
    anyhow::ensure!(
        matches!(from, StoreChoice::Redis(_) | StoreChoice::Mongo(_)),
        "cannot import from {from}: redis://… or mongodb://… is expected, where mosca kept its data"
    );
    let into = match target {
        Some(text) => text.parse().context("--into")?,
        None => from.clone(),
    };
    anyhow::ensure!(
        into != StoreChoice::Memory,
        "--into: what is imported into memory is gone with this process"
    );
    let store = into.open().await?;
    let mut progress = Progress::start();
    let summary = read(&from, &*store, expiry_secs, &mut progress).await;
    progress.finish();
    let summary = summary.with_context(|| format!("the import from {from} has ended early"))?;
    let mut out = io::stdout().lock();
    writeln!(out, "from {from} into {into}:")?;
    for (name, count) in summary.lines() {
        writeln!(out, "{name}: {count}")?;
    }
    Ok(match summary.unreadable {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(INCOMPLETE),
    })
}

async fn read(
    from: &StoreChoice,
    store: &dyn Persistence,
    expiry_secs: u32,
    progress: &mut Progress,
) -> anyhow::Result<Summary> {
    #[cfg(not(any(feature = "redis", feature = "mongodb")))]
    let _ = (store, expiry_secs, progress);
    match from {
        #[cfg(feature = "redis")]
        StoreChoice::Redis(url) => read_redis(url.reveal(), store, expiry_secs, progress).await,
        #[cfg(feature = "mongodb")]
        StoreChoice::Mongo(url) => read_mongo(url.reveal(), store, expiry_secs, progress).await,
        other => anyhow::bail!("this mosca was built without the client for {other}"),
    }
}

#[cfg(feature = "redis")]
async fn read_redis(
    url: &str,
    store: &dyn Persistence,
    expiry_secs: u32,
    progress: &mut Progress,
) -> anyhow::Result<Summary> {
    use persistence_redis::import::{self, Progress as Told};
    let imported = import::read(url, store, expiry_secs, |told| match told {
        Told::Imported(so_far) => {
            let done = so_far.sessions + so_far.messages + so_far.retained;
            progress.count("brought in", done);
        }
        Told::Skipped { key, reason } => progress.say(&format!("skipped {key}: {reason}")),
        _ => {}
    })
    .await?;
    Ok(Summary {
        sessions: imported.sessions,
        subscriptions: imported.subscriptions,
        messages: imported.messages,
        retained: imported.retained,
        present: imported.present,
        left_out: 0,
        unreadable: imported.skipped,
    })
}

#[cfg(feature = "mongodb")]
async fn read_mongo(
    url: &str,
    store: &dyn Persistence,
    expiry_secs: u32,
    progress: &mut Progress,
) -> anyhow::Result<Summary> {
    use persistence_mongodb::{ImportOptions, import_mosca};
    let options = ImportOptions {
        session_expiry_secs: expiry_secs,
        ..ImportOptions::new(url)
    };
    let imported = import_mosca(&options, store, |skipped| {
        let (collection, id, reason) = (skipped.collection, skipped.id, skipped.reason);
        progress.say(&format!("skipped {id} of {collection}: {reason}"));
    })
    .await?;
    Ok(Summary {
        sessions: imported.sessions,
        subscriptions: imported.subscriptions,
        messages: imported.messages,
        retained: imported.retained,
        present: imported.sessions_in_use + imported.retained_in_use,
        left_out: imported.left_out,
        unreadable: imported.unreadable,
    })
}
