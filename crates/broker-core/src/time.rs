//! The one notion of time in the core: milliseconds since the Unix epoch, given from outside.
//!
//! The core never asks for the time. Whoever drives it passes a [`Timestamp`] to every `handle_*`
//! method, and is free to make it a test's virtual clock. Wall time rather than an `Instant`,
//! because expiry has to survive a restart; the driver sees to it that it never runs backwards.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time: milliseconds since the Unix epoch.
///
/// ```
/// use broker_core::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_millis(1_000);
/// assert_eq!((start + Duration::from_secs(2)).as_millis(), 3_000);
/// assert_eq!(start - Timestamp::from_millis(400), Duration::from_millis(600));
/// // A later time minus an earlier one, or nothing: never negative, never a panic.
/// assert_eq!(start - Timestamp::from_millis(9_000), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest time that can be expressed; used for "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The time `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time `seconds` seconds later, or [`Timestamp::MAX`] where that is out of range.
    pub const fn after_secs(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds as u64 * 1_000))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
