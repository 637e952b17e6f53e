//! What `docs/stores-parity.md` names exists, and it speaks of each of mosca's 48 cases.

use std::path::Path;

use broker_core::persistence::contract::CASES;

const PAGE: &str = include_str!("../../../docs/stores-parity.md");

/// The cells of the tables' rows: whose case, what it says, and what asks for it.
fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    PAGE.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let mut cells = cells.split(" | ");
        let row = [cells.next()?, cells.next()?, cells.next()?];
        (row[0] != "mosca" && row[0] != "---").then_some(row)
    })
}

#[test]
fn each_of_the_48_cases_has_a_row() {
    let numbers = rows().filter_map(|[number, ..]| number.parse::<u32>().ok());
    assert!(numbers.eq(1..=48));
}

#[test]
fn every_test_that_is_named_exists() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker-core/tests/scenarios");
    let mut named = 0;
    for [number, _, asked_by] in rows() {
        let quoted = asked_by.split('`').skip(1).step_by(2);
        let tests: Vec<_> = quoted.filter(|text| text.contains("::")).collect();
        assert!(
            !tests.is_empty() || asked_by == "the same",
            "{number} has none"
        );
        for test in tests {
            named += 1;
            let Some(test) = test.strip_prefix("scenario ") else {
                let (_, case) = test.split_once("::").unwrap();
                assert!(CASES.contains(&case), "{number}: no case {case}");
                continue;
            };
            let (file, name) = test.split_once("::").unwrap();
            let text = std::fs::read_to_string(scenarios.join(format!("{file}.rs"))).unwrap();
            let there = text.contains(&format!("#[test]\nfn {name}()"));
            assert!(there, "{number}: no test {name} in {file}.rs");
        }
    }
    assert!(named > 50, "{named} names: the page was not read");
}
