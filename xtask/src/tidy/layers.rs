//! The crates depend on each other exactly as the table in `docs/ARCHITECTURE.md` allows.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;
use crate::workspace::Package;

const BOOK: &str = "docs/ARCHITECTURE.md";
const HEAD: &str = "| crate | may depend on |";

pub fn check(tree: &Tree, packages: &[Package]) -> Vec<String> {
    let Some(book) = tree.get(BOOK) else {
        return vec![format!(
            "{BOOK}: is missing, and with it the table of the layers"
        )];
    };
    let Some(allowed) = table(&book.text) else {
        return vec![format!("{BOOK}: no table headed `{HEAD}`")];
    };
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut complaints = Vec::new();
    for name in allowed.keys().filter(|name| !ours.contains(*name)) {
        complaints.push(format!("{BOOK}: there is no crate `{name}`"));
    }
    for package in packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            complaints.push(format!(
                "{BOOK}: the crate `{}` is not in the table",
                package.name
            ));
            continue;
        };
        let actual: BTreeSet<&str> = package
            .dependencies
            .iter()
            .map(String::as_str)
            .filter(|name| ours.contains(name))
            .collect();
        for name in actual.difference(allowed) {
            complaints.push(format!(
                "{BOOK}: `{}` must not depend on `{name}`",
                package.name
            ));
        }
        for name in allowed.difference(&actual) {
            complaints.push(format!(
                "{BOOK}: `{}` does not depend on `{name}`, as the table says",
                package.name
            ));
        }
    }
    complaints
}

/// Crate to what it may depend on; cells may carry backticks, and a word for nothing at all.
fn table(book: &str) -> Option<BTreeMap<&str, BTreeSet<&str>>> {
    let mut lines = book.lines().skip_while(|line| line.trim() != HEAD);
    lines.next()?;
    lines
        .next()
        .filter(|line| line.starts_with("| ---") || line.starts_with("|---"))?;
    let rows = lines
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let name = cells.next()?.trim_matches('`');
            let allowed = cells
                .next()?
                .split(',')
                .map(|name| name.trim().trim_matches('`'))
                .filter(|name| !matches!(*name, "" | "none" | "—" | "-"))
                .collect();
            Some((name, allowed))
        });
    Some(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Text.\n\n| crate | may depend on |\n| --- | --- |\n\
        | `codec` | none |\n| `core` | `codec` |\n\nMore.\n";

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn complaints(book: &str, packages: &[Package]) -> Vec<String> {
        check(&Tree::of(&[(BOOK, book)]), packages)
    }

    #[test]
    fn the_table_as_it_is_passes() {
        let packages = [
            package("codec", &["bytes"]),
            package("core", &["codec", "bytes"]),
        ];
        assert!(complaints(TABLE, &packages).is_empty());
    }

    #[test]
    fn an_edge_that_points_up_is_reported() {
        let packages = [package("codec", &["core"]), package("core", &["codec"])];
        let complaints = complaints(TABLE, &packages);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].contains("`codec` must not depend on `core`"));
    }

    #[test]
    fn a_table_that_lags_behind_is_reported() {
        assert_eq!(
            complaints(TABLE, &[package("codec", &[])]).len(),
            1,
            "a crate too many"
        );
        let packages = [package("codec", &[]), package("core", &[])];
        assert_eq!(complaints(TABLE, &packages).len(), 1, "an edge too many");
        let packages = [
            package("codec", &[]),
            package("core", &["codec"]),
            package("new", &[]),
        ];
        assert_eq!(complaints(TABLE, &packages).len(), 1, "a crate is missing");
    }

    #[test]
    fn no_table_is_no_permission() {
        assert_eq!(complaints("No table.\n", &[package("codec", &[])]).len(), 1);
        assert_eq!(check(&Tree::default(), &[]).len(), 1);
    }
}
