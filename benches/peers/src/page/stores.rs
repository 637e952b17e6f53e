//! The page of the comparison over stores: a column for each load, a row for each broker and its store.

use super::{Page, capitalised, failures, head};
use crate::figure::{self, number, ratio};
use crate::results::Results;
use crate::summary::{self, Cell, Line};

/// The sections in the order of the page.
const SECTIONS: [(&str, &str); 4] = [
    (
        "there",
        "Publishers, one message under way each unless the column says otherwise, 100 bytes, at QoS 1 unless it \
         says otherwise. Each has a subscriber of its own with a persistent session, which is connected. Counted \
         is what is acknowledged to the last (PUBACK, PUBCOMP), and what is delivered meanwhile; afterwards all of \
         it has to be delivered, once and in order.",
    ),
    (
        "away",
        "The same with subscribers that have left. In the end they return, and all of it has to be there.",
    ),
    (
        "backlog",
        "Messages of 100 bytes are queued for one client that is away, a hundred under way; it returns, \
         takes and acknowledges them.",
    ),
    (
        "restart",
        "Retained messages of 64 bytes, and sessions that are away with a subscription each, are given to the \
         broker. It is ended by SIGTERM and started again; its store goes on, if it is a server. Counted \
         is the time from the start of its process to its first CONNACK. Afterwards all retained messages have to be \
         there, and a thousand of the sessions.",
    ),
];

/// What stands behind the comma in the name of a broker.
pub fn store_of(name: &str) -> Option<&str> {
    name.split_once(", ").map(|(_, store)| store)
}

/// Writes the page.
pub fn render(results: &Results) -> String {
    let mut page = Page::default();
    page.heading(1, "Benchmarks: brokers over stores");
    page.paragraph(
        "Written by `cargo xtask bench --stores`, from `docs/benchmarks-stores/results.json`: what is changed \
         here by hand is gone with the next run. What the stores promise stands in [stores.md](stores.md).",
    );
    head::write_facts(&mut page, results);
    write_method(&mut page);
    write_ratios(&mut page, results);
    let names = SECTIONS.map(|(name, _)| name);
    for section in summary::sections(results, &names) {
        let described = SECTIONS.iter().find(|(name, _)| *name == section);
        page.heading(2, &capitalised(&section));
        if let Some((_, text)) = described {
            page.paragraph(text);
        }
        write_tables(&mut page, &summary::lines(results, &section));
        failures::write(&mut page, results, &section);
    }
    write_engines(&mut page, results);
    head::write_repetition(&mut page, results, "--stores");
    page.text
}

fn write_method(page: &mut Page) {
    page.paragraph("How to read it:");
    page.item(
        "Every run has a broker and a store of its own, freshly started on this machine, in a folder on its disk. \
         The load generator, the broker and the store share the processors. Brokers take turns, and \
         another one is first in each round.",
    );
    page.item("A figure is the median of its runs; ± is half of their range in percent.");
    page.item(
        "Acknowledgements do not mean the same everywhere. \"Redis always\" syncs its file before it answers, \
         \"Redis everysec\" once a second, \"MongoDB\" is a replica set of one that syncs its journal before it \
         answers. Of the disk, \"always\" syncs before it answers. mosquitto and FlashMQ acknowledge what they \
         have in memory, and write files at intervals and at their end: what came since is lost in a crash.",
    );
    page.item(
        "aedes 1.2 sends PUBACK before it gives the message to its store (case 1 in its \
         `lib/handlers/publish.js`): at QoS 1 its acknowledgements are not of the store, and what it delivers is \
         the fairer figure. At QoS 2 it stores before PUBREC, as mosca does at both.",
    );
    page.item(
        "A run in which a message was lost, doubled, put out of order or sent astray has failed, as \
         has one whose broker ended or took too long. * marks a figure beside which other runs of the \
         same broker failed. The reasons stand at the end of each section.",
    );
    page.line("");
}

/// mosca beside whoever stands on the same store.
fn write_ratios(page: &mut Page, results: &Results) {
    let brokers = summary::names(results);
    let same_store: Vec<(usize, usize)> = (0..brokers.len())
        .flat_map(|ours| (0..brokers.len()).map(move |theirs| (ours, theirs)))
        .filter(|&(ours, theirs)| {
            let (ours, theirs) = (&brokers[ours], &brokers[theirs]);
            ours.starts_with("mosca, ")
                && !theirs.starts_with("mosca, ")
                && store_of(ours) == store_of(theirs)
        })
        .collect();
    if same_store.is_empty() {
        return;
    }
    page.heading(2, "On the same store");
    page.paragraph(
        "How many times better mosca is than the other broker over the same server: for rates, mosca's divided \
         by theirs; for times and memory, theirs divided by mosca's. Below 1 mosca is behind.",
    );
    let mut header = "| |".to_owned();
    for &(ours, theirs) in &same_store {
        header.push_str(&format!(" {} : {} |", brokers[ours], brokers[theirs]));
    }
    page.line(&header);
    page.line(&format!("| --- |{}", " ---: |".repeat(same_store.len())));
    let names = SECTIONS.map(|(name, _)| name);
    for section in summary::sections(results, &names) {
        for line in summary::lines(results, &section) {
            let cells: Vec<String> = same_store
                .iter()
                .map(|&(ours, theirs)| {
                    let median = |at: usize| line.cells.get(at).and_then(Cell::median);
                    let both = median(ours).zip(median(theirs));
                    both.and_then(|(a, b)| figure::advantage(line.figure, a, b))
                        .map_or_else(String::new, ratio)
                })
                .collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let (row, title) = (&line.row.name, figure::title(line.figure));
                page.line(&format!("| {row}: {title} | {} |", cells.join(" | ")));
            }
        }
    }
    page.line("");
}

/// A table for each figure.
fn write_tables(page: &mut Page, lines: &[Line<'_>]) {
    let mut figures: Vec<&str> = Vec::new();
    for line in lines {
        if !figures.contains(&line.figure) {
            figures.push(line.figure);
        }
    }
    for name in figures {
        let columns: Vec<&Line<'_>> = lines.iter().filter(|line| line.figure == name).collect();
        let Some(first) = columns.first() else {
            continue;
        };
        page.heading(3, &capitalised(&figure::title(name)));
        let titles: Vec<&str> = columns.iter().map(|line| line.row.name.as_str()).collect();
        page.line(&format!("| | {} |", titles.join(" | ")));
        page.line(&format!("| --- |{}", " ---: |".repeat(columns.len())));
        for (at, broker) in first.brokers.iter().enumerate() {
            let cells: Vec<String> = columns
                .iter()
                .map(|line| line.cells.get(at).map_or_else(String::new, shown))
                .collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                page.line(&format!("| {broker} | {} |", cells.join(" | ")));
            }
        }
        page.line("");
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Absent => String::new(),
        Cell::Failed => "failed".to_owned(),
        Cell::Value {
            median, is_partial, ..
        } => {
            let mark = if *is_partial { " \\*" } else { "" };
            let spread = cell
                .spread()
                .map_or_else(String::new, |spread| format!(" ± {spread:.0} %"));
            format!("{}{mark}{spread}", number(*median))
        }
    }
}

fn write_engines(page: &mut Page, results: &Results) {
    if results.engines.is_empty() {
        return;
    }
    page.heading(2, "The stores by themselves");
    page.paragraph(
        "What `benches/stores` measured on the same disk, in one process and without a broker: the limits of \
         what a broker can come to. A line with \"its engine\" is what stands below that store, with nothing around it.",
    );
    page.line("```text");
    for line in &results.engines {
        page.line(line);
    }
    page.line("```");
    page.line("");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{failed, row, run, sample};

    fn results() -> Results {
        let mut results = sample();
        results.laws.clear();
        for (facts, name) in results.brokers.iter_mut().zip([
            "mosca, Redis always",
            "mosca, disk always",
            "aedes, Redis always",
        ]) {
            name.clone_into(&mut facts.name);
        }
        let acked = |broker: &str, rate| run(broker, 1, &[("acked_per_s", rate)]);
        results.rows = vec![
            row(
                "there",
                "1 publisher",
                &[
                    acked("mosca, Redis always", 900.0),
                    acked("mosca, disk always", 1_200.0),
                    acked("aedes, Redis always", 300.0),
                ],
            ),
            row(
                "away",
                "64 publishers, away",
                &[
                    acked("mosca, Redis always", 9_000.0),
                    failed("aedes, Redis always", 1, "3 messages were lost"),
                ],
            ),
        ];
        results.engines = vec!["raw commits 500 /s".to_owned()];
        results
    }

    #[test]
    fn brokers_on_one_store_are_set_against_each_other() {
        let page = render(&results());
        for text in [
            "| | mosca, Redis always : aedes, Redis always |",
            "| 1 publisher: messages acknowledged per second | ×3.00 |",
            "| mosca, disk always | 1,200 |",
            "| aedes, Redis always | failed |",
            "3 messages were lost",
            "raw commits 500 /s",
            "cargo xtask bench --stores ",
        ] {
            assert!(page.contains(text), "no {text:?} in\n{page}");
        }
        assert!(!page.contains("bench --peers"));
    }

    #[test]
    fn a_store_stands_behind_the_comma() {
        assert_eq!(store_of("mosca, Redis always"), Some("Redis always"));
        assert_eq!(store_of("FlashMQ"), None);
    }
}
