//! What the figures were measured on, as far as it can be known without asking anybody.

use std::fs::read_to_string;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// The machine and its system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model of the processor.
    pub processor: String,
    /// How many of them the system sees.
    pub processors: usize,
    /// Whether it is a virtual machine.
    pub is_virtual: bool,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The distribution.
    pub system: String,
    /// The release of the kernel.
    pub kernel: String,
    /// How TCP paces what it sends, on loopback as well.
    pub tcp_congestion_control: String,
}

impl Machine {
    /// This one.
    pub fn read() -> Self {
        let processor = text("/proc/cpuinfo");
        let of_processor = |key| value(&processor, key, ':');
        Self {
            processor: of_processor("model name").unwrap_or_else(|| "unknown".to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            is_virtual: of_processor("flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            memory_mib: value(&text("/proc/meminfo"), "MemTotal", ':')
                .and_then(|total| total.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
            system: value(&text("/etc/os-release"), "PRETTY_NAME", '=')
                .unwrap_or_else(|| "unknown".to_owned()),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            tcp_congestion_control: text("/proc/sys/net/ipv4/tcp_congestion_control")
                .trim()
                .to_owned(),
        }
    }
}

fn text(path: &str) -> String {
    read_to_string(path).unwrap_or_default()
}

/// What follows the first `key` and the separator, without quotes.
fn value(text: &str, key: &str, separator: char) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// The minute, in UTC.
pub fn now() -> String {
    first_line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"]))
        .unwrap_or_else(|| "at an unknown time".to_owned())
}

/// The commit of the source in the current directory, with a sign if it was changed since.
pub fn revision() -> Option<String> {
    let commit = first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
    let changed = first_line(Command::new("git").args([
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "crates",
        "Cargo.lock",
    ]));
    Some(match changed {
        Some(_) => format!("{commit}, changed"),
        None => commit,
    })
}

/// The first line with something in it that a program prints, on either of its outputs.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let both = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&both)
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())?
        .to_owned();
    Some(line)
}

/// What a program says of its version when it is asked properly; the name of its file otherwise.
pub fn version(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let line = output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().map(|line| line.trim().to_owned())
        })
        .filter(|line| !line.is_empty());
    line.unwrap_or_else(|| name.into_owned())
}

/// Takes the folders of this machine out of a text: `…/name` is left of an absolute path.
pub fn without_folders(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('/') {
        let (before, path) = rest.split_at(start);
        shown.push_str(before);
        let length = path
            .find(|c: char| c.is_whitespace() || "'\"{}:;,=()|`<>".contains(c))
            .unwrap_or(path.len());
        let (path, after) = path.split_at(length);
        let is_absolute = before
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || "'\"{:;,=(|`<>".contains(c));
        match path.trim_end_matches('/').rsplit_once('/') {
            Some((_, name)) if is_absolute => {
                shown.push_str("…/");
                shown.push_str(name);
            }
            _ => shown.push_str(path),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found() {
        assert_eq!(value("a\t: b c\nd: e\n", "a", ':').as_deref(), Some("b c"));
        assert_eq!(value("A=\"x y\"\n", "A", '=').as_deref(), Some("x y"));
        assert_eq!(value("A=1\n", "B", '='), None);
    }

    #[test]
    fn folders_are_left_out() {
        let cases = [
            (
                "/opt/a/broker -c {conf:/etc/b/c.conf}",
                "…/broker -c {conf:…/c.conf}",
            ),
            ("run sub/folder and 1/s", "run sub/folder and 1/s"),
            ("cannot open '/x/y': no", "cannot open '…/y': no"),
            ("/usr/bin", "…/bin"),
            ("--out=/a/b/", "--out=…/b"),
            ("nothing", "nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_folders(text), expected, "{text}");
        }
    }

    #[test]
    fn a_version_may_be_printed_anywhere() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo; echo 'x 1.0' >&2; exit 3"]);
        assert_eq!(first_line(&mut shell).as_deref(), Some("x 1.0"));
        assert_eq!(first_line(&mut Command::new("no-such-program-here")), None);
        assert_eq!(
            version(Path::new("no/such-program-here")),
            "such-program-here"
        );
        assert_eq!(version(Path::new("false")), "false");
        assert!(version(Path::new("cargo")).starts_with("cargo 1."));
    }
}
