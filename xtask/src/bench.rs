//! `cargo xtask bench`: runs the criterion benches, or with `--peers` the comparison with other
//! brokers, with `--stores` that of brokers over stores, or with `--silent` mosca beside clients that say
//! nothing. Each bench is a workspace of its own, because they compile other people's crates, and these
//! must not reach our lock file.

pub mod silent;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::services::Services;
use crate::step::Steps;
use crate::tools;
use crate::workspace::Workspace;

/// Runs all criterion benches, or the one in `benches/<only>`, and passes `pass_on` to criterion.
pub fn run(workspace: &Workspace, only: Option<&str>, pass_on: &[String]) -> Result<bool> {
    let projects = workspace.bench_projects()?;
    let mut steps = Steps::default();
    let mut ran = 0;
    for project in &projects {
        let name = project.file_name().unwrap_or_default().to_string_lossy();
        // What has no benches is an instrument, such as the load generator.
        let is_wanted = only.is_none_or(|only| only == name);
        if !is_wanted || !project.join("benches").is_dir() {
            continue;
        }
        let mut command = workspace.cargo(&["bench", "--locked", "--bench", "*"]);
        command.current_dir(project).arg("--").args(pass_on);
        steps.command(&format!("bench {name}"), command);
        ran += 1;
    }
    ensure!(
        ran > 0,
        "there is no bench {} below benches/",
        only.map_or_else(|| "project".to_owned(), |name| format!("`{name}`"))
    );
    Ok(steps.finish())
}

/// Which brokers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// With nothing on disk.
    Peers,
    /// Over their stores.
    Stores,
}

/// Builds and installs what the comparison needs and runs it with `arguments`; see `benches/peers`.
pub fn compare(
    workspace: &Workspace,
    comparison: Comparison,
    arguments: &[String],
) -> Result<bool> {
    let needed = Needed::by(arguments);
    let is_over_stores = comparison == Comparison::Stores;
    let mosca = needed.mosca.then(|| build_mosca(workspace)).transpose()?;
    let build = |name: &str| build_bench(workspace, name);
    let load = needed.load.then(|| build("load")).transpose()?;
    let over_stores = (is_over_stores && needed.measures)
        .then(|| OverStores::install(workspace, needed.engines, &build))
        .transpose()?;
    let mut command = Command::new(build("peers")?);
    if is_over_stores {
        command.arg("--stores");
    }
    if let Some(over_stores) = over_stores {
        over_stores.tell(&mut command);
    }
    // Paths on the command line and in its defaults count from the root.
    command.current_dir(&workspace.root).args(arguments);
    for (variable, program) in [("PEERS_MOSCA", mosca), ("PEERS_LOAD", load)] {
        if let Some(program) = program {
            command.env(variable, program);
        }
    }
    let status = command.status().context("cannot run benches/peers")?;
    Ok(status.success())
}

/// Builds the command as it is shipped, and says where it is.
fn build_mosca(workspace: &Workspace) -> Result<PathBuf> {
    let arguments = ["build", "--release", "--locked", "-p", "broker-bin"];
    let status = workspace.cargo(&arguments).status()?;
    ensure!(status.success(), "cannot build mosca");
    Ok(workspace.target.join("release/mosca"))
}

/// Builds an instrument below `benches/`, and says where it is.
fn build_bench(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let built = workspace.target.join("benches");
    let mut command = workspace.cargo(&["build", "--release", "--locked", "--target-dir"]);
    command
        .arg(&built)
        .current_dir(workspace.root.join("benches").join(name));
    let status = command.status()?;
    ensure!(status.success(), "cannot build benches/{name}");
    Ok(built.join("release").join(name))
}

/// What only the comparison over stores needs.
struct OverStores {
    services: Services,
    /// The modules of aedes and of its stores.
    modules: PathBuf,
    /// The script that starts them.
    script: PathBuf,
    /// What the stores do without a broker, if that is wanted.
    engines: Option<PathBuf>,
}

impl OverStores {
    fn install(
        workspace: &Workspace,
        with_engines: bool,
        build: &impl Fn(&str) -> Result<PathBuf>,
    ) -> Result<Self> {
        let script = workspace.root.join("benches/peers/node");
        let folder = workspace.target.join("benches/node");
        Ok(Self {
            services: Services::install(workspace)?,
            modules: tools::install_node_modules("aedes", &script, &folder)?,
            script,
            engines: with_engines.then(|| build("stores")).transpose()?,
        })
    }

    fn tell(&self, command: &mut Command) {
        command
            .envs(self.services.environment())
            .env("NODE_PATH", &self.modules)
            .env("PEERS_NODE", &self.script);
        if let Some(engines) = &self.engines {
            command.env("PEERS_ENGINES", engines);
        }
    }
}

/// Which programs have to be built: not those that are given, and none to write a page again.
#[derive(Debug, PartialEq, Eq)]
struct Needed {
    measures: bool,
    /// Not for a part of the rows or brokers.
    engines: bool,
    mosca: bool,
    load: bool,
}

impl Needed {
    fn by(arguments: &[String]) -> Self {
        let has = |flag: &str| {
            arguments.iter().any(|argument| {
                let name = argument
                    .split_once('=')
                    .map_or(argument.as_str(), |(name, _)| name);
                OsStr::new(name) == flag
            })
        };
        let measures = !has("--render") && !has("--list") && !has("--help") && !has("-h");
        Self {
            measures,
            engines: measures && !has("--only") && !has("--brokers"),
            mosca: measures && !has("--mosca"),
            load: measures && !has("--load"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_built() {
        let needed = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
            let needed = Needed::by(&arguments);
            (needed.mosca, needed.load)
        };
        assert_eq!(needed(&[]), (true, true));
        assert_eq!(needed(&["--peer", "x=--load"]), (true, true));
        assert_eq!(needed(&["--mosca", "old"]), (false, true));
        assert_eq!(needed(&["--load=other", "--quick"]), (true, false));
        assert_eq!(needed(&["--render", "a.json"]), (false, false));
        assert_eq!(needed(&["--list"]), (false, false));
    }
}
