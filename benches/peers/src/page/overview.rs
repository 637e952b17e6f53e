//! What went wrong and what did not, before any table of figures: misses, sections, peers.

use super::{Page, capitalised, section_names};
use crate::figure;
use crate::results::Results;
use crate::summary::{self, Cell, Line};

/// `why` is what was written by hand about the misses; see [`super::MISSES`].
pub(super) fn write(page: &mut Page, results: &Results, why: Option<&str>) {
    let sections: Vec<(String, Vec<Line<'_>>)> = summary::sections(results, &section_names())
        .into_iter()
        .map(|section| {
            let lines = summary::lines(results, &section);
            (section, lines)
        })
        .collect();
    write_misses(page, results, &sections);
    if let Some(why) = why.map(str::trim).filter(|why| !why.is_empty()) {
        page.heading(2, "Why the misses");
        page.line(why);
        page.line("");
    }
    write_sections(page, &sections);
    write_peers(page, results, &sections);
}

fn write_misses(page: &mut Page, results: &Results, sections: &[(String, Vec<Line<'_>>)]) {
    page.heading(2, "Misses");
    let all = sections
        .iter()
        .flat_map(|(section, lines)| lines.iter().map(move |line| (section, line)));
    let mut misses: Vec<_> = all.filter(|(_, line)| line.is_miss()).collect();
    if misses.is_empty() {
        page.paragraph("None: no peer is better than mosca in any figure below.");
        return;
    }
    // The worst first; a failure has no ratio and is worse than any.
    misses.sort_by(|(_, a), (_, b)| {
        let ratio = |line: &Line<'_>| line.advantage.unwrap_or(0.0);
        ratio(a).total_cmp(&ratio(b))
    });
    page.paragraph(
        "Where a peer is better than mosca. \"Within the spread\" says that the ranges of the runs of \
         the two overlap.",
    );
    page.line("| section | row | figure | mosca | best peer | mosca : best | |");
    page.line("| --- | --- | --- | ---: | ---: | ---: | --- |");
    for (section, line) in misses {
        let value = |cell: Option<&Cell>| match cell.and_then(Cell::median) {
            Some(median) => figure::number(median),
            None => "failed".to_owned(),
        };
        let best = line.best_peer.and_then(|best| {
            let name = &results.brokers.get(best)?.name;
            Some(format!("{name} {}", value(line.cells.get(best))))
        });
        let mut remarks = Vec::new();
        if line.is_within_spread() {
            remarks.push("within the spread");
        }
        if line.is_disturbed() {
            remarks.push("disturbed");
        }
        page.line(&format!(
            "| {section} | {} | {} | {} | {} | {} | {} |",
            line.row.title(),
            figure::title(line.figure),
            value(line.cells.first()),
            best.unwrap_or_default(),
            line.advantage.map_or_else(String::new, figure::ratio),
            remarks.join(", "),
        ));
    }
    page.line("");
}

fn write_sections(page: &mut Page, sections: &[(String, Vec<Line<'_>>)]) {
    page.heading(2, "In short");
    page.paragraph("mosca against the best peer of each figure:");
    page.line(
        "| section | figures compared | mosca ahead | level | behind | least | median | most |",
    );
    page.line("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (section, lines) in sections {
        let ratios: Vec<f64> = lines.iter().filter_map(|line| line.advantage).collect();
        let behind = lines.iter().filter(|line| line.is_miss()).count();
        let ahead = ratios.iter().filter(|ratio| **ratio >= 1.005).count();
        let level = ratios
            .iter()
            .filter(|r| (0.995..1.005).contains(*r))
            .count();
        let shown = |ratio: Option<f64>| ratio.map_or_else(String::new, figure::ratio);
        page.line(&format!(
            "| {} | {} | {ahead} | {level} | {behind} | {} | {} | {} |",
            capitalised(section),
            ahead + level + behind,
            shown(ratios.iter().copied().min_by(f64::total_cmp)),
            shown(summary::median(&ratios)),
            shown(ratios.iter().copied().max_by(f64::total_cmp)),
        ));
    }
    page.line("");
}

/// Each peer on its own, section by section.
fn write_peers(page: &mut Page, results: &Results, sections: &[(String, Vec<Line<'_>>)]) {
    if results.brokers.len() < 2 {
        return;
    }
    page.paragraph(
        "mosca against each peer: the median of the ratios over all figures that both have, and in \
         how many of them the peer is better. \"Failed\" counts figures that it does not have because \
         its runs failed.",
    );
    let names: Vec<String> = sections.iter().map(|(name, _)| capitalised(name)).collect();
    page.line(&format!("| peer | {} | failed |", names.join(" | ")));
    page.line(&format!("| --- |{} ---: |", " ---: |".repeat(names.len())));
    for (index, facts) in results.brokers.iter().enumerate().skip(1) {
        let mut cells = Vec::new();
        let mut failed = 0;
        for (_, lines) in sections {
            let against = |line: &Line<'_>| {
                let ours = line.cells.first()?.median()?;
                let theirs = line.cells.get(index)?.median()?;
                figure::advantage(line.figure, ours, theirs)
            };
            let ratios: Vec<f64> = lines.iter().filter_map(against).collect();
            let better = ratios.iter().filter(|ratio| **ratio < 0.995).count();
            failed += lines
                .iter()
                .filter(|line| line.cells.get(index) == Some(&Cell::Failed))
                .count();
            cells.push(match summary::median(&ratios) {
                None => "–".to_owned(),
                Some(median) if better == 0 => figure::ratio(median),
                Some(median) => {
                    format!(
                        "{}, better in {better} of {}",
                        figure::ratio(median),
                        ratios.len()
                    )
                }
            });
        }
        page.line(&format!(
            "| {} | {} | {failed} |",
            facts.name,
            cells.join(" | ")
        ));
    }
    page.line("");
}
