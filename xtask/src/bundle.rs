//! `cargo xtask bundle`: fetches the browser build of MQTT.js, which the command serves as `/mqtt.js`.
//!
//! It comes from the package that the tests use, so npm has held the archive against the lock file in
//! `crates/broker-bin/tests/clients/`; what is taken out of it is held against
//! `crates/broker-bin/bundle/SHA256SUMS` and put beside that file, where git does not look and
//! `crates/broker-bin/build.rs` does. The build itself needs no network.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::tools;
use crate::workspace::Workspace;

/// Where the checksums are, and what they name.
const FOLDER: &str = "crates/broker-bin/bundle";
/// In front of the version, in the paths of the checksums; behind that comes the path in the package.
const FETCHED: &str = "fetched/mqtt-";

/// Fetches what is missing.
pub fn run(workspace: &Workspace) -> Result<bool> {
    tools::ensure_node()?;
    let modules = tools::install_mqttjs(workspace)?;
    install(&modules, &workspace.root.join(FOLDER))?;
    Ok(true)
}

/// Puts the files of the package in `modules` where `folder/SHA256SUMS` names them.
pub fn install(modules: &Path, folder: &Path) -> Result<()> {
    let sums = folder.join("SHA256SUMS");
    let sums = std::fs::read_to_string(&sums)
        .with_context(|| format!("cannot read {}", sums.display()))?;
    for (sum, path) in lines(&sums)? {
        let to = folder.join(path);
        let is_there = std::fs::read(&to).is_ok_and(|content| sum_of(&content) == sum);
        if !is_there {
            let from = modules.join("mqtt").join(in_package(path)?);
            copy(&from, &to, sum)?;
        }
        println!("{} is as pinned", to.display());
    }
    Ok(())
}

/// Checksums and paths.
fn lines(sums: &str) -> Result<Vec<(&str, &str)>> {
    let pairs: Option<Vec<_>> = sums.lines().map(|line| line.split_once("  ")).collect();
    let pairs = pairs.context("SHA256SUMS has a line that is not `SUM  PATH`")?;
    ensure!(!pairs.is_empty(), "SHA256SUMS names nothing");
    Ok(pairs)
}

/// Where in the package the file is that goes to `path`.
fn in_package(path: &str) -> Result<&str> {
    let inside = path
        .strip_prefix(FETCHED)
        .and_then(|rest| rest.split_once('/'));
    match inside {
        Some((_version, inside)) => Ok(inside),
        None => bail!("SHA256SUMS: `{path}` does not begin with `{FETCHED}VERSION/`"),
    }
}

/// Copies a file that has this checksum.
fn copy(from: &Path, to: &Path, sum: &str) -> Result<()> {
    let content = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let found = sum_of(&content);
    ensure!(
        found == sum,
        "{} has the SHA-256 {found} and not {sum}: the version of MQTT.js and SHA256SUMS in {FOLDER} \
         are not of the same package",
        from.display()
    );
    let folder = to.parent().context("a path without a folder")?;
    std::fs::create_dir_all(folder)?;
    // Under its own name it is whole or not there: a build may look at any moment.
    let unfinished = to.with_extension("unfinished");
    std::fs::write(&unfinished, content)?;
    std::fs::rename(&unfinished, to).with_context(|| format!("cannot write {}", to.display()))
}

/// SHA-256, as `sha256sum` prints it.
fn sum_of(content: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(content) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package with one file, and the checksum of `pinned` for it.
    fn folders(name: &str, content: &str, pinned: &str) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("mosca-{name}-{}", std::process::id()));
        let inside = root.join("modules/mqtt/dist");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::write(inside.join("a.js"), content).unwrap();
        let bundle = root.join("bundle");
        std::fs::create_dir_all(&bundle).unwrap();
        let line = format!(
            "{}  fetched/mqtt-1.2.3/dist/a.js\n",
            sum_of(pinned.as_bytes())
        );
        std::fs::write(bundle.join("SHA256SUMS"), line).unwrap();
        root
    }

    #[test]
    fn what_is_as_pinned_is_put_where_the_checksums_say() {
        let root = folders("bundle-good", "good", "good");
        let (modules, bundle) = (root.join("modules"), root.join("bundle"));
        let file = bundle.join("fetched/mqtt-1.2.3/dist/a.js");
        install(&modules, &bundle).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"good");
        // What was changed there is put right.
        std::fs::write(&file, "evil").unwrap();
        install(&modules, &bundle).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"good");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_not_as_pinned_goes_nowhere() {
        let root = folders("bundle-evil", "evil", "good");
        let bundle = root.join("bundle");
        let error = install(&root.join("modules"), &bundle).unwrap_err();
        assert!(error.to_string().contains("not of the same package"));
        assert!(!bundle.join("fetched").exists());
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_checksum_is_as_sha256sum_prints_it() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sum_of(b"abc"), abc);
    }

    #[test]
    fn checksums_that_make_no_sense_are_refused() {
        assert!(lines("").is_err());
        assert!(lines("no path\n").is_err());
        assert!(in_package("dist/a.js").is_err());
        assert_eq!(
            in_package("fetched/mqtt-1.2.3/dist/a.js").unwrap(),
            "dist/a.js"
        );
    }

    #[test]
    fn the_pinned_files_are_of_the_version_that_the_tests_use() {
        let root = Workspace::find().unwrap().root;
        let package = root.join("crates/broker-bin/tests/clients/package.json");
        let package = std::fs::read_to_string(package).unwrap();
        let package: serde_json::Value = serde_json::from_str(&package).unwrap();
        let version = package["dependencies"]["mqtt"].as_str().unwrap();
        let sums = std::fs::read_to_string(root.join(FOLDER).join("SHA256SUMS")).unwrap();
        for (_, path) in lines(&sums).unwrap() {
            assert!(path.starts_with(&format!("{FETCHED}{version}/")), "{path}");
        }
    }
}
