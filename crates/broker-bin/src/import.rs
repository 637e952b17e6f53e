//! `mosca import`: what the mosca of Node.js has left in Redis, MongoDB or a LevelDB, taken over into a store.
//!
//! Exit codes: 0 everything was brought in; 1 it could not be done, or not to its end, and may be
//! repeated; 3 something could not be read, and was left out.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
#[cfg(feature = "leveldb")]
use leveldb_import::{ImportProgress as Told, Imported};
use mosca::persistence::Persistence;
#[cfg(all(feature = "redis", not(feature = "leveldb")))]
use persistence_redis::import::{Imported, Progress as Told};

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

/// Where mosca has left something.
enum Source {
    /// In Redis or MongoDB.
    Server(StoreChoice),
    /// In a LevelDB, in this folder.
    LevelDb(PathBuf),
}

impl Source {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(folder) = text.strip_prefix("leveldb:") {
            anyhow::ensure!(!folder.is_empty(), "`leveldb:` lacks the path of a folder");
            return Ok(Self::LevelDb(folder.into()));
        }
        let server: StoreChoice = text.parse().context("cannot import")?;
        anyhow::ensure!(
            matches!(server, StoreChoice::Redis(_) | StoreChoice::Mongo(_)),
            "cannot import from {server}: redis://…, mongodb://… or leveldb:PATH is expected, where mosca kept its data"
        );
        Ok(Self::Server(server))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => server.fmt(f),
            Self::LevelDb(folder) => write!(f, "leveldb:{}", folder.display()),
        }
    }
}

/// Brings what is at `source` into the store `target`, or into the one at the same address. Sessions
/// whose clients do not come expire after `expiry_secs` seconds; `u32::MAX` is never.
pub(crate) async fn run(
    source: &str,
    target: Option<&str>,
    expiry_secs: u32,
) -> anyhow::Result<ExitCode> {
    let from = Source::parse(source)?;
    let into = match (target, &from) {
        (Some(text), _) => text.parse().context("--into")?,
        (None, Source::Server(server)) => server.clone(),
        (None, Source::LevelDb(_)) => anyhow::bail!(
            "--into is missing: the store that {from} goes into, such as fjall:PATH; it is no store of this broker itself"
        ),
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
    from: &Source,
    store: &dyn Persistence,
    expiry_secs: u32,
    progress: &mut Progress,
) -> anyhow::Result<Summary> {
    #[cfg(not(any(feature = "redis", feature = "mongodb", feature = "leveldb")))]
    let _ = (store, expiry_secs, progress);
    match from {
        #[cfg(feature = "redis")]
        Source::Server(StoreChoice::Redis(url)) => {
            read_redis(url.reveal(), store, expiry_secs, progress).await
        }
        #[cfg(feature = "mongodb")]
        Source::Server(StoreChoice::Mongo(url)) => {
            read_mongo(url.reveal(), store, expiry_secs, progress).await
        }
        #[cfg(feature = "leveldb")]
        Source::LevelDb(folder) => {
            let told = |it| tell(progress, it);
            let imported = leveldb_import::read(folder, store, expiry_secs, told).await?;
            Ok(imported.into())
        }
        other => anyhow::bail!("this mosca was built without what reads {other}"),
    }
}

#[cfg(any(feature = "redis", feature = "leveldb"))]
fn tell(progress: &mut Progress, told: Told) {
    match told {
        Told::Imported(so_far) => {
            let done = so_far.sessions + so_far.messages + so_far.retained;
            progress.count("brought in", done);
        }
        Told::Skipped { key, reason } => progress.say(&format!("skipped {key}: {reason}")),
        _ => {}
    }
}

#[cfg(any(feature = "redis", feature = "leveldb"))]
impl From<Imported> for Summary {
    fn from(imported: Imported) -> Self {
        Self {
            sessions: imported.sessions,
            subscriptions: imported.subscriptions,
            messages: imported.messages,
            retained: imported.retained,
            present: imported.present,
            left_out: imported.left_out,
            unreadable: imported.skipped,
        }
    }
}

#[cfg(feature = "redis")]
async fn read_redis(
    url: &str,
    store: &dyn Persistence,
    expiry_secs: u32,
    progress: &mut Progress,
) -> anyhow::Result<Summary> {
    let told = |it| tell(progress, it);
    let imported = persistence_redis::import::read(url, store, expiry_secs, told).await?;
    Ok(imported.into())
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
