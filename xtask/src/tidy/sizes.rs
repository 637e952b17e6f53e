//! Files stay within 500 lines and functions within 70, tests not counted. An exception is a line
//! in `xtask/tidy-exceptions.txt` with its size and its reason, and it is a ratchet: the size is
//! the one of today, so the line has to shrink with the code and go when it is no longer needed.

use std::collections::BTreeMap;

use super::tree::Tree;

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 70;
const EXCEPTIONS: &str = "xtask/tidy-exceptions.txt";

pub fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut exceptions = match tree.get(EXCEPTIONS).map(|file| read(&file.text)) {
        None => BTreeMap::new(),
        Some(Ok(exceptions)) => exceptions,
        Some(Err(line)) => {
            return vec![format!(
                "{EXCEPTIONS}: not `<what> <lines> <reason>`: {line}"
            )];
        }
    };
    for (what, (lines, limit)) in oversized(tree) {
        match exceptions.remove(what.as_str()) {
            None => complaints.push(format!(
                "{what}: {lines} lines, at most {limit} are allowed"
            )),
            Some(listed) if listed < lines => {
                complaints.push(format!("{what}: grew from {listed} to {lines} lines"));
            }
            Some(listed) if listed > lines => complaints.push(format!(
                "{EXCEPTIONS}: {what} has {lines} lines now, lower its {listed}"
            )),
            Some(_) => {}
        }
    }
    complaints.extend(
        exceptions
            .keys()
            .map(|what| format!("{EXCEPTIONS}: {what} needs no exception any more")),
    );
    complaints
}

/// What is longer than allowed, with its length and what is allowed.
fn oversized(tree: &Tree) -> BTreeMap<String, (usize, usize)> {
    let mut oversized = BTreeMap::new();
    for (file, source) in tree.rust().filter(|(file, _)| !file.is_test()) {
        let lines = source.production_lines();
        if lines > LONGEST_FILE {
            oversized.insert(file.path.clone(), (lines, LONGEST_FILE));
        }
        for function in source.production_functions() {
            if function.lines > LONGEST_FUNCTION {
                let what = format!("{}::{}", file.path, function.name);
                // Of two with one name in a file, the longer one speaks for both.
                let entry = oversized.entry(what).or_insert((0, LONGEST_FUNCTION));
                entry.0 = entry.0.max(function.lines);
            }
        }
    }
    oversized
}

/// `#` starts a comment line.
fn read(text: &str) -> Result<BTreeMap<&str, usize>, &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.splitn(3, char::is_whitespace);
            let what = words.next().ok_or(line)?;
            let lines = words
                .next()
                .and_then(|number| number.parse().ok())
                .ok_or(line)?;
            words
                .next()
                .filter(|reason| !reason.trim().is_empty())
                .ok_or(line)?;
            Ok((what, lines))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2))
    }

    fn complaints(source: &str, exceptions: &str) -> Vec<String> {
        check(&Tree::of(&[("a.rs", source), (EXCEPTIONS, exceptions)]))
    }

    #[test]
    fn the_limits_are_where_they_are_said_to_be() {
        assert!(complaints(&function_of(70), "").is_empty());
        assert_eq!(
            complaints(&function_of(71), ""),
            ["a.rs::f: 71 lines, at most 70 are allowed"]
        );
        assert!(complaints(&"//\n".repeat(500), "").is_empty());
        assert_eq!(
            complaints(&"//\n".repeat(501), ""),
            ["a.rs: 501 lines, at most 500 are allowed"]
        );
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(600));
        assert!(complaints(&tests, "").is_empty());
        let tree = Tree::of(&[("crates/a/tests/b.rs", &function_of(600))]);
        assert!(check(&tree).is_empty());
    }

    #[test]
    fn an_exception_fits_exactly_or_is_reported() {
        let source = function_of(80);
        assert!(complaints(&source, "# why\n\na.rs::f 80 a table of bytes\n").is_empty());
        assert_eq!(
            complaints(&source, "a.rs::f 79 x\n"),
            ["a.rs::f: grew from 79 to 80 lines"]
        );
        assert_eq!(
            complaints(&source, "a.rs::f 81 x\n").len(),
            1,
            "larger than it needs to be"
        );
        assert_eq!(
            complaints(&function_of(70), "a.rs::f 71 x\n").len(),
            1,
            "no longer needed"
        );
        assert_eq!(
            complaints("", "gone.rs 501 x\n").len(),
            1,
            "the file is gone"
        );
    }

    #[test]
    fn an_exception_without_a_reason_is_none() {
        for line in [
            "a.rs::f 80",
            "a.rs::f 80  ",
            "a.rs::f",
            "a.rs::f many because",
        ] {
            assert_eq!(complaints(&function_of(80), line).len(), 1, "{line}");
        }
    }
}
