//! A pause before each poll, so that more is read at a time.
//!
//! A generator that wakes up for each message charges the broker for waking it. The pause is a small
//! part of the time that a message takes to go round, so that the window never runs empty.

use std::thread;
use std::time::Duration;

/// The pause is this part of the round.
const PART: u64 = 24;
const LONGEST_NS: u64 = 200_000;
/// Shorter pauses are not worth a system call.
const SHORTEST_NS: u64 = 15_000;
/// How often the round is measured anew.
const PERIOD_NS: u64 = 20_000_000;

/// The pause between polls.
#[derive(Debug)]
pub struct Nap {
    pause_ns: u64,
    is_fixed: bool,
    since_ns: u64,
    delivered: u64,
}

impl Nap {
    /// A pause of so many microseconds, or by the load.
    pub fn new(fixed_us: Option<u64>) -> Self {
        Self {
            pause_ns: fixed_us.unwrap_or_default() * 1000,
            is_fixed: fixed_us.is_some(),
            since_ns: 0,
            delivered: 0,
        }
    }

    /// Pauses.
    pub fn take(&self) {
        if self.pause_ns > 0 {
            thread::sleep(Duration::from_nanos(self.pause_ns));
        }
    }

    /// Looks now and then at how many deliveries were made, and how many are `under_way`.
    pub fn adapt(&mut self, now_ns: u64, delivered: u64, under_way: impl FnOnce() -> u64) {
        let elapsed_ns = now_ns.saturating_sub(self.since_ns);
        if self.is_fixed || elapsed_ns < PERIOD_NS {
            return;
        }
        let made = delivered - self.delivered;
        self.since_ns = now_ns;
        self.delivered = delivered;
        self.pause_ns = pause_ns(elapsed_ns, made, under_way());
    }
}

fn pause_ns(elapsed_ns: u64, made: u64, under_way: u64) -> u64 {
    if made == 0 {
        return 0;
    }
    let round_ns = elapsed_ns.saturating_mul(under_way) / made;
    match (round_ns / PART).min(LONGEST_NS) {
        0..SHORTEST_NS => 0,
        pause_ns => pause_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_a_part_of_the_round_within_limits() {
        // 1,000 deliveries in 1 ms, 2,000 under way: a round takes 2 ms.
        assert_eq!(pause_ns(1_000_000, 1000, 2000), 2_000_000 / PART);
        assert_eq!(pause_ns(1_000_000, 1000, 100), 0, "not worth it");
        assert_eq!(pause_ns(1_000_000, 10, 2000), LONGEST_NS);
        assert_eq!(pause_ns(1_000_000, 0, 2000), 0, "nothing to go by");
    }
}
