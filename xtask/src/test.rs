//! `cargo xtask test`: everything that must hold before a change lands, from a machine that has
//! only cargo. What is missing is installed; what cannot be installed is a failure, never a skip.

use anyhow::Result;

use crate::services::Services;
use crate::step::Steps;
use crate::tools::{self, TestClients};
use crate::workspace::Workspace;

/// The stores and engines of the command, with each of which alone it has to build; without any of them, too.
const FEATURES: [&str; 6] = [
    "",
    "fjall",
    "redis",
    "mongodb",
    "backend-mqtt",
    "backend-amqp",
];

/// A part that can be run alone with `--only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The formatting.
    Fmt,
    /// The lints.
    Clippy,
    /// The rules of the house.
    Tidy,
    /// All tests of the workspace, doctests and those with real clients included.
    Unit,
    /// Of these, those of the numbered statements, and that the page about them is up to date, as is the
    /// one about mosca's tests.
    Conformance,
    /// Of all tests, only those with real clients and of the command.
    Clients,
    /// The documentation.
    Doc,
    /// The bodies of the fuzz targets, over their seeds, on the stable compiler.
    Fuzz,
    /// That no step takes more instructions than is recorded.
    Instructions,
    /// That the benches compile, and the tests of the instruments beside them.
    Benches,
}

impl Part {
    pub const ALL: [Self; 10] = [
        Self::Fmt,
        Self::Clippy,
        Self::Tidy,
        Self::Unit,
        Self::Conformance,
        Self::Clients,
        Self::Doc,
        Self::Fuzz,
        Self::Instructions,
        Self::Benches,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Unit => "unit",
            Self::Conformance => "conformance",
            Self::Clients => "clients",
            Self::Doc => "doc",
            Self::Fuzz => "fuzz",
            Self::Instructions => "instructions",
            Self::Benches => "benches",
        }
    }

    pub fn named(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|part| part.name() == name)
            .ok_or_else(|| format!("there is no part `{name}`; there are: {}", Self::names()))
    }

    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// Runs the parts in `only`, or all; with `full`, stores on servers are asked for as much as those inside
/// of the process. `true` if everything passed.
pub fn run(workspace: &Workspace, only: &[Part], full: bool) -> Result<bool> {
    let wanted = |part| only.is_empty() || only.contains(&part);
    let mut steps = Steps::default();

    if wanted(Part::Fmt) {
        steps.check("rustfmt is installed", || {
            tools::ensure_component("rustfmt")
        });
        steps.command("formatting", workspace.cargo(&["fmt", "--all", "--check"]));
    }
    if wanted(Part::Tidy) {
        steps.check("tidy", || tidy_or_error(workspace));
    }
    if wanted(Part::Clippy) {
        steps.check("clippy is installed", || tools::ensure_component("clippy"));
        let arguments = [
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        steps.command("lints", workspace.cargo(&arguments));
        for features in FEATURES {
            let mut check = workspace.cargo(&["clippy", "--locked", "--package", "broker-bin"]);
            check.args(["--no-default-features", "--features", features]);
            check.args(["--", "-D", "warnings"]);
            let title = match features {
                "" => "lints of the command without stores and engines".to_owned(),
                feature => format!("lints of the command with {feature} alone"),
            };
            steps.command(&title, check);
        }
    }
    if wanted(Part::Unit) || wanted(Part::Clients) {
        test_with_clients(workspace, &mut steps, wanted(Part::Unit), full);
    }
    if wanted(Part::Conformance) {
        steps.check("numbered statements", || conformance_or_error(workspace));
        steps.check("what mosca's tests ask", || {
            anyhow::ensure!(crate::parity::run(workspace, true)?, "see above");
            Ok(())
        });
    }
    if wanted(Part::Doc) {
        let mut doc = workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        steps.command("documentation", doc);
    }
    if wanted(Part::Fuzz) {
        let arguments = ["test", "--locked", "--manifest-path", "fuzz/Cargo.toml"];
        steps.tests("fuzz targets over their seeds", workspace.cargo(&arguments));
    }
    if wanted(Part::Instructions) {
        steps.check("instructions of single steps", || {
            crate::instructions::run(workspace, true)
        });
    }
    if wanted(Part::Benches) {
        check_benches(workspace, &mut steps);
    }
    Ok(steps.finish())
}

fn tidy_or_error(workspace: &Workspace) -> Result<()> {
    anyhow::ensure!(crate::tidy::run(workspace)?, "see above");
    Ok(())
}

fn conformance_or_error(workspace: &Workspace) -> Result<()> {
    let is_complete = crate::conformance::run(workspace, true)?;
    anyhow::ensure!(is_complete, "see above");
    Ok(())
}

/// The tests of the workspace, which include those with real clients, or these alone.
fn test_with_clients(workspace: &Workspace, steps: &mut Steps, whole_workspace: bool, full: bool) {
    let mut clients = None;
    steps.check("real MQTT clients are installed", || {
        clients = Some(TestClients::install(workspace)?);
        Ok(())
    });
    // The command is built with it, and the tests ask for it.
    steps.check("MQTT.js for browsers is fetched", || {
        crate::bundle::run(workspace).map(drop)
    });
    let mut services = None;
    steps.check("servers for the tests are installed", || {
        services = Some(Services::install(workspace)?);
        Ok(())
    });
    let (title, arguments): (_, &[&str]) = if whole_workspace {
        (
            "tests of the workspace",
            &["test", "--locked", "--workspace", "--no-fail-fast"],
        )
    } else {
        (
            "tests with real clients",
            &[
                "test",
                "--locked",
                "--package",
                "broker-bin",
                "--test",
                "*",
                "--no-fail-fast",
            ],
        )
    };
    let mut command = workspace.cargo(arguments);
    // Without clients or servers the tests that need them fail and say so; all others still run.
    if let Some(clients) = clients {
        command.envs(clients.environment());
    }
    if let Some(services) = &services {
        command.envs(services.environment());
    }
    if full {
        command.env("MOSCA_TEST_SCALE", "full");
    }
    steps.tests(title, command);
}

fn check_benches(workspace: &Workspace, steps: &mut Steps) {
    let mut projects = Vec::new();
    steps.check("benches are found", || {
        projects = workspace.bench_projects()?;
        Ok(())
    });
    // What compares brokers over stores starts a server in its tests.
    let mut services = None;
    steps.check("servers for the tests of benches are installed", || {
        services = Some(Services::install(workspace)?);
        Ok(())
    });
    for project in projects {
        let name = project.file_name().unwrap_or_default().to_string_lossy();
        if project.join("benches").is_dir() {
            let mut check = workspace.cargo(&["check", "--locked", "--all-targets"]);
            check.current_dir(&project);
            steps.command(&format!("bench {name} compiles"), check);
        } else {
            // An instrument is believed only if it passes its own tests.
            let mut test = workspace.cargo(&["test", "--locked"]);
            test.current_dir(&project);
            if let Some(services) = &services {
                test.envs(services.environment());
            }
            steps.tests(&format!("tests of benches/{name}"), test);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_name() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.name()), Ok(part));
        }
        assert!(Part::named("no such part").is_err());
    }
}
