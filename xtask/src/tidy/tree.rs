//! The files of the repository, read once. Build products and installed packages do not count.

use std::path::Path;

use anyhow::{Context, Result};

use super::source::Source;

/// All text files.
#[derive(Default)]
pub struct Tree {
    pub files: Vec<File>,
}

/// One text file.
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

const SKIPPED_FOLDERS: [&str; 5] = [".git", "target", "node_modules", "__pycache__", "criterion"];
/// What the fuzzer writes and what is fetched, as `.gitignore` names it.
const SKIPPED_PATHS: [&str; 4] = [
    "fuzz/corpus",
    "fuzz/artifacts",
    "fuzz/coverage",
    "crates/broker-bin/bundle/fetched",
];

impl Tree {
    /// Reads everything below `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let full = root.join(folder);
        for entry in full
            .read_dir()
            .with_context(|| format!("cannot list {}", full.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            if entry.file_type()?.is_dir() {
                let skipped = SKIPPED_FOLDERS.contains(&name.as_str())
                    || SKIPPED_PATHS.contains(&path.as_str());
                if !skipped {
                    self.read_folder(root, &path)?;
                }
            } else if name != ".git" {
                // (A linked work tree has a file of that name.) A seed of a fuzz target is not text; it keeps its place as an empty file.
                let bytes = std::fs::read(entry.path())
                    .with_context(|| format!("cannot read {}", entry.path().display()))?;
                self.files.push(File {
                    path,
                    text: String::from_utf8(bytes).unwrap_or_default(),
                });
            }
        }
        Ok(())
    }

    /// The Rust files with their code told apart from comments, text and tests.
    pub fn rust(&self) -> impl Iterator<Item = (&File, Source<'_>)> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with(".rs"))
            .map(|file| (file, Source::read(&file.text)))
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether `path` is a file or a folder.
    pub fn contains(&self, path: &str) -> bool {
        self.files.iter().any(|file| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// A tree for tests of the rules.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|&(path, text)| File {
                path: path.to_owned(),
                text: text.to_owned(),
            })
            .collect();
        Self { files }
    }
}

impl File {
    /// Whether all of the file is test code: the file itself or a folder above it says so.
    pub fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| matches!(part, "tests" | "tests.rs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_contained_but_not_halves_of_names() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "")]);
        for path in ["crates", "crates/a/src", "crates/a/src/lib.rs"] {
            assert!(tree.contains(path), "{path}");
        }
        for path in ["cra", "crates/a/src/lib", "src"] {
            assert!(!tree.contains(path), "{path}");
        }
    }

    #[test]
    fn test_files_are_told_by_their_place() {
        let is_test = |path| Tree::of(&[(path, "")]).files[0].is_test();
        assert!(is_test("crates/a/tests/session.rs"));
        assert!(is_test("crates/a/src/trie/tests.rs"));
        assert!(!is_test("crates/a/src/latests.rs"));
    }
}
