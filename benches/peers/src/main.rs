//! mosca beside other brokers on the same machine: runs them by turns under the same load, and writes
//! what came out as tables and plots. `cargo xtask bench --peers` builds what is needed and calls this.
//!
//! Start at [`rounds`] for how it is measured, at [`summary`] for what becomes of the runs, and at
//! [`page`] for how that is shown.

mod broker;
mod contenders;
mod disturbance;
mod figure;
mod laws;
mod machine;
mod options;
mod page;
mod plot;
mod process;
mod restart;
mod results;
mod rounds;
#[cfg(test)]
mod sample;
mod scenario;
mod services;
mod slope;
mod summary;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use regex_lite::Regex;

use crate::broker::Broker;
use crate::machine::{Machine, without_folders};
use crate::options::Options;
use crate::results::{Facts, Results, Session};
use crate::rounds::Plan;
use crate::scenario::Scenario;

/// Where xtask says the programs are that it has built.
const MOSCA: &str = "PEERS_MOSCA";
const LOAD: &str = "PEERS_LOAD";
/// And the folder with the script and the modules of aedes, and the program of `benches/stores`.
const NODE: &str = "PEERS_NODE";
const ENGINES: &str = "PEERS_ENGINES";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    options.check()?;
    let file = options.scenarios();
    let scenarios = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let scenarios =
        scenario::parse(&scenarios).with_context(|| format!("in {}", file.display()))?;
    let names: Vec<String> = scenarios.iter().map(|one| one.name.clone()).collect();
    if !options.render.is_empty() {
        return finish(options, rendered(&options.render)?, &names);
    }
    let only = options.only.as_deref().map(Regex::new).transpose()?;
    let chosen = scenario::select(&scenarios, options.set(), only.as_ref());
    ensure!(!chosen.is_empty(), "no scenario matches");
    if options.list {
        for one in &chosen {
            println!("{} | {} | {}", one.section, one.name, one.arguments);
        }
        return Ok(());
    }
    measure(options, chosen, &names)
}

/// Several files of results as one.
fn rendered(files: &[PathBuf]) -> Result<Results> {
    let (first, others) = files.split_first().context("no file")?;
    let mut results = Results::read(first)?;
    for file in others {
        let later = Results::read(file)?;
        let merged = results.merge(later, false);
        merged.with_context(|| format!("cannot take in {}", file.display()))?;
    }
    Ok(results)
}

fn measure(options: &Options, scenarios: Vec<Scenario>, names: &[String]) -> Result<()> {
    let earlier = if options.add && options.results().exists() {
        Some(Results::read(&options.results())?)
    } else {
        None
    };
    let plan = Plan {
        brokers: brokers(options)?,
        scenarios,
        load: program(options.load.as_deref(), LOAD, "load")?,
        rounds: options.rounds(),
        seconds: options.seconds(),
        limit: Duration::from_secs_f64(options.limit()),
    };
    let open_files = process::raise_open_files();
    let machine = Machine::read();
    let facts: Vec<Facts> = plan.brokers.iter().map(|one| facts(one, options)).collect();
    let mut session = Session {
        began: machine::now(),
        ended: machine::now(),
        arguments: shown_arguments(std::env::args().skip(1)),
        rounds: plan.rounds,
        seconds: plan.seconds,
        load: without_folders(&machine::version(&plan.load)),
        open_files,
    };
    let so_far = |rows: &[results::Row], session: &Session| -> Result<Results> {
        let new = Results {
            machine: machine.clone(),
            sessions: vec![session.clone()],
            brokers: facts.clone(),
            rows: rows.to_vec(),
            laws: Vec::new(),
            engines: Vec::new(),
        };
        let Some(mut all) = earlier.clone() else {
            return Ok(new);
        };
        all.merge(new, true)?;
        Ok(all)
    };
    // Refuses results of another machine before anything is measured.
    so_far(&[], &session)?;
    // What was measured is kept whatever becomes of the rest.
    let rows = plan.measure(|rows| so_far(rows, &session)?.write(&options.results()))?;
    let engines = if options.stores {
        engines(options)?
    } else {
        Vec::new()
    };
    session.ended = machine::now();
    let mut results = so_far(&rows, &session)?;
    if !engines.is_empty() {
        results.engines = engines;
    }
    finish(options, results, names)
}

/// What the stores do without a broker, as `benches/stores` prints it; nothing if only some brokers
/// or rows are wanted.
fn engines(options: &Options) -> Result<Vec<String>> {
    let Some(program) = std::env::var_os(ENGINES) else {
        return Ok(Vec::new());
    };
    if options.only.is_some() || options.brokers.is_some() {
        return Ok(Vec::new());
    }
    let seconds = options.seconds().ceil() as u64;
    let mut command = Command::new(program);
    command.args(["--seconds", &seconds.to_string()]);
    if options.small {
        command.arg("--small");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "benches/stores failed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

/// mosca first, then those that are found, then the others as given.
fn brokers(options: &Options) -> Result<Vec<Broker>> {
    let mosca = program(options.mosca.as_deref(), MOSCA, "mosca")?;
    let mut brokers = Vec::new();
    if options.stores {
        let node = std::env::var_os(NODE).map(PathBuf::from);
        brokers = contenders::all(options, &mosca, node.as_deref())?;
    } else {
        brokers.push(Broker::mosca(&mosca));
        brokers.extend(mosquitto(options));
    }
    for peer in &options.peers {
        ensure!(
            brokers.iter().all(|known| known.name != peer.name),
            "two brokers are called `{}`",
            peer.name
        );
        brokers.push(Broker::named(peer)?);
    }
    if let Some(only) = &options.brokers {
        let only = Regex::new(only)?;
        brokers.retain(|broker| only.is_match(&broker.name));
        ensure!(!brokers.is_empty(), "no broker matches");
    }
    if brokers.len() < 2 {
        eprintln!("nobody to compare with: give --peer NAME=COMMAND");
    }
    Ok(brokers)
}

/// The one of the PATH, unless it is not wanted.
fn mosquitto(options: &Options) -> Option<Broker> {
    let is_given = options.peers.iter().any(|peer| peer.name == "mosquitto");
    if options.no_mosquitto || is_given {
        return None;
    }
    let program = broker::on_path("mosquitto");
    if program.is_none() {
        eprintln!("there is no mosquitto on the PATH");
    }
    program.map(|program| Broker::mosquitto(&program))
}

fn program(given: Option<&Path>, variable: &str, name: &str) -> Result<PathBuf> {
    let given = given.map(Path::to_owned);
    let program = given.or_else(|| std::env::var_os(variable).map(PathBuf::from));
    match program {
        // Brokers run in a folder of their own.
        Some(program) => program
            .canonicalize()
            .with_context(|| format!("there is no {}", program.display())),
        None => bail!("--{name} is missing (cargo xtask bench --peers gives it)"),
    }
}

fn facts(broker: &Broker, options: &Options) -> Facts {
    let named = options
        .versions
        .iter()
        .find(|named| named.name == broker.name);
    // What stands behind a comma is its store.
    let (kind, _) = broker.name.split_once(',').unwrap_or((&broker.name, ""));
    let version = match (named, kind) {
        (Some(named), _) => named.words.split_first().and_then(|(program, arguments)| {
            machine::first_line(Command::new(program).args(arguments))
        }),
        (None, "mosca") => broker.program().and_then(|program| {
            let version = machine::first_line(Command::new(program).arg("--version"))?;
            Some(match machine::revision() {
                Some(revision) => format!("{version} ({revision})"),
                None => version,
            })
        }),
        (None, "mosquitto") => broker
            .program()
            .and_then(|program| machine::first_line(Command::new(program).arg("-h"))),
        (None, "aedes") if options.stores => contenders::aedes_version(),
        _ => None,
    };
    Facts {
        name: broker.name.clone(),
        versions: version
            .iter()
            .map(|version| without_folders(version))
            .collect(),
        command: without_folders(&broker.command()),
        configuration: broker.configuration().map(|text| without_folders(&text)),
    }
}

/// As they would be typed, without folders of this machine.
fn shown_arguments(arguments: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = arguments
        .map(|argument| {
            let is_plain = |c: char| c.is_alphanumeric() || "-_=./,:".contains(c);
            if !argument.is_empty() && argument.chars().all(is_plain) {
                argument
            } else {
                format!("'{}'", argument.replace('\'', "'\\''"))
            }
        })
        .collect();
    without_folders(&quoted.join(" "))
}

/// Writes results, plots and page.
fn finish(options: &Options, mut results: Results, names: &[String]) -> Result<()> {
    if !options.laws.is_empty() {
        results.laws.clear();
        for file in &options.laws {
            results.laws.extend(laws::read(file)?);
        }
    }
    results.sort(names);
    results.write(&options.results())?;
    let file = options.page();
    if options.stores {
        std::fs::write(&file, page::stores::render(&results))?;
        eprintln!("wrote {}", file.display());
        return Ok(());
    }
    let folder = file.with_extension("");
    std::fs::create_dir_all(&folder)?;
    // Plots of rows that are no more would be left.
    for entry in std::fs::read_dir(&folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "svg") {
            std::fs::remove_file(file)?;
        }
    }
    let plots = plot::draw(&results)?;
    for plot in &plots {
        std::fs::write(folder.join(&plot.file), &plot.svg)?;
    }
    let shown = folder.file_name().unwrap_or_default().to_string_lossy();
    let why = read_if_there(&folder.join(page::MISSES))?;
    let page = page::render(&results, &plots, &shown, why.as_deref());
    std::fs::write(&file, page)?;
    eprintln!("wrote {} and {} plots", file.display(), plots.len());
    Ok(())
}

fn read_if_there(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_shown_as_it_can_be_typed() {
        let shown = shown_arguments(
            [
                "--peer",
                "x=/opt/x/broker -p {port}",
                "--rounds",
                "2",
                "it's",
            ]
            .map(str::to_owned)
            .into_iter(),
        );
        assert_eq!(shown, "--peer 'x=…/broker -p {port}' --rounds 2 'it'\\''s'");
    }
}
