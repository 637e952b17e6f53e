//! A broker that can be reached by all that carries MQTT.

use std::path::Path;

use test_servers::certificates::{Authority, Subject};

use crate::command::broker;
use crate::process::Process;

/// The broker, and how it is reached.
pub struct Everywhere {
    _broker: Process,
    /// One for each scheme.
    pub urls: Vec<String>,
    /// File with the certificate to trust.
    pub trusted: String,
    _authority: Authority,
}

impl Everywhere {
    pub fn start() -> Self {
        let authority = Authority::new("Test CA");
        let server = authority.issue("server", &Subject::server("localhost"));
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (cert, key) = (path(&server.certificate), path(&server.key));
        let secure = ["--cert", &cert, "--key", &key, "--secure-port", "0"];
        let others = [
            "--https-port",
            "0",
            "-p",
            "0",
            "--non-secure",
            "--http-port",
            "0",
        ];
        let schemes = ["mqtt", "mqtts", "ws", "wss"];
        let (broker, ports) = broker(&[&secure[..], &others].concat(), &schemes);
        let urls = schemes.iter().zip(ports);
        let urls = urls.map(|(scheme, port)| format!("{scheme}://localhost:{port}"));
        Self {
            _broker: broker,
            urls: urls.collect(),
            trusted: path(&authority.certificate),
            _authority: authority,
        }
    }
}
