//! How long to wait before something is tried again: longer each time, and never as long as others do.

use core::time::Duration;
use std::hash::{BuildHasher as _, RandomState};

/// Pauses that double, each drawn from its upper half: for stores and engines that look for their server again, or
/// that are in each other's way. Without chance all who have lost a server would come back to it in one moment.
///
/// ```
/// use core::time::Duration;
/// use broker_core::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
/// let pause = backoff.pause();
/// assert!(Duration::from_millis(50) <= pause && pause <= Duration::from_millis(100));
/// assert!(backoff.pause() >= Duration::from_millis(100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses of so long at first, and of so long at most.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first.min(longest),
            longest,
        }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.longest);
        // The seed of a hasher is as good a draw as any.
        let drawn = RandomState::new().hash_one(whole) % 1_001;
        let half = whole / 2;
        half + half.mul_f64(drawn as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_differ_and_are_bounded() {
        let (first, longest) = (Duration::from_millis(20), Duration::from_secs(2));
        let draw = || {
            let mut backoff = Backoff::new(first, longest);
            [(); 20].map(|()| backoff.pause())
        };
        let pauses = draw();
        let mut whole = first;
        for pause in pauses {
            assert!(
                (whole / 2..=whole).contains(&pause),
                "{pause:?} of {whole:?}"
            );
            whole = (whole * 2).min(longest);
        }
        assert_eq!(whole, longest);
        assert_ne!(draw(), pauses);
    }

    #[test]
    fn the_longest_is_never_exceeded() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::from_secs(1));
        assert!(backoff.pause() <= Duration::from_secs(1));
        let mut endless = Backoff::new(Duration::from_secs(1), Duration::MAX);
        assert!((0..200).all(|_| endless.pause() <= Duration::MAX));
    }
}
