//! `cargo xtask tidy`: the rules of the house that no compiler checks. Each rule is one file, looks
//! at the whole tree, and returns what breaks it as lines that start with a path.

mod banned;
mod headers;
mod layers;
mod limits;
mod logged;
mod paths;
mod purity;
mod sizes;
mod source;
mod tree;

use anyhow::Result;

use crate::workspace::Workspace;
use tree::Tree;

/// Checks everything and prints what is wrong. `true` if nothing is.
pub fn run(workspace: &Workspace) -> Result<bool> {
    let complaints = check(workspace)?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => println!("tidy: all is well"),
        count => println!("tidy: {count} complaints"),
    }
    Ok(complaints.is_empty())
}

fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = Tree::read(&workspace.root)?;
    let rules = [
        layers::check(&tree, &workspace.packages),
        purity::check(&tree, &workspace.packages),
        headers::check(&tree),
        limits::check(&tree),
        logged::check(&tree),
        sizes::check(&tree),
        banned::check(&tree),
        paths::check(&tree),
    ];
    Ok(rules.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that a plain `cargo test` holds the rules, too.
    #[test]
    fn this_repository_is_tidy() {
        let workspace = Workspace::find().unwrap();
        let complaints = check(&workspace).unwrap();
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }
}
