//! Processes as `/proc` shows them: who descends from whom, who listens where; and ending them.
//!
//! A process is known by its number and the time at which it was started, so that a number that was
//! given to somebody else meanwhile is never taken for ours.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_link, read_to_string};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub id: u32,
    started: u64,
}

struct Status {
    parent: u32,
    started: u64,
    is_dead: bool,
}

/// The process and all that descend from it, itself first.
pub fn family(id: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    let mut root = None;
    for entry in read_dir("/proc").into_iter().flatten().flatten() {
        let Some(other) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Some(status) = status(other) else {
            continue;
        };
        let process = Process {
            id: other,
            started: status.started,
        };
        if other == id {
            root = Some(process);
        }
        children.entry(status.parent).or_default().push(process);
    }
    let mut family: Vec<Process> = root.into_iter().collect();
    let mut at = 0;
    while let Some(parent) = family.get(at) {
        family.extend(children.remove(&parent.id).unwrap_or_default());
        at += 1;
    }
    family
}

/// Those of `family` that listen on a TCP port.
pub fn listeners(family: &[Process], port: u16) -> Vec<Process> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| read_to_string(table).ok())
        .flat_map(|table| listening_sockets(&table, port))
        .collect();
    let owns_one = |process: &&Process| {
        let files = read_dir(format!("/proc/{}/fd", process.id));
        files.into_iter().flatten().flatten().any(|file| {
            let target = read_link(file.path()).unwrap_or_default();
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
    };
    family.iter().filter(owns_one).copied().collect()
}

/// What the links of open files say of the sockets that listen on `port`.
fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    const LISTENS: &str = "0A";
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let local = columns.next()?;
            let state = columns.nth(1)?;
            let inode = columns.nth(5)?;
            let (_, hexadecimal) = local.rsplit_once(':')?;
            let is_it = state == LISTENS && u16::from_str_radix(hexadecimal, 16).ok() == Some(port);
            is_it.then(|| format!("socket:[{inode}]"))
        })
        .collect()
}

/// Asks the processes to end, and after `patience` ends them.
pub fn end(processes: &[Process], patience: Duration, mut reap: impl FnMut()) {
    for (signal, patience) in [
        (Signal::TERM, patience),
        (Signal::KILL, Duration::from_secs(5)),
    ] {
        for process in processes.iter().filter(|process| process.is_alive()) {
            if let Some(id) = i32::try_from(process.id).ok().and_then(Pid::from_raw) {
                // It may have gone by itself since we looked.
                let _ = kill_process(id, signal);
            }
        }
        let until = Instant::now() + patience;
        loop {
            reap();
            if !processes.iter().any(Process::is_alive) {
                return;
            }
            if Instant::now() > until {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Process {
    fn is_alive(&self) -> bool {
        status(self.id).is_some_and(|status| status.started == self.started && !status.is_dead)
    }
}

fn status(id: u32) -> Option<Status> {
    parse_status(&read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The name of the program stands in brackets and may contain anything.
fn parse_status(text: &str) -> Option<Status> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut columns = rest.split_whitespace();
    let state = columns.next()?;
    let parent = columns.next()?.parse().ok()?;
    let started = columns.nth(17)?.parse().ok()?;
    Some(Status {
        parent,
        started,
        is_dead: matches!(state, "Z" | "X"),
    })
}

/// The memory that processes have in RAM, together.
pub fn resident_bytes(processes: &[Process]) -> u64 {
    let each = processes.iter().map(|process| {
        let status = read_to_string(format!("/proc/{}/status", process.id)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    });
    each.sum()
}

/// Lets us, and what we start, open as many files as the system permits; returns how many.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum.unwrap_or(u64::MAX)
    } else {
        limit.current.unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    #[test]
    fn a_status_is_read_behind_any_name() {
        let text = "42 (a) b (c) S 7 1 1 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 4 0 12345 99 1 18446";
        let status = parse_status(text).unwrap();
        assert_eq!((status.parent, status.started), (7, 12345));
        assert!(!status.is_dead);
        assert!(parse_status("42 (a) Z 7").is_none());
    }

    #[test]
    fn who_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let us = family(std::process::id());
        assert_eq!(listeners(&us, port).first(), us.first());
        drop(listener);
        assert_eq!(listeners(&us, port), []);
    }

    #[test]
    fn a_whole_family_is_ended() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & echo up; trap '' TERM; wait; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        let family = family(child.id());
        assert_eq!(family.len(), 2, "{family:?}");
        assert!(family.iter().all(Process::is_alive));
        end(&family, Duration::from_millis(100), || {
            let _ = child.try_wait();
        });
        assert!(!family.iter().any(Process::is_alive));
        child.wait().unwrap();
    }
}
