//! The scenarios, read from a file of lines `set | section | name | arguments | figures`.
//!
//! `#` starts a comment line. The arguments go to the load generator. In them, `{time}` stands for
//! the length of the measured part and a warm-up of half of it, `{seconds}` for the length alone,
//! `{50% of NAME}` for half of the rate to which the reference came in the scenario NAME (see
//! [`crate::rounds`]), and `{50% of best peer's NAME}` for half of that of the best peer.
//! A figure is a name in the generator's answer; `section:figure` shows it in another section.

use anyhow::{Context, Result, bail, ensure};
use regex_lite::Regex;

/// Which scenarios run: each set contains the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// A handful, to see that all works.
    Quick,
    /// What is worth the time in most cases.
    Usual,
    /// The whole matrix.
    Full,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// From which set on it runs.
    pub set: Set,
    /// Where on the page it stands.
    pub section: String,
    /// What the row is called; no other scenario is called the same.
    pub name: String,
    /// The words for the load generator.
    pub arguments: String,
    /// What is shown of the answer.
    pub figures: Vec<Shown>,
}

/// A figure and the section in which it is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shown {
    /// The section.
    pub section: String,
    /// The name in the generator's answer.
    pub figure: String,
}

/// A rate that rests on another scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share<'a> {
    /// 0.5 for 50 %.
    pub share: f64,
    /// Of the best peer's rate, not of the reference's.
    pub of_best_peer: bool,
    /// In which scenario.
    pub on: &'a str,
}

/// Reads a file of scenarios.
pub fn parse(text: &str) -> Result<Vec<Scenario>> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let scenario = parse_line(line).with_context(|| format!("line {}", index + 1))?;
        ensure!(
            scenarios.iter().all(|other| other.name != scenario.name),
            "line {}: there are two scenarios `{}`",
            index + 1,
            scenario.name
        );
        if let Some(Share { on, .. }) = share_of(&scenario.arguments) {
            ensure!(
                scenarios.iter().any(|other| other.name == on),
                "line {}: no scenario `{on}` stands above",
                index + 1
            );
        }
        scenarios.push(scenario);
    }
    Ok(scenarios)
}

fn parse_line(line: &str) -> Result<Scenario> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [set, section, name, arguments, figures] = columns[..] else {
        bail!("not `set | section | name | arguments | figures`: {line}");
    };
    let set = match set {
        "quick" => Set::Quick,
        "usual" => Set::Usual,
        "full" => Set::Full,
        other => bail!("`{other}` is none of quick, usual and full"),
    };
    ensure!(
        !section.is_empty() && !name.is_empty() && !arguments.is_empty(),
        "an empty column: {line}"
    );
    let figures: Vec<Shown> = figures
        .split_whitespace()
        .map(|figure| {
            let (section, figure) = figure.split_once(':').unwrap_or((section, figure));
            Shown {
                section: section.to_owned(),
                figure: figure.to_owned(),
            }
        })
        .collect();
    ensure!(!figures.is_empty(), "no figure: {line}");
    Ok(Scenario {
        set,
        section: section.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        figures,
    })
}

/// Those of `set` that match, and those on which they rest, in the order of the file.
pub fn select(scenarios: &[Scenario], set: Set, only: Option<&Regex>) -> Vec<Scenario> {
    let mut wanted: Vec<bool> = scenarios
        .iter()
        .map(|scenario| {
            let title = format!("{} {}", scenario.section, scenario.name);
            scenario.set <= set && only.is_none_or(|only| only.is_match(&title))
        })
        .collect();
    for (index, scenario) in scenarios.iter().enumerate().rev() {
        let Some(Share { on, .. }) = share_of(&scenario.arguments) else {
            continue;
        };
        if wanted[index]
            && let Some(at) = scenarios.iter().position(|other| other.name == on)
        {
            wanted[at] = true;
        }
    }
    let chosen = scenarios.iter().zip(wanted).filter(|(_, wanted)| *wanted);
    chosen.map(|(scenario, _)| scenario.clone()).collect()
}

/// On what the rate in the arguments rests, if it does.
pub fn share_of(arguments: &str) -> Option<Share<'_>> {
    let (start, end) = share_place(arguments)?;
    let (percent, name) = arguments[start + 1..end - 1].split_once("% of ")?;
    let best_peers = name.strip_prefix("best peer's ");
    Some(Share {
        share: percent.parse::<f64>().ok()? / 100.0,
        of_best_peer: best_peers.is_some(),
        on: best_peers.unwrap_or(name),
    })
}

/// Fills the placeholders in; `rate` is what stands for the share.
pub fn fill(arguments: &str, seconds: f64, rate: Option<u64>) -> String {
    let mut filled = arguments.to_owned();
    if let (Some((start, end)), Some(rate)) = (share_place(arguments), rate) {
        filled.replace_range(start..end, &rate.to_string());
    }
    let warm_up = seconds / 2.0;
    filled
        .replace("{time}", &format!("--seconds {seconds} --warmup {warm_up}"))
        .replace("{seconds}", &seconds.to_string())
}

fn share_place(arguments: &str) -> Option<(usize, usize)> {
    let middle = arguments.find("% of ")?;
    let start = arguments[..middle].rfind('{')?;
    let end = middle + arguments[middle..].find('}')? + 1;
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# a comment
quick | a | one | pairs {time} | msgs_per_s storms:x_us
usual | b | two | rate --rate {50% of one} {time} | p50_us
full  | b | three | idle --seconds {seconds} | rss_per_conn_b
";

    fn names(scenarios: &[Scenario]) -> Vec<&str> {
        scenarios.iter().map(|s| s.name.as_str()).collect()
    }

    #[test]
    fn lines_are_read() {
        let scenarios = parse(FILE).unwrap();
        assert_eq!(names(&scenarios), ["one", "two", "three"]);
        let shown = |section: &str, figure: &str| Shown {
            section: section.to_owned(),
            figure: figure.to_owned(),
        };
        assert_eq!(
            scenarios[0],
            Scenario {
                set: Set::Quick,
                section: "a".to_owned(),
                name: "one".to_owned(),
                arguments: "pairs {time}".to_owned(),
                figures: vec![shown("a", "msgs_per_s"), shown("storms", "x_us")],
            }
        );
    }

    #[test]
    fn what_is_no_scenario_is_refused() {
        for text in [
            "quick | a | b | c",
            "often | a | b | c | d",
            "quick | a |  | c | d",
            "quick | a | b | c | ",
            "quick | a | b | c | d\nquick | a | b | c | d",
            "quick | a | b | rate --rate {50% of c} | d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_contains_the_smaller_ones() {
        let scenarios = parse(FILE).unwrap();
        assert_eq!(names(&select(&scenarios, Set::Quick, None)), ["one"]);
        assert_eq!(names(&select(&scenarios, Set::Usual, None)), ["one", "two"]);
        assert_eq!(select(&scenarios, Set::Full, None).len(), 3);
    }

    #[test]
    fn what_a_chosen_scenario_rests_on_is_chosen_too() {
        let scenarios = parse(FILE).unwrap();
        let only = |text: &str| Regex::new(text).unwrap();
        let chosen = select(&scenarios, Set::Usual, Some(&only("^b ")));
        assert_eq!(names(&chosen), ["one", "two"]);
        let chosen = select(&scenarios, Set::Full, Some(&only("three")));
        assert_eq!(names(&chosen), ["three"]);
    }

    #[test]
    fn placeholders_are_filled_in() {
        let share = |of_best_peer| {
            Some(Share {
                share: 0.8,
                of_best_peer,
                on: "x, y",
            })
        };
        assert_eq!(share_of("rate --rate {80% of x, y} -z"), share(false));
        assert_eq!(
            share_of("rate --rate {80% of best peer's x, y}"),
            share(true)
        );
        assert_eq!(share_of("rate --rate 80"), None);
        assert_eq!(
            fill("rate --rate {80% of x, y} {time}", 2.0, Some(7)),
            "rate --rate 7 --seconds 2 --warmup 1"
        );
        assert_eq!(
            fill("idle --seconds {seconds}", 0.5, None),
            "idle --seconds 0.5"
        );
    }

    #[test]
    fn the_scenarios_of_this_repository_are_sound() {
        let scenarios = parse(include_str!("../scenarios.txt")).unwrap();
        let quick = select(&scenarios, Set::Quick, None).len();
        let usual = select(&scenarios, Set::Usual, None).len();
        assert!(0 < quick && quick < usual && usual < scenarios.len());
    }
}
