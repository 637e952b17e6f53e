//! The program that is an MQTT.js client.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Line, Process};

/// The program, with the module that it needs; what it is to do is missing.
pub fn command() -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", from_environment("MOSCA_TEST_NODE_PATH"));
    command.arg(programs().join("mqttjs_client.js"));
    command
}

/// Has the one subscribe and the other one publish; each is a program that lacks what it is to do.
pub fn talk(mut subscriber: Command, mut publisher: Command) {
    let subscriber = subscriber.args(["sub", "--id", "sub", "--filter", "a/#"]);
    let mut subscriber = Process::start("MQTT.js", subscriber);
    let line = |words: &'static str| {
        move |line: &Line| match line {
            Line::Out(line) if line.contains(words) => Some(line.clone()),
            _ => None,
        }
    };
    subscriber.wait_for("subscription", line("\"subscribed\""));
    let publisher = publisher.args(["pub", "--id", "pub", "--topic", "a/b"]);
    Process::start_with_input("MQTT.js", publisher, b"hello\n".to_vec()).succeed();
    let message = subscriber.wait_for("message", line("\"message\""));
    assert!(message.contains("68656c6c6f"), "{message}");
}

/// The folder of the clients' programs, as it is when the test runs: another checkout may share the target
/// directory.
pub fn programs() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/clients")
}

/// What the environment says of where a client's modules are.
pub fn from_environment(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => path.into(),
        None => panic!(
            "{name} is not set: run `cargo xtask test`, which installs the MQTT clients, or \
             `cargo xtask tools` and set what it prints"
        ),
    }
}
