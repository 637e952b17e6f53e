//! What a phase of a run cost: processor time of the broker, of ourselves and of everybody else.

use std::time::Instant;

use crate::figures::Figures;
use crate::process::{self, Broker, BrokerTime, MachineTime, Memory};

/// Bytes in a MiB.
pub const MB: f64 = 1024.0 * 1024.0;

/// Reads the clocks.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    broker: Option<Broker>,
}

/// All clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: Instant,
    broker: BrokerTime,
    own_ns: u64,
    machine: MachineTime,
}

/// Shares of the processors; 100 is one of them.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// 0 if the broker's process is not known.
    pub broker_pct: f64,
    /// Our own.
    pub load_pct: f64,
    /// That of all others, with the broker's if it is not known.
    pub other_pct: f64,
    /// The hypervisor's.
    pub steal_pct: f64,
}

impl Meter {
    pub fn new(broker: Option<Broker>) -> Self {
        Self { broker }
    }

    /// Reads all clocks.
    pub fn read(&self) -> Reading {
        Reading {
            broker: self.broker.map(|broker| broker.time()).unwrap_or_default(),
            own_ns: process::own_ns(),
            machine: process::machine_time(),
            at: Instant::now(),
        }
    }

    /// The broker's memory, if its process is known.
    pub fn memory(&self) -> Option<Memory> {
        self.broker.map(|broker| broker.memory())
    }

    /// Adds what was spent between two readings. `per` is a number of things and the name of one:
    /// the time is also given for each of them.
    pub fn report(
        &self,
        figures: &mut Figures,
        prefix: &str,
        between: (&Reading, &Reading),
        per: (u64, &str),
    ) {
        let (before, after) = between;
        let shares = self.shares(between);
        let each_us = |ns: u64| ns as f64 / 1e3 / per.0 as f64;
        let broker_ns = after.broker.total_ns.saturating_sub(before.broker.total_ns);
        let own_ns = after.own_ns.saturating_sub(before.own_ns);
        let unit = per.1;
        if self.broker.is_some() {
            let user_ns = after.broker.user_ns.saturating_sub(before.broker.user_ns);
            let sys_ns = after.broker.sys_ns.saturating_sub(before.broker.sys_ns);
            figures.number(&format!("{prefix}broker_cpu_s"), broker_ns as f64 / 1e9);
            figures.number(&format!("{prefix}broker_user_s"), user_ns as f64 / 1e9);
            figures.number(&format!("{prefix}broker_sys_s"), sys_ns as f64 / 1e9);
            figures.number(&format!("{prefix}broker_cpu_pct"), shares.broker_pct);
            let name = format!("{prefix}broker_cpu_us_per_{unit}");
            figures.number(&name, each_us(broker_ns));
        }
        figures.number(&format!("{prefix}load_cpu_pct"), shares.load_pct);
        figures.number(&format!("{prefix}load_cpu_us_per_{unit}"), each_us(own_ns));
        if self.broker.is_some() {
            figures.number(&format!("{prefix}other_cpu_pct"), shares.other_pct);
        }
        figures.number(&format!("{prefix}steal_pct"), shares.steal_pct);
    }

    /// Who took how much of the processors between two readings.
    pub fn shares(&self, (before, after): (&Reading, &Reading)) -> Shares {
        let wall_s = seconds(before, after);
        let percent = |ns: u64| ns as f64 / 1e7 / wall_s;
        let broker_ns = after.broker.total_ns.saturating_sub(before.broker.total_ns);
        let own_ns = after.own_ns.saturating_sub(before.own_ns);
        let busy_ns = after.machine.busy_ns.saturating_sub(before.machine.busy_ns);
        let steal_ns = after
            .machine
            .steal_ns
            .saturating_sub(before.machine.steal_ns);
        Shares {
            broker_pct: percent(broker_ns),
            load_pct: percent(own_ns),
            other_pct: percent(busy_ns.saturating_sub(broker_ns + own_ns)),
            steal_pct: percent(steal_ns),
        }
    }

    /// Adds only the broker's processor time for each of `count` things, in microseconds.
    pub fn report_broker_each(
        &self,
        figures: &mut Figures,
        name: &str,
        (before, after): (&Reading, &Reading),
        count: u64,
    ) {
        if self.broker.is_some() {
            let broker_ns = after.broker.total_ns.saturating_sub(before.broker.total_ns);
            figures.number(name, broker_ns as f64 / 1e3 / count as f64);
        }
    }

    /// Adds the most memory that the broker ever had, and how many threads it has.
    pub fn report_peak(&self, figures: &mut Figures) {
        if let Some(memory) = self.memory() {
            figures.number("rss_peak_mb", memory.peak_b as f64 / MB);
            figures.set("broker_threads", memory.threads);
        }
    }

    /// Adds the memory before the first connection, after the measured part, and the most ever.
    pub fn report_memory(
        &self,
        figures: &mut Figures,
        before: Option<Memory>,
        after: Option<Memory>,
    ) {
        report_rss(figures, "rss_before_mb", before);
        report_rss(figures, "rss_after_mb", after);
        self.report_peak(figures);
    }
}

/// Adds one figure of memory in MiB.
pub fn report_rss(figures: &mut Figures, name: &str, memory: Option<Memory>) {
    if let Some(memory) = memory {
        figures.number(name, memory.rss_b as f64 / MB);
    }
}

/// Adds the growth between two moments, in bytes for each of `count` things.
pub fn report_growth(
    figures: &mut Figures,
    name: &str,
    between: (Option<Memory>, Option<Memory>),
    count: usize,
) {
    if let (Some(before), Some(after)) = between {
        let growth = after.rss_b as f64 - before.rss_b as f64;
        figures.number(name, growth / count as f64);
    }
}

/// Seconds between two readings.
pub fn seconds(before: &Reading, after: &Reading) -> f64 {
    after.at.duration_since(before.at).as_secs_f64()
}
