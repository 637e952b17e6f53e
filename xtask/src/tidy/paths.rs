//! A document that names a file which is gone leads its reader astray: every path in `README.md`,
//! `docs/` and the crates' own `README.md` exists.

use super::tree::Tree;

pub fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.files.iter().filter(|file| is_document(&file.path)) {
        let mut in_block = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
                continue;
            }
            let quoted = if in_block {
                Vec::new()
            } else {
                code_spans(line)
            };
            let dead_code = quoted
                .into_iter()
                .filter(|text| is_dead_path(tree, &file.path, text));
            let linked = if in_block { Vec::new() } else { links(line) };
            let dead_links = linked
                .into_iter()
                .filter(|to| is_dead_link(tree, &file.path, to));
            for dead in dead_code.chain(dead_links) {
                complaints.push(format!("{}:{}: there is no `{dead}`", file.path, index + 1));
            }
        }
    }
    complaints
}

fn is_document(path: &str) -> bool {
    let in_docs = path.starts_with("docs/") && path.ends_with(".md");
    let of_crate = path.starts_with("crates/") && path.ends_with("/README.md");
    in_docs || of_crate || path == "README.md"
}

/// What stands between backticks.
fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The targets of `[text](target)`.
fn links(line: &str) -> Vec<&str> {
    line.match_indices("](")
        .filter_map(|(start, open)| line[start + open.len()..].split([')', ' ']).next())
        .collect()
}

fn is_dead_link(tree: &Tree, document: &str, link: &str) -> bool {
    let elsewhere = link.contains("://") || link.starts_with('#') || link.starts_with("mailto:");
    let path = link.split('#').next().unwrap_or_default();
    !elsewhere && !tree.contains(&joined(folder(document), path))
}

/// Code spans hold topics and types as well; only what can be nothing but a path is judged.
fn is_dead_path(tree: &Tree, document: &str, text: &str) -> bool {
    let text = text.split("::").next().unwrap_or_default();
    let path = text.trim_start_matches("./").trim_end_matches('/');
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-/*".contains(c);
    if path.is_empty() || !path.chars().all(legal) {
        return false;
    }
    let first = path.split('/').next().unwrap_or_default();
    let in_crate = format!("crates/{first}");
    let of_repository = path.contains('/') && (tree.contains(first) || tree.contains(&in_crate));
    let source = [".rs", ".md", ".toml"]
        .iter()
        .any(|extension| path.ends_with(extension));
    if !of_repository && !source {
        return false;
    }
    // A pattern is alive if its folder is.
    let path = path
        .split('*')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let from_anywhere = format!("/{path}");
    let alive = tree.contains(path)
        || tree.contains(&format!("crates/{path}"))
        || tree.contains(&joined(folder(document), path))
        || (source
            && tree
                .files
                .iter()
                .any(|file| file.path.ends_with(&from_anywhere)));
    !alive
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `path` as seen from `folder`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        let tree = Tree::of(&[
            (path, text),
            ("README.md", ""),
            ("crates/topic-trie/src/trie.rs", ""),
            ("docs/testing.md", ""),
            ("xtask/src/main.rs", ""),
        ]);
        check(&tree).len()
    }

    #[test]
    fn dead_paths_are_reported() {
        for dead in [
            "`crates/topic-trie/src/tree.rs`",
            "`topic-trie/src/tree.rs`",
            "`tree.rs`",
            "`xtask/tests/`",
            "`crates/gone/*.rs`",
            "[the map](map.md)",
            "[the map](../testing.md#part)",
            "`trie.rs` and `gone.rs::Type`",
        ] {
            assert_eq!(
                complaints("docs/a.md", &format!("See {dead}.\n")),
                1,
                "{dead}"
            );
        }
    }

    #[test]
    fn living_paths_and_other_code_pass() {
        for fine in [
            "`crates/topic-trie/src/trie.rs`",
            "`topic-trie/src/trie.rs::Trie`",
            "`trie.rs`",
            "`./xtask/src/`",
            "`crates/topic-trie/src/*.rs`",
            "[tests](testing.md#rings)",
            "[up](../README.md), [out](https://example.org/a.md), [here](#part)",
            "`a/b`, `sport/+/score`, `$SYS/broker`, `cargo xtask test`, `Vec<u8>`",
            "```\n`crates/gone.rs`\n```",
        ] {
            assert_eq!(complaints("docs/a.md", &format!("{fine}\n")), 0, "{fine}");
        }
    }

    #[test]
    fn readmes_of_crates_are_documents_and_notes_are_not() {
        assert_eq!(
            complaints("crates/topic-trie/README.md", "`src/gone.rs`\n"),
            1
        );
        assert_eq!(
            complaints("crates/topic-trie/README.md", "`src/trie.rs`\n"),
            0
        );
        assert_eq!(complaints("notes/README.md", "`src/gone.rs`\n"), 0);
    }
}
