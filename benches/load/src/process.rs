//! Processor time and memory of processes, as the kernel counts them.

use std::collections::HashSet;
use std::fs;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Ticks per second in what `/proc` shows to programs: the same on all Linux systems.
const TICKS_PER_S: u64 = 100;

/// Processor time of the broker since its start, all threads, living or ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrokerTime {
    /// To the nanosecond.
    pub total_ns: u64,
    /// To the tick of 10 ms.
    pub user_ns: u64,
    /// To the tick of 10 ms.
    pub sys_ns: u64,
}

/// Memory of the broker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Bytes of it that are in memory.
    pub rss_b: u64,
    /// Of these, what it took from the system, and did not read in with its program.
    pub anon_b: u64,
    /// The most that ever were.
    pub peak_b: u64,
    /// Threads.
    pub threads: u64,
}

/// Processor time of the whole machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineTime {
    /// Time in which some process ran.
    pub busy_ns: u64,
    /// Time that the hypervisor took.
    pub steal_ns: u64,
}

/// The processes whose time and memory count as the broker's.
#[derive(Debug, Clone, Copy)]
pub struct Broker {
    pub pid: i32,
    /// Whether its descendants count too.
    pub children: bool,
}

impl Broker {
    /// Whether there is such a process.
    pub fn exists(&self) -> bool {
        cpu_ns(self.pid).is_some()
    }

    fn processes(&self) -> Vec<i32> {
        if self.children {
            descendants(self.pid)
        } else {
            vec![self.pid]
        }
    }

    /// Its processor time.
    pub fn time(&self) -> BrokerTime {
        let mut sum = BrokerTime::default();
        for pid in self.processes() {
            sum.total_ns += cpu_ns(pid).unwrap_or_default();
            if let Some((user, sys)) = user_and_sys(pid) {
                sum.user_ns += user;
                sum.sys_ns += sys;
            }
        }
        sum
    }

    /// Its memory.
    pub fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for pid in self.processes() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            sum.rss_b += field(&status, "VmRSS:") * 1024;
            sum.anon_b += field(&status, "RssAnon:") * 1024;
            sum.peak_b += field(&status, "VmHWM:") * 1024;
            sum.threads += field(&status, "Threads:");
        }
        sum
    }
}

/// Our own processor time.
pub fn own_ns() -> u64 {
    clock_ns(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap_or_default()
}

fn cpu_ns(pid: i32) -> Option<u64> {
    clock_ns(clock_getcpuclockid(Pid::from_raw(pid)).ok()?)
}

fn clock_ns(clock: ClockId) -> Option<u64> {
    let time = clock_gettime(clock).ok()?;
    Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

fn user_and_sys(pid: i32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = behind_name(&stat)?.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((in_ns(ticks()?), in_ns(ticks()?)))
}

/// The fields of `/proc/PID/stat` from the state on. The name before may hold anything.
fn behind_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(')')?.1)
}

fn in_ns(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / TICKS_PER_S)
}

/// The first number behind `name`.
fn field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// A process and all that it has started, and these have started.
fn descendants(root: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| Some((pid, parent(pid)?)))
        .collect();
    let mut family = HashSet::from([root]);
    loop {
        let before = family.len();
        for (pid, parent) in &parents {
            if family.contains(parent) {
                family.insert(*pid);
            }
        }
        if family.len() == before {
            return family.into_iter().collect();
        }
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    behind_name(&stat)?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// The processor time of the whole machine since it was started.
pub fn machine_time() -> MachineTime {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    read_machine_time(&stat)
}

/// From the line `cpu user nice system idle iowait irq softirq steal …`.
fn read_machine_time(stat: &str) -> MachineTime {
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .map(|number| number.parse().unwrap_or_default())
        .collect();
    let at = |index: usize| in_ns(ticks.get(index).copied().unwrap_or_default());
    MachineTime {
        busy_ns: at(0) + at(1) + at(2) + at(5) + at(6),
        steal_ns: at(7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_has_time_memory_and_threads() {
        let ours = Broker {
            pid: std::process::id() as i32,
            children: true,
        };
        assert!(ours.exists());
        assert!(ours.time().total_ns > 0);
        let memory = ours.memory();
        assert!(memory.anon_b > 0 && memory.rss_b > memory.anon_b);
        assert!(memory.peak_b >= memory.rss_b && memory.threads > 0);
        assert!(own_ns() > 0);
    }

    #[test]
    fn descendants_count_where_asked_for() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id() as i32;
        let found = descendants(std::process::id() as i32);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&pid));
    }

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        assert_eq!(behind_name("7 (a ) b) S 1 2"), Some(" S 1 2"));
    }

    #[test]
    fn idle_and_stolen_time_is_not_busy() {
        let time = read_machine_time("cpu  1 2 3 1000 1000 4 5 6 0 0\ncpu0 9 9 9 9\n");
        assert_eq!(time.busy_ns, in_ns(15));
        assert_eq!(time.steal_ns, in_ns(6));
    }
}
