//! When messages are due at a fixed rate, and somebody who wakes publishers at that time.
//!
//! The runtime's clock knows milliseconds, and a message that is sent one late would look as if the server had taken
//! that long. So a thread of its own looks at the system's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// So long it may take until the thread notices that it is over.
const LONGEST_NAP: Duration = Duration::from_millis(50);

const NANOS: f64 = 1_000_000_000.0;

/// The times at which messages are due: all publishers have the same rate, and take turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Instant,
    /// Between a message of any publisher and the next one of any, in ns.
    step_ns: f64,
    publishers: u32,
}

impl Schedule {
    /// For so many messages per second of each.
    pub(super) fn new(start: Instant, rate: f64, publishers: u32) -> Self {
        Self {
            start,
            step_ns: NANOS / rate / f64::from(publishers.max(1)),
            publishers: publishers.max(1),
        }
    }

    /// When a message of this publisher is due, counted from 0.
    pub(super) fn due(&self, publisher: u32, message: u64) -> Instant {
        let round = message.saturating_mul(u64::from(self.publishers));
        self.turn(round.saturating_add(u64::from(publisher)))
    }

    /// When the message of all of them that has this number is due.
    fn turn(&self, number: u64) -> Instant {
        // Exact up to 2^53 ns, which are a hundred days.
        let after = Duration::try_from_secs_f64(number as f64 * self.step_ns / NANOS);
        let due = after.ok().and_then(|after| self.start.checked_add(after));
        // Never, as far as anybody here will know.
        due.unwrap_or_else(|| self.start + Duration::from_secs(u64::from(u32::MAX)))
    }
}

/// Wakes publishers when their messages are due, until it is dropped.
pub(super) struct Pacer {
    is_over: Arc<AtomicBool>,
    turns: Arc<[Notify]>,
}

impl Pacer {
    pub(super) fn start(schedule: Schedule) -> std::io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let turns: Arc<[Notify]> = (0..schedule.publishers).map(|_| Notify::new()).collect();
        let (over, wakes) = (Arc::clone(&is_over), Arc::clone(&turns));
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || wake(&schedule, &wakes, &over))?;
        Ok(Self { is_over, turns })
    }

    /// Waits until the publisher has its turn again; it may come too early, and does not come twice for two
    /// turns that were missed.
    pub(super) async fn turn(&self, publisher: u32) {
        let turn = usize::try_from(publisher).ok();
        if let Some(turn) = turn.and_then(|index| self.turns.get(index)) {
            turn.notified().await;
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn wake(schedule: &Schedule, turns: &[Notify], is_over: &AtomicBool) {
    for (number, turn) in (0..).zip(turns.iter().cycle()) {
        let due = schedule.turn(number);
        loop {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(LONGEST_NAP));
        }
        turn.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_take_turns_at_even_distances() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 10.0, 4);
        let due = |publisher, message| (schedule.due(publisher, message) - start).as_micros();
        assert_eq!(due(0, 0), 0);
        assert_eq!(due(1, 0), 25_000);
        assert_eq!(due(3, 0), 75_000);
        assert_eq!(due(0, 1), 100_000);
        assert_eq!(due(2, 1_000), 100_050_000);
        assert!(schedule.due(0, u64::MAX) > start);
    }

    #[tokio::test]
    async fn each_publisher_has_its_turn_when_it_is_due() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 100.0, 3);
        let pacer = Pacer::start(schedule).unwrap();
        for publisher in [2, 0, 1] {
            pacer.turn(publisher).await;
            assert!(Instant::now() >= schedule.due(publisher, 0));
        }
    }
}
