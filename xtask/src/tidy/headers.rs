//! Every Rust file says in its first line what it is about.

use super::tree::Tree;

pub fn check(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter(|(_, source)| {
            let first = source.text.lines().next().unwrap_or_default();
            first
                .strip_prefix("//!")
                .is_none_or(|sentence| sentence.trim().is_empty())
        })
        .map(|(file, _)| format!("{}: the first line is not `//! …`", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_reported() {
        let tree = Tree::of(&[
            ("a.rs", "//! What it is.\n"),
            ("b.rs", "\n//! Too late.\n"),
            ("c.rs", "//!\n"),
            ("d.rs", ""),
            ("e.py", "import sys\n"),
        ]);
        let complaints = check(&tree);
        let reported: Vec<_> = complaints.iter().map(|line| &line[..4]).collect();
        assert_eq!(reported, ["b.rs", "c.rs", "d.rs"]);
    }
}
