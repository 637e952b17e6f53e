//! `cargo xtask conformance`: every numbered statement of MQTT 3.1.1 and 5.0, the tests that show
//! it, and whether they pass, written to `docs/conformance.md`.
//!
//! The statements are those of `xtask/conformance/`. A test names what it shows in its documentation
//! (see `docs/testing.md`), or is a row of the wire table that does. A statement without a test, a
//! test of a statement that does not exist, and a test that does not pass are failures.

pub mod markers;
mod page;
mod run;
mod statements;

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use markers::Test;
use run::{Harness, Verdicts};
use statements::{Statement, Version};

const PAGE: &str = "docs/conformance.md";

/// Runs the tests and writes the page, or, if `check`, sees whether it is what would be written.
/// `true` if every statement that has to be is shown by a test that passes.
pub fn run(workspace: &Workspace, check: bool) -> Result<bool> {
    let statements = statements::read(&workspace.root)?;
    let (mut tests, mut complaints) = markers::find(&workspace.root)?;
    tests.retain(|test| !test.shows.is_empty());
    let table = table_tests()?;
    let verdicts = run::run(workspace, &tests)?;
    let report = Report::new(statements, tests.into_iter().chain(table), &verdicts);
    complaints.extend(report.complaints());
    let page = page::render(&report);
    let path = workspace.root.join(PAGE);
    if check {
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        if written != page {
            let same = written.lines().zip(page.lines());
            let line = 1 + same.take_while(|(one, other)| one == other).count();
            complaints.push(format!(
                "{PAGE}:{line}: not up to date: run `cargo xtask conformance` and commit the page"
            ));
        }
    } else {
        std::fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))?;
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("{}", report.summary());
    Ok(complaints.is_empty())
}

/// The rows of the wire table that show statements, as tests.
fn table_tests() -> Result<Vec<Test>> {
    let tests = wire_table::cases()?.into_iter().map(|case| {
        let ids = match case.version {
            wire_table::Version::V31 => Vec::new(),
            wire_table::Version::V311 => vec![(Version::V311, case.ids)],
            wire_table::Version::V5 => vec![(Version::V5, case.ids)],
        };
        Test {
            place: format!("crates/wire-table/rows/{}.txt", case.file),
            harness: Harness::wire_table(),
            module: String::new(),
            name: case.name,
            shows: ids
                .into_iter()
                .flat_map(|(version, ids)| ids.into_iter().map(move |id| (version, id)))
                .collect(),
        }
    });
    Ok(tests.collect())
}

/// What a test says when it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Passes,
    Ignored,
    Fails,
    /// It was not run: its harness does not know it, or did not get so far.
    Missing,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Ignored => "ignored",
            Self::Fails => "fails",
            Self::Missing => {
                "did not run (is its file part of its harness, and not left out by a cfg?)"
            }
        }
    }
}

/// All statements with their tests.
struct Report {
    entries: Vec<Entry>,
    /// Ids that tests name and no specification has, with the place.
    unknown: Vec<String>,
}

/// One statement with its tests.
struct Entry {
    statement: Statement,
    /// The tests as the page names them.
    tests: BTreeMap<String, Verdict>,
}

impl Entry {
    /// Of all tests the worst, if there are any.
    fn verdict(&self) -> Option<Verdict> {
        self.tests.values().copied().max()
    }

    fn is_shown(&self) -> bool {
        self.verdict() == Some(Verdict::Passes)
    }
}

impl Report {
    fn new(
        statements: Vec<Statement>,
        tests: impl Iterator<Item = Test>,
        verdicts: &Verdicts,
    ) -> Self {
        let mut entries: Vec<Entry> = statements
            .into_iter()
            .map(|statement| Entry {
                statement,
                tests: BTreeMap::new(),
            })
            .collect();
        let mut unknown = Vec::new();
        for test in tests {
            let verdict = verdicts.of(&test);
            for (version, id) in &test.shows {
                let entry = entries
                    .iter_mut()
                    .find(|entry| entry.statement.version == *version && entry.statement.id == *id);
                match entry {
                    Some(entry) => {
                        let worst = entry.tests.entry(test.title()).or_insert(verdict);
                        *worst = verdict.max(*worst);
                    }
                    None => unknown.push(format!(
                        "{}: `{}` is about {id}, which MQTT {} does not have",
                        test.place,
                        test.name,
                        version.as_str()
                    )),
                }
            }
        }
        Self { entries, unknown }
    }

    fn of(&self, version: Version) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter();
        entries.filter(move |entry| entry.statement.version == version)
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.unknown.clone();
        for entry in &self.entries {
            let statement = &entry.statement;
            let what = format!("MQTT {} {}", statement.version.as_str(), statement.id);
            for (test, verdict) in &entry.tests {
                if *verdict != Verdict::Passes {
                    complaints.push(format!("{what}: {test}: {}", verdict.as_str()));
                }
            }
            match (statement.needs_test(), entry.tests.is_empty()) {
                (true, true) => complaints.push(format!("{what}: no test names it")),
                (false, false) if statement.untestable_because.is_some() => {
                    complaints.push(format!(
                        "{what}: is shown by a test and said to be untestable"
                    ));
                }
                _ => {}
            }
        }
        complaints
    }

    /// How many of the statements that need a test have one that passes, and how many those are;
    /// what no test can show counts as neither.
    fn count(&self, version: Version) -> (usize, usize) {
        let needed = self
            .of(version)
            .filter(|entry| entry.statement.needs_test());
        needed.fold((0, 0), |(shown, all), entry| {
            (shown + usize::from(entry.is_shown()), all + 1)
        })
    }

    fn summary(&self) -> String {
        let parts = Version::ALL.map(|version| {
            let (shown, all) = self.count(version);
            let untestable = self
                .of(version)
                .filter(|entry| entry.statement.untestable_because.is_some())
                .count();
            let beside = match untestable {
                0 => String::new(),
                number => format!(" (and {number} that no test can show)"),
            };
            format!("MQTT {}: {shown}/{all}{beside}", version.as_str())
        });
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests;
