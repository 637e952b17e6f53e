//! `cargo xtask instructions`: what the steps of `crates/instructions` cost, in instructions, and
//! whether it is what is recorded.
//!
//! Callgrind counts every instruction that a program executes, so the figures do not depend on how
//! busy the machine is. The program runs twice for each step, once taking it N times and once 2 N
//! times: the difference is N steps and nothing else.
//!
//! What still moves a count is chance in the seeds of hash tables: by some per cent in the router,
//! which is therefore built with one fixed seed here, and by some tenths of a per cent elsewhere,
//! where the steps take many names in turn. And the compiler, whose version is recorded with the
//! counts.

mod counts;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};

use crate::tools;
use crate::workspace::Workspace;
use counts::{Count, Counts, Environment};

/// Where the counts are recorded.
const RECORD: &str = "crates/instructions/counts.tsv";

/// Counts, and compares with the record if `check`, or else replaces it.
///
/// # Errors
/// If something is not as it is recorded, or cannot be counted.
pub fn run(workspace: &Workspace, check: bool) -> Result<()> {
    tools::ensure_valgrind()?;
    let program = build(workspace)?;
    let counted = Counts {
        environment: environment(workspace)?,
        steps: count_all(&program)?,
    };
    let file = workspace.root.join(RECORD);
    let recorded = match std::fs::read_to_string(&file) {
        Ok(text) => Counts::parse(&text).with_context(|| format!("cannot read {RECORD}"))?,
        Err(_) if !check => Counts::default(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {RECORD}")),
    };
    if check {
        return counts::report(&recorded, &counted);
    }
    counts::print_changes(&recorded, &counted);
    std::fs::write(&file, counted.to_string()).with_context(|| format!("cannot write {RECORD}"))?;
    println!("wrote {RECORD}");
    Ok(())
}

/// Builds the program as the command is built for its users, but for the seed, and returns its path.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    // Of its own, because of the flag: nothing that is built with it may be taken for something else.
    let target = workspace.target.join("instructions");
    let status = workspace
        .cargo(&[
            "build",
            "--release",
            "--locked",
            "--package",
            "instructions",
        ])
        .env("RUSTFLAGS", "--cfg fixed_seed")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .arg("--target-dir")
        .arg(&target)
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo build")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(target.join("release/instructions"))
}

/// What the counts depend on beside our code.
fn environment(workspace: &Workspace) -> Result<Environment> {
    let rustc = workspace
        .rustc()
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let libc = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    // Callgrind's processor has what the one below it has, up to this.
    let has_avx2 = std::fs::read_to_string("/proc/cpuinfo")
        .is_ok_and(|text| text.split_whitespace().any(|flag| flag == "avx2"));
    Ok(Environment::new(
        &String::from_utf8_lossy(&rustc.stdout),
        &String::from_utf8_lossy(&libc),
        has_avx2,
    ))
}

/// Counts all steps, as many at a time as there are processors: the counts do not mind.
fn count_all(program: &Path) -> Result<Vec<Count>> {
    let list = Command::new(program)
        .output()
        .with_context(|| format!("cannot run {program:?}"))?;
    let list = String::from_utf8(list.stdout)?;
    let steps: Vec<(&str, u64)> = list
        .lines()
        .map(|line| {
            line.split_once('\t')
                .and_then(|(name, count)| Some((name, count.parse().ok()?)))
        })
        .collect::<Option<_>>()
        .context("the program lists its steps otherwise")?;
    ensure!(!steps.is_empty(), "the program lists no steps");

    let next = AtomicUsize::new(0);
    let counted: Mutex<Vec<(usize, Result<Count>)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some((name, times)) = steps.get(at)
                {
                    let count = count(program, name, *times);
                    if let Ok(mut counted) = counted.lock() {
                        counted.push((at, count));
                    }
                }
            });
        }
    });
    let mut counted = counted.into_inner().unwrap_or_default();
    counted.sort_by_key(|(at, _)| *at);
    counted.into_iter().map(|(_, count)| count).collect()
}

fn count(program: &Path, name: &str, times: u64) -> Result<Count> {
    let once = callgrind(program, name, times)?;
    let twice = callgrind(program, name, 2 * times)?;
    let instructions = twice
        .checked_sub(once)
        .with_context(|| format!("{name}: twice the steps take less"))?;
    Ok(Count {
        name: name.to_owned(),
        instructions: (instructions + times / 2) / times,
    })
}

/// Instructions of the whole program that takes a step so often.
fn callgrind(program: &Path, name: &str, times: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([name, &times.to_string()])
        // What stands there moves the stack, whose address is among the seeds of hash tables.
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name}: {}:\n{said}", output.status);
    }
    collected(&said).with_context(|| format!("{name}: valgrind says no count:\n{said}"))
}

/// The sum that callgrind prints at its end: `==12== Collected : 345`.
fn collected(said: &str) -> Option<u64> {
    said.lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_callgrind_is_found() {
        let said = "==7== Events    : Ir\n==7== Collected : 1234567\n==7==\n";
        assert_eq!(collected(said), Some(1_234_567));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}
