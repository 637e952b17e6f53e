//! Memory of the process, as the system counts it.

/// Bytes that are in memory, not swapped out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// All of the process.
    pub(super) resident: u64,
    /// What is the process's own and in no file: what it has allocated, and stacks.
    pub(super) anonymous: u64,
}

/// What the process has now; `None` where the system does not say.
pub(super) fn read() -> Option<Memory> {
    // Made up by the system at this moment, so there is no disk to wait for.
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<Memory> {
    let bytes = |key: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        Some(kibibytes * 1_024)
    };
    Some(Memory {
        resident: bytes("VmRSS")?,
        anonymous: bytes("RssAnon")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kibibytes_become_bytes() {
        let status = "Name:\tmosca\nVmRSS:\t    2048 kB\nRssAnon:\t 512 kB\nThreads:\t2\n";
        let expected = Memory {
            resident: 2 << 20,
            anonymous: 512 << 10,
        };
        assert_eq!(parse(status), Some(expected));
        assert_eq!(parse("VmRSS:\t1 kB\n"), None);
        assert_eq!(parse(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        let memory = read().unwrap();
        assert!(
            memory.anonymous > 0 && memory.resident >= memory.anonymous,
            "{memory:?}"
        );
    }
}
