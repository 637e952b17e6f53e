//! What is counted and measured while clients are at work.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;

/// Clients share so many places to count in, so that threads do not wait for each other.
const LANES: usize = 16;

/// Times longer than this count as this long.
const LONGEST: Duration = Duration::from_secs(600);

/// Kinds of errors that are told apart; further ones are counted together.
const ERRORS: usize = 20;

/// Times from a microsecond to ten minutes, each within a thousandth.
#[derive(Clone, Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    fn new() -> anyhow::Result<Self> {
        let longest = u64::try_from(LONGEST.as_micros())?;
        let times = Histogram::new_with_bounds(1, longest, 3);
        times.context("cannot measure times").map(Self)
    }

    pub(super) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len()
    }

    /// What so large a part of them did not take longer than.
    pub(super) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(quantile))
    }

    pub(super) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1_000_000.0)
    }
}

/// What has happened within some time.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) connected: u64,
    /// Connections that did not come about.
    pub(super) failed: u64,
    /// Of these, those that the server has refused.
    pub(super) refused: u64,
    /// Connections that broke, or did not do what they were to do.
    pub(super) broken: u64,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// Messages that the server did not take.
    pub(super) rejected: u64,
    /// Messages of this run, each copy once.
    pub(super) received: u64,
    /// Copies that came once more, or behind a later one of the same publisher.
    pub(super) repeated: u64,
    /// Messages of others to the same topics.
    pub(super) foreign: u64,
    /// When a message of this run was received last.
    pub(super) last: Option<Instant>,
    pub(super) connecting: Times,
    pub(super) acknowledging: Times,
    pub(super) delivering: Times,
}

impl Sample {
    pub(super) fn new() -> anyhow::Result<Self> {
        let times = Times::new()?;
        Ok(Self {
            connected: 0,
            failed: 0,
            refused: 0,
            broken: 0,
            sent: 0,
            acknowledged: 0,
            rejected: 0,
            received: 0,
            repeated: 0,
            foreign: 0,
            last: None,
            connecting: times.clone(),
            acknowledging: times.clone(),
            delivering: times,
        })
    }

    fn counters(&mut self) -> [&mut u64; 10] {
        [
            &mut self.connected,
            &mut self.failed,
            &mut self.refused,
            &mut self.broken,
            &mut self.sent,
            &mut self.acknowledged,
            &mut self.rejected,
            &mut self.received,
            &mut self.repeated,
            &mut self.foreign,
        ]
    }

    fn times(&mut self) -> [&mut Times; 3] {
        [
            &mut self.connecting,
            &mut self.acknowledging,
            &mut self.delivering,
        ]
    }

    /// Takes everything out of `other`.
    pub(super) fn take(&mut self, other: &mut Self) {
        for (mine, others) in self.counters().into_iter().zip(other.counters()) {
            *mine += std::mem::take(others);
        }
        for (mine, others) in self.times().into_iter().zip(other.times()) {
            if others.len() > 0 {
                // Both have the same bounds.
                let _added = mine.0.add(&others.0);
                others.0.reset();
            }
        }
        self.last = self.last.max(other.last.take());
    }
}

/// Where all clients of a run count.
pub(super) struct Meter {
    /// By which its messages are known.
    pub(super) run: u32,
    /// All times are counted from here.
    started: Instant,
    lanes: Vec<Mutex<Sample>>,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Meter {
    pub(super) fn new() -> anyhow::Result<Self> {
        let empty = Sample::new()?;
        let drawn = RandomState::new()
            .hash_one(std::process::id())
            .to_be_bytes();
        let [a, b, c, d, ..] = drawn;
        Ok(Self {
            run: u32::from_be_bytes([a, b, c, d]),
            started: Instant::now(),
            lanes: (0..LANES).map(|_| Mutex::new(empty.clone())).collect(),
            errors: Mutex::default(),
        })
    }

    /// On the clock of this run.
    pub(super) fn nanos(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.started);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The other way round.
    pub(super) fn time(&self, nanos: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_nanos(nanos))
    }

    /// Counts something that has happened to the client of this number.
    pub(super) fn count(&self, client: u32, count: impl FnOnce(&mut Sample)) {
        let index = usize::try_from(client).unwrap_or_default() % LANES;
        if let Some(lane) = self.lanes.get(index) {
            count(&mut lane.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Counts an error by its words.
    pub(super) fn error(&self, words: String) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = errors.contains_key(&words) || errors.len() < ERRORS;
        let words = if is_known { words } else { "others".to_owned() };
        *errors.entry(words).or_default() += 1;
    }

    /// All errors, and how often each.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.clone()
    }

    /// Takes out what was counted since the last time.
    pub(super) fn collect(&self, into: &mut Sample) {
        for lane in &self.lanes {
            into.take(&mut lane.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_count_is_collected_once() {
        let meter = Meter::new().unwrap();
        for client in 0..100 {
            meter.count(client, |sample| {
                sample.sent += 2;
                sample
                    .delivering
                    .record(Duration::from_micros(u64::from(client) + 1));
            });
        }
        let mut total = Sample::new().unwrap();
        meter.collect(&mut total);
        meter.collect(&mut total);
        assert_eq!((total.sent, total.received), (200, 0));
        assert_eq!(total.delivering.len(), 100);
        assert_eq!(total.delivering.quantile(0.5), Duration::from_micros(50));
        assert_eq!(total.delivering.quantile(1.0), Duration::from_micros(100));
    }

    #[test]
    fn times_beyond_the_longest_count_as_that() {
        let mut times = Times::new().unwrap();
        times.record(Duration::from_secs(10_000));
        times.record(Duration::ZERO);
        let longest = times.quantile(1.0).as_secs_f64();
        assert!((599.0..=601.0).contains(&longest), "{longest}");
        assert_eq!(times.len(), 2);
    }

    #[test]
    fn errors_of_many_kinds_take_little_memory() {
        let meter = Meter::new().unwrap();
        for kind in 0..1_000 {
            meter.error(format!("error {}", kind % 500));
        }
        let errors = meter.errors();
        assert_eq!(errors.len(), ERRORS + 1);
        assert_eq!(errors.values().sum::<u64>(), 1_000);
    }
}
