//! `cargo xtask parity`: what the tests of the Node.js mosca ask, and which test of ours asks the same, or
//! why nobody has to, written to `docs/mosca-parity.md`.
//!
//! The list is `xtask/parity/mosca.tsv`, tab-separated: the suite; the number in it; what mosca's test asks,
//! in our words; our tests, by the names that `docs/conformance.md` would give them, with `; ` between
//! them; and a remark, without which a row needs a test. The tests that `docs/migrating-from-mosca.md` and
//! `docs/limits.md` name are looked for as well. A name that no test has is an error; that the tests pass is seen where all tests
//! are run.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::conformance::markers;
use crate::workspace::Workspace;

const LIST: &str = "xtask/parity/mosca.tsv";
const PAGE: &str = "docs/mosca-parity.md";
/// Tables in them that end with this column name tests in it.
const GUIDES: [&str; 2] = ["docs/migrating-from-mosca.md", "docs/limits.md"];
const GUIDES_COLUMN: &str = "shown by";
/// The cases that every store has to pass are functions in these files.
const CONTRACT: &str = "crates/broker-core/src/persistence/contract";

/// Writes the page, or, if `check`, sees whether it is what would be written. `true` if every test that is
/// named exists, and no row is without an answer.
pub fn run(workspace: &Workspace, check: bool) -> Result<bool> {
    let list = std::fs::read_to_string(workspace.root.join(LIST))
        .with_context(|| format!("cannot read {LIST}"))?;
    let rows = parse(&list).context(LIST)?;
    let (tests, _) = markers::find(&workspace.root)?;
    let mut titles: BTreeSet<String> = tests.iter().map(markers::Test::title).collect();
    titles.extend(contract_titles(&workspace.root)?);
    let mut complaints = unknown(&rows, &titles);
    for guide in GUIDES {
        let text = std::fs::read_to_string(workspace.root.join(guide))
            .with_context(|| format!("cannot read {guide}"))?;
        let dead = named_in_guide(&text).filter(|(_, test)| !titles.contains(*test));
        complaints.extend(dead.map(|(line, test)| format!("{guide}:{line}: no test `{test}`")));
    }
    let page = render(&rows);
    let path = workspace.root.join(PAGE);
    if !check {
        std::fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != page {
        complaints.push(format!(
            "{PAGE} is not up to date: run `cargo xtask parity` and commit the page"
        ));
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    Ok(complaints.is_empty())
}

/// What one test of mosca's asks.
struct Row<'a> {
    suite: &'a str,
    number: &'a str,
    asks: &'a str,
    tests: Vec<&'a str>,
    remark: &'a str,
}

fn parse(list: &str) -> Result<Vec<Row<'_>>> {
    let mut lines = list.lines();
    ensure!(
        lines.next() == Some("suite\tnumber\tasks\ttests\tremark"),
        "another head"
    );
    let mut rows: Vec<Row<'_>> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let [suite, number, asks, tests, remark] = fields[..] else {
            bail!("not five fields: {line}");
        };
        let tests: Vec<&str> = tests.split("; ").filter(|test| !test.is_empty()).collect();
        ensure!(
            !tests.is_empty() || !remark.is_empty(),
            "{suite} {number} has neither a test nor a remark"
        );
        ensure!(
            rows.iter()
                .all(|row| (row.suite, row.number) != (suite, number)),
            "{suite} {number} is there twice"
        );
        rows.push(Row {
            suite,
            number,
            asks,
            tests,
            remark,
        });
    }
    Ok(rows)
}

/// The names that no test has.
fn unknown(rows: &[Row<'_>], titles: &BTreeSet<String>) -> Vec<String> {
    let named = rows
        .iter()
        .flat_map(|row| row.tests.iter().map(move |test| (row, *test)));
    let unknown = named.filter(|(_, test)| !titles.contains(*test));
    let complaints = unknown
        .map(|(row, test)| format!("{LIST}: {} {}: no test `{test}`", row.suite, row.number));
    complaints.collect()
}

/// The names of the cases that every store has to pass, as the pages have them.
fn contract_titles(root: &Path) -> Result<Vec<String>> {
    let mut titles = Vec::new();
    for entry in root.join(CONTRACT).read_dir().context(CONTRACT)? {
        let path = entry?.path();
        let module = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(&path).context(CONTRACT)?;
        let names = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("pub(super) fn ")?;
            rest.split(['<', '(']).next()
        });
        titles.extend(names.map(|name| format!("contract {module}::{name}")));
    }
    Ok(titles)
}

/// The tests that the guide names, each with its line.
fn named_in_guide(guide: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut names_tests = false;
    let cells = guide.lines().enumerate().filter_map(move |(index, line)| {
        let cell = line
            .strip_suffix('|')
            .and_then(|line| line.rsplit('|').next());
        let Some(cell) = cell else {
            names_tests = false;
            return None;
        };
        names_tests |= cell.trim() == GUIDES_COLUMN;
        names_tests.then_some((index + 1, cell))
    });
    cells.flat_map(|(line, cell)| {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(move |test| (line, test))
    })
}

const HEAD: &str = "# What mosca's tests ask, and where it is asked here

Written by `cargo xtask parity` from `xtask/parity/mosca.tsv`; do not edit. Each row is a test of the Node.js
mosca, in the order of its files at version 2.3, in our words. What its stores were asked is in
[stores-parity.md](stores-parity.md).

A test of ours is named as in [conformance.md](conformance.md): by its package, its file, and its name
there; a package alone means its unit tests, and `conformance` is `crates/mosca/tests/conformance/`.
";

fn render(rows: &[Row<'_>]) -> String {
    let mut page = String::from(HEAD);
    let with_tests = rows.iter().filter(|row| !row.tests.is_empty()).count();
    let _ = write!(
        page,
        "\nRows: {}; with a test of ours: {with_tests}; with a remark alone: {}.\n",
        rows.len(),
        rows.len() - with_tests
    );
    let mut suite = "";
    for row in rows {
        if row.suite != suite {
            suite = row.suite;
            let _ = write!(
                page,
                "\n## {suite}\n\n| | mosca asks | tests | |\n| --- | --- | --- | --- |\n"
            );
        }
        let tests: Vec<String> = row.tests.iter().map(|test| format!("`{test}`")).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            row.number,
            cell(row.asks),
            tests.join(", "),
            cell(row.remark)
        );
    }
    page
}

/// Text that may stand in a cell; its code spans are code spans there.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "suite\tnumber\tasks\ttests\tremark\n";

    #[test]
    fn a_row_has_a_test_that_exists_or_a_remark() {
        let list = format!("{HEAD}s\t1\tIt works.\ta b::c; a d\t\ns\t2\tIt is.\t\tNo need.\n");
        let rows = parse(&list).unwrap();
        let titles = ["a b::c".to_owned()].into();
        let complaints = unknown(&rows, &titles);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].ends_with("s 1: no test `a d`"));
        let page = render(&rows);
        assert!(page.contains("| 1 | It works. | `a b::c`, `a d` |  |"));
        assert!(page.contains("Rows: 2; with a test of ours: 1; with a remark alone: 1."));
    }

    #[test]
    fn the_guide_names_tests_in_one_column_of_some_tables() {
        let guide =
            "| a | shown by |\n| --- | --- |\n| `x` | `a b`, `c` |\n\n| a | b |\n| x | `y` |\n";
        let named: Vec<_> = named_in_guide(guide).collect();
        assert_eq!(named, [(3, "a b"), (3, "c")]);
    }

    #[test]
    fn what_says_nothing_or_the_same_again_is_refused() {
        for lines in [
            "s\t1\tIt works.\t\t\n",
            "s\t1\ta\tb\t\ns\t1\ta\tb\t\n",
            "s\t1\ta\tb\n",
        ] {
            assert!(parse(&format!("{HEAD}{lines}")).is_err(), "{lines}");
        }
        assert!(parse("suite\n").is_err());
    }
}
