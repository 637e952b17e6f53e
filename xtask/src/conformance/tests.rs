//! What is reported of statements and tests.

use super::*;

const STATEMENTS: &str = "id\tapplies_to\ttestable\tsummary\tuntestable_because\n\
    MQTT-1.1.1-1\tserver\twire\tA | b.\t\n\
    MQTT-1.1.1-2\tclient\tn/a\tClients do.\t\n\
    MQTT-1.1.1-3\tboth\tn/a\tWho knows.\tNobody does.\n\
    MQTT-1.1.1-4\tboth\twire\tIt holds.\t\n";

fn test(name: &str, id: &str) -> Test {
    Test {
        place: "f.rs:1".to_owned(),
        harness: Harness::of_library("a".to_owned()),
        module: String::new(),
        name: name.to_owned(),
        shows: vec![(Version::V5, id.to_owned())],
    }
}

fn report(tests: &[Test], output: &str) -> Report {
    let mut verdicts = Verdicts::default();
    verdicts.add(Harness::of_library("a".to_owned()), output);
    let statements = statements::parse(Version::V5, STATEMENTS).unwrap();
    Report::new(statements, tests.iter().cloned(), &verdicts)
}

#[test]
fn all_is_well_if_every_statement_is_shown() {
    let tests = [test("x", "MQTT-1.1.1-1"), test("y", "MQTT-1.1.1-4")];
    let report = report(&tests, "test x ... ok\ntest y ... ok\n");
    assert_eq!(report.complaints(), [""; 0]);
    assert_eq!(
        report.summary(),
        "MQTT 3.1.1: 0/0, MQTT 5.0: 2/2 (and 1 that no test can show)"
    );
}

#[test]
fn whatever_is_missing_or_fails_is_reported() {
    let both = [test("x", "MQTT-1.1.1-1"), test("y", "MQTT-1.1.1-4")];
    for (output, complaint) in [
        (
            "test x ... ok\n",
            "MQTT 5.0 MQTT-1.1.1-4: a y: did not run (is its file part of its harness, and not left out by a cfg?)",
        ),
        (
            "test x ... ok\ntest y ... FAILED\n",
            "MQTT 5.0 MQTT-1.1.1-4: a y: fails",
        ),
        (
            "test x ... ok\ntest y ... ignored\n",
            "MQTT 5.0 MQTT-1.1.1-4: a y: ignored",
        ),
    ] {
        let report = report(&both, output);
        assert_eq!(report.complaints(), [complaint]);
        assert_eq!(
            report.summary(),
            "MQTT 3.1.1: 0/0, MQTT 5.0: 1/2 (and 1 that no test can show)"
        );
    }
    let untested = report(&both[..1], "test x ... ok\n");
    assert_eq!(
        untested.complaints(),
        ["MQTT 5.0 MQTT-1.1.1-4: no test names it"]
    );
}

#[test]
fn a_test_of_what_does_not_exist_or_cannot_be_tested_is_reported() {
    let all = "test x ... ok\ntest y ... ok\ntest z ... ok\n";
    for id in ["MQTT-9.9.9-9", "MQTT-1.1.1-3"] {
        let tests = [
            test("x", "MQTT-1.1.1-1"),
            test("y", "MQTT-1.1.1-4"),
            test("z", id),
        ];
        assert_eq!(report(&tests, all).complaints().len(), 1, "{id}");
    }
}

#[test]
fn of_several_tests_the_worst_decides() {
    let tests = [test("x", "MQTT-1.1.1-1"), test("y", "MQTT-1.1.1-1")];
    let report = report(&tests, "test x ... ok\ntest y ... FAILED\n");
    assert_eq!(report.entries[0].verdict(), Some(Verdict::Fails));
}

#[test]
fn the_page_has_every_statement_once() {
    let tests = [test("y", "MQTT-1.1.1-1"), test("x", "MQTT-1.1.1-1")];
    let page = page::render(&report(&tests, "test x ... ok\ntest y ... ok\n"));
    let (_, tables) = page.split_once("## MQTT 5.0").unwrap();
    for line in [
        "| MQTT-1.1.1-1 | A \\| b. | `a x`, `a y` | passes |",
        "| MQTT-1.1.1-4 | It holds. |  | no test |",
        "| MQTT-1.1.1-3 | Who knows. | Nobody does. |",
        "These bind clients only: MQTT-1.1.1-2.",
    ] {
        assert_eq!(
            tables.lines().filter(|found| *found == line).count(),
            1,
            "{line}\n{page}"
        );
    }
}
