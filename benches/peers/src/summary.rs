//! From runs to figures: medians, spreads, who is best, by how much, and what is not to be trusted.

use std::collections::BTreeSet;

use crate::disturbance::{OTHERS, STOLEN};
use crate::figure;
use crate::results::{Results, Row};

/// How busy the load generator was, in percent of one processor.
pub const GENERATOR: &str = "load_cpu_pct";

/// Percent of one processor that others may use before a row is marked.
const OTHERS_LIMIT: f64 = 15.0;
/// Percent that the hypervisor may take.
const STOLEN_LIMIT: f64 = 5.0;
/// Percent of one processor from which on the generator may be what limits a rate.
const GENERATOR_LIMIT: f64 = 90.0;

/// One figure of one row, broker by broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The row from which it comes.
    pub row: &'a Row,
    /// The name of the figure.
    pub figure: &'a str,
    /// One cell for each broker, in their order.
    pub cells: Vec<Cell>,
    /// The names of the brokers, in the same order.
    pub brokers: Vec<String>,
    /// Which peer did best, as an index into the brokers.
    pub best_peer: Option<usize>,
    /// How many times better the first broker is than that peer: below 1 is a miss.
    pub advantage: Option<f64>,
}

/// What one broker came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// It was not asked.
    Absent,
    /// None of its runs counts.
    Failed,
    /// The median of its runs that count.
    Value {
        /// The median.
        median: f64,
        /// The least.
        least: f64,
        /// The most.
        most: f64,
        /// Whether other runs of it failed.
        is_partial: bool,
    },
}

impl Cell {
    /// The median, if there is one.
    pub fn median(&self) -> Option<f64> {
        match self {
            Self::Value { median, .. } => Some(*median),
            _ => None,
        }
    }

    /// Half the range in percent of the median.
    pub fn spread(&self) -> Option<f64> {
        match self {
            Self::Value {
                median,
                least,
                most,
                ..
            } if *median > 0.0 && most > least => Some(50.0 * (most - least) / median),
            _ => None,
        }
    }
}

impl<'a> Line<'a> {
    /// Whether the first broker is behind a peer.
    pub fn is_miss(&self) -> bool {
        let failed = self.cells.first() == Some(&Cell::Failed);
        // What rounds to 1.00 is a draw.
        (failed && self.best_peer.is_some()) || self.advantage.is_some_and(|a| a < 0.995)
    }

    /// Whether others may have changed the figure: they do not change memory.
    pub fn is_disturbed(&self) -> bool {
        !self.figure.starts_with("rss_") && disturbance(self.row).is_some()
    }

    /// Whether the ranges of the first broker and the best peer overlap.
    pub fn is_within_spread(&self) -> bool {
        let range = |cell: Option<&Cell>| match cell {
            Some(Cell::Value { least, most, .. }) => Some((*least, *most)),
            _ => None,
        };
        let ours = range(self.cells.first());
        let theirs = range(self.best_peer.and_then(|best| self.cells.get(best)));
        matches!((ours, theirs), (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1)
    }

    fn of(row: &'a Row, figure: &'a str, brokers: &[String]) -> Self {
        let cells: Vec<Cell> = brokers.iter().map(|name| cell(row, figure, name)).collect();
        let ours = cells.first().and_then(Cell::median);
        let best_peer = cells
            .iter()
            .enumerate()
            .skip(1)
            .filter_map(|(index, cell)| Some((index, cell.median().filter(|m| *m > 0.0)?)))
            .max_by(|(_, a), (_, b)| {
                if figure::more_is_better(figure) {
                    a.total_cmp(b)
                } else {
                    b.total_cmp(a)
                }
            });
        Self {
            row,
            figure,
            advantage: ours
                .zip(best_peer)
                .and_then(|(ours, (_, theirs))| figure::advantage(figure, ours, theirs)),
            best_peer: best_peer.map(|(index, _)| index),
            brokers: brokers.to_vec(),
            cells,
        }
    }
}

fn cell(row: &Row, figure: &str, broker: &str) -> Cell {
    let runs: Vec<_> = row.runs.iter().filter(|run| run.broker == broker).collect();
    let counting = runs.iter().filter(|run| run.failure.is_none());
    let values: Vec<f64> = counting
        .filter_map(|run| run.figures.get(figure).copied())
        .collect();
    let has_failed = runs.iter().any(|run| run.failure.is_some());
    match median(&values) {
        Some(median) => Cell::Value {
            median,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            is_partial: has_failed,
        },
        None if has_failed => Cell::Failed,
        None => Cell::Absent,
    }
}

/// The middle one, or the mean of the middle two.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(*upper);
    }
    let lower = sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(*lower, *upper))
}

/// All figures that a section shows, in the order of the rows.
pub fn lines<'a>(results: &'a Results, section: &str) -> Vec<Line<'a>> {
    let brokers = names(results);
    let shown = results.rows.iter().flat_map(|row| {
        let figures = row.figures.iter().filter(|shown| shown.section == section);
        figures.map(move |shown| (row, shown.figure.as_str()))
    });
    shown
        .map(|(row, figure)| Line::of(row, figure, &brokers))
        .collect()
}

/// From how many rows on a figure has a table, and a plot, of its own.
const OWN_TABLE: usize = 3;

/// Figures with the lines that show them.
pub type Grouped<'a> = Vec<(&'a str, Vec<&'a Line<'a>>)>;

/// Figures that many rows show, each with its lines, and the lines of all others.
pub fn split<'a>(lines: &'a [Line<'a>]) -> (Grouped<'a>, Vec<&'a Line<'a>>) {
    let mut groups: Grouped<'a> = Vec::new();
    for line in lines {
        match groups.iter_mut().find(|(name, _)| *name == line.figure) {
            Some((_, group)) => group.push(line),
            None => groups.push((line.figure, vec![line])),
        }
    }
    groups.retain(|(_, group)| group.len() >= OWN_TABLE);
    let is_single = |line: &&Line<'_>| groups.iter().all(|(name, _)| *name != line.figure);
    let single = lines.iter().filter(is_single).collect();
    (groups, single)
}

/// The brokers, in the order of the columns.
pub fn names(results: &Results) -> Vec<String> {
    let brokers = results.brokers.iter();
    brokers.map(|facts| facts.name.clone()).collect()
}

/// The sections that have something to show: first those of the list, then others as they come.
pub fn sections(results: &Results, first: &[&str]) -> Vec<String> {
    let figures = results.rows.iter().flat_map(|row| &row.figures);
    let present: Vec<&str> = figures.map(|shown| shown.section.as_str()).collect();
    let mut seen = BTreeSet::new();
    let listed = first.iter().copied().filter(|name| present.contains(name));
    listed
        .chain(present.iter().copied())
        .filter(|name| seen.insert(*name))
        .map(str::to_owned)
        .collect()
}

/// How much a row was disturbed, if it was: for the reader to weigh.
pub fn disturbance(row: &Row) -> Option<String> {
    let worst = |name: &str| {
        let runs = row.runs.iter().filter_map(|run| run.figures.get(name));
        runs.copied().fold(0.0, f64::max)
    };
    let mut said = Vec::new();
    if worst(OTHERS) > OTHERS_LIMIT {
        said.push(format!(
            "other processes used up to {:.0} % of a processor",
            worst(OTHERS)
        ));
    }
    if worst(STOLEN) > STOLEN_LIMIT {
        said.push(format!("the hypervisor took up to {:.0} %", worst(STOLEN)));
    }
    (!said.is_empty()).then(|| said.join(", "))
}

/// The brokers in whose runs the generator was so busy that it may have set the rate.
pub fn generator_limits(row: &Row) -> BTreeSet<&str> {
    let runs = row.runs.iter().filter(|run| {
        let busy = run.figures.get(GENERATOR);
        run.failure.is_none() && busy.is_some_and(|busy| *busy > GENERATOR_LIMIT)
    });
    runs.map(|run| run.broker.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{failed, row, run, sample};

    #[test]
    fn medians() {
        let cases: [(&[f64], Option<f64>); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[4.0, 1.0], Some(2.5)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
        ];
        for (values, expected) in cases {
            assert_eq!(median(values), expected);
        }
    }

    fn line(
        figure: &str,
        runs: &[crate::results::Run],
    ) -> (Option<usize>, Option<f64>, bool, bool) {
        let row = row("a", "b", runs);
        let names = ["mosca", "x", "y"].map(str::to_owned);
        let line = Line::of(&row, figure, &names);
        (
            line.best_peer,
            line.advantage,
            line.is_miss(),
            line.is_within_spread(),
        )
    }

    #[test]
    fn the_best_peer_is_the_measure() {
        let runs = |figure, ours: &[f64], x, y| {
            let mut runs = vec![run("x", 1, &[(figure, x)]), run("y", 1, &[(figure, y)])];
            runs.extend(ours.iter().map(|v| run("mosca", 1, &[(figure, *v)])));
            runs
        };
        let rate = "msgs_per_s";
        let time = "p50_us";
        assert_eq!(
            line(rate, &runs(rate, &[200.0], 50.0, 100.0)),
            (Some(2), Some(2.0), false, false)
        );
        assert_eq!(
            line(rate, &runs(rate, &[50.0], 100.0, 10.0)),
            (Some(1), Some(0.5), true, false)
        );
        assert_eq!(
            line(time, &runs(time, &[50.0], 100.0, 200.0)),
            (Some(1), Some(2.0), false, false)
        );
        assert_eq!(
            line(time, &runs(time, &[90.0, 130.0], 100.0, 200.0)),
            (Some(1), Some(100.0 / 110.0), true, true)
        );
        // 0.997 is shown as 1.00.
        assert!(!line(rate, &runs(rate, &[99.7], 100.0, 1.0)).2);
    }

    #[test]
    fn what_failed_does_not_count() {
        let runs = [
            run("mosca", 1, &[("msgs_per_s", 10.0)]),
            failed("x", 1, "lost"),
            run("y", 1, &[("msgs_per_s", 5.0)]),
            failed("y", 2, "lost"),
        ];
        let row = row("a", "b", &runs);
        let names = ["mosca", "x", "y", "z"].map(str::to_owned);
        let line = Line::of(&row, "msgs_per_s", &names);
        assert_eq!(line.best_peer, Some(2));
        assert_eq!(line.cells[1], Cell::Failed);
        assert!(matches!(
            line.cells[2],
            Cell::Value {
                is_partial: true,
                ..
            }
        ));
        assert_eq!(line.cells[3], Cell::Absent);
    }

    #[test]
    fn to_fail_where_a_peer_does_not_is_a_miss() {
        let ours = failed("mosca", 1, "lost");
        let theirs = run("x", 1, &[("p50_us", 5.0)]);
        assert!(line("p50_us", &[ours.clone(), theirs]).2);
        assert!(!line("p50_us", &[ours.clone(), failed("x", 1, "lost")]).2);
    }

    #[test]
    fn memory_that_was_there_before_is_nobodys_victory() {
        let runs = [
            run("mosca", 1, &[("rss_per_sub_b", 10.0)]),
            run("x", 1, &[("rss_per_sub_b", 0.0)]),
            run("y", 1, &[("rss_per_sub_b", 5.0)]),
        ];
        assert_eq!(
            line("rss_per_sub_b", &runs),
            (Some(2), Some(0.5), true, false)
        );
    }

    #[test]
    fn disturbed_rows_are_marked() {
        let quiet = row("a", "b", &[run("x", 1, &[("other_cpu_pct", 10.0)])]);
        assert_eq!(disturbance(&quiet), None);
        let loud = row(
            "a",
            "b",
            &[run("x", 1, &[("other_cpu_pct", 40.0), ("steal_pct", 6.0)])],
        );
        assert_eq!(
            disturbance(&loud).as_deref(),
            Some("other processes used up to 40 % of a processor, the hypervisor took up to 6 %")
        );
        let busy = row("a", "b", &[run("x", 1, &[("load_cpu_pct", 97.0)])]);
        assert_eq!(Vec::from_iter(generator_limits(&busy)), ["x"]);
    }

    #[test]
    fn figures_stand_in_their_sections() {
        let results = sample();
        let sections = sections(&results, &["storms", "throughput"]);
        assert_eq!(
            sections[..2],
            ["storms".to_owned(), "throughput".to_owned()]
        );
        for section in &sections {
            assert!(!lines(&results, section).is_empty(), "{section}");
        }
    }
}
