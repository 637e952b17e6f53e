//! Installs what the tests need beyond cargo: mosquitto's clients, curl, Chromium, node with MQTT.js,
//! Python with paho-mqtt; and valgrind, to count instructions. System packages come from apt; everything
//! else goes below the target directory, so that the source tree stays as it was and `cargo clean` takes
//! it all away.
//!
//! The versions are pinned next to the programs that use them, in
//! `crates/broker-bin/tests/clients/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

/// `cargo xtask tools`: installs, and prints what a plain `cargo test` needs to find it.
pub fn run(workspace: &Workspace) -> Result<bool> {
    ensure_valgrind()?;
    let clients = TestClients::install(workspace)?;
    println!("\nto run the tests without xtask:");
    for (name, value) in clients.environment() {
        println!("export {name}='{}'", value.display());
    }
    Ok(true)
}

/// Where the clients are that do not come from apt.
pub struct TestClients {
    node_modules: PathBuf,
    python: PathBuf,
}

impl TestClients {
    /// Installs what is missing and keeps what is there and current.
    pub fn install(workspace: &Workspace) -> Result<Self> {
        let sources = workspace.root.join("crates/broker-bin/tests/clients");
        let installed = workspace.target.join("test-clients");

        ensure_programs(&[
            ("mosquitto_sub", "mosquitto-clients"),
            ("mosquitto_pub", "mosquitto-clients"),
            ("curl", "curl"),
            ("openssl", "openssl"),
            ("chromium", "chromium"),
            ("python3", "python3"),
        ])?;
        ensure_node()?;
        Ok(Self {
            node_modules: install_mqttjs(workspace)?,
            python: install_python(&sources, &installed.join("python"))?,
        })
    }

    /// The environment in which the tests find the clients.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [
            ("MOSCA_TEST_NODE_PATH", &self.node_modules),
            ("MOSCA_TEST_PYTHON", &self.python),
        ]
    }
}

/// Makes sure that there are programs, each of which comes in a package.
fn ensure_programs(programs: &[(&str, &'static str)]) -> Result<()> {
    let mut missing = Vec::new();
    for &(program, package) in programs {
        if in_path(program).is_none() && !missing.contains(&package) {
            missing.push(package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing)
}

/// Makes sure that instructions can be counted.
pub fn ensure_valgrind() -> Result<()> {
    match in_path("valgrind") {
        Some(_) => Ok(()),
        None => apt_install(&["valgrind"]),
    }
}

/// Makes sure that `cargo fmt` or `cargo clippy` exists, which a minimal toolchain lacks.
pub fn ensure_component(component: &str) -> Result<()> {
    let subcommand = component.strip_prefix("rust").unwrap_or(component);
    let works = Command::new("cargo")
        .args([subcommand, "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if works {
        return Ok(());
    }
    println!("installing {component}, which is missing");
    succeed(Command::new("rustup").args(["component", "add", component]))
}

/// The first executable of that name in `PATH`, or where Debian has programs of the system's own.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Installs packages of Debian's.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    println!(
        "installing from apt, because missing: {}",
        packages.join(" ")
    );
    let install = format!(
        "apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    );
    ensure!(
        in_path("apt-get").is_some(),
        "there is no apt-get; install {}",
        packages.join(" ")
    );
    ensure!(user_is_root(), "not root: run `{install}` first");
    // A list of packages that is older than the archive names versions that are gone.
    for line in ["apt-get update", &install] {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args([
                "-o",
                "DPkg::Lock::Timeout=300",
                "-o",
                "Acquire::Retries=3",
                "--quiet",
            ])
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive");
        succeed(&mut command)?;
    }
    Ok(())
}

fn user_is_root() -> bool {
    // The standard library cannot tell; the owner of our own process entry can.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Makes sure that there are npm and a node that runs MQTT.js 5, which needs node 16.
pub fn ensure_node() -> Result<()> {
    const OLDEST: u32 = 16;
    ensure_programs(&[("node", "nodejs"), ("npm", "npm")])?;
    let output = Command::new("node")
        .arg("--version")
        .output()
        .context("cannot run node")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = node_major(&version).with_context(|| format!("node answers {version:?}"))?;
    ensure!(
        major >= OLDEST,
        "node {version} is too old, {OLDEST} is needed"
    );
    println!("node {version}");
    Ok(())
}

fn node_major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs MQTT.js, and returns the folder of the packages that it is among.
pub fn install_mqttjs(workspace: &Workspace) -> Result<PathBuf> {
    let sources = workspace.root.join("crates/broker-bin/tests/clients");
    let folder = workspace.target.join("test-clients/node");
    install_node_modules("MQTT.js", &sources, &folder)
}

/// Installs what the lock file in `sources` names into `folder`, unless it is there; `what` it is
/// called.
pub fn install_node_modules(what: &str, sources: &Path, folder: &Path) -> Result<PathBuf> {
    let modules = folder.join("node_modules");
    let lock = std::fs::read(sources.join("package-lock.json"))?;
    let stamp = Stamp {
        file: folder.join("installed"),
        content: lock,
    };
    if stamp.is_current() {
        println!("{what} is installed");
        return Ok(modules);
    }
    println!("installing {what}");
    std::fs::create_dir_all(folder)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(sources.join(file), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder);
    succeed(&mut npm)?;
    stamp.set()?;
    Ok(modules)
}

fn install_python(sources: &Path, folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python3");
    let requirements = sources.join("requirements.txt");
    let stamp = Stamp {
        file: folder.join("installed"),
        content: std::fs::read(&requirements)?,
    };
    if stamp.is_current() {
        println!("paho-mqtt is installed");
        return Ok(python);
    }
    println!("installing paho-mqtt");
    make_virtual_environment(folder)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ])
    .arg("--requirement")
    .arg(requirements);
    succeed(&mut pip)?;
    stamp.set()?;
    Ok(python)
}

/// Puts what is in one wheel of PyPI into a folder; the requirement names version and hash.
pub fn install_wheel(folder: &Path, requirement: &str) -> Result<()> {
    let stamp = Stamp {
        file: folder.join("installed"),
        content: requirement.as_bytes().to_vec(),
    };
    if stamp.is_current() {
        return Ok(());
    }
    println!("installing {requirement}");
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let environment = folder.join("python");
    std::fs::create_dir_all(folder)?;
    if in_path("python3").is_none() {
        apt_install(&["python3", "python3-venv"])?;
    }
    make_virtual_environment(&environment)?;
    let requirements = folder.join("requirements.txt");
    std::fs::write(&requirements, requirement)?;
    let mut pip = Command::new(environment.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--target"])
        .arg(folder)
        .arg("--requirement")
        .arg(requirements);
    succeed(&mut pip)?;
    stamp.set()
}

/// Debian splits what `venv` needs into a package of its own, and only Debian's python knows it.
fn make_virtual_environment(folder: &Path) -> Result<()> {
    let make = |python: &str| {
        succeed(
            Command::new(python)
                .args(["-m", "venv", "--clear"])
                .arg(folder),
        )
    };
    if let Err(error) = make("python3") {
        println!("no virtual environment with this python3: {error:#}");
        apt_install(&["python3", "python3-venv"])?;
        make("/usr/bin/python3")?;
    }
    Ok(())
}

/// Remembers from what a folder was installed, and is written last: a run that was cut off leaves
/// none.
struct Stamp {
    file: PathBuf,
    content: Vec<u8>,
}

impl Stamp {
    fn is_current(&self) -> bool {
        std::fs::read(&self.file).is_ok_and(|content| content == self.content)
    }

    fn set(&self) -> Result<()> {
        std::fs::write(&self.file, &self.content)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

/// Runs a command; an error if it fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_understood() {
        assert_eq!(node_major("v20.20.2"), Some(20));
        assert_eq!(node_major("v8.0.0"), Some(8));
        assert_eq!(node_major("20"), None);
    }

    #[test]
    fn a_program_that_does_not_exist_is_missing() {
        assert!(in_path("sh").is_some());
        assert!(in_path("no-such-program-here").is_none());
    }

    #[test]
    fn an_installation_from_something_else_is_not_current() {
        let file = std::env::temp_dir().join(format!("mosca-stamp-{}", std::process::id()));
        let stamp = |content: &[u8]| Stamp {
            file: file.clone(),
            content: content.to_vec(),
        };
        assert!(!stamp(b"one").is_current());
        stamp(b"one").set().unwrap();
        assert!(stamp(b"one").is_current());
        assert!(!stamp(b"two").is_current());
        std::fs::remove_file(file).unwrap();
    }
}
