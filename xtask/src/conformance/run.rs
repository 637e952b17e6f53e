//! Runs the harnesses whose tests show statements, and reads what they say of each test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Verdict;
use super::markers::Test;
use crate::workspace::Workspace;

/// A test harness: a test target of a package, or its library with unit tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Harness {
    pub package: String,
    /// The name of cargo's target.
    pub target: String,
    pub is_library: bool,
}

impl Harness {
    /// The one whose tests are the rows of the wire table.
    pub fn wire_table() -> Self {
        Self {
            package: "mosca".to_owned(),
            target: "wire_table".to_owned(),
            is_library: false,
        }
    }

    /// How the page names it. Two packages may have a target of the same name, so only those for which
    /// the page is made go without their package.
    pub fn title(&self) -> String {
        let Self {
            package, target, ..
        } = self;
        match (&**package, &**target) {
            ("mosca", "conformance" | "wire_table") => target.clone(),
            _ if self.is_library => package.clone(),
            _ => format!("{package} {target}"),
        }
    }

    pub fn of_library(package: String) -> Self {
        Self {
            target: package.replace('-', "_"),
            package,
            is_library: true,
        }
    }
}

/// What the harnesses said, test by test.
#[derive(Default)]
pub struct Verdicts(BTreeMap<Harness, Vec<(String, Verdict)>>);

impl Verdicts {
    /// The worst of all that was said of tests that may be this one.
    pub fn of(&self, test: &Test) -> Verdict {
        let said = self.0.get(&test.harness).map_or(&[][..], Vec::as_slice);
        let of_test = said.iter().filter(|(path, _)| test.is_at(path));
        of_test
            .map(|(_, verdict)| *verdict)
            .max()
            .unwrap_or(Verdict::Missing)
    }

    pub fn add(&mut self, harness: Harness, output: &str) {
        let verdicts = output.lines().filter_map(verdict).collect();
        self.0.insert(harness, verdicts);
    }
}

/// A line of a harness about one test: `test path ... ok`, or another word.
fn verdict(line: &str) -> Option<(String, Verdict)> {
    let (path, word) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // Behind the path may stand what is expected of the test, or blanks that align a column.
    let path = path
        .split_once(" - ")
        .map_or(path, |(path, _)| path)
        .trim_end();
    let verdict = match word.split([',', ' ']).next()? {
        "ok" => Verdict::Passes,
        "FAILED" => Verdict::Fails,
        "ignored" => Verdict::Ignored,
        _ => return None,
    };
    Some((path.to_owned(), verdict))
}

/// Builds and runs the harnesses of these tests and that of the wire table, with as many of their
/// tests as are needed.
pub fn run(workspace: &Workspace, tests: &[Test]) -> Result<Verdicts> {
    let mut wanted: BTreeMap<Harness, BTreeSet<&str>> = BTreeMap::new();
    for test in tests {
        let names = wanted.entry(test.harness.clone()).or_default();
        names.insert(&test.name);
    }
    // All of its tests: a row's name is not known to occur once.
    wanted.insert(Harness::wire_table(), BTreeSet::new());
    let executables = build(workspace, wanted.keys())?;
    let mut verdicts = Verdicts::default();
    for (harness, names) in wanted {
        let executable = executables
            .get(&harness)
            .with_context(|| format!("cargo built no {} of {}", harness.target, harness.package))?;
        println!("running {} of {}", harness.target, harness.package);
        let output = Command::new(executable)
            .args(names)
            .current_dir(workspace.root.join("crates").join(&harness.package))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", executable.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            // What went wrong is said nowhere else.
            print!("{text}");
        }
        verdicts.add(harness, &text);
    }
    Ok(verdicts)
}

/// Builds the harnesses and finds their executables.
///
/// The whole workspace is selected, so that its packages are built with the same features as for
/// all other tests, and nothing is built twice.
fn build<'a>(
    workspace: &Workspace,
    harnesses: impl Iterator<Item = &'a Harness>,
) -> Result<BTreeMap<Harness, PathBuf>> {
    let mut command = workspace.cargo(&[
        "test",
        "--locked",
        "--workspace",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    for harness in harnesses {
        if harness.is_library {
            command.arg("--lib");
        } else {
            command.args(["--test", &harness.target]);
        }
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo test")?;
    ensure!(output.status.success(), "the tests cannot be built");
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(executable).collect())
}

/// The harness that a message of cargo says it has built, and where it is.
fn executable(message: &str) -> Option<(Harness, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_library = match target["kind"][0].as_str()? {
        "test" => false,
        "lib" => true,
        _ => return None,
    };
    // The folder of the manifest is named after the package.
    let manifest = message["manifest_path"].as_str()?;
    let package = manifest.rsplit(['/', '\\']).nth(1)?;
    let harness = Harness {
        package: package.to_owned(),
        target: target["name"].as_str()?.to_owned(),
        is_library,
    };
    Some((harness, message["executable"].as_str()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_harnesses_are_understood() {
        for (line, expected) in [
            ("test a::b ... ok", Some(("a::b", Verdict::Passes))),
            ("test a::b  ... ok", Some(("a::b", Verdict::Passes))),
            ("test a::b ... FAILED", Some(("a::b", Verdict::Fails))),
            ("test a ... ignored", Some(("a", Verdict::Ignored))),
            ("test a ... ignored, why", Some(("a", Verdict::Ignored))),
            ("test a - should panic ... ok", Some(("a", Verdict::Passes))),
            ("test result: ok. 1 passed; 0 failed", None),
            ("running 3 tests", None),
            ("a::b ... ok", None),
        ] {
            let found = verdict(line);
            let found = found.as_ref().map(|(path, verdict)| (&**path, *verdict));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn executables_are_found_in_the_messages_of_cargo() {
        let message = |kind: &str, executable: Value| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": "/r/crates/a/Cargo.toml",
                "target": { "kind": [kind], "name": "b" },
                "executable": executable,
            })
            .to_string()
        };
        let (harness, path) = executable(&message("test", "/t/b-1".into())).unwrap();
        assert_eq!((&*harness.package, &*harness.target), ("a", "b"));
        assert!(!harness.is_library);
        assert_eq!(path, PathBuf::from("/t/b-1"));
        assert!(
            executable(&message("lib", "/t/b-1".into()))
                .unwrap()
                .0
                .is_library
        );
        assert!(executable(&message("test", Value::Null)).is_none());
        assert!(executable(&message("bin", "/t/b-1".into())).is_none());
        assert!(executable(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
