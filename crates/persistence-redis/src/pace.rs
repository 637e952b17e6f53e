//! When the next group of batches goes, and how large it is.
//!
//! Redis syncs its disk once for each group, so a group is to have what all callers bring: those that were
//! just answered come again, and a group that goes with the first of them has all others wait for a sync
//! of their own. Where there are so many callers that a group takes longer to put together and to apply
//! than to sync, two halves are better than a whole: one is applied while the other is put together.

use core::time::Duration;
use std::time::Instant;

/// From so many batches on a group is large enough to share its sync well.
const LARGE: usize = 256;

/// How long callers are waited for at most, who are expected to come again.
const LONGEST_LINGER: Duration = Duration::from_millis(2);

/// What is known of the callers.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Batches in the group that was answered last.
    callers: usize,
    /// Until when they are waited for.
    until: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            callers: 0,
            until: Instant::now(),
        }
    }

    /// A group of so many batches was answered, after that time.
    pub(crate) fn answered(&mut self, batches: usize, took: Duration) {
        self.callers = batches;
        self.until = Instant::now() + (took / 4).min(LONGEST_LINGER);
    }

    /// With nothing under way: how many batches are worth waiting for, and for how long. A single caller
    /// waits for nobody.
    pub(crate) fn expected(&self) -> Option<(usize, Duration)> {
        let left = self.until.saturating_duration_since(Instant::now());
        (self.callers > 1 && !left.is_zero()).then(|| (nearly(self.callers), left))
    }

    /// How many batches make a second group, beside one that is under way.
    pub(crate) fn beside(under_way: usize) -> usize {
        nearly(under_way).max(LARGE)
    }

    /// How many of those that wait go together.
    pub(crate) fn share(waiting: usize, under_way: usize) -> usize {
        match waiting {
            // The other half follows at once.
            all if under_way == 0 && all >= 2 * LARGE => all.div_ceil(2),
            all => all,
        }
    }
}

/// The number of callers may differ a little from one group to the next.
fn nearly(callers: usize) -> usize {
    callers - callers / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_go_together_and_many_in_two_halves() {
        assert_eq!(Pace::share(64, 0), 64);
        assert_eq!(Pace::beside(64), LARGE);
        assert_eq!(Pace::share(1_000, 0), 500);
        assert!(Pace::beside(500) <= 500);
        assert_eq!(Pace::share(500, 500), 500);
    }

    #[test]
    fn a_single_caller_waits_for_nobody() {
        let mut pace = Pace::new();
        assert_eq!(pace.expected(), None);
        pace.answered(1, Duration::from_secs(1_000));
        assert_eq!(pace.expected(), None);
    }

    #[test]
    fn nobody_is_waited_for_long() {
        let mut pace = Pace::new();
        pace.answered(64, Duration::ZERO);
        assert_eq!(pace.expected(), None);
        pace.answered(64, Duration::from_secs(1_000));
        // Unless this thread was put aside for longer than that.
        if let Some((callers, left)) = pace.expected() {
            assert_eq!(callers, 56);
            assert!(left <= LONGEST_LINGER);
        }
    }
}
