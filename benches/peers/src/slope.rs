//! What one more of something costs: the slope of memory over several counts, and what a million of
//! them would take.
//!
//! A single figure, growth divided by count, carries what the first connection brings along (threads,
//! tables, buffers that are kept). The slope does not.

use crate::laws;
use crate::results::{Results, Row};
use crate::summary;

/// What is counted: the word in the generator's arguments, and the growth for each.
#[derive(Debug, Clone, Copy)]
struct Counted {
    scenario: &'static str,
    flag: &'static str,
    figure: &'static str,
    title: &'static str,
    /// An argument that tells this kind from others of the same scenario.
    with: Option<&'static str>,
}

const SUBSCRIBED: &str = "--subs-per-conn 1";

const COUNTED: [Counted; 3] = [
    Counted {
        scenario: "idle",
        flag: "--conns",
        figure: "rss_per_conn_b",
        title: "idle connection without a subscription",
        with: None,
    },
    Counted {
        scenario: "idle",
        flag: "--conns",
        figure: "rss_per_conn_subscribed_b",
        title: "idle connection with one subscription",
        with: Some(SUBSCRIBED),
    },
    Counted {
        scenario: "subscribe-storm",
        flag: "--subscriptions",
        figure: "rss_per_subscription_b",
        title: "subscription",
        with: None,
    },
];

/// The slope of one kind for every broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Slope {
    /// One more of what.
    pub title: &'static str,
    /// At which counts it was measured.
    pub counts: Vec<u64>,
    /// Bytes for one more, broker by broker.
    pub bytes: Vec<Option<f64>>,
}

/// All slopes for which there are at least two counts.
pub fn slopes(results: &Results) -> Vec<Slope> {
    COUNTED
        .iter()
        .filter_map(|counted| slope(results, counted))
        .collect()
}

/// What a million idle connections would ask of a broker beside memory, from the row with most of
/// them: broker by broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Million {
    /// How many there were.
    pub connections: u64,
    /// Seconds until all have come in, one after the other as fast as they did.
    pub seconds_to_come: Vec<Option<f64>>,
    /// Percent of one processor for their pings, each every 30 s.
    pub ping_percent: Vec<Option<f64>>,
}

/// What a million would take, if enough was measured to say so.
pub fn million(results: &Results) -> Option<Million> {
    const PINGS_PER_S: f64 = 1e6 / 30.0;
    let idle = COUNTED.first()?;
    let rows = results.rows.iter();
    let (connections, row) = rows
        .filter_map(|row| Some((count(row, idle)?, row)))
        .max_by_key(|(count, _)| *count)?;
    let of_brokers = |figure: &str, compute: &dyn Fn(f64) -> f64| -> Vec<Option<f64>> {
        summary::names(results)
            .iter()
            .map(|name| median(row, name, figure).filter(|v| *v > 0.0).map(compute))
            .collect()
    };
    Some(Million {
        connections,
        seconds_to_come: of_brokers("connects_per_s", &|rate| 1e6 / rate),
        ping_percent: of_brokers("idle_broker_cpu_us_per_ping", &|us| {
            us * PINGS_PER_S / 1e6 * 100.0
        }),
    })
}

fn median(row: &Row, broker: &str, figure: &str) -> Option<f64> {
    let counting = row
        .runs
        .iter()
        .filter(|run| run.broker == broker && run.failure.is_none());
    let values: Vec<f64> = counting
        .filter_map(|run| run.figures.get(figure).copied())
        .collect();
    summary::median(&values)
}

fn slope(results: &Results, counted: &Counted) -> Option<Slope> {
    let mut rows: Vec<(u64, &Row)> = results
        .rows
        .iter()
        .filter_map(|row| Some((count(row, counted)?, row)))
        .collect();
    rows.sort_by_key(|(count, _)| *count);
    // Of several rows with the same count one is enough: they differ in what comes later.
    rows.dedup_by_key(|(count, _)| *count);
    if rows.len() < 2 {
        return None;
    }
    let of_broker = |name: &String| {
        let points: Vec<(f64, f64)> = rows
            .iter()
            .filter_map(|(count, row)| {
                let each = median(row, name, counted.figure)?;
                let count = *count as f64;
                Some((count, count * each))
            })
            .collect();
        laws::slope(&points)
    };
    Some(Slope {
        title: counted.title,
        counts: rows.iter().map(|(count, _)| *count).collect(),
        bytes: summary::names(results).iter().map(of_broker).collect(),
    })
}

fn count(row: &Row, counted: &Counted) -> Option<u64> {
    let is_kind = match counted.with {
        Some(with) => row.arguments.contains(with),
        None => !row.arguments.contains(SUBSCRIBED),
    };
    let shows_it = row
        .figures
        .iter()
        .any(|shown| shown.figure == counted.figure);
    let mut words = row.arguments.split_whitespace();
    if words.next() != Some(counted.scenario) || !is_kind || !shows_it {
        return None;
    }
    words.find(|word| *word == counted.flag)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{failed, row, run, sample};
    use crate::scenario::Shown;

    #[test]
    fn a_slope_leaves_out_what_comes_once() {
        let mut results = sample();
        let figure = "rss_per_conn_b";
        // 1,000 bytes each and a million at the start.
        let idle = |count: u32| {
            let each = 1000.0 + 1e6 / f64::from(count);
            let runs = [run("mosca", 1, &[(figure, each)]), failed("peer", 1, "no")];
            let mut row = row("memory", &format!("idle {count}"), &runs);
            row.arguments = format!("idle --conns {count} --seconds 1");
            row.figures.push(Shown {
                section: "memory".to_owned(),
                figure: figure.to_owned(),
            });
            row
        };
        results.rows = vec![idle(15_000), idle(5_000)];
        let slopes = slopes(&results);
        assert_eq!(slopes.len(), 1);
        assert_eq!(slopes[0].counts, [5_000, 15_000]);
        assert!((slopes[0].bytes[0].unwrap() - 1000.0).abs() < 0.01);
        assert_eq!(slopes[0].bytes[1], None);
        results.rows.pop();
        assert_eq!(super::slopes(&results), []);
    }

    #[test]
    fn a_million_is_computed_from_the_most() {
        let mut results = sample();
        let idle = |count: u32, rate: f64| {
            let figures = [
                ("rss_per_conn_b", 1000.0),
                ("connects_per_s", rate),
                ("idle_broker_cpu_us_per_ping", 15.0),
            ];
            let runs = [run("mosca", 1, &figures), failed("peer", 1, "no")];
            let mut row = row("memory", &format!("idle {count}"), &runs);
            row.arguments = format!("idle --conns {count}");
            row
        };
        results.rows = vec![idle(15_000, 20_000.0), idle(5_000, 1.0)];
        let million = million(&results).unwrap();
        assert_eq!(million.connections, 15_000);
        assert_eq!(million.seconds_to_come[..2], [Some(50.0), None]);
        assert!((million.ping_percent[0].unwrap() - 50.0).abs() < 1e-9);
        results.rows.clear();
        assert_eq!(super::million(&results), None);
    }
}
