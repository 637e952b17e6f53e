//! What is shown while a run lasts: a line that is renewed every second on a terminal, a line each second elsewhere.

use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval, interval_at};

use super::meter::{Meter, Sample};
use crate::client::interrupts::Interrupts;
use crate::client::output;
use crate::progress::Progress;

/// How often something is said.
const EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether all messages have come.
const LOOK: Duration = Duration::from_millis(20);

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// So many clients connect.
    Connecting(u64),
    /// Messages go to and fro, or connections are held.
    Measuring,
    /// So many copies of messages have to come.
    Draining(u64),
}

/// Why a part of the run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    ByItself,
    Interrupted,
}

/// The figures of a run so far.
pub(super) struct Board {
    progress: Progress,
    interrupts: Interrupts,
    ticks: Interval,
    /// Since the line that was shown last.
    recent: Sample,
    shown: Instant,
    /// Everything else.
    total: Sample,
}

impl Board {
    pub(super) fn new(interrupts: Interrupts) -> anyhow::Result<Self> {
        let mut ticks = interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            progress: Progress::start(),
            interrupts,
            ticks,
            recent: Sample::new()?,
            shown: Instant::now(),
            total: Sample::new()?,
        })
    }

    /// Shows how it goes until the work is done, or somebody interrupts.
    pub(super) async fn during(
        &mut self,
        meter: &Meter,
        doing: Doing,
        work: impl Future<Output = ()>,
    ) -> Ended {
        let begun = Instant::now();
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return Ended::ByItself,
                () = self.interrupts.heard() => return Ended::Interrupted,
                _ = self.ticks.tick() => self.show(meter, doing, begun.elapsed()),
            }
        }
    }

    /// Waits until so many copies of messages have come; not for longer than `patience` if none comes. Returns when
    /// the last one came.
    pub(super) async fn drain(
        &mut self,
        meter: &Meter,
        expected: u64,
        patience: Duration,
    ) -> Option<Instant> {
        let begun = Instant::now();
        let mut looks = interval(LOOK);
        let (mut came, mut since) = (0, begun);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = self.interrupts.heard() => break,
                _ = self.ticks.tick() => {
                    self.show(meter, Doing::Draining(expected), begun.elapsed());
                }
            }
            meter.collect(&mut self.recent);
            let received = self.received();
            if received > came {
                (came, since) = (received, Instant::now());
            }
            if received >= expected || since.elapsed() >= patience {
                break;
            }
        }
        self.total.last.max(self.recent.last)
    }

    fn received(&self) -> u64 {
        self.total.received + self.recent.received
    }

    fn show(&mut self, meter: &Meter, doing: Doing, elapsed: Duration) {
        meter.collect(&mut self.recent);
        let within = self.shown.elapsed();
        self.shown = Instant::now();
        let line = self.line(doing, elapsed, within);
        self.total.take(&mut self.recent);
        self.progress.now(&line);
    }

    fn line(&self, doing: Doing, elapsed: Duration, within: Duration) -> String {
        let recent = &self.recent;
        let per_second = |number| per_second(number, within);
        let all = |of: fn(&Sample) -> u64| of(&self.total) + of(recent);
        let connected = all(|sample| sample.connected);
        let mut line = match doing {
            Doing::Connecting(clients) => format!(
                "connecting: {} of {}, {}/s",
                output::count(connected),
                output::count(clients),
                per_second(recent.connected)
            ),
            Doing::Measuring => {
                let mut line = format!(
                    "{:3} s: {} connected, sent {}/s, received {}/s",
                    elapsed.as_secs_f64().round(),
                    output::count(connected - all(|sample| sample.broken)),
                    per_second(recent.sent),
                    per_second(recent.received),
                );
                let times = &recent.delivering;
                if times.len() > 0 {
                    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                        let time = output::millis(times.quantile(quantile));
                        line.push_str(&format!(", {name} {time} ms"));
                    }
                }
                line
            }
            Doing::Draining(expected) => format!(
                "waiting: {} of {} messages have come",
                output::count(self.received()),
                output::count(expected)
            ),
        };
        let failed = all(|sample| sample.failed + sample.broken + sample.rejected);
        if failed > 0 {
            line.push_str(&format!(", {} errors", output::count(failed)));
        }
        line
    }

    /// Everything that was counted.
    pub(super) fn finish(mut self, meter: &Meter) -> Sample {
        meter.collect(&mut self.recent);
        self.total.take(&mut self.recent);
        self.progress.finish();
        self.total
    }
}

/// So many in a second, for people.
pub(super) fn per_second(number: u64, within: Duration) -> String {
    output::count(rate(number, within).round() as u64)
}

/// So many in a second.
pub(super) fn rate(number: u64, within: Duration) -> f64 {
    let secs = within.as_secs_f64();
    if secs > 0.0 {
        number as f64 / secs
    } else {
        0.0
    }
}
