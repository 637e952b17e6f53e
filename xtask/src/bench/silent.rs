//! `cargo xtask bench --silent`: mosca, freshly started for each manner of saying nothing, beside ten
//! thousand connections that behave so; see `silent` in `benches/load`.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{build_bench, build_mosca};
use crate::step::Steps;
use crate::workspace::Workspace;

/// The manners, and the scheme of the interface that each is for.
const MANNERS: [(&str, &str); 6] = [
    ("nothing", "mqtt"),
    ("connect", "mqtt"),
    ("publish", "mqtt"),
    ("upgrade", "ws"),
    ("client-hello", "mqtts"),
    ("handshake", "mqtts"),
];

/// Runs all manners, or the one that `arguments` begin with, and passes the others on to `load silent`.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool> {
    let (only, pass_on) = match arguments {
        [first, rest @ ..] if !first.starts_with('-') => (Some(first.as_str()), rest),
        all => (None, all),
    };
    let wanted = |manner: &str| only.is_none_or(|only| only == manner);
    ensure!(
        MANNERS.iter().any(|(manner, _)| wanted(manner)),
        "the manners are {:?}",
        MANNERS.map(|(manner, _)| manner)
    );
    let mosca = build_mosca(workspace)?;
    let load = build_bench(workspace, "load")?;
    let certificate = Certificate::make(&workspace.target.join("benches/silent"))?;
    let mut steps = Steps::default();
    for (manner, scheme) in MANNERS.into_iter().filter(|(manner, _)| wanted(manner)) {
        steps.check(manner, || {
            let broker = Broker::start(&mosca, &certificate)?;
            let status = Command::new(&load)
                .args(["silent", "--check", "--qos", "1", "--manner", manner])
                .args(["--addr", broker.address("mqtt")?])
                .args(["--at", broker.address(scheme)?])
                .args(["--pid", &broker.process.id().to_string()])
                .args(pass_on)
                .status()
                .context("cannot run benches/load")?;
            ensure!(status.success(), "{status}");
            Ok(())
        });
    }
    Ok(steps.finish())
}

/// What the broker shows to those who speak TLS.
struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn make(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let output = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-days", "30"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .context("cannot run openssl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "openssl made no certificate: {said}"
        );
        Ok(Self { certificate, key })
    }
}

/// A broker with all kinds of interfaces, each on a port of its own. It ends with this.
struct Broker {
    process: Child,
    /// By scheme.
    addresses: HashMap<String, String>,
}

impl Broker {
    fn start(mosca: &Path, certificate: &Certificate) -> Result<Self> {
        let process = Command::new(mosca)
            .args(["--host", "127.0.0.1", "--port", "0", "--http-port", "0"])
            .args(["--secure-port", "0", "--non-secure", "--cert"])
            .arg(&certificate.certificate)
            .arg("--key")
            .arg(&certificate.key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start mosca")?;
        let mut broker = Self {
            process,
            addresses: HashMap::new(),
        };
        let stdout = broker
            .process
            .stdout
            .take()
            .context("mosca has no stdout")?;
        // One line for each interface, when all are there.
        for line in BufReader::new(stdout).lines().take(3) {
            if let Some((scheme, address)) = interface(&line?) {
                broker.addresses.insert(scheme, address);
            }
        }
        Ok(broker)
    }

    fn address(&self, scheme: &str) -> Result<&str> {
        let address = self.addresses.get(scheme);
        address.map(String::as_str).with_context(|| {
            format!(
                "mosca does not listen for {scheme}, but {:?}",
                self.addresses
            )
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It has nothing to lose, and may be gone already.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Scheme and address of a line such as `mosca 1.2.3 listening: ws://127.0.0.1:3000`.
fn interface(line: &str) -> Option<(String, String)> {
    let (_, url) = line.split_once(" listening: ")?;
    let (scheme, address) = url.split_once("://")?;
    let address = address.split('/').next()?;
    Some((scheme.to_owned(), address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_says_where_it_listens() {
        let found = |line| interface(line);
        let pair = |scheme: &str, address: &str| Some((scheme.to_owned(), address.to_owned()));
        assert_eq!(
            found("mosca 0.1.0 listening: mqtts://127.0.0.1:8883"),
            pair("mqtts", "127.0.0.1:8883")
        );
        assert_eq!(
            found("mosca 0.1.0 listening: ws://[::1]:80/mqtt"),
            pair("ws", "[::1]:80")
        );
        assert_eq!(found("something else"), None);
    }
}
