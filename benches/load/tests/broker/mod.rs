//! mosca in this process, on a free port, and the load generator as a command.

use std::net::SocketAddr;
use std::process::{Command, Output};

use mosca::{Interface, Server};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A broker that lives as long as this.
pub struct Broker {
    pub address: SocketAddr,
    _server: Server,
    _runtime: Runtime,
}

impl Broker {
    pub fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime
            .block_on(
                Server::builder()
                    .listen(Interface::mqtt("127.0.0.1:0"))
                    .start(),
            )
            .unwrap();
        Self {
            address: server.local_addresses()[0],
            _server: server,
            _runtime: runtime,
        }
    }
}

/// Runs the command against what listens at `address`.
pub fn load(arguments: &str, address: SocketAddr) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(arguments.split_ascii_whitespace())
        .args(["--addr", &address.to_string(), "--json"])
        .args(["--pid", &std::process::id().to_string()])
        .output()
        .unwrap()
}

/// The object that it printed.
pub fn figures(output: &Output) -> Value {
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&printed).unwrap_or_else(|error| {
        let complaints = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {printed}\n{complaints}")
    })
}
