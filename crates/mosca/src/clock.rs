//! The server's clock: wall time at the start, and monotonic from there.
//!
//! The core counts in wall time because expiry has to survive a restart, and relies on time never
//! running backwards. So the system's clock is read once.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use broker_core::Timestamp;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        // A system whose clock stands before 1970 still gets a clock that runs.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            wall: Timestamp::from_millis(0) + since_epoch,
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.wall + self.started.elapsed()
    }
}
