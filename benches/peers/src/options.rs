//! The command line.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;

use crate::scenario::Set;

/// Runs brokers by turns under the same load and writes what came out as a page.
///
/// A COMMAND is split into words at blanks; quotes keep words together; no shell is involved. The
/// broker must stay in the foreground. In its words, `{port}` is the port to listen on, `{dir}` a
/// fresh empty directory, and `{conf:FILE}` a copy of FILE in which both are filled in.
/// With --stores, `{redis:always}`, `{redis:everysec}` and `{mongodb}` are the ports of servers that are
/// started for the run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench --peers | --stores", version)]
pub struct Options {
    /// Compare brokers over their stores
    #[arg(long)]
    pub stores: bool,

    /// A broker to compare with; may be given several times
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    pub peers: Vec<Named>,

    /// What prints the version of that broker [default: nothing is known about it]
    #[arg(long = "version-of", value_name = "NAME=COMMAND")]
    pub versions: Vec<Named>,

    /// The mosquitto of --stores [default: the one that is on the PATH]
    #[arg(long, value_name = "PATH", requires = "stores")]
    pub mosquitto: Option<PathBuf>,

    /// Of --stores, only brokers whose names match
    #[arg(long, value_name = "REGEX", requires = "stores")]
    pub brokers: Option<String>,

    /// With --stores, leave out what takes longest
    #[arg(long, requires = "stores", conflicts_with = "full")]
    pub small: bool,

    /// Leave out the mosquitto that is on the PATH
    #[arg(long)]
    pub no_mosquitto: bool,

    /// The `mosca` to measure [default: the release build of this repository]
    #[arg(long, value_name = "PATH")]
    pub mosca: Option<PathBuf>,

    /// The load generator [default: benches/load of this repository]
    #[arg(long, value_name = "PATH")]
    pub load: Option<PathBuf>,

    /// The scenarios [default: scenarios.txt or stores.txt in benches/peers]
    #[arg(long, value_name = "FILE")]
    scenarios: Option<PathBuf>,

    /// Only scenarios whose "section name" matches
    #[arg(long, value_name = "REGEX")]
    pub only: Option<String>,

    /// How often each broker runs each scenario [default: 3, with --quick 1]
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,

    /// Length of the measured part of those scenarios that have one [default: 2, with --quick 0.5]
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,

    /// Few scenarios and one short round: shows that all works, measures little
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,

    /// All scenarios
    #[arg(long)]
    pub full: bool,

    /// Seconds after which a run is given up [default: 60, with --stores 300]
    #[arg(long, value_name = "S")]
    limit: Option<f64>,

    /// Print which scenarios would run, and end
    #[arg(long)]
    pub list: bool,

    /// Keep the rows of an earlier run in --results that are not measured now
    #[arg(long)]
    pub add: bool,

    /// Where the results go as JSON [default: results.json in docs/benchmarks or docs/benchmarks-stores]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// Where the page goes; plots go into the folder of the same name beside it [default:
    /// docs/benchmarks.md or docs/benchmarks-stores.md]
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,

    /// Measure nothing: put these results together and write --results and the page again
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub render: Vec<PathBuf>,

    /// Growth laws to plot, as benches/laws prints them
    #[arg(long, value_name = "FILE")]
    pub laws: Vec<PathBuf>,
}

impl Options {
    /// Which scenarios are wanted.
    pub fn set(&self) -> Set {
        match (self.quick || self.small, self.full) {
            (true, _) => Set::Quick,
            (_, true) => Set::Full,
            _ => Set::Usual,
        }
    }

    fn path(&self, given: Option<&PathBuf>, peers: &str, stores: &str) -> PathBuf {
        let default = if self.stores { stores } else { peers };
        given.map_or_else(|| default.into(), PathBuf::clone)
    }

    /// The file of the scenarios.
    pub fn scenarios(&self) -> PathBuf {
        self.path(
            self.scenarios.as_ref(),
            "benches/peers/scenarios.txt",
            "benches/peers/stores.txt",
        )
    }

    /// The file of the results.
    pub fn results(&self) -> PathBuf {
        self.path(
            self.results.as_ref(),
            "docs/benchmarks/results.json",
            "docs/benchmarks-stores/results.json",
        )
    }

    /// The file of the page.
    pub fn page(&self) -> PathBuf {
        self.path(
            self.page.as_ref(),
            "docs/benchmarks.md",
            "docs/benchmarks-stores.md",
        )
    }

    /// Seconds after which a run is given up.
    pub fn limit(&self) -> f64 {
        self.limit.unwrap_or(if self.stores { 300.0 } else { 60.0 })
    }

    /// How often each broker runs each scenario, at least once.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// The length of the measured part.
    pub fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 0.5 } else { 2.0 })
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<()> {
        if !(self.seconds() > 0.0 && self.seconds().is_finite()) {
            bail!("--seconds wants a positive number");
        }
        if !(self.limit() > 0.0 && self.limit().is_finite()) {
            bail!("--limit wants a positive number");
        }
        for version in &self.versions {
            if !["mosca", "mosquitto"].contains(&version.name.as_str())
                && !self.peers.iter().any(|peer| peer.name == version.name)
            {
                bail!("--version-of names `{}`, which no --peer is", version.name);
            }
        }
        Ok(())
    }
}

/// `NAME=COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What the broker is called on the page.
    pub name: String,
    /// The words of the command, at least one.
    pub words: Vec<String>,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not NAME=COMMAND"))?;
        let name = name.trim();
        if name.is_empty() || name.contains(['|', '`', '\n']) {
            return Err(format!("`{name}` is no name"));
        }
        let words = words(command)?;
        if words.is_empty() {
            return Err(format!("`{name}` has no command"));
        }
        Ok(Self {
            name: name.to_owned(),
            words,
        })
    }
}

/// Splits at blanks; single and double quotes keep together, and nothing else is special.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                // Also an empty word is one, if it is quoted.
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote does not end in `{text}`"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_words() {
        let cases: [(&str, &str, &[&str]); 4] = [
            (
                "other=other-broker -p {port}",
                "other",
                &["other-broker", "-p", "{port}"],
            ),
            ("a b = x", "a b", &["x"]),
            (
                "x=env A=1 sh -c 'exec y \"z\"' ''",
                "x",
                &["env", "A=1", "sh", "-c", "exec y \"z\"", ""],
            ),
            ("m=m -c {conf:m.conf}", "m", &["m", "-c", "{conf:m.conf}"]),
        ];
        for (text, name, words) in cases {
            let named: Named = text.parse().unwrap();
            assert_eq!(
                (named.name.as_str(), &*named.words),
                (
                    name,
                    &*words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>()
                )
            );
        }
    }

    #[test]
    fn what_is_no_peer_is_refused() {
        for text in ["other", "=x", "a|b=x", "a=", "a= ", "a='x"] {
            assert!(text.parse::<Named>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_makes_sense() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn a_version_of_nobody_is_refused() {
        let parse = |arguments: &[&str]| {
            Options::try_parse_from(std::iter::once(&"peers").chain(arguments)).unwrap()
        };
        assert!(parse(&["--version-of", "x=x -V"]).check().is_err());
        assert!(
            parse(&["--peer", "x=x", "--version-of", "x=x -V"])
                .check()
                .is_ok()
        );
        assert!(parse(&["--seconds", "0"]).check().is_err());
    }
}
