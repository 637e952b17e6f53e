//! Runs steps one after the other, says what each does and how long it took, and keeps the count
//! for the last line. A failed step does not stop the next: one run shows everything.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

/// Lines of one harness about its failed tests that are said again at the end.
const REPORT_LINES: usize = 400;

/// What ran so far.
#[derive(Default)]
pub struct Steps {
    passed: u64,
    failed: u64,
    failures: Vec<Failure>,
}

/// A step that failed.
struct Failure {
    title: String,
    error: String,
    /// What its harnesses said of tests that failed.
    report: Vec<String>,
}

impl Steps {
    /// A step that counts as one check.
    pub fn check(&mut self, title: &str, run: impl FnOnce() -> Result<()>) {
        self.timed(title, |steps, _| {
            let outcome = run();
            match outcome {
                Ok(()) => steps.passed += 1,
                Err(_) => steps.failed += 1,
            }
            outcome
        });
    }

    /// A command that counts as one check.
    pub fn command(&mut self, title: &str, mut command: Command) {
        self.check(title, || {
            let status = command
                .stdin(Stdio::null())
                .status()
                .with_context(|| format!("cannot run {:?}", command.get_program()))?;
            ensure!(status.success(), "{status}");
            Ok(())
        });
    }

    /// A command that runs test harnesses, whose tests are counted one by one.
    pub fn tests(&mut self, title: &str, command: Command) {
        self.timed(title, |steps, report| {
            let (status, summary) = run_tests(command)?;
            report.extend(summary.report);
            steps.passed += summary.passed;
            steps.failed += summary.failed;
            if status.success() && summary.failed == 0 {
                ensure!(summary.harnesses > 0, "no test harness reported a result");
                return Ok(());
            }
            // Whatever broke without being a failed test (it did not compile, it was killed)
            // must still show in the last line.
            if summary.failed == 0 {
                steps.failed += 1;
            }
            bail!("{status}, {} tests failed", summary.failed)
        });
    }

    /// Prints which steps failed and why, since that is far above by now and a log may be cut off; and as
    /// the last line the sum. `true` if nothing failed.
    pub fn finish(self) -> bool {
        for Failure { title, report, .. } in &self.failures {
            if !report.is_empty() {
                println!("\nfrom {title}:");
            }
            for line in report {
                println!("{line}");
            }
        }
        println!();
        for Failure { title, error, .. } in &self.failures {
            println!("failed: {title}: {error}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.failures.is_empty()
    }

    fn timed(&mut self, title: &str, run: impl FnOnce(&mut Self, &mut Vec<String>) -> Result<()>) {
        println!("\n==> {title}");
        let start = Instant::now();
        let mut report = Vec::new();
        let outcome = run(self, &mut report);
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("<== {title}: ok, {seconds:.1} s"),
            Err(error) => {
                println!("<== {title}: FAILED, {seconds:.1} s: {error:#}");
                self.failures.push(Failure {
                    title: title.to_owned(),
                    error: format!("{error:#}"),
                    report,
                });
            }
        }
        // What runs next writes to the same file or pipe on its own.
        let _ = std::io::stdout().flush();
    }
}

/// The sum over all harnesses that a command ran.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    harnesses: u64,
    passed: u64,
    failed: u64,
    /// What they said of tests that failed.
    report: Vec<String>,
    /// How many lines of it are of the harness that is running; `None` while it says nothing of that.
    reported: Option<usize>,
}

impl Summary {
    /// Takes a line of a harness into account.
    fn read(&mut self, line: &str) {
        self.note_report(line.trim_end());
        let Some(result) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = result.split_once(". ") else {
            return;
        };
        self.harnesses += 1;
        for count in counts.split("; ") {
            match count
                .split_once(' ')
                .map(|(number, word)| (number.parse::<u64>(), word))
            {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                _ => {}
            }
        }
    }

    /// A harness says what its failed tests have printed, and then their names, between a line `failures:` and
    /// its result.
    fn note_report(&mut self, line: &str) {
        if line == "failures:" && self.reported.is_none() {
            self.reported = Some(0);
            return;
        }
        if line.starts_with("test result: ") {
            self.reported = None;
        }
        let Some(lines) = &mut self.reported else {
            return;
        };
        *lines += 1;
        if *lines <= REPORT_LINES {
            self.report.push(line.to_owned());
        }
    }
}

fn run_tests(mut command: Command) -> Result<(ExitStatus, Summary)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let mut summary = Summary::default();
    let output = child.stdout.take().context("the child has no output")?;
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        summary.read(&text);
        line.clear();
    }
    Ok((child.wait()?, summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn results_of_several_harnesses_add_up() {
        let mut summary = Summary::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; fin",
        ] {
            summary.read(line);
        }
        assert_eq!(
            summary,
            Summary {
                harnesses: 2,
                passed: 13,
                failed: 2,
                ..Summary::default()
            }
        );
    }

    #[test]
    fn what_is_said_of_failed_tests_is_kept_up_to_a_limit() {
        let mut summary = Summary::default();
        let endless = vec!["again"; 2 * REPORT_LINES];
        let lines = ["test a ... FAILED", "failures:", "", "---- a stdout ----"].into_iter();
        let lines = lines
            .chain(endless)
            .chain(["test result: FAILED. 0 passed; 1 failed; x"]);
        for line in lines.chain(["running 1 test", "test b ... ok"]) {
            summary.read(&format!("{line}\n"));
        }
        assert_eq!(summary.report.len(), REPORT_LINES);
        assert_eq!(summary.report[..3], ["", "---- a stdout ----", "again"]);
        assert_eq!(summary.failed, 1);
    }

    #[test]
    fn a_command_that_fails_without_a_failed_test_counts_as_one_failure() {
        let mut steps = Steps::default();
        steps.tests(
            "killed",
            shell("echo 'test result: ok. 3 passed; 0 failed; x'; exit 101"),
        );
        assert_eq!((steps.passed, steps.failed), (3, 1));
        assert!(!steps.finish());
    }

    #[test]
    fn a_test_command_that_runs_nothing_is_no_success() {
        let mut steps = Steps::default();
        steps.tests("nothing", shell("true"));
        assert!(!steps.finish());
    }

    #[test]
    fn a_failed_step_does_not_stop_the_next() {
        let mut steps = Steps::default();
        steps.command("bad", shell("exit 3"));
        steps.command("missing", Command::new("no-such-program-here"));
        steps.command("good", shell("true"));
        assert_eq!((steps.passed, steps.failed), (1, 2));
        let failed = steps.failures.iter().map(|it| &*it.title);
        assert_eq!(failed.collect::<Vec<_>>(), ["bad", "missing"]);
    }
}
