//! The `mosca` command on a port that the system picks.

use std::process::Command;

use crate::process::{Line, Process};

/// A running broker, which ends with the test.
pub struct Broker {
    process: Process,
    pub port: u16,
}

/// The command with a port of its own and a log that tells what it does.
pub fn mosca(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    command.args(["--port", "0", "--host", "127.0.0.1", "-v"]);
    command.args(arguments);
    command
}

impl Broker {
    /// Starts one and waits until it accepts connections, which is when it has joined others.
    pub fn start(arguments: &[&str]) -> Self {
        Self::run(&mut mosca(arguments))
    }

    /// The same, of a command that may have more to it.
    pub fn run(command: &mut Command) -> Self {
        let mut process = Process::start("mosca", command);
        let port = process.port("mqtt");
        Self { process, port }
    }

    /// One below the broker at this port.
    pub fn below(port: u16, arguments: &[&str]) -> Self {
        let port = port.to_string();
        let parent = ["--parent-host", "127.0.0.1", "--parent-port", &port];
        Self::start(&[&parent, arguments].concat())
    }

    /// The next line of its log with these words in it.
    pub fn log(&mut self, words: &str) -> String {
        self.process.wait_for(words, |line| match line {
            Line::Err(line) if line.contains(words) => Some(line.clone()),
            _ => None,
        })
    }
}
