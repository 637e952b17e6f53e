//! The command as a web server: the pages of `site/`, MQTT.js, and a broker, all at one port.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use test_servers::Folder;
use test_servers::certificates::{Authority, Issued, Subject};

use crate::page::NAME;
use crate::process::{Process, Signal};

/// How the pages are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// A running broker with pages, which ends with the test.
pub struct Site {
    process: Process,
    scheme: Scheme,
    pub port: u16,
    folder: Folder,
    more: Value,
    certificate: Option<(Authority, Issued)>,
}

impl Site {
    /// At a port that the system picks.
    pub fn start(scheme: Scheme) -> Self {
        Self::start_at(scheme, 0)
    }

    pub fn start_at(scheme: Scheme, port: u16) -> Self {
        Self::start_with(scheme, port, &json!({}))
    }

    /// With more options of the interface.
    pub fn start_with(scheme: Scheme, port: u16, more: &Value) -> Self {
        let certificate = (scheme == Scheme::Https).then(|| {
            let authority = Authority::new("Test CA");
            let issued = authority.issue("server", &Subject::server(NAME));
            (authority, issued)
        });
        let folder = Folder::new("site");
        let issued = certificate.as_ref().map(|(_, issued)| issued);
        let (process, port) = run(folder.path(), scheme, port, more, issued);
        Self {
            process,
            scheme,
            port,
            folder,
            more: more.clone(),
            certificate,
        }
    }

    /// Has it end in order.
    pub fn stop(&mut self) {
        self.process.signal(Signal::Terminate);
        self.process.succeed();
    }

    /// Starts it at the port that it had.
    pub fn start_again(&mut self) {
        let issued = self.certificate.as_ref().map(|(_, issued)| issued);
        let folder = self.folder.path();
        let (process, port) = run(folder, self.scheme, self.port, &self.more, issued);
        assert_eq!(port, self.port);
        self.process = process;
    }

    /// Its origin, by its address.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme.name(), self.port)
    }

    /// The port that a browser takes if an URL names none.
    pub fn usual_port(&self) -> u16 {
        match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    pub fn certificate(&self) -> Option<&Path> {
        let (_, issued) = self.certificate.as_ref()?;
        Some(&issued.certificate)
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

fn run(
    folder: &Path,
    scheme: Scheme,
    port: u16,
    more: &Value,
    certificate: Option<&Issued>,
) -> (Process, u16) {
    let pages = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let mut interface = json!({
        "type": scheme.name(),
        "host": "127.0.0.1",
        "port": port,
        "static": pages.join("tests/browser/site"),
        "bundle": true,
    });
    let options = interface.as_object_mut().unwrap();
    options.extend(more.as_object().unwrap().clone());
    if let Some(issued) = certificate {
        let credentials = json!({ "certPath": issued.certificate, "keyPath": issued.key });
        options.insert("credentials".to_owned(), credentials);
    }
    let config = folder.join("config.json");
    std::fs::write(&config, json!({ "interfaces": [interface] }).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    let mut process = Process::start("mosca", command.arg("-v").arg("--config").arg(config));
    let port = process.port(scheme.name());
    (process, port)
}
