//! The command, as it is started, and as it has ended.

use std::process::Command;

use crate::process::{Line, Process};

pub fn mosca(arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    Process::start("mosca", command.args(arguments))
}

/// A broker at 127.0.0.1 with these arguments, and its ports for these schemes.
pub fn broker(arguments: &[&str], schemes: &[&str]) -> (Process, Vec<String>) {
    let mut process = mosca(&[&["--host", "127.0.0.1"], arguments].concat());
    let port = |scheme: &&str| process.port(scheme).to_string();
    let ports = schemes.iter().map(port).collect();
    (process, ports)
}

/// One for MQTT over TCP alone, and its port.
pub fn plain_broker(arguments: &[&str]) -> (Process, String) {
    let (process, mut ports) = broker(&[&["-p", "0"], arguments].concat(), &["mqtt"]);
    (process, ports.remove(0))
}

/// How a command has ended, and the lines that nobody has heard before.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: Vec<String>,
    pub err: Vec<String>,
}

impl Run {
    /// Waits for the end.
    pub fn of(mut process: Process) -> Self {
        let (status, lines) = process.finish();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                Line::Out(line) => out.push(line),
                Line::Err(line) => err.push(line),
            }
        }
        Self {
            code: status.code(),
            out,
            err,
        }
    }

    /// Of the command with these arguments.
    pub fn mosca(arguments: &[&str]) -> Self {
        Self::of(mosca(arguments))
    }

    /// Everything that it has said.
    pub fn said(&self) -> String {
        [&self.out[..], &self.err].concat().join("\n")
    }

    /// The one line that it has printed, which is JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.out.len(), 1, "{self:?}");
        serde_json::from_str(&self.out[0]).unwrap()
    }
}
