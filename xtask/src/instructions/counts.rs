//! The recorded counts: how they are written down, and what is an answer to a count that differs.
//!
//! A step that costs more than is recorded, by more than [`GROWTH`], fails: that is the gate. One that
//! costs less, by more than [`FALL`], fails too and asks to be recorded: as long as the old figure
//! stands, what was won could be lost again without a word.
//!
//! Another compiler, C library or processor gives other counts for the same code. Where one of them
//! is not the recorded one, the gate stays with a tolerance of [`GROWTH_ELSEWHERE`], which lets the
//! differences between compilers pass and stops what matters: another allocation for each message, a
//! copy, a walk that grew; and nothing is asked to be recorded.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};

/// What a step may cost more than recorded, in per cent.
const GROWTH: f64 = 3.0;

/// What it may cost less, in per cent, before that has to be recorded. More than what the compiler makes
/// of the same lines from one time to the next: that of `retained_plus`, untouched, has gone back and
/// forth by 6.3 %.
const FALL: f64 = 8.0;

/// What it may cost more where the compiler is another one, in per cent.
const GROWTH_ELSEWHERE: f64 = 15.0;

/// How the file begins.
const HEAD: &str = "\
# Instructions of one step, counted by callgrind and written by `cargo xtask instructions`, which is to
# be run again when a step has become cheaper, or dearer for a good reason.
";

/// What was counted at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub environment: Environment,
    pub steps: Vec<Count>,
}

/// What counts depend on beside our code.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Environment {
    rustc: String,
    host: String,
    libc: String,
    processor: String,
}

/// What one step costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub name: String,
    pub instructions: u64,
}

impl Environment {
    /// From `rustc -vV`, `getconf GNU_LIBC_VERSION`, and whether the processor has AVX2, after which
    /// the C library chooses how to copy and to compare.
    pub fn new(rustc: &str, libc: &str, has_avx2: bool) -> Self {
        let field = |name| {
            rustc
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or("unknown")
                .trim()
                .to_owned()
        };
        Self {
            rustc: field("rustc "),
            host: field("host: "),
            libc: match libc.trim() {
                "" => "unknown".to_owned(),
                libc => libc.to_owned(),
            },
            processor: if has_avx2 { "avx2" } else { "no avx2" }.to_owned(),
        }
    }

    fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("rustc", &self.rustc),
            ("host", &self.host),
            ("libc", &self.libc),
            ("processor", &self.processor),
        ]
    }
}

impl Counts {
    /// Reads what [`fmt::Display`] has written.
    pub fn parse(text: &str) -> Result<Self> {
        let mut fields = BTreeMap::new();
        let mut steps = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line
                .split_once('\t')
                .with_context(|| format!("no tab in {line:?}"))?;
            if matches!(name, "rustc" | "host" | "libc" | "processor") {
                fields.insert(name, value.to_owned());
                continue;
            }
            steps.push(Count {
                name: name.to_owned(),
                instructions: value
                    .parse()
                    .with_context(|| format!("no number in {line:?}"))?,
            });
        }
        ensure!(!steps.is_empty(), "no step is recorded");
        let mut field = |name| {
            fields
                .remove(name)
                .with_context(|| format!("no line {name}"))
        };
        Ok(Self {
            environment: Environment {
                rustc: field("rustc")?,
                host: field("host")?,
                libc: field("libc")?,
                processor: field("processor")?,
            },
            steps,
        })
    }

    fn get(&self, name: &str) -> Option<u64> {
        let step = self.steps.iter().find(|step| step.name == name)?;
        Some(step.instructions)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for (name, value) in self.environment.fields() {
            writeln!(f, "{name}\t{value}")?;
        }
        for Count { name, instructions } in &self.steps {
            writeln!(f, "{name}\t{instructions}")?;
        }
        Ok(())
    }
}

/// What is to be said about a step.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    /// Within the tolerance of another compiler.
    Elsewhere,
    Dearer,
    Cheaper,
    NotRecorded,
}

fn verdict(recorded: Option<u64>, counted: u64, same_environment: bool) -> Verdict {
    let Some(recorded) = recorded else {
        return Verdict::NotRecorded;
    };
    let growth = percent(recorded, counted);
    match same_environment {
        true if growth > GROWTH => Verdict::Dearer,
        true if growth < -FALL => Verdict::Cheaper,
        true => Verdict::Same,
        false if growth > GROWTH_ELSEWHERE => Verdict::Dearer,
        false => Verdict::Elsewhere,
    }
}

fn percent(from: u64, to: u64) -> f64 {
    100.0 * (to as f64 / from.max(1) as f64 - 1.0)
}

/// Prints every step beside its record.
///
/// # Errors
/// If the record does not hold any more; the steps are named.
pub fn report(recorded: &Counts, counted: &Counts) -> Result<()> {
    let same_environment = recorded.environment == counted.environment;
    let mut complaints = Vec::new();
    for Count { name, instructions } in &counted.steps {
        let before = recorded.get(name);
        let line = line(name, before, *instructions);
        println!("{line}");
        match verdict(before, *instructions, same_environment) {
            Verdict::Same | Verdict::Elsewhere => {}
            Verdict::Dearer => complaints.push(format!("costs more: {line}")),
            Verdict::Cheaper => complaints.push(format!("costs less, record it: {line}")),
            Verdict::NotRecorded => complaints.push(format!("is not recorded: {line}")),
        }
    }
    for Count { name, .. } in &recorded.steps {
        if counted.get(name).is_none() {
            complaints.push(format!("is recorded and does not exist: {name}"));
        }
    }
    if !same_environment {
        println!(
            "\nnote: counted with other tools than recorded, so {GROWTH_ELSEWHERE} % more passes:"
        );
        let pairs = recorded
            .environment
            .fields()
            .into_iter()
            .zip(counted.environment.fields());
        for ((name, recorded), (_, here)) in pairs {
            println!("  {name}: recorded {recorded}, here {here}");
        }
    }
    ensure!(
        complaints.is_empty(),
        "{}\n`cargo xtask instructions` records what it counts; docs/testing.md says when to do so",
        complaints.join("\n")
    );
    Ok(())
}

/// Prints what differs from the record.
pub fn print_changes(recorded: &Counts, counted: &Counts) {
    for Count { name, instructions } in &counted.steps {
        println!("{}", line(name, recorded.get(name), *instructions));
    }
}

fn line(name: &str, recorded: Option<u64>, counted: u64) -> String {
    match recorded {
        Some(recorded) => format!(
            "{name:<30} {recorded:>9} -> {counted:>9}  {:+.1} %",
            percent(recorded, counted)
        ),
        None => format!("{name:<30} {:>9} -> {counted:>9}", "none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rustc: &str, steps: &[(&str, u64)]) -> Counts {
        let said = format!("rustc {rustc}\nbinary: rustc\nhost: some-linux-gnu\n");
        Counts {
            environment: Environment::new(&said, "glibc 2.36\n", true),
            steps: steps
                .iter()
                .map(|&(name, instructions)| Count {
                    name: name.to_owned(),
                    instructions,
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let counts = counts(
            "1.95.0 (of some day)",
            &[("decode", 84), ("fan_out", 90_000)],
        );
        assert_eq!(Counts::parse(&counts.to_string()).unwrap(), counts);
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused() {
        let good = counts("1", &[("decode", 84)]).to_string();
        for (from, to) in [
            ("84", "few"),
            ("decode\t84\n", ""),
            ("libc", "lib"),
            ("\t84", " 84"),
        ] {
            assert!(good.contains(from));
            assert!(
                Counts::parse(&good.replace(from, to)).is_err(),
                "{from} {to}"
            );
        }
    }

    #[test]
    fn growth_and_fall_beyond_the_tolerance_are_complaints() {
        let recorded = counts("1", &[("step", 10_000)]);
        for (counted, holds) in [
            (10_299, true),
            (10_301, false),
            (9_201, true),
            (9_199, false),
        ] {
            assert_eq!(
                report(&recorded, &counts("1", &[("step", counted)])).is_ok(),
                holds,
                "{counted}"
            );
        }
    }

    #[test]
    fn another_compiler_has_a_wider_tolerance_and_records_nothing() {
        let recorded = counts("1", &[("step", 10_000)]);
        for (counted, holds) in [(11_499, true), (11_501, false), (1_000, true)] {
            assert_eq!(
                report(&recorded, &counts("2", &[("step", counted)])).is_ok(),
                holds,
                "{counted}"
            );
        }
    }

    #[test]
    fn steps_and_records_have_to_be_the_same() {
        let recorded = counts("1", &[("one", 1), ("two", 2)]);
        let complaint = |steps| report(&recorded, &counts("1", steps)).err();
        assert!(complaint(&[("two", 2), ("one", 1)]).is_none());
        let said = complaint(&[("one", 1)]).unwrap().to_string();
        assert!(said.contains("does not exist: two"), "{said}");
        assert!(complaint(&[("one", 1), ("two", 2), ("three", 3)]).is_some());
    }
}
