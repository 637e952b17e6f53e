//! `cargo xtask bench`: runs the criterion benches. Each is a workspace of its own, because they
//! compile other people's crates for comparison, and these must not reach our lock file.

use anyhow::{Result, ensure};

use crate::step::Steps;
use crate::workspace::Workspace;

/// Runs all benches, or the one in `benches/<only>`, and passes `pass_on` to criterion.
pub fn run(workspace: &Workspace, only: Option<&str>, pass_on: &[String]) -> Result<bool> {
    let projects = workspace.bench_projects()?;
    let mut steps = Steps::default();
    let mut ran = 0;
    for project in &projects {
        let name = project.file_name().unwrap_or_default().to_string_lossy();
        if only.is_some_and(|only| only != name) {
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
