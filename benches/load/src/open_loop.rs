//! Pairs at a fixed total rate. Open loop: a message that could not be sent in time carries the time at which it
//! was due, so that a broker that holds up the sender is charged for it.

use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::Interest;
use mio::unix::SourceFd;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::audience::Pairs;
use crate::cli::{Common, Load};
use crate::crowd::Crowd;
use crate::dial::Patience;
use crate::failure::Failure;
use crate::flow::{Plan, bring_up};
use crate::latency::Latency;
use crate::net::Net;
use crate::parties::Parties;

/// Messages are due in groups, at least so far apart.
const GROUP: Duration = Duration::from_micros(100);
const WAIT: Duration = Duration::from_millis(20);
/// What a crowd does at a time is shorter than this, mostly: to open a connection takes some 25 µs. When the next group
/// is due sooner, it waits.
const PIECE_NS: u64 = 40_000;
/// What a crowd does waits while a message is under way, whose arrival would be noticed late; but never for longer.
const PATIENCE_NS: u64 = 500_000;

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

    /// When the first group behind `now_ns` is due.
    fn next_ns(&self, now_ns: u64) -> u64 {
        let groups = now_ns.saturating_sub(self.begin_ns) / self.group_ns;
        self.begin_ns + (groups + 1) * self.group_ns
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
pub struct OpenLoop<'a> {
    pub net: &'a mut Net,
    pub parties: Parties<Pairs>,
    timetable: Timetable,
    timer: TimerFd,
    /// When the next group is due.
    next_ns: u64,
    /// Ends a wait when it is the crowd's turn, and when that is.
    crowd_timer: TimerFd,
    crowd_timer_ns: u64,
    since: Since,
    /// Whether something is due that may not be sent yet.
    is_held_up: bool,
    /// How late we were to send.
    pub lag: Latency,
}

/// What flows: so many pairs, by so many messages per second in all.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    pub scenario: &'static str,
    pub pairs: usize,
    pub rate: f64,
    /// Unacknowledged messages of each publisher.
    pub inflight: u16,
    pub since: Since,
}

/// From when on a message's latency counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From when it was due.
    Due,
    /// From when it was sent, unless the broker held it up: what makes this program late is not the broker's.
    Sent,
}

impl<'a> OpenLoop<'a> {
    /// Brings up publishers and subscribers, whose messages are due from now on.
    pub fn start(
        net: &'a mut Net,
        (common, load): (&Common, &Load),
        flow: Flow,
    ) -> Result<Self, Failure> {
        if !flow.rate.is_finite() || flow.rate <= 0.0 {
            return Err(Failure::usage("--rate must be above 0"));
        }
        let topic = |index| format!("{}{}/{index}", common.topic_prefix, flow.scenario);
        let plan = Plan {
            scenario: flow.scenario,
            topics: (0..flow.pairs).map(topic).collect(),
            filters: (0..flow.pairs).map(|index| vec![topic(index)]).collect(),
            window: 1000,
            source_window: 1000,
        };
        let audience = Pairs::new(flow.pairs);
        let parties = bring_up(net, (common, load), &plan, audience, flow.inflight)?;
        let timetable = Timetable::new(net.now_ns(), flow.rate, flow.pairs);
        let timer = register_timer(net)?;
        let period = TimeSpec::from_duration(Duration::from_nanos(timetable.group_ns));
        set_timer(&timer, Expiration::Interval(period))?;
        Ok(Self {
            parties,
            lag: Latency::new()?,
            next_ns: timetable.next_ns(net.now_ns()),
            timetable,
            timer,
            crowd_timer: register_timer(net)?,
            crowd_timer_ns: 0,
            since: flow.since,
            is_held_up: false,
            net,
        })
    }

    /// Sends what is due and receives what comes, for so long.
    pub fn run_for(&mut self, length: Duration) -> Result<(), Failure> {
        let end_ns = self.net.now_ns() + length.as_nanos() as u64;
        self.run_until(end_ns, None)
    }

    /// Does the same, and in the time between what `crowd` does, which has to be
    /// [registered](Crowd::register) with [`Net::TIMER`].
    pub fn run_beside(&mut self, crowd: &mut Crowd, length: Duration) -> Result<(), Failure> {
        let end_ns = self.net.now_ns() + length.as_nanos() as u64;
        self.run_until(end_ns, Some(crowd))
    }

    /// Forgets how long messages took until now.
    pub fn forget(&mut self) {
        self.parties.latency.clear();
        self.lag.clear();
    }

    fn run_until(&mut self, end_ns: u64, mut crowd: Option<&mut Crowd>) -> Result<(), Failure> {
        let mut wait = Duration::ZERO;
        while self.net.now_ns() < end_ns {
            let is_time = self.net.turn(wait, &mut self.parties)?;
            if is_time {
                // A timer that nobody reads does not go on.
                let _ = self.timer.wait();
            }
            if is_time || self.is_held_up {
                self.pump(end_ns)?;
            }
            wait = WAIT;
            if let Some(crowd) = &mut crowd {
                if is_time {
                    // The event may have been the crowd's.
                    crowd.notice(self.net.now_ns());
                }
                wait = self.let_work(crowd)?;
            }
        }
        Ok(())
    }

    /// Lets a crowd do one thing that is due, if nobody who is measured is kept waiting. Returns how long events may
    /// be waited for then.
    fn let_work(&mut self, crowd: &mut Crowd) -> Result<Duration, Failure> {
        let Some(due_ns) = crowd.due_ns() else {
            return Ok(WAIT);
        };
        let turn_ns = if self.parties.is_under_way() {
            due_ns.saturating_add(PATIENCE_NS)
        } else {
            due_ns
        };
        let now_ns = self.net.now_ns();
        if now_ns < turn_ns {
            self.wake_at(turn_ns, now_ns)?;
            return Ok(WAIT);
        }
        if self.next_ns < now_ns + PIECE_NS {
            // The timer of the next group ends the wait.
            return Ok(WAIT);
        }
        crowd.work(now_ns)?;
        Ok(Duration::ZERO)
    }

    /// Ends a wait at this time, which is to come.
    fn wake_at(&mut self, time_ns: u64, now_ns: u64) -> Result<(), Failure> {
        if mem::replace(&mut self.crowd_timer_ns, time_ns) == time_ns {
            return Ok(());
        }
        let left = TimeSpec::from_duration(Duration::from_nanos(time_ns - now_ns));
        set_timer(&self.crowd_timer, Expiration::OneShot(left))
    }

    /// Sends what is due. What was not allowed in time goes as soon as it may, stamped with when it was due.
    fn pump(&mut self, end_ns: u64) -> Result<(), Failure> {
        let now_ns = self.net.now_ns();
        self.next_ns = self.timetable.next_ns(now_ns);
        let was_held_up = mem::replace(&mut self.is_held_up, false);
        let is_sent_in_time = self.since == Since::Sent && !was_held_up;
        for source in 0..self.parties.publishers.len() {
            let publisher = &self.parties.publishers[source];
            let due = self.timetable.due_until(source, now_ns.min(end_ns));
            let first = publisher.sent;
            let waiting = due.saturating_sub(first) as usize;
            let room = waiting.min(publisher.room());
            let timetable = &self.timetable;
            let sent = self.parties.publish(self.net, source, room, |sequence| {
                if is_sent_in_time {
                    now_ns
                } else {
                    timetable.due_ns(source, sequence)
                }
            })?;
            self.is_held_up |= sent < waiting;
            for sequence in first..first + sent as u32 {
                let late_ns = now_ns.saturating_sub(timetable.due_ns(source, sequence));
                self.lag.record(late_ns);
            }
        }
        Ok(())
    }

    /// Sends nothing more, and waits for what is under way.
    pub fn drain(&mut self, common: &Common) -> Result<(), Failure> {
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

/// A timer that ends waits, when it is [set](set_timer).
fn register_timer(net: &Net) -> Result<TimerFd, Failure> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)
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

fn set_timer(timer: &TimerFd, expiration: Expiration) -> Result<(), Failure> {
    timer
        .set(expiration, TimerSetTimeFlags::empty())
        .map_err(Failure::broken)
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
