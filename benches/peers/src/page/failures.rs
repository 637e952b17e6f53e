//! Why runs failed, and what disturbed those that did not.

use std::collections::BTreeMap;

use super::Page;
use crate::results::{Results, Row};
use crate::summary;

pub(super) fn write(page: &mut Page, results: &Results, section: &str) {
    let lines = summary::lines(results, section);
    let mut rows: Vec<&Row> = lines.iter().map(|line| line.row).collect();
    rows.dedup_by_key(|row| &row.name);
    let failures: Vec<String> = rows.into_iter().flat_map(of_row).collect();
    let disturbed = lines.iter().filter(|line| line.is_disturbed());
    let mut disturbed: Vec<String> = disturbed
        .filter_map(|line| {
            let reason = summary::disturbance(line.row)?;
            Some(format!("{}: {reason}", line.row.name))
        })
        .collect();
    disturbed.dedup();
    if !failures.is_empty() {
        page.paragraph("Failed:");
        for failure in failures {
            page.item(&failure);
        }
        page.line("");
    }
    if !disturbed.is_empty() {
        page.paragraph("Disturbed (†):");
        for row in disturbed {
            page.item(&row);
        }
        page.line("");
    }
}

/// One line for each broker: how many of its runs failed, and the first reason.
fn of_row(row: &Row) -> Vec<String> {
    let mut brokers: BTreeMap<&str, (usize, usize, &str)> = BTreeMap::new();
    for run in &row.runs {
        let (failed, all, reason) = brokers.entry(&run.broker).or_default();
        *all += 1;
        if let Some(why) = &run.failure {
            *failed += 1;
            if reason.is_empty() {
                *reason = why;
            }
        }
    }
    brokers
        .iter()
        .filter(|(_, (failed, ..))| *failed > 0)
        .map(|(broker, (failed, all, reason))| {
            format!("{}, {broker}, {failed} of {all} runs: {reason}", row.name)
        })
        .collect()
}
