//! How long to wait before the parent is looked for again.

use std::time::Duration;

/// Before the first attempt, at most.
const FIRST: Duration = Duration::from_millis(100);

/// Before any attempt, at most.
const LAST: Duration = Duration::from_secs(30);

/// Pauses that get longer: each is between half of what it may be and all of it, so that nodes that have lost
/// their parent at the same moment do not come back at one.
#[derive(Debug)]
pub(crate) struct Backoff {
    at_most: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { at_most: FIRST }
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let half = self.at_most / 2;
        self.at_most = (self.at_most * 2).min(LAST);
        // A system that has no random numbers at the moment has pauses that are not.
        let drawn = getrandom::u32().unwrap_or(u32::MAX);
        half + half.mul_f64(f64::from(drawn) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_get_longer_up_to_half_a_minute() {
        let mut backoff = Backoff::new();
        let mut at_most = FIRST;
        for _ in 0..20 {
            let pause = backoff.next();
            assert!(at_most / 2 <= pause && pause <= at_most, "{pause:?}");
            at_most = (at_most * 2).min(LAST);
        }
        assert_eq!(at_most, LAST);
    }
}
