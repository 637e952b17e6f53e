//! Moving averages of how often something happens.

use std::time::Duration;

/// How many events come in a time, on average: what has happened lately counts more than what has happened long
/// ago, and what is longer ago than the period counts for a third.
///
/// Each sample `v` over a time `dt` changes the average `m` of a period `T` to `a·v + (1 − a)·m`, where
/// `a = 1 − exp(−dt/T)`. It begins at 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct MovingAverage {
    period: Duration,
    per_sec: f64,
}

/// The averages of one thing over 15, 5 and 1 minutes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    averages: [(&'static str, MovingAverage); 3],
    /// The total at the last sample.
    total: i128,
}

impl MovingAverage {
    const fn over_minutes(minutes: u64) -> Self {
        Self {
            period: Duration::from_secs(60 * minutes),
            per_sec: 0.0,
        }
    }

    /// So many events have come within a time.
    fn add(&mut self, events: f64, time: Duration) {
        let secs = time.as_secs_f64();
        if secs > 0.0 {
            let weight = 1.0 - (-secs / self.period.as_secs_f64()).exp();
            self.per_sec += weight * (events / secs - self.per_sec);
        }
    }

    /// How many come in `time`.
    fn within(&self, time: Duration) -> f64 {
        self.per_sec * time.as_secs_f64()
    }
}

impl Default for Load {
    fn default() -> Self {
        let average = |name, minutes| (name, MovingAverage::over_minutes(minutes));
        Self {
            averages: [average("15min", 15), average("5min", 5), average("1min", 1)],
            total: 0,
        }
    }
}

impl Load {
    /// What is counted has come to this total within a time; it may have become less.
    pub(super) fn sample(&mut self, total: i128, time: Duration) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "nothing that is counted in some seconds comes near 2^53"
        )]
        let events = (total - self.total) as f64;
        self.total = total;
        for (_, average) in &mut self.averages {
            average.add(events, time);
        }
    }

    /// The names of the periods, and how many events come in `time`.
    pub(super) fn within(&self, time: Duration) -> impl Iterator<Item = (&'static str, f64)> {
        let averages = self.averages.iter();
        averages.map(move |(name, average)| (*name, average.within(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    /// With two events every ten seconds. What has come since the last sample is not in it.
    #[test]
    fn averages_are_what_mosca_has_when_their_period_is_over() {
        for (minutes, expected) in [(15, 1.26), (5, 1.24), (1, 1.13)] {
            let mut load = Load::default();
            for sample in 1..minutes * 6 {
                load.sample(2 * sample, INTERVAL);
            }
            let name = format!("{minutes}min");
            let found = load.within(INTERVAL).find(|(it, _)| *it == name);
            let (_, average) = found.unwrap();
            assert!((average - expected).abs() < 0.005, "{name}: {average}");
        }
    }

    #[test]
    fn averages_begin_at_nothing_and_follow_what_goes_on() {
        let mut load = Load::default();
        assert!(load.within(INTERVAL).all(|(_, average)| average == 0.0));
        load.sample(5, Duration::ZERO);
        assert!(load.within(INTERVAL).all(|(_, average)| average == 0.0));
        let mut total = 5;
        for _ in 0..6 * 60 * 3 {
            total += 7;
            load.sample(total, INTERVAL);
        }
        let per_minute = Duration::from_secs(60);
        for (name, average) in load.within(per_minute) {
            assert!((average - 42.0).abs() < 0.01, "{name}: {average}");
        }
        // It may go down, as clients do that disconnect.
        load.sample(0, INTERVAL);
        assert!(load.within(per_minute).all(|(_, average)| average < 0.0));
    }
}
