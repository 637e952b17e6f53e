//! A limit that no test reaches is a promise that nobody keeps: every row of the tables of `docs/limits.md`
//! stands in the table at its end as well, which names a test or more. And a counter that it names is one.

use super::tree::Tree;

const PAGE: &str = "docs/limits.md";
/// Where the tests are named.
const TESTS: &str = "## Shown by";
/// What stands here needs none.
const NO_LIMITS: &str = "## What is not a limit";
/// Where counters are fields.
const COUNTERS: [&str; 2] = [
    "crates/broker-core/src/counters.rs",
    "crates/mosca/src/shared.rs",
];

pub fn check(tree: &Tree) -> Vec<String> {
    let page = tree.files.iter().find(|file| file.path == PAGE);
    let Some(page) = page else {
        return Vec::new();
    };
    let mut section = "";
    let (mut limits, mut shown) = (Vec::new(), Vec::new());
    for (index, line) in page.text.lines().enumerate() {
        if line.starts_with("## ") {
            section = line;
        }
        let Some(name) = name(line) else { continue };
        match section {
            TESTS => shown.push((index + 1, name, line)),
            NO_LIMITS => {}
            _ => limits.push((index + 1, name)),
        }
    }
    let is_shown = |limit: &str| shown.iter().any(|(_, name, _)| *name == limit);
    let missing = limits.iter().filter(|(_, name)| !is_shown(name));
    let missing = missing.map(|(line, name)| {
        format!("{PAGE}:{line}: no line under \"Shown by\" for {name}: which test is at the limit?")
    });
    let gone = shown
        .iter()
        .filter(|(_, name, _)| limits.iter().all(|(_, limit)| limit != name));
    let gone = gone.map(|(line, name, _)| format!("{PAGE}:{line}: {name} is shown and no limit"));
    let untested = shown
        .iter()
        .filter(|(_, _, row)| last_cell(row) == Some(""));
    let untested =
        untested.map(|(line, name, _)| format!("{PAGE}:{line}: no test is named for {name}"));
    let mut complaints: Vec<String> = missing.chain(gone).chain(untested).collect();
    complaints.extend(dead_counters(tree, &page.text));
    complaints
}

/// The counters that the page names and that are no fields.
fn dead_counters(tree: &Tree, page: &str) -> Vec<String> {
    let sources = tree.files.iter();
    let sources: Vec<_> = sources
        .filter(|file| COUNTERS.contains(&&*file.path))
        .collect();
    let is_counter = |name: &str| {
        ["Counter", "u64"].iter().any(|kind| {
            let field = format!("pub {name}: {kind},");
            sources.iter().any(|source| source.text.contains(&field))
        })
    };
    let mut complaints = Vec::new();
    let mut ends_with_counters = false;
    for (index, line) in page.lines().enumerate() {
        let Some(last) = last_cell(line) else {
            ends_with_counters = false;
            continue;
        };
        ends_with_counters |= last == "counter";
        let named = last.split('`').skip(1).step_by(2);
        let named = named.filter_map(|span| match span.strip_prefix("NetworkCounters::") {
            None if ends_with_counters => Some(span),
            counter => counter,
        });
        let dead = named.filter(|name| !is_counter(name));
        complaints.extend(dead.map(|name| format!("{PAGE}:{}: no counter `{name}`", index + 1)));
    }
    complaints
}

/// The first cell of a row, unless it is the head of a table or the line below that.
fn name(line: &str) -> Option<&str> {
    let (cell, _) = line.strip_prefix("| ")?.split_once(" |")?;
    (!matches!(cell, "option" | "limit" | "---")).then_some(cell)
}

/// What stands in the last cell of a row.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.strip_suffix('|')?;
    row.rsplit('|').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_shown_and_nothing_else_is() {
        let page = "| option | unit |\n| --- | --- |\n| `a` | s |\n| `b` of c | s |\n\
            ## What is not a limit\n| `d` | s |\n## Shown by\n| limit | shown by |\n";
        let complaints = |end: &str| {
            let page = format!("{page}{end}");
            check(&Tree::of(&[(PAGE, &page)])).len()
        };
        assert_eq!(complaints("| `a` | `test` |\n| `b` of c | x |\n"), 0);
        assert_eq!(complaints("| `a` | `test` |\n"), 1);
        assert_eq!(complaints("| `a` | `test` |\n| `b` of c | |\n"), 1);
        assert_eq!(
            complaints("| `a` | x |\n| `b` of c | x |\n| `d` | x |\n"),
            1
        );
        assert_eq!(complaints("| `a` | x |\n| `b` | x |\n"), 2);
    }

    #[test]
    fn a_counter_that_is_none_is_reported() {
        let source = "    pub first: Counter,\n    pub second: Counter,\n";
        let complaints = |row: &str| {
            let shown = "## Shown by\n| `a` | x |\n";
            let page = format!("| option | counter |\n| --- | --- |\n| `a` | {row} |\n{shown}");
            check(&Tree::of(&[(PAGE, &page), (COUNTERS[0], source)])).len()
        };
        assert_eq!(complaints("`first`; else `second`"), 0);
        assert_eq!(complaints("`first`; else `third`"), 1);
        assert_eq!(complaints("`NetworkCounters::third`"), 1);
        assert_eq!(complaints(""), 0);
    }
}
