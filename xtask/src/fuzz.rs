//! `cargo xtask fuzz`: runs the cargo-fuzz targets of `fuzz/`, each for a while.

use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};

use crate::step::Steps;
use crate::tools;
use crate::workspace::Workspace;

/// Per target, when nothing else is asked for.
pub const DEFAULT_SECONDS: u64 = 300;
/// Per target with `--smoke`: enough to walk the seeds and catch what is easy to reach.
pub const SMOKE_SECONDS: u64 = 20;

/// Fuzzes all targets, or one, for `seconds` each. `true` if none found anything.
pub fn run(workspace: &Workspace, seconds: u64, only: Option<&str>) -> Result<bool> {
    ensure!(
        workspace.root.join("fuzz/Cargo.toml").is_file(),
        "there is no project in fuzz/, so there is nothing to fuzz"
    );
    ensure_cargo_fuzz()?;
    let targets = targets(workspace)?;
    let chosen: Vec<&str> = match only {
        None => targets.iter().map(String::as_str).collect(),
        Some(name) if targets.iter().any(|target| target == name) => vec![name],
        Some(name) => bail!(
            "there is no target `{name}`; there are: {}",
            targets.join(", ")
        ),
    };
    let mut steps = Steps::default();
    let write_seeds = [
        "run",
        "--locked",
        "--quiet",
        "--manifest-path",
        "fuzz/Cargo.toml",
    ];
    let mut seeds = workspace.cargo(&write_seeds);
    seeds.args(["--example", "write_seeds"]);
    steps.command("write the seeds", seeds);
    for target in chosen {
        // Without the feature the project builds without libFuzzer, for the stable compiler.
        let run = ["fuzz", "run", "--features", "libfuzzer", target, "--"];
        let mut command = nightly(workspace, &run);
        command.arg(format!("-max_total_time={seconds}"));
        steps.command(&format!("fuzz {target}, {seconds} s"), command);
    }
    Ok(steps.finish())
}

fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let output = nightly(workspace, &["fuzz", "list"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo fuzz list failed");
    let targets: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    ensure!(!targets.is_empty(), "the project in fuzz/ has no targets");
    Ok(targets)
}

fn ensure_cargo_fuzz() -> Result<()> {
    let nightly_works = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    ensure!(
        nightly_works,
        "fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal"
    );
    if tools::in_path("cargo-fuzz").is_none() {
        println!("installing cargo-fuzz, which is missing");
        let status = Command::new("cargo")
            .args(["install", "--locked", "cargo-fuzz"])
            .status()?;
        ensure!(status.success(), "cargo install cargo-fuzz failed");
    }
    Ok(())
}

/// rustup's `cargo`, not the one that runs us: only it understands `+nightly`.
fn nightly(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo"])
        .args(arguments)
        .current_dir(&workspace.root)
        // Set by the cargo that runs us, and wrong for the other toolchain.
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .stdin(Stdio::null());
    command
}
