//! What is measured: each store that outlives its process, beside the engine that it stands on.

mod fjall;
mod memory;
mod mongodb;
mod redis;

use core::future::Future;
use core::pin::Pin;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker_core::persistence::Persistence;

pub type Opening<'a> = Pin<Box<dyn Future<Output = Arc<dyn Persistence>> + 'a>>;

/// A store in a place of its own.
pub trait Arm {
    /// Opens the store; opened again, it has what it had.
    fn open(&self) -> Opening<'_>;

    /// Commits per second of the engine by itself: what the store would write for as many commits as there
    /// are callers goes into one batch, and the next batch follows when it is durable. `None` where
    /// there is no engine.
    fn raw(&self, callers: usize, time: Duration) -> Option<f64>;

    /// What it took the engine to do what the store has asked for, for so many commits.
    fn spent(&self, _commits: u64) -> Option<String> {
        None
    }

    /// Whether there is something to start with when it is opened again.
    fn outlives_process(&self) -> bool {
        true
    }
}

/// Another store is one more name, and one more line in [`new`].
pub const NAMES: [&str; 4] = ["fjall", "redis", "mongodb", "memory"];

/// A new and empty place for the store of that name, below `folder`.
pub fn new(name: &str, folder: &Path) -> Box<dyn Arm> {
    match name {
        "fjall" => Box::new(fjall::Fjall::new(folder)),
        "redis" => Box::new(redis::InRedis::new(folder)),
        "mongodb" => Box::new(mongodb::InMongodb::new()),
        "memory" => Box::new(memory::Memory::default()),
        _ => panic!(
            "there is no store {name:?}; there are: {}",
            NAMES.join(", ")
        ),
    }
}
