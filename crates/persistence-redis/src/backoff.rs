//! How long to wait before trying again: longer each time, and never as long as others do.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that double from 20 ms to 2 s, each drawn from its upper half.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        // Without chance all brokers of a Redis that comes back would ask in one moment.
        let drawn = getrandom::u32().unwrap_or_default();
        whole / 2 + whole / 2 * (drawn % 1_000) / 1_000
    }

    /// Waits for the next pause.
    pub(crate) async fn wait(&mut self) {
        let pause = self.pause();
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut backoff = Backoff::new();
        let mut whole = FIRST;
        for _ in 0..20 {
            let pause = backoff.pause();
            assert!(
                (whole / 2..=whole).contains(&pause),
                "{pause:?} of {whole:?}"
            );
            whole = (whole * 2).min(LONGEST);
        }
    }
}
