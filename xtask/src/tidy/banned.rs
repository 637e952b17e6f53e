//! Words and names that never land: unfinished code, tests that are switched off, files named after
//! no subject, and traces of the machine on which something was written.

use super::source::shown;
use super::tree::{File, Tree};

/// In Rust code, comments and text not counted.
const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// In any file. Put together here so that this file does not break its own rule.
const FOREIGN: [&str; 9] = [
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("\"resol", "ved\":"),
    concat!("index", "-url"),
];

/// The only place that a lock file of cargo may name.
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Stems of files and names of folders with code that say nothing about what is inside.
const NAMES_OF_NOTHING: [&str; 9] = [
    "util", "utils", "helper", "helpers", "common", "types", "manager", "managers", "misc",
];

pub fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, source) in tree.rust() {
        for (index, line) in source.code.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(*word)) {
                complaints.push(format!(
                    "{}:{}: `{word}` does not land",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    for file in &tree.files {
        complaints.extend(name_of_nothing(file));
        for (index, line) in file.text.lines().enumerate() {
            if is_foreign(line) || is_foreign_source(file, line) {
                complaints.push(format!(
                    "{}:{}: names a place outside of the repository: {}",
                    file.path,
                    index + 1,
                    shown(line)
                ));
            }
        }
    }
    complaints
}

fn name_of_nothing(file: &File) -> Option<String> {
    let is_code = [".rs", ".py", ".js"]
        .iter()
        .any(|extension| file.path.ends_with(extension));
    let name = file
        .path
        .split('/')
        .filter_map(|part| part.split('.').next())
        .find(|stem| NAMES_OF_NOTHING.contains(stem))?;
    is_code.then(|| format!("{}: `{name}` is not a subject", file.path))
}

fn is_foreign(line: &str) -> bool {
    FOREIGN.iter().any(|word| {
        line.match_indices(word).any(|(start, _)| {
            // The path of another folder, such as `net/wo`+`rk/`, only ends in the word.
            let before = line[..start].chars().next_back();
            !word.starts_with('/')
                || before.is_none_or(|c| !c.is_alphanumeric() && !"_-./}".contains(c))
        })
    })
}

fn is_foreign_source(file: &File, line: &str) -> bool {
    file.path.ends_with("Cargo.lock")
        && line
            .strip_prefix("source = ")
            .is_some_and(|source| source.trim_matches('"') != CRATES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn unfinished_code_is_reported_but_may_be_spoken_of() {
        for word in UNFINISHED {
            assert_eq!(
                count("a.rs", &format!("fn f() {{\n{word}() }}\n")),
                1,
                "{word}"
            );
            assert_eq!(
                count("a.rs", &format!("// {word}\nf(\"{word}\");\n")),
                0,
                "{word}"
            );
        }
    }

    #[test]
    fn places_outside_of_the_repository_are_reported() {
        for word in FOREIGN {
            assert_eq!(count("README.md", &format!("see {word}x\n")), 1, "{word}");
            assert_eq!(count("README.md", word), 1, "{word}");
        }
        for harmless in [
            concat!("net/wo", "rk/a.rs"),
            concat!("${dir}/tm", "p/x"),
            "a/root/b",
        ] {
            assert_eq!(count("README.md", harmless), 0, "{harmless}");
        }
    }

    #[test]
    fn a_lock_file_names_only_the_public_index() {
        let lock = |source| format!("[[package]]\nsource = \"{source}\"\n");
        assert_eq!(count("Cargo.lock", &lock(CRATES)), 0);
        assert_eq!(
            count("fuzz/Cargo.lock", &lock("git+https://example.org/a")),
            1
        );
    }

    #[test]
    fn names_of_nothing_are_reported() {
        for path in [
            "src/utils.rs",
            "src/common/mod.rs",
            "a/helpers.py",
            "src/types.rs",
        ] {
            assert_eq!(count(path, "//! x\n"), 1, "{path}");
        }
        for path in ["src/typeset.rs", "docs/common.md", "src/subtypes.rs"] {
            assert_eq!(count(path, ""), 0, "{path}");
        }
    }
}
