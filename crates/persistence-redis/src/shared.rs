//! What the parts of one store have in common: the way to Redis, the scripts, the line of batches.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use broker_core::Backoff;
use persistence_records::Line;

use crate::RedisOptions;
use crate::error::ConnectError;
use crate::route::Route;
use crate::script::Scripts;

/// The pauses before Redis is tried again.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_secs(2))
}

/// Shared by the store, its writer and its sweeper.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) route: Route,
    pub(crate) scripts: Scripts,
    pub(crate) line: Line,
    /// The name of this store's writer in Redis.
    pub(crate) writer: u128,
    /// Grows whenever the writer has connected: what others have connected to before may not be the
    /// server that is written to any more.
    connections: AtomicU64,
}

impl Shared {
    pub(crate) fn new(options: RedisOptions) -> Result<Self, ConnectError> {
        let line = Line::new(
            "the store in Redis",
            options.max_queued_batches,
            options.max_queued_bytes,
        );
        let mut writer = [0; 16];
        getrandom::fill(&mut writer).map_err(|error| {
            ConnectError::unreachable("the system", format!("it gives no random numbers: {error}"))
        })?;
        Ok(Self {
            route: Route::new(options)?,
            scripts: Scripts::new(),
            line,
            writer: u128::from_be_bytes(writer),
            connections: AtomicU64::new(0),
        })
    }

    pub(crate) fn options(&self) -> &RedisOptions {
        self.route.options()
    }

    pub(crate) fn base(&self) -> &str {
        self.route.base()
    }

    pub(crate) fn writer_name(&self) -> String {
        format!("{:032x}", self.writer)
    }

    /// The writer has connected anew.
    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}
