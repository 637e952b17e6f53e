//! Where things are: the root of the repository, the target directory, the crates and their
//! dependencies, all as `cargo metadata` tells it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// This workspace.
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Where build products go; nothing that is made by a tool may go anywhere else.
    pub target: PathBuf,
    /// The members, in the order of their names.
    pub packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Default, Clone)]
pub struct Package {
    pub name: String,
    /// What it needs to run. Development and build dependencies are not here: they do not travel
    /// with the crate, and tests may look down from higher up.
    pub dependencies: BTreeSet<String>,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        // Asked when we run, not when we were compiled: checkouts may share a target directory, and
        // cargo takes a binary that was built from the other one for fresh.
        let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(here)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed");
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        Self::from_metadata(&metadata).context("cargo metadata has an unknown shape")
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let mut packages: Vec<Package> = metadata["packages"]
            .as_array()?
            .iter()
            .map(|package| {
                let dependencies = package["dependencies"]
                    .as_array()?
                    .iter()
                    // `null` is cargo's word for a normal dependency.
                    .filter(|dependency| dependency["kind"].is_null())
                    .map(|dependency| dependency["name"].as_str().map(str::to_owned))
                    .collect::<Option<_>>()?;
                Some(Package {
                    name: package["name"].as_str()?.to_owned(),
                    dependencies,
                })
            })
            .collect::<Option<_>>()?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Some(Self {
            root: metadata["workspace_root"].as_str()?.into(),
            target: metadata["target_directory"].as_str()?.into(),
            packages,
        })
    }

    /// A cargo command at the root of this workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// The folders below `benches/` that are projects of their own.
    pub fn bench_projects(&self) -> Result<Vec<PathBuf>> {
        let folder = self.root.join("benches");
        let mut projects = Vec::new();
        for entry in folder
            .read_dir()
            .with_context(|| format!("cannot list {folder:?}"))?
        {
            let project = entry?.path();
            if project.join("Cargo.toml").is_file() {
                projects.push(project);
            }
        }
        projects.sort();
        Ok(projects)
    }

    /// The compiler that cargo uses.
    pub fn rustc(&self) -> Command {
        let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command.current_dir(&self.root);
        command
    }
}

/// The cargo that runs us, so that a chosen toolchain is kept.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_dependencies_count() {
        let metadata = serde_json::json!({
            "workspace_root": "/repo",
            "target_directory": "/repo/target",
            "packages": [{
                "name": "a",
                "dependencies": [
                    { "name": "b", "kind": null },
                    { "name": "c", "kind": "dev" },
                    { "name": "d", "kind": "build" },
                ],
            }],
        });
        let workspace = Workspace::from_metadata(&metadata).unwrap();
        assert_eq!(workspace.packages[0].name, "a");
        assert_eq!(Vec::from_iter(&workspace.packages[0].dependencies), ["b"]);
    }

    #[test]
    fn an_unknown_shape_is_no_empty_workspace() {
        assert!(Workspace::from_metadata(&serde_json::json!({ "packages": [] })).is_none());
    }
}
