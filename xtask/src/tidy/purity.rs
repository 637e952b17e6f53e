//! The crates below the sockets do no input or output, read no clock, and draw no chance: all of
//! that comes in as arguments, which is what lets tests drive them through any order of events.

use super::source::shown;
use super::tree::Tree;
use crate::workspace::Package;

const PURE_CRATES: [&str; 3] = ["mqtt-codec", "topic-trie", "broker-core"];

/// What is looked for in the code, and why it is not there.
const BANNED_CODE: [(&str, &str); 14] = [
    ("std::net", "sockets"),
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("std::process", "processes"),
    ("std::io::std", "standard streams"),
    ("Instant::now", "a clock"),
    ("SystemTime", "a clock"),
    (".elapsed(", "a clock"),
    ("thread::sleep", "a clock"),
    ("thread::spawn", "threads"),
    ("tokio", "a runtime"),
    ("rand::", "chance"),
    ("getrandom", "chance"),
    ("fastrand", "chance"),
];

const BANNED_DEPENDENCIES: [&str; 14] = [
    "tokio",
    "async-std",
    "smol",
    "futures",
    "mio",
    "socket2",
    "rustls",
    "rand",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
    "libc",
    "rustix",
];

pub fn check(tree: &Tree, packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in PURE_CRATES {
        let sources = format!("crates/{name}/src/");
        for (file, source) in tree.rust() {
            if !file.path.starts_with(&sources) || file.is_test() {
                continue;
            }
            for (number, line) in source.production_code() {
                for (_, what) in BANNED_CODE
                    .iter()
                    .filter(|(banned, _)| line.contains(banned))
                {
                    complaints.push(format!(
                        "{}:{number}: {name} must know nothing of {what}: {}",
                        file.path,
                        shown(line)
                    ));
                }
            }
        }
        for package in packages.iter().filter(|package| package.name == name) {
            for banned in BANNED_DEPENDENCIES {
                if package.dependencies.contains(banned) {
                    complaints.push(format!("crates/{name}/Cargo.toml: depends on {banned}"));
                }
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)]), &[]).len()
    }

    #[test]
    fn every_banned_word_is_reported_in_code() {
        for (banned, _) in BANNED_CODE {
            let text = format!("fn f() {{ {banned} }}\n");
            assert_eq!(count("crates/broker-core/src/a.rs", &text), 1, "{banned}");
        }
    }

    #[test]
    fn comments_tests_and_other_crates_may_speak_of_it() {
        assert_eq!(
            count(
                "crates/broker-core/src/a.rs",
                "// std::net\nf(\"tokio\");\n"
            ),
            0
        );
        let test = "#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(count("crates/broker-core/src/a.rs", test), 0);
        assert_eq!(count("crates/broker-core/tests/a.rs", "use std::fs;\n"), 0);
        assert_eq!(
            count("crates/mosca/src/a.rs", "use std::net::TcpStream;\n"),
            0
        );
    }

    #[test]
    fn a_runtime_as_a_dependency_is_reported() {
        let package = Package {
            name: "mqtt-codec".to_owned(),
            dependencies: ["bytes".to_owned(), "tokio".to_owned()].into(),
        };
        assert_eq!(check(&Tree::default(), &[package]).len(), 1);
    }
}
