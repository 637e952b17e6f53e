//! How much of the machine went elsewhere during a run: to other processes, to the hypervisor.

use std::fs::read_to_string;
use std::time::Instant;

use crate::process;

/// The names under which the figures are kept.
pub const OTHERS: &str = "other_cpu_pct";
/// What the hypervisor took.
pub const STOLEN: &str = "steal_pct";

/// Processor time so far, in ticks of 10 ms, which is what `/proc` counts in on every Linux.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: Instant,
    machine: Machine,
    /// Of the broker, of ourselves and of the load generator, once that has ended.
    accounted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    busy: u64,
    stolen: u64,
}

impl Reading {
    /// Now; `processes` are those that we started.
    pub fn now(processes: &[u32]) -> Self {
        let family = processes.iter().flat_map(|one| process::family(*one));
        let broker: u64 = family.map(|one| ticks(&one.id.to_string())).sum();
        let machine = read_to_string("/proc/stat").unwrap_or_default();
        Self {
            at: Instant::now(),
            machine: parse_machine(&machine).unwrap_or(Machine { busy: 0, stolen: 0 }),
            accounted: broker + ticks("self"),
        }
    }

    /// What went elsewhere since `before`, in percent of one processor: others, hypervisor.
    pub fn since(&self, before: &Self) -> (f64, f64) {
        let seconds = self.at.duration_since(before.at).as_secs_f64().max(0.01);
        let busy = self.machine.busy.saturating_sub(before.machine.busy);
        let accounted = self.accounted.saturating_sub(before.accounted);
        let stolen = self.machine.stolen.saturating_sub(before.machine.stolen);
        // A tick in a second is one percent.
        let percent = |ticks: u64| ticks as f64 / seconds;
        (percent(busy.saturating_sub(accounted)), percent(stolen))
    }
}

/// Processor time of processes and their descendants so far, in microseconds.
pub fn spent_us(processes: &[u32]) -> f64 {
    const TICK_US: f64 = 10_000.0;
    let family = processes.iter().flat_map(|one| process::family(*one));
    let ticks: u64 = family.map(|one| ticks(&one.id.to_string())).sum();
    ticks as f64 * TICK_US
}

/// Of a process and of its children that have ended.
fn ticks(process: &str) -> u64 {
    let text = read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    parse_ticks(&text).unwrap_or(0)
}

fn parse_ticks(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(')')?;
    let columns = rest.split_whitespace().skip(11).take(4);
    columns.map(|column| column.parse::<u64>().ok()).sum()
}

fn parse_machine(text: &str) -> Option<Machine> {
    let columns: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|column| column.parse().ok())
        .collect();
    let [user, nice, system, _idle, _waiting, hard, soft, stolen, ..] = columns[..] else {
        return None;
    };
    Some(Machine {
        busy: user + nice + system + hard + soft,
        stolen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_kernels_tables_are_read() {
        let machine = parse_machine("cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 1\n");
        assert_eq!(
            machine,
            Some(Machine {
                busy: 31,
                stolen: 32
            })
        );
        assert_eq!(parse_machine("intr 5"), None);
        let process = "42 (a b) S 7 1 1 0 -1 4194560 1 0 0 0 1 2 4 8 20 0 4 0 12345 99 1 18446";
        assert_eq!(parse_ticks(process), Some(15));
    }

    #[test]
    fn what_is_accounted_for_is_no_disturbance() {
        let at = Instant::now();
        let reading = |seconds, busy, accounted, stolen| Reading {
            at: at + Duration::from_secs(seconds),
            machine: Machine { busy, stolen },
            accounted,
        };
        let before = reading(0, 1000, 500, 3);
        assert_eq!(reading(2, 1300, 760, 13).since(&before), (20.0, 5.0));
        // Ticks are not counted at the same moment everywhere.
        assert_eq!(reading(2, 1300, 801, 3).since(&before), (0.0, 0.0));
    }

    #[test]
    fn a_reading_of_this_machine_is_sensible() {
        let before = Reading::now(&[std::process::id()]);
        let (others, stolen) = Reading::now(&[std::process::id()]).since(&before);
        assert!(others >= 0.0 && stolen >= 0.0);
        assert!(before.machine.busy > 0);
    }
}
