//! The tables of a section. A figure that at least three rows show has a table of its own; the others
//! stand together in one.

use super::{Page, capitalised};
use crate::figure;
use crate::results::Results;
use crate::slope;
use crate::summary::{self, Cell, Line};

pub(super) fn write(page: &mut Page, results: &Results, section: &str) {
    let lines = summary::lines(results, section);
    let (common, single) = summary::split(&lines);
    for (name, lines) in common {
        page.heading(3, &capitalised(&figure::title(name)));
        head(page, results, "row");
        for line in lines {
            write_line(page, line, &row_name(line));
        }
        page.line("");
    }
    if !single.is_empty() {
        if single.len() < lines.len() {
            page.heading(3, "Other figures");
        }
        head(page, results, "row and figure");
        for line in single {
            let title = format!("{}: {}", row_name(line), figure::title(line.figure));
            write_line(page, line, &title);
        }
        page.line("");
    }
    if section == "memory" {
        write_slopes(page, results);
    }
}

fn head(page: &mut Page, results: &Results, first: &str) {
    let names = summary::names(results).join(" | ");
    page.line(&format!("| {first} | {names} | mosca : best |"));
    let columns = " ---: |".repeat(results.brokers.len() + 1);
    page.line(&format!("| --- |{columns}"));
}

fn row_name(line: &Line<'_>) -> String {
    let mark = if line.is_disturbed() { " †" } else { "" };
    format!("{}{mark}", line.row.title())
}

fn write_line(page: &mut Page, line: &Line<'_>, title: &str) {
    let medians = line.cells.iter().filter_map(Cell::median);
    let better = |a: &f64, b: &f64| {
        if figure::more_is_better(line.figure) {
            a.total_cmp(b)
        } else {
            b.total_cmp(a)
        }
    };
    let best = medians.filter(|median| *median > 0.0).max_by(better);
    let limits = summary::generator_limits(line.row);
    let cells: Vec<String> = line
        .cells
        .iter()
        .enumerate()
        .map(|(index, cell)| {
            let is_limited = figure::more_is_better(line.figure)
                && line
                    .brokers
                    .get(index)
                    .is_some_and(|name| limits.contains(name.as_str()));
            shown(cell, best, is_limited)
        })
        .collect();
    let advantage = match line.advantage {
        Some(ratio) => figure::ratio(ratio),
        None if line.cells.first() == Some(&Cell::Failed) => "failed".to_owned(),
        None => "–".to_owned(),
    };
    page.line(&format!(
        "| {title} | {} | {advantage} |",
        cells.join(" | ")
    ));
}

fn shown(cell: &Cell, best: Option<f64>, is_limited: bool) -> String {
    match cell {
        Cell::Absent => "–".to_owned(),
        Cell::Failed => "failed".to_owned(),
        Cell::Value { median, .. } if *median <= 0.0 => "nothing".to_owned(),
        Cell::Value {
            median, is_partial, ..
        } => {
            let mut text = figure::number(*median);
            if Some(*median) == best {
                text = format!("**{text}**");
            }
            if is_limited {
                text.push('‡');
            }
            if *is_partial {
                text.push('*');
            }
            if let Some(spread) = cell.spread() {
                text.push_str(&format!(" ±{spread:.0} %"));
            }
            text
        }
    }
}

fn write_slopes(page: &mut Page, results: &Results) {
    let slopes = slope::slopes(results);
    if slopes.is_empty() {
        return;
    }
    page.heading(3, "One more, and a million");
    page.paragraph(
        "The slope of memory over several counts: what one more takes, without what the first one \
         brings along. What a million of them would take is computed, not measured.",
    );
    let names = summary::names(results).join(" | ");
    page.line(&format!(
        "| one more, in bytes; and a million | measured with | {names} |"
    ));
    let columns = " ---: |".repeat(results.brokers.len());
    page.line(&format!("| --- | --- |{columns}"));
    for slope in &slopes {
        let counts: Vec<String> = slope.counts.iter().map(u64::to_string).collect();
        let counts = counts.join(", ");
        let one = slope_line(slope.title, &counts, &slope.bytes, 1.0);
        page.line(&one);
        let title = format!("a million: {}, GB", slope.title);
        page.line(&slope_line(&title, &counts, &slope.bytes, 1e6 / 1e9));
    }
    if let Some(million) = slope::million(results) {
        let counts = million.connections.to_string();
        let title = "a million idle connections: seconds to come in";
        page.line(&slope_line(title, &counts, &million.seconds_to_come, 1.0));
        let title = "a million idle connections: % of a processor for a ping each 30 s";
        page.line(&slope_line(title, &counts, &million.ping_percent, 1.0));
    }
    page.line("");
}

fn slope_line(title: &str, counts: &str, values: &[Option<f64>], factor: f64) -> String {
    let cells: Vec<String> = values
        .iter()
        .map(|value| match value {
            Some(value) if *value > 0.0 => figure::number(value * factor),
            Some(_) => "nothing".to_owned(),
            None => "–".to_owned(),
        })
        .collect();
    format!("| {title} | {counts} | {} |", cells.join(" | "))
}
