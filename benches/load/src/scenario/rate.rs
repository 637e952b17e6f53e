//! Pairs at a fixed total rate. Open loop: a message carries the time at which it was due, and not the
//! time at which it could be sent, so that a broker that holds up the sender is charged for it.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use clap::Args;
use mio::Interest;
use mio::unix::SourceFd;
use mqtt_codec::QoS;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::audience::Pairs;
use crate::cli::{Common, Load};
use crate::closed_loop::{Loss, report_checks};
use crate::dial::{Patience, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::{Plan, bring_up, describe};
use crate::latency::Latency;
use crate::meter::{Meter, Reading, seconds};
use crate::net::Net;
use crate::parties::Parties;

/// Messages are due in groups, at least so far apart.
const GROUP: Duration = Duration::from_micros(100);
const WAIT: Duration = Duration::from_millis(20);
/// The share of the rate that must arrive in time.
const SUSTAINED: f64 = 0.99;

/// Arguments of `rate`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Publishers
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pubs: u32,
    /// Subscribers: as many as publishers
    #[arg(long)]
    subs: Option<u32>,
    /// Messages per second of all publishers together
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Unacknowledged messages of each publisher [default: 10000, at QoS 2 20]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    inflight: Option<u16>,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    pub common: Common,
}

/// Which message is due when: message k of publisher p is number k * P + p of all.
struct Timetable {
    begin_ns: u64,
    /// Nanoseconds between two groups.
    group_ns: u64,
    /// Nanoseconds between two messages.
    gap_ns: f64,
    publishers: u64,
}

impl Timetable {
    fn new(begin_ns: u64, rate: f64, publishers: usize) -> Self {
        let gap_ns = 1e9 / rate;
        Self {
            begin_ns,
            group_ns: (gap_ns as u64).max(GROUP.as_nanos() as u64),
            gap_ns,
            publishers: publishers as u64,
        }
    }

    /// When message `sequence` of `source` is due: at the first group at or behind its time.
    fn due_ns(&self, source: usize, sequence: u32) -> u64 {
        let number = u64::from(sequence) * self.publishers + source as u64;
        let exact = (number as f64 * self.gap_ns) as u64;
        self.begin_ns + exact.div_ceil(self.group_ns) * self.group_ns
    }

    /// How many messages of `source` were due until now.
    fn due_until(&self, source: usize, now_ns: u64) -> u32 {
        let groups_ns = now_ns.saturating_sub(self.begin_ns) / self.group_ns * self.group_ns;
        let numbers = (groups_ns as f64 / self.gap_ns) as u64 + 1;
        let mut count = (numbers + self.publishers)
            .saturating_sub(source as u64 + 1)
            .checked_div(self.publishers)
            .unwrap_or_default() as u32;
        // The division of fractions may be off by one.
        while count > 0 && self.due_ns(source, count - 1) > now_ns {
            count -= 1;
        }
        while self.due_ns(source, count) <= now_ns {
            count += 1;
        }
        count
    }
}

/// A flow at a fixed rate.
struct OpenLoop<'a> {
    net: &'a mut Net,
    parties: Parties<Pairs>,
    timetable: Timetable,
    timer: TimerFd,
    /// Whether something is due that may not be sent yet.
    is_held_up: bool,
    /// How late we were to send.
    lag: Latency,
}

impl OpenLoop<'_> {
    fn run_until(&mut self, end_ns: u64) -> Result<(), Failure> {
        while self.net.now_ns() < end_ns {
            let is_time = self.net.turn(WAIT, &mut self.parties)?;
            if is_time {
                // A timer that nobody reads does not go on.
                let _ = self.timer.wait();
            }
            if is_time || self.is_held_up {
                self.pump(end_ns)?;
            }
        }
        Ok(())
    }

    /// Sends what is due. What was not allowed in time goes as soon as it may, stamped as it was due.
    fn pump(&mut self, end_ns: u64) -> Result<(), Failure> {
        let now_ns = self.net.now_ns();
        self.is_held_up = false;
        for source in 0..self.parties.publishers.len() {
            let publisher = &self.parties.publishers[source];
            let due = self.timetable.due_until(source, now_ns.min(end_ns));
            let first = publisher.sent;
            let waiting = due.saturating_sub(first) as usize;
            let room = waiting.min(publisher.room());
            let timetable = &self.timetable;
            let sent = self.parties.publish(self.net, source, room, |sequence| {
                timetable.due_ns(source, sequence)
            })?;
            self.is_held_up |= sent < waiting;
            for sequence in first..first + sent as u32 {
                let late_ns = now_ns.saturating_sub(timetable.due_ns(source, sequence));
                self.lag.record(late_ns);
            }
        }
        Ok(())
    }

    fn drain(&mut self, common: &Common) -> Result<(), Failure> {
        let begin_ns = self.net.now_ns();
        let mut patience = Patience::new(common.quiet, begin_ns);
        loop {
            self.net.turn(WAIT, &mut self.parties)?;
            let now_ns = self.net.now_ns();
            let progress = self.parties.delivered + self.parties.acknowledged;
            let silence = patience.silence(now_ns, progress);
            // Even when all is there, for a moment: there may be more than that.
            let quiet = if self.parties.is_complete() {
                Duration::from_millis(50)
            } else {
                common.quiet
            };
            if silence >= quiet || Duration::from_nanos(now_ns - begin_ns) >= common.drain_limit {
                return Ok(());
            }
        }
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (common, load) = (&arguments.common, &arguments.load);
    let publishers = arguments.pubs as usize;
    if arguments.subs.is_some_and(|subs| subs != arguments.pubs) {
        return Err(Failure::usage("--subs must be the same as --pubs"));
    }
    if !arguments.rate.is_finite() || arguments.rate <= 0.0 {
        return Err(Failure::usage("--rate must be above 0"));
    }
    let inflight = arguments.inflight.unwrap_or(match load.qos {
        QoS::ExactlyOnce => 20,
        _ => 10_000,
    });
    let topics = |index| format!("{}rate/{index}", common.topic_prefix);
    let plan = Plan {
        scenario: "rate",
        topics: (0..publishers).map(topics).collect(),
        filters: (0..publishers).map(|index| vec![topics(index)]).collect(),
        window: 1000,
        source_window: 1000,
    };
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = describe(plan.scenario, common, load);
    figures.set("publishers", publishers);
    figures.set("subscribers", publishers);
    figures.number("offered_per_s", arguments.rate);
    let audience = Pairs::new(publishers);
    let parties = bring_up(&mut net, (common, load), &plan, audience, inflight)?;
    let timetable = Timetable::new(net.now_ns(), arguments.rate, publishers);
    let timer = register_timer(&net, Duration::from_nanos(timetable.group_ns))?;
    let mut flow = OpenLoop {
        parties,
        lag: Latency::new()?,
        timetable,
        timer,
        is_held_up: false,
        net: &mut net,
    };
    measure(&mut flow, arguments, &meter, &mut figures, memory)?;
    leave_all(&mut net, 0..2 * publishers)?;
    Ok(figures)
}

fn measure(
    flow: &mut OpenLoop<'_>,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
    memory: Option<crate::process::Memory>,
) -> Result<(), Failure> {
    let load = &arguments.load;
    let warm_ns = flow.timetable.begin_ns + load.warmup.as_nanos() as u64;
    flow.run_until(warm_ns)?;
    flow.parties.latency.clear();
    flow.lag.clear();
    let (published, delivered) = (flow.parties.published(), flow.parties.delivered);
    let before = meter.read();
    flow.run_until(warm_ns + load.seconds.as_nanos() as u64)?;
    let after = meter.read();
    let memory_after = meter.memory();
    let published = flow.parties.published() - published;
    let delivered = flow.parties.delivered - delivered;
    report_rates(flow, figures, (&before, &after), published, delivered);
    flow.drain(&arguments.common)?;
    // At QoS 0 a broker may drop what comes too fast, and no window keeps it out of that situation.
    let loss = match load.qos {
        QoS::AtMostOnce => Loss::Counts,
        _ => Loss::Fails,
    };
    report_checks(&flow.parties, figures, loss);
    let wall_s = seconds(&before, &after);
    let sustained = delivered as f64 >= SUSTAINED * arguments.rate * wall_s;
    figures.set("sustained", sustained);
    meter.report(figures, "", (&before, &after), (delivered, "msg"));
    meter.report_memory(figures, memory, memory_after);
    Ok(())
}

fn report_rates(
    flow: &mut OpenLoop<'_>,
    figures: &mut Figures,
    between: (&Reading, &Reading),
    published: u64,
    delivered: u64,
) {
    let wall_s = seconds(between.0, between.1);
    figures.number("seconds", wall_s);
    figures.number("published_per_s", published as f64 / wall_s);
    figures.number("msgs_per_s", delivered as f64 / wall_s);
    flow.parties.latency.report(figures, "");
    flow.lag.report(figures, "load_lag_");
}

/// A timer that ends a wait at each group.
fn register_timer(net: &Net, period: Duration) -> Result<TimerFd, Failure> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)
        .map_err(Failure::broken)?;
    timer
        .set(
            Expiration::Interval(TimeSpec::from_duration(period)),
            TimerSetTimeFlags::empty(),
        )
        .map_err(Failure::broken)?;
    net.registry()
        .register(
            &mut SourceFd(&timer.as_fd().as_raw_fd()),
            Net::TIMER,
            Interest::READABLE,
        )
        .map_err(Failure::broken)?;
    Ok(timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_due_once_and_in_its_turn() {
        for rate in [7.0, 1000.0, 20_000.0, 333_333.0] {
            let timetable = Timetable::new(5_000, rate, 3);
            let mut counts = [0; 3];
            for step in 0..5_000_u64 {
                let now_ns = 5_000 + step * 37_000;
                for (source, count) in counts.iter_mut().enumerate() {
                    let due = timetable.due_until(source, now_ns);
                    assert!(due >= *count, "what was due stays due");
                    assert!(due == 0 || timetable.due_ns(source, due - 1) <= now_ns);
                    assert!(timetable.due_ns(source, due) > now_ns);
                    *count = due;
                }
            }
            let expected = rate * 5_000.0 * 37e-6;
            let total = f64::from(counts.iter().sum::<u32>());
            let slack = 2.0 + rate * 1e-4;
            assert!((total - expected).abs() <= slack, "{rate}: {total}");
        }
    }
}
