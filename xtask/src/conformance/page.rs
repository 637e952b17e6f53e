//! `docs/conformance.md`: for each version a table of what is shown by which tests, and the rest.

use std::fmt::Write as _;

use super::statements::Version;
use super::{Entry, Report};

/// The page. It depends on nothing but the statements, the tests and their verdicts.
pub fn render(report: &Report) -> String {
    let mut page = String::from(HEAD);
    page.push_str(&report.summary());
    page.push_str(".\n");
    for version in Version::ALL {
        table(&mut page, report, version);
        untestable(&mut page, report, version);
        of_clients(&mut page, report, version);
    }
    page
}

const HEAD: &str = "# Conformance

Written by `cargo xtask conformance`, which runs the tests; do not edit. Each row is a numbered
statement of the specification that binds a server, or whose breach by a client a server notices. What
must hold is said in our words; the specification decides. How a test names what it shows is said in
[testing.md](testing.md).

A test is named by its harness and its path there: `conformance` is `crates/mosca/tests/conformance/`,
with one module for each section of the specification; `wire_table` is `crates/mosca/tests/wire_table.rs`,
whose tests are the rows of `crates/wire-table/rows/`. Of all others the package comes first:
`broker-core scenarios` is `crates/broker-core/tests/scenarios/`, and a package alone means its unit tests.

Statements that are shown by tests that pass, of those that a test can show: ";

fn table(page: &mut String, report: &Report, version: Version) {
    let _ = write!(
        page,
        "\n## MQTT {}\n\n| statement | what must hold | tests | verdict |\n| --- | --- | --- | --- |\n",
        version.as_str()
    );
    for entry in report
        .of(version)
        .filter(|entry| entry.statement.needs_test())
    {
        let statement = &entry.statement;
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            statement.id,
            escaped(&statement.summary),
            tests(entry),
            entry.verdict().map_or("no test", super::Verdict::as_str)
        );
    }
}

fn tests(entry: &Entry) -> String {
    let names: Vec<String> = entry.tests.keys().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn untestable(page: &mut String, report: &Report, version: Version) {
    let reasons: Vec<(&Entry, &str)> = report
        .of(version)
        .filter_map(|entry| Some((entry, entry.statement.untestable_because.as_deref()?)))
        .collect();
    if reasons.is_empty() {
        return;
    }
    page.push_str("\nNo test can show these:\n\n| statement | what must hold | why there is no test |\n| --- | --- | --- |\n");
    for (Entry { statement, .. }, reason) in reasons {
        let summary = escaped(&statement.summary);
        let _ = writeln!(
            page,
            "| {} | {summary} | {} |",
            statement.id,
            escaped(reason)
        );
    }
}

/// What is not asked of a server, so that nobody looks for it above.
fn of_clients(page: &mut String, report: &Report, version: Version) {
    let ids: Vec<&str> = report
        .of(version)
        .filter(|entry| !entry.statement.is_for_server)
        .map(|entry| &*entry.statement.id)
        .collect();
    if !ids.is_empty() {
        let _ = writeln!(page, "\nThese bind clients only: {}.", ids.join(", "));
    }
}

/// Text that may stand in a cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('#', "\\#")
        .replace('$', "\\$")
        .replace('_', "\\_")
}
