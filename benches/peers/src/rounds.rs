//! The measurement itself: every scenario, every broker by turns, in several rounds.
//!
//! In each round another broker is first, so that none always has the machine as the same other
//! left it. A run has a broker of its own, freshly started, and nobody else's.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::broker::{Broker, Running, SILENT};
use crate::disturbance::{self, Reading};
use crate::machine::without_folders;
use crate::restart;
use crate::results::{Row, Run};
use crate::scenario::{self, Scenario, Share};
use crate::summary;

/// The broker from whose rate the fixed rates of latency are derived, if it takes part.
pub const REFERENCE: &str = "mosquitto";

/// What all runs have in common.
#[derive(Debug)]
pub struct Plan {
    /// The brokers; the first is mosca.
    pub brokers: Vec<Broker>,
    /// What they go through.
    pub scenarios: Vec<Scenario>,
    /// The load generator.
    pub load: PathBuf,
    /// How often.
    pub rounds: u32,
    /// The length of the measured part.
    pub seconds: f64,
    /// After which a run is given up.
    pub limit: Duration,
}

impl Plan {
    /// Runs it all; `after_each` sees the rows after each scenario of each round.
    pub fn measure(&self, mut after_each: impl FnMut(&[Row]) -> Result<()>) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        let began = Instant::now();
        let total = self.rounds as usize * self.scenarios.len() * self.brokers.len();
        let mut done = 0;
        let mut dead: BTreeMap<&str, String> = BTreeMap::new();
        for round in 1..=self.rounds {
            for (index, scenario) in self.scenarios.iter().enumerate() {
                if rows.len() <= index {
                    rows.push(self.begin(scenario, &rows));
                }
                for broker in self.order(round) {
                    let row = rows.get(index).context("it was begun")?;
                    let run = match dead.get(broker.name.as_str()) {
                        Some(reason) => {
                            answered(broker, round, row, Answer::failed(reason.clone()))
                        }
                        None => self.run(broker, row, round),
                    };
                    if let Some(reason) = &run.failure
                        && reason.starts_with(SILENT)
                    {
                        dead.insert(&broker.name, reason.clone());
                    }
                    done += 1;
                    tell(&run, row, done, total, began.elapsed());
                    if let Some(row) = rows.get_mut(index) {
                        row.runs.push(run);
                    }
                }
                after_each(&rows)?;
            }
        }
        Ok(rows)
    }

    fn order(&self, round: u32) -> impl Iterator<Item = &Broker> {
        let first = (round as usize - 1) % self.brokers.len().max(1);
        let count = self.brokers.len();
        self.brokers.iter().cycle().skip(first).take(count)
    }

    /// The row without runs. A rate that rests on another row is decided here, once for all rounds.
    fn begin(&self, scenario: &Scenario, rows: &[Row]) -> Row {
        let rate = match scenario::share_of(&scenario.arguments) {
            None => None,
            Some(Share {
                share,
                of_best_peer,
                on,
            }) => {
                let row = rows.iter().find(|row| row.name == on);
                let ours = self.brokers.first().map_or("", |mosca| mosca.name.as_str());
                let full = row.and_then(|row| match of_best_peer {
                    true => best_peers_rate(row, ours),
                    false => reference_rate(row),
                });
                full.map(|full| two_digits(share * full))
            }
        };
        Row {
            section: scenario.section.clone(),
            name: scenario.name.clone(),
            arguments: scenario::fill(&scenario.arguments, self.seconds, rate),
            figures: scenario.figures.clone(),
            runs: Vec::new(),
        }
    }

    fn run(&self, broker: &Broker, row: &Row, round: u32) -> Run {
        let outcome = self.try_run(broker, row);
        let answer = outcome.unwrap_or_else(|error| Answer::failed(format!("{error:#}")));
        answered(broker, round, row, answer)
    }

    /// An error is the broker's failure, too.
    fn try_run(&self, broker: &Broker, row: &Row) -> Result<Answer> {
        ensure!(
            scenario::share_of(&row.arguments).is_none(),
            "no broker delivered what the rate is a share of"
        );
        let earlier = row.runs.iter().filter(|run| run.broker == broker.name);
        let mut reasons = earlier.filter_map(|run| run.failure.as_deref());
        if let Some(reason) = reasons.find(|reason| reason.starts_with(ENDLESS)) {
            // It would only take as long again.
            return Ok(Answer::failed(reason.to_owned()));
        }
        if let Some(stored) = restart::what_is_stored(&row.arguments) {
            let (mut running, mut answer) = restart::run(self, broker, stored)?;
            answer.failure = running.ended().or(answer.failure);
            return Ok(answer);
        }
        let mut running = broker.start()?;
        let before = Reading::now(&running.processes());
        let spent_before = disturbance::spent_us(&running.servers());
        let mut answer = self.put_load(&running, &row.arguments)?;
        let spent = disturbance::spent_us(&running.servers()) - spent_before;
        if let Some(sent) = answer.figures.get("sent").filter(|_| spent > 0.0) {
            let each = spent / sent.max(1.0);
            answer.figures.insert(SERVER.to_owned(), each);
        }
        let (others, stolen) = Reading::now(&running.processes()).since(&before);
        answer.figures.retain(|name, _| !is_disturbance(name));
        answer
            .figures
            .insert(disturbance::OTHERS.to_owned(), others);
        answer
            .figures
            .insert(disturbance::STOLEN.to_owned(), stolen);
        answer.failure = running.ended().or(answer.failure);
        Ok(answer)
    }

    /// Runs the load generator with these arguments.
    pub fn put_load(&self, broker: &Running, arguments: &str) -> Result<Answer> {
        let out = broker.folder().join("load.json");
        let err = broker.folder().join("load.err");
        let mut load = Command::new(&self.load)
            .args(arguments.split_whitespace())
            .args(["--addr", &format!("127.0.0.1:{}", broker.port)])
            .args(["--pid", &broker.measured.to_string()])
            .args(["--children", "--json"])
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .with_context(|| format!("cannot run {}", self.load.display()))?;
        let until = Instant::now() + self.limit;
        let status = loop {
            if let Some(status) = load.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                load.kill()?;
                load.wait()?;
                let limit = self.limit.as_secs();
                return Ok(Answer::failed(format!("{ENDLESS} after {limit} s")));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let out = std::fs::read_to_string(out)?;
        let err = std::fs::read_to_string(err)?;
        Ok(Answer::read(status.code(), &out, &err))
    }
}

fn answered(broker: &Broker, round: u32, row: &Row, answer: Answer) -> Run {
    Run {
        broker: broker.name.clone(),
        round,
        failure: answer.failure.map(|reason| without_folders(&reason)),
        figures: kept(answer.figures, row),
    }
}

/// The processor time of Redis or MongoDB for each message, of the whole run.
const SERVER: &str = "server_cpu_us_per_msg";

const ENDLESS: &str = "not at its end";

/// The generator's own account has short phases, in which ticks of 10 ms say nothing.
fn is_disturbance(figure: &str) -> bool {
    figure.ends_with(disturbance::OTHERS) || figure.ends_with(disturbance::STOLEN)
}

/// What the load generator said.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Why the run does not count.
    pub failure: Option<String>,
    /// By name.
    pub figures: BTreeMap<String, f64>,
}

impl Answer {
    fn failed(reason: String) -> Self {
        Self {
            failure: Some(reason),
            figures: BTreeMap::new(),
        }
    }

    /// `code` is the exit status: whatever is not 0 is a failure, and so is what it tells of a
    /// message that was lost or a rate that was not held, even if the generator forgives it.
    fn read(code: Option<i32>, out: &str, err: &str) -> Self {
        let Ok(Value::Object(said)) = serde_json::from_str(out) else {
            let mut lines = err.lines().filter(|line| !line.trim().is_empty());
            // What a parser of command lines has to say stands above its advice.
            let error = lines.clone().find(|line| line.starts_with("error"));
            let last = error.or_else(|| lines.next_back());
            let last = last.unwrap_or("the load generator said nothing").trim();
            return Self::failed(last.to_owned());
        };
        let number = |key: &str| said.get(key).and_then(Value::as_f64);
        let errors: Vec<&str> = said
            .get("errors")
            .and_then(Value::as_array)
            .map(|errors| errors.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let failure = if code != Some(0) {
            Some(match errors.first() {
                Some(first) => (*first).to_owned(),
                None => format!("the load generator ended with {code:?}"),
            })
        } else if let Some(lost) = number("lost").filter(|lost| *lost > 0.0) {
            Some(format!("{lost} messages were lost"))
        } else if said.get("sustained") == Some(&Value::Bool(false)) {
            let rate = number("msgs_per_s").unwrap_or(0.0);
            Some(format!("did not hold the rate: {rate:.0} messages/s"))
        } else {
            None
        };
        let figures = said
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.as_f64()?)))
            .collect();
        Self { failure, figures }
    }
}

/// Of what the generator said: what the page shows, what memory is computed from, how disturbed the
/// run was, and how busy the generator, which is the most of its phases.
fn kept(figures: BTreeMap<String, f64>, row: &Row) -> BTreeMap<String, f64> {
    let mut kept = BTreeMap::new();
    for (key, value) in figures {
        if GENERATOR.iter().any(|name| key.ends_with(name)) {
            let most: &mut f64 = kept.entry(summary::GENERATOR.to_owned()).or_default();
            *most = most.max(round(value));
        } else if key.starts_with("rss_")
            || is_disturbance(&key)
            || row.figures.iter().any(|shown| shown.figure == key)
        {
            kept.insert(key, round(value));
        }
    }
    kept
}

/// How load generators call the share of a processor that they used.
const GENERATOR: [&str; 2] = ["load_cpu_pct", "ruler_cpu_pct"];

/// To five digits: more are noise, and the file of results is read by people, too.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 4 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits.min(12));
    (value * scale).round() / scale
}

/// The rate of the reference in a row, or that of the slowest if it does not take part.
fn reference_rate(row: &Row) -> Option<f64> {
    let slowest = || {
        let rates = row.runs.iter().filter_map(|run| rate(row, &run.broker));
        rates.min_by(f64::total_cmp)
    };
    rate(row, REFERENCE).or_else(slowest)
}

/// The highest rate in a row, `ours` not counted.
fn best_peers_rate(row: &Row, ours: &str) -> Option<f64> {
    let peers = row.runs.iter().filter(|run| run.broker != ours);
    let rates = peers.filter_map(|run| rate(row, &run.broker));
    rates.max_by(f64::total_cmp)
}

fn rate(row: &Row, broker: &str) -> Option<f64> {
    let runs = row.runs.iter();
    let counting = runs.filter(|run| run.broker == broker && run.failure.is_none());
    let rates: Vec<f64> = counting
        .filter_map(|run| run.figures.get("msgs_per_s").copied())
        .collect();
    summary::median(&rates)
}

/// Down to two digits, so that the same rate has a chance to come out again tomorrow.
fn two_digits(rate: f64) -> u64 {
    let rate = rate.max(1.0);
    let scale = 10_f64.powf(rate.log10().floor() - 1.0).max(1.0);
    ((rate / scale).floor() * scale) as u64
}

fn tell(run: &Run, row: &Row, done: usize, total: usize, elapsed: Duration) {
    let seconds = elapsed.as_secs();
    let left = seconds as usize * (total - done) / done.max(1) / 60;
    let outcome = match &run.failure {
        Some(reason) => format!("FAILED: {reason}"),
        None => row
            .figures
            .first()
            .and_then(|shown| Some((shown, run.figures.get(&shown.figure)?)))
            .map_or_else(
                || "ok, but without its first figure".to_owned(),
                |(shown, value)| format!("{} {value}", shown.figure),
            ),
    };
    eprintln!(
        "{done:>4}/{total}  {left:>3} min left  {} / {}  {}  {outcome}",
        row.section, row.name, run.broker
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{row, run};

    #[test]
    fn another_broker_is_first_in_each_round() {
        let broker = |name: &str| Broker::named(&format!("{name}=x").parse().unwrap()).unwrap();
        let plan = Plan {
            brokers: ["a", "b", "c"].map(broker).to_vec(),
            scenarios: Vec::new(),
            load: PathBuf::new(),
            rounds: 4,
            seconds: 1.0,
            limit: Duration::from_secs(1),
        };
        let order = |round| {
            plan.order(round)
                .map(|b| b.name.as_str())
                .collect::<String>()
        };
        assert_eq!([1, 2, 3, 4].map(order), ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn an_answer_is_judged() {
        let failure = |code, out: &str| Answer::read(code, out, "oh\nlast words\n").failure;
        assert_eq!(failure(Some(0), r#"{"msgs_per_s": 5.0, "lost": 0}"#), None);
        let cases = [
            (Some(0), r#"{"lost": 3}"#, "3 messages were lost"),
            (
                Some(0),
                r#"{"msgs_per_s": 5.2, "sustained": false}"#,
                "did not hold the rate: 5 messages/s",
            ),
            (Some(1), r#"{"errors": ["bad", "worse"]}"#, "bad"),
            (Some(1), "{}", "the load generator ended with Some(1)"),
            (Some(3), "", "last words"),
            (None, "", "last words"),
        ];
        for (code, out, expected) in cases {
            assert_eq!(failure(code, out).as_deref(), Some(expected), "{out}");
        }
    }

    #[test]
    fn only_numbers_that_are_needed_are_kept() {
        let answer = r#"{"scenario":"x","p50_us":1.234567,"p99_us":2,"load_cpu_pct":1,
            "store_load_cpu_pct":30.5,"other_cpu_pct":3,"rss_before_mb":9}"#;
        let answer = Answer::read(Some(0), answer, "");
        let mut row = row("a", "b", &[]);
        row.figures.push(Shown {
            section: "a".to_owned(),
            figure: "p50_us".to_owned(),
        });
        let kept: Vec<(String, f64)> = kept(answer.figures, &row).into_iter().collect();
        let kept: Vec<(&str, f64)> = kept.iter().map(|(key, v)| (key.as_str(), *v)).collect();
        assert_eq!(
            kept,
            [
                ("load_cpu_pct", 30.5),
                ("other_cpu_pct", 3.0),
                ("p50_us", 1.2346),
                ("rss_before_mb", 9.0)
            ]
        );
    }

    use crate::scenario::Shown;

    #[test]
    fn a_rate_is_that_of_the_reference_or_of_the_slowest_or_of_the_best_peer() {
        let with = row(
            "a",
            "b",
            &[
                run("mosca", 1, &[("msgs_per_s", 900.0)]),
                run("slow", 1, &[("msgs_per_s", 50.0)]),
                run(REFERENCE, 1, &[("msgs_per_s", 100.0)]),
                run(REFERENCE, 2, &[("msgs_per_s", 300.0)]),
            ],
        );
        assert_eq!(reference_rate(&with), Some(200.0));
        assert_eq!(best_peers_rate(&with, "mosca"), Some(200.0));
        let mut without = with.clone();
        without.runs.truncate(2);
        assert_eq!(reference_rate(&without), Some(50.0));
        assert_eq!(best_peers_rate(&without, "mosca"), Some(50.0));
        without.runs.clear();
        assert_eq!(reference_rate(&without), None);
    }

    #[test]
    fn rates_have_two_digits() {
        let cases = [
            (72_345.6, 72_000),
            (123.0, 120),
            (99.0, 99),
            (7.9, 7),
            (0.0, 1),
        ];
        for (rate, expected) in cases {
            assert_eq!(two_digits(rate), expected);
        }
    }

    #[test]
    fn figures_keep_five_digits() {
        for (value, expected) in [
            (1_234_567.0, 1_234_600.0),
            (0.123_456_7, 0.123_46),
            (0.0, 0.0),
        ] {
            assert!((round(value) - expected).abs() < 1e-9, "{value}");
        }
    }
}
