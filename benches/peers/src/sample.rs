//! For tests: a small set of results with everything in it that a page can show.

use crate::laws::{Law, Series};
use crate::machine::Machine;
use crate::results::{Facts, Results, Row, Run, Session};
use crate::scenario::Shown;

/// A run that counts.
pub fn run(broker: &str, round: u32, figures: &[(&str, f64)]) -> Run {
    Run {
        broker: broker.to_owned(),
        round,
        failure: None,
        figures: figures
            .iter()
            .map(|&(key, v)| (key.to_owned(), v))
            .collect(),
    }
}

/// A run that does not.
pub fn failed(broker: &str, round: u32, reason: &str) -> Run {
    Run {
        failure: Some(reason.to_owned()),
        ..run(broker, round, &[])
    }
}

/// A row that shows every figure of its first run that counts.
pub fn row(section: &str, name: &str, runs: &[Run]) -> Row {
    let first = runs.iter().find(|run| run.failure.is_none());
    let figures = first.into_iter().flat_map(|run| run.figures.keys());
    let shown = figures
        .filter(|key| !key.ends_with("_pct"))
        .map(|key| Shown {
            section: section.to_owned(),
            figure: key.clone(),
        });
    Row {
        section: section.to_owned(),
        name: name.to_owned(),
        arguments: format!("load {name}"),
        figures: shown.collect(),
        runs: runs.to_vec(),
    }
}

/// The results: wins, a miss, a failure, a broker that was not asked, and a disturbed row.
pub fn sample() -> Results {
    let mut rows = throughput();
    rows.extend(latency());
    rows.extend(memory());
    Results {
        machine: Machine {
            processor: "A processor".to_owned(),
            processors: 2,
            is_virtual: true,
            memory_mib: 24_105,
            system: "A system 12".to_owned(),
            kernel: "6.1".to_owned(),
            tcp_congestion_control: "cubic".to_owned(),
        },
        sessions: vec![Session {
            began: "2026-01-02 03:04".to_owned(),
            ended: "2026-01-02 03:14".to_owned(),
            arguments: "--peer 'other=…/other -p {port}' --rounds 2".to_owned(),
            rounds: 2,
            seconds: 1.0,
            load: "load 0.0.0".to_owned(),
            open_files: 20_000,
        }],
        brokers: vec![
            facts("mosca", &["mosca 0.1.0"], "…/mosca --port {port}", None),
            facts(
                "mosquitto",
                &["mosquitto version 2"],
                "…/mosquitto -c {conf:mosquitto.conf}",
                Some("listener {port}\n"),
            ),
            facts("other", &[], "…/other -p {port}", None),
        ],
        rows,
        engines: Vec::new(),
        laws: vec![Law {
            title: "Match against many subscriptions".to_owned(),
            x: "subscriptions".to_owned(),
            y: "ns per match".to_owned(),
            series: vec![
                Series {
                    name: "exact".to_owned(),
                    points: vec![(1e3, 41.0), (1e4, 44.0), (1e5, 60.0), (1e6, 90.0)],
                },
                Series {
                    name: "all of them".to_owned(),
                    points: vec![(1e3, 1e3), (1e6, 1e6)],
                },
            ],
        }],
    }
}

fn throughput() -> Vec<Row> {
    let flow = |broker: &str, round, rate, cpu| {
        let figures = [("msgs_per_s", rate), ("broker_cpu_us_per_msg", cpu)];
        run(broker, round, &figures)
    };
    let mut disturbed = flow("mosquitto", 2, 71_000.0, 13.5);
    disturbed.figures.insert("other_cpu_pct".to_owned(), 41.0);
    vec![
        row(
            "throughput",
            "10 pairs, QoS 1, 64 B",
            &[
                flow("mosca", 1, 1_310_000.0, 0.75),
                flow("mosquitto", 1, 72_100.0, 13.7),
                failed("other", 1, "3 messages were lost"),
                flow("mosca", 2, 1_250_000.0, 0.79),
                disturbed,
                failed("other", 2, "5 messages were lost"),
            ],
        ),
        row(
            "throughput",
            "10 pairs, QoS 0, 16 KiB",
            &[
                flow("mosca", 1, 90_000.0, 14.0),
                flow("mosquitto", 1, 53_000.0, 18.8),
                flow("other", 1, 93_000.0, 14.7),
            ],
        ),
        row(
            "throughput",
            "fan-out to 100, QoS 0, 64 B",
            &[
                flow("mosca", 1, 3_000_000.0, 0.22),
                flow("mosquitto", 1, 157_000.0, 6.37),
                flow("other", 1, 527_000.0, 2.31),
            ],
        ),
    ]
}

fn latency() -> Vec<Row> {
    let latency = |broker: &str, (p50, p99, p999)| {
        let figures = [("p50_us", p50), ("p99_us", p99), ("p999_us", p999)];
        run(broker, 1, &figures)
    };
    let shares = [
        (10, (80.0, 300.0, 900.0), (84.0, 310.0, 1_000.0)),
        (50, (90.0, 500.0, 1_900.0), (100.0, 700.0, 3_000.0)),
        (80, (99.0, 800.0, 4_000.0), (800.0, 5_000.0, 9_000.0)),
    ];
    let rows = shares.map(|(share, mosca, mosquitto)| {
        let mut rate = row(
            "latency",
            &format!("QoS 1, {share} %"),
            &[latency("mosca", mosca), latency("mosquitto", mosquitto)],
        );
        rate.arguments = format!("rate --pubs 10 --rate {} --qos 1", share * 720);
        rate
    });
    rows.to_vec()
}

fn memory() -> Vec<Row> {
    let rows =
        [(5_000, 1_800.0, 1_500.0), (20_000, 1_200.0, 900.0)].map(|(count, ours, theirs)| {
            let mut idle = row(
                "memory",
                &format!("{count} idle connections"),
                &[
                    run("mosca", 1, &[("rss_per_conn_b", ours)]),
                    run("mosquitto", 1, &[("rss_per_conn_b", theirs)]),
                ],
            );
            idle.arguments = format!("idle --conns {count}");
            idle.figures.push(Shown {
                section: "storms".to_owned(),
                figure: "connects_per_s".to_owned(),
            });
            for (run, rate) in idle.runs.iter_mut().zip([21_600.0, 30_300.0]) {
                run.figures.insert("connects_per_s".to_owned(), rate);
            }
            idle
        });
    rows.to_vec()
}

fn facts(name: &str, versions: &[&str], command: &str, configuration: Option<&str>) -> Facts {
    Facts {
        name: name.to_owned(),
        versions: versions.iter().map(|&version| version.to_owned()).collect(),
        command: command.to_owned(),
        configuration: configuration.map(str::to_owned),
    }
}
