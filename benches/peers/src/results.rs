//! What was measured, in the form in which it is kept: enough to write the page again.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::figure;
use crate::laws::Law;
use crate::machine::Machine;
use crate::scenario::Shown;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// On what.
    pub machine: Machine,
    /// When and how, one entry for each time the command ran.
    pub sessions: Vec<Session>,
    /// Who, in the order of the tables; the first is mosca.
    pub brokers: Vec<Facts>,
    /// The scenarios, in the order of their file.
    pub rows: Vec<Row>,
    /// Growth laws of the parts of mosca, measured without a broker.
    #[serde(default)]
    pub laws: Vec<Law>,
    /// What `benches/stores` printed.
    #[serde(default)]
    pub engines: Vec<String>,
}

/// One time that the command ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// In UTC.
    pub began: String,
    /// In UTC.
    pub ended: String,
    /// The arguments after `cargo xtask bench --peers`.
    pub arguments: String,
    /// How often each broker ran each scenario.
    pub rounds: u32,
    /// The length of the measured part.
    pub seconds: f64,
    /// The load generator.
    pub load: String,
    /// Files that a process may have open.
    pub open_files: u64,
}

/// What is known about a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What it is called.
    pub name: String,
    /// What it says of itself; several if it changed from session to session.
    pub versions: Vec<String>,
    /// How it was started.
    pub command: String,
    /// What its configuration files said.
    pub configuration: Option<String>,
}

/// A scenario and its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Where it stands on the page.
    pub section: String,
    /// What it is called.
    pub name: String,
    /// The words for the load generator, as they were given to it.
    pub arguments: String,
    /// What is shown.
    pub figures: Vec<Shown>,
    /// One for each broker and round.
    pub runs: Vec<Run>,
}

/// One run of one broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The name of the broker.
    pub broker: String,
    /// From 1.
    pub round: u32,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What the generator said, by name.
    pub figures: BTreeMap<String, f64>,
}

impl Row {
    /// Its name, with the rate if the load has a fixed one: a latency means nothing without it.
    pub fn title(&self) -> String {
        let mut words = self.arguments.split_whitespace();
        let rate = words
            .find(|word| *word == "--rate")
            .and_then(|_| words.next());
        match rate.and_then(|rate| rate.parse().ok()) {
            Some(rate) => format!("{} ({}/s)", self.name, figure::number(rate)),
            None => self.name.clone(),
        }
    }
}

impl Results {
    /// Reads them from a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} holds no results of this command", path.display()))
    }

    /// Writes them to a file, which is either the old or the new one whatever happens. Every run is a
    /// line, so that changes can be read.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let new = path.with_extension("new");
        std::fs::write(&new, self.to_text()?)
            .and_then(|()| std::fs::rename(&new, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn to_text(&self) -> Result<String> {
        let mut rows = Vec::new();
        for row in &self.rows {
            let head = line(&Row {
                runs: Vec::new(),
                ..row.clone()
            })?;
            let head = head.strip_suffix("]}").context("runs come last")?;
            rows.push(format!("{head}\n{}\n]}}", lines(&row.runs)?));
        }
        Ok(format!(
            "{{\"machine\":{},\n\"sessions\":[\n{}\n],\n\"brokers\":[\n{}\n],\n\
             \"rows\":[\n{}\n],\n\"laws\":[\n{}\n],\n\"engines\":[\n{}\n]}}\n",
            line(&self.machine)?,
            lines(&self.sessions)?,
            lines(&self.brokers)?,
            rows.join(",\n"),
            lines(&self.laws)?,
            lines(&self.engines)?,
        ))
    }

    /// Takes in what was measured on the same machine at another time. Of a row that both have, the
    /// runs are put together if the load was the same; otherwise those of `later` count.
    pub fn merge(&mut self, later: Self, replace: bool) -> Result<()> {
        ensure!(
            self.machine == later.machine,
            "these results come from different machines or kernels"
        );
        for facts in later.brokers {
            match self
                .brokers
                .iter_mut()
                .find(|known| known.name == facts.name)
            {
                None => self.brokers.push(facts),
                Some(known) => {
                    for version in facts.versions {
                        if !known.versions.contains(&version) {
                            known.versions.push(version);
                        }
                    }
                    known.command = facts.command;
                    known.configuration = facts.configuration;
                }
            }
        }
        for row in later.rows {
            match self.rows.iter_mut().find(|known| known.name == row.name) {
                None => self.rows.push(row),
                Some(known) if known.arguments == row.arguments && !replace => {
                    known.runs.extend(row.runs);
                }
                Some(known) => *known = row,
            }
        }
        if !later.engines.is_empty() {
            self.engines = later.engines;
        }
        for session in later.sessions {
            if !self.sessions.contains(&session) {
                self.sessions.push(session);
            }
        }
        for law in later.laws {
            match self.laws.iter_mut().find(|known| known.title == law.title) {
                None => self.laws.push(law),
                Some(known) => *known = law,
            }
        }
        Ok(())
    }

    /// Puts the rows into the order of the scenarios; what is not among them comes last.
    pub fn sort(&mut self, names: &[String]) {
        let place = |row: &Row| {
            let found = names.iter().position(|name| *name == row.name);
            found.unwrap_or(usize::MAX)
        };
        self.rows.sort_by_key(place);
    }
}

fn line(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

fn lines(values: &[impl Serialize]) -> Result<String> {
    let lines: Vec<String> = values.iter().map(line).collect::<Result<_>>()?;
    Ok(lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sample;

    #[test]
    fn what_is_written_is_read_again() {
        let results = sample();
        let text = results.to_text().unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
        let runs: usize = results.rows.iter().map(|row| row.runs.len()).sum();
        assert!(text.lines().count() > runs, "a line for each run");
    }

    #[test]
    fn rows_of_the_same_load_are_put_together() {
        let mut both = sample();
        let before: Vec<usize> = both.rows.iter().map(|row| row.runs.len()).collect();
        let mut later = sample();
        later.rows[1].arguments.push_str(" --other");
        later.rows[1].runs.truncate(1);
        later.sessions[0].began = "later".to_owned();
        later.brokers[0].versions = vec!["mosca 2".to_owned()];
        both.merge(later, false).unwrap();
        assert_eq!(both.rows[0].runs.len(), 2 * before[0]);
        assert_eq!(both.rows[1].runs.len(), 1, "another load replaces");
        assert_eq!(both.sessions.len(), 2);
        assert_eq!(both.brokers[0].versions.len(), 2);
    }

    #[test]
    fn a_row_that_is_measured_again_is_replaced() {
        let mut both = sample();
        let rows = both.rows.clone();
        let mut later = sample();
        later.rows.truncate(1);
        later.rows[0].runs.truncate(1);
        both.merge(later, true).unwrap();
        assert_eq!(both.rows[0].runs.len(), 1);
        assert_eq!(both.rows[1..], rows[1..]);
    }

    #[test]
    fn another_machine_is_refused() {
        let mut later = sample();
        later.machine.kernel.push('x');
        assert!(sample().merge(later, false).is_err());
    }

    #[test]
    fn rows_stand_in_the_order_of_the_scenarios() {
        let mut results = sample();
        let mut names: Vec<String> = results.rows.iter().map(|row| row.name.clone()).collect();
        names.reverse();
        let unknown = names.remove(0);
        results.sort(&names);
        names.push(unknown);
        let sorted: Vec<String> = results.rows.iter().map(|row| row.name.clone()).collect();
        assert_eq!(sorted, names);
    }
}
