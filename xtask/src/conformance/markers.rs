//! Finds the tests in the sources, and what they say of themselves: the lines of their documentation that
//! name numbered statements.
//!
//! ```text
//! /// MQTT 3.1.1: [MQTT-3.3.1-7] [MQTT-3.3.1-10]
//! /// MQTT 5.0: [MQTT-3.3.1-5]
//! ```

use std::path::Path;

use anyhow::{Context, Result};

use super::run::Harness;
use super::statements::Version;

/// A test, and the statements that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Its file, from the root of the repository, and the line where there is one.
    pub place: String,
    pub harness: Harness,
    /// The path of the file's module in the harness, with `::` at its end; empty at the top.
    pub module: String,
    pub name: String,
    pub shows: Vec<(Version, String)>,
}

impl Test {
    /// How the page names it: the versions of a row are one.
    pub fn title(&self) -> String {
        let (name, _version) = self.name.split_once("::").unwrap_or((&self.name, ""));
        format!("{} {}{name}", self.harness.title(), self.module)
    }

    /// Whether a harness means this test by `path`. Modules within a file are not told apart.
    pub fn is_at(&self, path: &str) -> bool {
        path.strip_prefix(&*self.module).is_some_and(|path| {
            path == self.name
                || path
                    .strip_suffix(&*self.name)
                    .is_some_and(|modules| modules.ends_with("::"))
        })
    }
}

/// All tests in `crates/` that are functions of their own, and what is wrong with how they name statements.
pub fn find(root: &Path) -> Result<(Vec<Test>, Vec<String>)> {
    let mut files = Vec::new();
    collect(&root.join("crates"), "crates", &mut files)?;
    files.sort();
    let (mut tests, mut complaints) = (Vec::new(), Vec::new());
    for path in files {
        let Some((harness, module)) = harness_of(&path) else {
            continue;
        };
        let text = std::fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {path}"))?;
        read(&path, &harness, &module, &text, &mut tests, &mut complaints);
    }
    Ok((tests, complaints))
}

fn collect(folder: &Path, name: &str, files: &mut Vec<String>) -> Result<()> {
    let entries = folder
        .read_dir()
        .with_context(|| format!("cannot list {name}"))?;
    for entry in entries {
        let entry = entry?;
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            if !path.ends_with("/target") && !path.ends_with("/node_modules") {
                collect(&entry.path(), &path, files)?;
            }
        } else if path.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The test harness that a file of this path is compiled into, and the module that it is there.
fn harness_of(path: &str) -> Option<(Harness, String)> {
    let mut parts = path.strip_suffix(".rs")?.split('/').skip(1);
    let package = parts.next()?.to_owned();
    let place = parts.next()?;
    let mut modules: Vec<&str> = parts.collect();
    let harness = match place {
        "src" => Harness::of_library(package),
        "tests" => Harness {
            package,
            target: modules.remove(0).to_owned(),
            is_library: false,
        },
        _ => return None,
    };
    if matches!(modules.last(), Some(&("main" | "mod" | "lib"))) {
        modules.pop();
    }
    let module = modules.iter().map(|module| format!("{module}::")).collect();
    Some((harness, module))
}

/// Reads one file.
fn read(
    path: &str,
    harness: &Harness,
    module: &str,
    text: &str,
    tests: &mut Vec<Test>,
    complaints: &mut Vec<String>,
) {
    let mut shows = Vec::new();
    let (mut is_test, mut in_attribute) = (false, false);
    for (index, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", index + 1);
        let line = line.trim();
        if in_attribute {
            in_attribute = !line.ends_with(']');
        } else if let Some(doc) = line.strip_prefix("///") {
            match marked(doc) {
                Ok(_) if !shows.is_empty() && doc.trim_start().starts_with("[MQTT-") => {
                    complaints.push(format!("{place}: each line of ids begins with its version"));
                }
                Ok(ids) => shows.extend(ids),
                Err(what) => complaints.push(format!("{place}: {what}")),
            }
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            in_attribute = !line.ends_with(']');
        } else if let Some(name) = function_name(line).filter(|_| is_test || !shows.is_empty()) {
            let shows = std::mem::take(&mut shows);
            if !is_test {
                complaints.push(format!(
                    "{place}: `{name}` shows a statement and is no test"
                ));
            } else {
                tests.push(Test {
                    place,
                    harness: harness.clone(),
                    module: module.to_owned(),
                    name: name.to_owned(),
                    shows,
                });
            }
            is_test = false;
        } else if !shows.is_empty() && !line.is_empty() && !line.starts_with("//") {
            complaints.push(format!("{place}: a statement is shown by what is no test"));
            shows.clear();
            is_test = false;
        }
    }
}

/// The statements that a line of documentation names, if it is one that does.
fn marked(doc: &str) -> Result<Vec<(Version, String)>, String> {
    let doc = doc.trim();
    let Some((version, ids)) = Version::ALL.into_iter().find_map(|version| {
        let rest = doc.strip_prefix("MQTT ")?.strip_prefix(version.as_str())?;
        // Without an id it is a sentence about a version.
        let ids = rest.strip_prefix(':')?;
        ids.contains("MQTT-").then_some((version, ids))
    }) else {
        // It would be lost, and nobody would miss it where other tests show the same.
        return if doc.starts_with("MQTT ") && doc.contains(": [MQTT-") {
            Err(format!(
                "neither `MQTT 3.1.1: […` nor `MQTT 5.0: […`: {doc}"
            ))
        } else {
            Ok(Vec::new())
        };
    };
    let ids = ids.split_whitespace().map(|id| {
        let id = id.strip_prefix('[').and_then(|id| id.strip_suffix(']'));
        id.filter(|id| id.starts_with("MQTT-"))
            .map(|id| (version, id.to_owned()))
    });
    let ids: Option<Vec<_>> = ids.collect();
    ids.ok_or_else(|| format!("not `MQTT {}: [MQTT-…] …`: {doc}", version.as_str()))
}

fn function_name(line: &str) -> Option<&str> {
    let words = ["pub(crate) ", "pub ", "async "];
    let mut line = line;
    for word in words {
        line = line.strip_prefix(word).unwrap_or(line);
    }
    let name = line.strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Vec<Test>, Vec<String>) {
        let (mut tests, mut complaints) = (Vec::new(), Vec::new());
        let (harness, module) = harness_of("crates/mosca/tests/conformance/connect.rs").unwrap();
        read("f.rs", &harness, &module, text, &mut tests, &mut complaints);
        (tests, complaints)
    }

    // In pieces, so that nobody takes them for markers of this file.
    const MARKERS: &str = concat!(
        "/// What it proves.\n//",
        "/ MQTT 3.1.1: [MQTT-1.1.1-1] [MQTT-1.1.1-2]\n//",
        "/ MQTT 5.0: [MQTT-1.1.1-1]\n"
    );

    #[test]
    fn a_test_shows_what_its_documentation_names() {
        for head in [
            "#[test]\nfn it_holds() {",
            "#[tokio::test(flavor = \"multi_thread\")]\nasync fn it_holds() {",
            "#[expect(\n    lint,\n    reason = \"why\"\n)]\n#[test]\nfn it_holds() {",
        ] {
            let (tests, complaints) = read_text(&format!("{MARKERS}{head}\n}}\n"));
            assert!(complaints.is_empty(), "{complaints:?}");
            assert_eq!(tests.len(), 1);
            assert_eq!(tests[0].name, "it_holds");
            assert_eq!(tests[0].title(), "conformance connect::it_holds");
            let shown: Vec<(Version, &str)> =
                tests[0].shows.iter().map(|(v, id)| (*v, &**id)).collect();
            assert_eq!(
                shown,
                [
                    (Version::V311, "MQTT-1.1.1-1"),
                    (Version::V311, "MQTT-1.1.1-2"),
                    (Version::V5, "MQTT-1.1.1-1"),
                ]
            );
        }
    }

    #[test]
    fn a_marker_that_is_not_on_a_test_is_reported() {
        for item in [
            "fn f() {}",
            "struct S;",
            "mod m {",
            "let x = 1;",
            "tests!(a, b),",
            "#[cfg(\n    unix\n)]\nstruct S;",
        ] {
            let (tests, complaints) = read_text(&format!("{MARKERS}{item}\n"));
            assert_eq!((tests.len(), complaints.len()), (0, 1), "{item}");
        }
    }

    #[test]
    fn a_line_of_ids_without_a_version_is_reported() {
        let more = concat!("//", "/ [MQTT-1.1.1-3]\n");
        let (tests, complaints) = read_text(&format!("{MARKERS}{more}#[test]\nfn a() {{\n}}\n"));
        assert_eq!((tests.len(), complaints.len()), (1, 1));
    }

    #[test]
    fn the_next_function_does_not_inherit() {
        let text = format!("{MARKERS}#[test]\nfn a() {{\n}}\nfn b() {{}}\n#[test]\nfn c() {{}}\n");
        let (tests, complaints) = read_text(&text);
        let shows: Vec<bool> = tests.iter().map(|test| !test.shows.is_empty()).collect();
        assert_eq!((&shows[..], complaints.len()), (&[true, false][..], 0));
    }

    #[test]
    fn a_marker_that_is_written_badly_is_reported() {
        for marker in [
            "MQTT 5.0: MQTT-1.1.1-1",
            "MQTT 5.0: [MQTT-1.1.1-1], [MQTT-1.1.1-2]",
            "MQTT 3.1.1: see [MQTT-1.1.1-1]",
            "MQTT 5: [MQTT-1.1.1-1]",
        ] {
            assert!(marked(marker).is_err(), "{marker}");
        }
        for text in ["As MQTT 5.0 says:", "MQTT 5.0: level 5", "MQTT 5.0 has it"] {
            assert_eq!(marked(text), Ok(Vec::new()), "{text}");
        }
    }

    #[test]
    fn a_file_is_in_the_harness_of_its_folder() {
        let of = |path| {
            let (harness, module) = harness_of(path).unwrap();
            (harness.package, harness.target, harness.is_library, module)
        };
        let expected = |package: &str, target: &str, is_library, module: &str| {
            (
                package.to_owned(),
                target.to_owned(),
                is_library,
                module.to_owned(),
            )
        };
        for (path, found) in [
            ("crates/a/tests/b.rs", expected("a", "b", false, "")),
            ("crates/a/tests/b/main.rs", expected("a", "b", false, "")),
            ("crates/a/tests/b/c.rs", expected("a", "b", false, "c::")),
            (
                "crates/a/tests/b/c/d.rs",
                expected("a", "b", false, "c::d::"),
            ),
            (
                "crates/a-b/src/c/tests.rs",
                expected("a-b", "a_b", true, "c::tests::"),
            ),
            ("crates/a/src/lib.rs", expected("a", "a", true, "")),
        ] {
            assert_eq!(of(path), found, "{path}");
        }
        assert!(harness_of("crates/a/build.rs").is_none());
        assert!(harness_of("crates/a/benches/b.rs").is_none());
    }

    #[test]
    fn a_path_is_that_of_a_test_if_file_and_name_agree() {
        let (tests, _) = read_text(&format!("{MARKERS}#[test]\nfn it_holds() {{}}\n"));
        for (path, is_it) in [
            ("connect::it_holds", true),
            ("connect::tests::it_holds", true),
            ("connect::so_it_holds", false),
            ("publish::it_holds", false),
            ("it_holds", false),
        ] {
            assert_eq!(tests[0].is_at(path), is_it, "{path}");
        }
    }
}
