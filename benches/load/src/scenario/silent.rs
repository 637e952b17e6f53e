//! Pairs at a fixed rate, by turns alone and beside thousands of connections that say nothing, or a part of
//! what they should: what do those notice who have something to say, and is memory given back?

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::cli::{self, Common, Load};
use crate::closed_loop::{Loss, report_checks};
use crate::crowd::{Crowd, Manner, Plan, Tally};
use crate::dial::leave_all;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::describe;
use crate::meter::{MB, Meter, Shares};
use crate::net::Net;
use crate::open_loop::{Flow, OpenLoop, Since};

/// Beside the crowd the 99th percentile may be so many times what it is without.
const RATIO_MAX: f64 = 2.0;
/// Of the memory that a crowd took, so many percent may stay; but less than [`KEPT_MB`] is never too much.
const KEPT_PCT: f64 = 20.0;
const KEPT_MB: f64 = 2.0;
/// How long the broker has for giving memory back when a crowd is gone.
const GIVING_BACK: Duration = Duration::from_secs(10);
/// How often we look whether something has happened.
const GLANCE: Duration = Duration::from_millis(20);

/// Arguments of `silent`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How those behave who come only to be there
    #[arg(long, value_enum, default_value = "nothing")]
    manner: Manner,
    /// How many of them are there at one time
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    conns: u32,
    /// Connections that they open in a second, until all are there and in place of those that were closed
    #[arg(long, default_value_t = 2_000.0)]
    conns_per_s: f64,
    /// Where they connect [default: --addr]
    #[arg(long, value_parser = cli::address)]
    at: Option<SocketAddr>,
    /// Pairs of those who have something to say
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Their messages per second, all together
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Turns: each is --seconds alone and --crowd-seconds beside the others
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of each measured part beside the others, from when all are there; their coming is measured too
    #[arg(long, default_value = "12", value_parser = cli::seconds)]
    crowd_seconds: Duration,
    /// Fail if the 99th percentile is more than doubled, if memory is not given back, or if not all came in
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    pub common: Common,
}

/// What was measured in one part of a round.
#[derive(Debug, Clone, Copy)]
struct Part {
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    lag_p99_us: f64,
    shares: Shares,
}

/// What a crowd has left, in MiB; all is 0 if the broker's process is not known.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    most_mb: f64,
    after_mb: f64,
    /// Seconds until it was given back.
    after_s: f64,
}

/// One round.
#[derive(Debug, Clone, Copy)]
struct Round {
    alone: Part,
    beside: Part,
    /// The slowest message while all leave, and until their memory is given back.
    leaving_max_us: f64,
    left: Left,
    crowd: Tally,
    /// How late the crowd was.
    crowd_lag_p99_us: f64,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (common, load) = (&arguments.common, &arguments.load);
    let meter = common.meter()?;
    let mut net = Net::new(common.addr, common.version())?;
    let mut figures = describe("silent", common, load);
    let pairs = arguments.pairs as usize;
    figures.set("manner", arguments.manner.name());
    figures.set("conns", arguments.conns);
    figures.number("conns_per_s", arguments.conns_per_s);
    figures.set("pairs", pairs);
    figures.number("offered_per_s", arguments.rate);
    figures.set("rounds", arguments.rounds);
    let flow = Flow {
        scenario: "silent",
        pairs,
        rate: arguments.rate,
        inflight: 1_000,
        since: Since::Sent,
    };
    let mut flow = OpenLoop::start(&mut net, (common, load), flow)?;
    flow.run_for(load.warmup)?;
    let before_mb = memory_mb(&meter);
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds {
        rounds.push(arguments.round(&mut flow, &meter, before_mb)?);
    }
    flow.drain(common)?;
    report_checks(&flow.parties, &mut figures, Loss::Fails);
    let ratio = report_parts(&mut figures, &rounds);
    let is_too_much = report_memory(&mut figures, &meter, before_mb, &rounds);
    arguments.judge(&mut figures, &rounds, ratio, is_too_much);
    leave_all(flow.net, 0..2 * pairs)?;
    Ok(figures)
}

impl Arguments {
    fn crowd(&self) -> Plan {
        Plan {
            address: self.at.unwrap_or(self.common.addr),
            manner: self.manner,
            size: self.conns as usize,
            per_second: self.conns_per_s,
        }
    }

    fn round(
        &self,
        flow: &mut OpenLoop<'_>,
        meter: &Meter,
        before_mb: f64,
    ) -> Result<Round, Failure> {
        let (alone, ()) = measure(flow, meter, |flow| flow.run_for(self.load.seconds))?;
        let (beside, mut crowd) = measure(flow, meter, |flow| {
            let mut crowd = Crowd::gather(self.crowd(), flow.net.now_ns())?;
            crowd.register(flow.net.registry(), Net::TIMER)?;
            let limit_ns = flow.net.now_ns() + self.common.timeout.as_nanos() as u64;
            while !crowd.is_complete() && flow.net.now_ns() < limit_ns {
                flow.run_beside(&mut crowd, GLANCE)?;
            }
            flow.run_beside(&mut crowd, self.crowd_seconds)?;
            Ok(crowd)
        })?;
        let most_mb = memory_mb(meter);
        flow.forget();
        crowd.dismiss(flow.net.now_ns());
        while !crowd.is_gone() {
            flow.run_beside(&mut crowd, GLANCE)?;
        }
        let left = Left::wait(flow, meter, before_mb, most_mb)?;
        Ok(Round {
            alone,
            beside,
            leaving_max_us: flow.parties.latency.quantile_us(1.0),
            left,
            crowd: crowd.tally(),
            crowd_lag_p99_us: crowd.lag.quantile_us(0.99),
        })
    }

    fn judge(&self, figures: &mut Figures, rounds: &[Round], ratio: f64, is_too_much: bool) {
        let sum = |of: fn(&Tally) -> u64| rounds.iter().map(|round| of(&round.crowd)).sum::<u64>();
        let answered = sum(|crowd| crowd.answered);
        let present = rounds.iter().map(|round| round.crowd.most).min();
        let present = present.unwrap_or_default();
        figures.set("conns_opened", sum(|crowd| crowd.opened));
        figures.set("conns_cut_off", sum(|crowd| crowd.cut_off));
        figures.set("conns_answered", answered);
        figures.set("conns_present", present);
        if !self.check {
            return;
        }
        if present < self.conns as usize {
            figures.fail(format!("only {present} were there at one time"));
        }
        if self.manner.is_answered() && answered < u64::from(self.conns) {
            figures.fail(format!("only {answered} of them had an answer"));
        }
        if ratio > RATIO_MAX {
            figures.fail(format!(
                "the 99th percentile grew to {ratio:.2} times itself"
            ));
        }
        if is_too_much {
            figures.fail("memory was not given back");
        }
    }
}

fn measure<'a, T>(
    flow: &mut OpenLoop<'a>,
    meter: &Meter,
    run: impl FnOnce(&mut OpenLoop<'a>) -> Result<T, Failure>,
) -> Result<(Part, T), Failure> {
    flow.forget();
    let before = meter.read();
    let result = run(flow)?;
    let after = meter.read();
    let latency = &mut flow.parties.latency;
    let part = Part {
        p50_us: latency.quantile_us(0.5),
        p99_us: latency.quantile_us(0.99),
        p999_us: latency.quantile_us(0.999),
        lag_p99_us: flow.lag.quantile_us(0.99),
        shares: meter.shares((&before, &after)),
    };
    Ok((part, result))
}

impl Left {
    /// Waits until enough of the memory is given back that a crowd took, or time is up.
    fn wait(
        flow: &mut OpenLoop<'_>,
        meter: &Meter,
        before_mb: f64,
        most_mb: f64,
    ) -> Result<Self, Failure> {
        let begin_ns = flow.net.now_ns();
        loop {
            let after_mb = memory_mb(meter);
            let waited = Duration::from_nanos(flow.net.now_ns() - begin_ns);
            if !is_too_much(before_mb, most_mb, after_mb) || waited >= GIVING_BACK {
                return Ok(Self {
                    most_mb,
                    after_mb,
                    after_s: waited.as_secs_f64(),
                });
            }
            flow.run_for(GLANCE)?;
        }
    }
}

fn is_too_much(before_mb: f64, most_mb: f64, after_mb: f64) -> bool {
    let allowed_mb = ((most_mb - before_mb) * KEPT_PCT / 100.0).max(KEPT_MB);
    after_mb > before_mb + allowed_mb
}

/// What the broker has taken. What the crowd makes it read of its own program for the first time is none of it.
fn memory_mb(meter: &Meter) -> f64 {
    let memory = meter.memory().unwrap_or_default();
    memory.anon_b as f64 / MB
}

/// The medians of all rounds. Returns how many times its own length the 99th percentile has beside the
/// crowd.
fn report_parts(figures: &mut Figures, rounds: &[Round]) -> f64 {
    type Which = fn(&Round) -> &Part;
    let parts: [(&str, Which); 2] = [
        ("alone_", |round| &round.alone),
        ("", |round| &round.beside),
    ];
    for (prefix, which) in parts {
        let mut report = |name: &str, of: fn(&Part) -> f64| {
            let value = median(rounds, |round| of(which(round)));
            figures.number(&format!("{prefix}{name}"), value);
        };
        report("p50_us", |part| part.p50_us);
        report("p99_us", |part| part.p99_us);
        report("p999_us", |part| part.p999_us);
        report("load_lag_p99_us", |part| part.lag_p99_us);
        report("broker_cpu_pct", |part| part.shares.broker_pct);
        report("load_cpu_pct", |part| part.shares.load_pct);
        report("other_cpu_pct", |part| part.shares.other_pct);
        report("steal_pct", |part| part.shares.steal_pct);
    }
    let p99_us = |which: Which| median(rounds, |round| which(round).p99_us);
    let ratio = p99_us(|round| &round.beside) / p99_us(|round| &round.alone);
    figures.number("p99_ratio", ratio);
    let leaving = median(rounds, |round| round.leaving_max_us);
    figures.number("leaving_max_us", leaving);
    let crowd_lag = median(rounds, |round| round.crowd_lag_p99_us);
    figures.number("crowd_lag_p99_us", crowd_lag);
    ratio
}

/// Whether too much was kept after any round.
fn report_memory(figures: &mut Figures, meter: &Meter, before_mb: f64, rounds: &[Round]) -> bool {
    if meter.memory().is_none() {
        return false;
    }
    let left = || rounds.iter().map(|round| &round.left);
    let most = |of: fn(&Left) -> f64| left().map(of).fold(0.0, f64::max);
    figures.number("anon_before_mb", before_mb);
    figures.number("anon_crowd_mb", most(|left| left.most_mb));
    figures.number("anon_after_mb", most(|left| left.after_mb));
    figures.number("given_back_s", most(|left| left.after_s));
    meter.report_peak(figures);
    left().any(|left| is_too_much(before_mb, left.most_mb, left.after_mb))
}

fn median<T>(of: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(
        middle(values.len() / 2),
        middle(values.len().saturating_sub(1) / 2),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let median = |values: &[f64]| median(values, |value| *value);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_fifth_of_what_was_taken_may_stay_and_two_mebibytes_in_any_case() {
        assert!(!is_too_much(10.0, 110.0, 30.0));
        assert!(is_too_much(10.0, 110.0, 30.1));
        assert!(!is_too_much(10.0, 12.0, 12.0));
        assert!(is_too_much(10.0, 12.0, 12.1));
    }

    fn part(p99_us: f64) -> Part {
        Part {
            p50_us: 1.0,
            p99_us,
            p999_us: 9.0,
            lag_p99_us: 0.5,
            shares: Shares {
                broker_pct: 1.0,
                load_pct: 2.0,
                other_pct: 3.0,
                steal_pct: 0.0,
            },
        }
    }

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        let mut figures = Figures::default();
        let rounds = [(10.0, 30.0), (20.0, 1.0), (1000.0, 2000.0)].map(|(alone, beside)| Round {
            alone: part(alone),
            beside: part(beside),
            leaving_max_us: 7.0,
            left: Left::default(),
            crowd: Tally::default(),
            crowd_lag_p99_us: 8.0,
        });
        assert_eq!(report_parts(&mut figures, &rounds), 1.5);
        let json = figures.to_json();
        assert!(json.contains(r#""alone_p99_us":20.0"#), "{json}");
        assert!(json.contains(r#","p99_us":30.0"#), "{json}");
    }
}
