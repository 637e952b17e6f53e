//! The broker, and mosquitto's clients of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use authorizer::Users;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Line, PATIENCE, Process, Signal};

/// A running broker that knows its clients.
pub struct Broker {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Broker {
    /// With a users file.
    pub fn with_users(users: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.json");
        std::fs::write(&file, users.to_string()).unwrap();
        Self::start(folder, &["--credentials".as_ref(), &file])
    }

    /// With the section of the config file, and what it names in the folder.
    pub fn with_config(folder: TempDir, authentication: &Value) -> Self {
        let file = folder.path().join("config.json");
        let config = json!({ "authentication": authentication });
        std::fs::write(&file, config.to_string()).unwrap();
        Self::start(folder, &["--config".as_ref(), &file])
    }

    fn start(folder: TempDir, arguments: &[&Path]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        command.args(["--host", "127.0.0.1", "-p", "0", "-v"]);
        let mut process = Process::start("mosca", command.args(arguments));
        let port = process.port("mqtt");
        Self {
            process,
            port,
            folder,
        }
    }

    pub fn file(&self) -> PathBuf {
        self.path("credentials.json")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Changes the users, has them read, and waits until that is done.
    pub fn change(&mut self, change: impl FnOnce(&mut Users)) {
        Users::edit(self.file(), |users| {
            change(users);
            Ok::<_, authorizer::UsersError>(())
        })
        .unwrap();
        self.hangup("the users were read again");
    }

    pub fn hangup(&mut self, words: &str) -> String {
        self.process.signal(Signal::Hangup);
        self.log(words)
    }

    /// The next line of the log that has these words.
    pub fn log(&mut self, words: &str) -> String {
        self.process.wait_for(words, |line| {
            let Line::Err(line) = line else { return None };
            line.contains(words).then(|| line.clone())
        })
    }

    pub fn client(&self, program: &str, user: Option<(&str, &str)>, arguments: &[&str]) -> Process {
        // Into a pipe it would write when a block is full.
        let mut command = Command::new("stdbuf");
        command.args(["--output=L", program, "-d", "-h", "127.0.0.1"]);
        command.args(["-p", &self.port.to_string()]);
        if let Some((user, password)) = user {
            command.args(["-u", user, "-P", password]);
        }
        Process::start(program, command.args(arguments))
    }

    /// Publishes at QoS 1, and says whether the program was content, and what it said.
    pub fn publish(&self, user: Option<(&str, &str)>, arguments: &[&str]) -> (bool, String) {
        let arguments = [&["-q", "1", "-m", "hello"], arguments].concat();
        let (status, lines) = self.client("mosquitto_pub", user, &arguments).finish();
        let said: Vec<_> = lines.into_iter().map(text).collect();
        (status.success(), said.join("\n"))
    }

    /// Subscribes by MQTT 5, and returns when it is done.
    pub fn subscribe(&self, user: (&str, &str), arguments: &[&str]) -> Process {
        let arguments = [&["-q", "1", "-V", "5", "-F", "message %t"], arguments].concat();
        let mut subscriber = self.client("mosquitto_sub", Some(user), &arguments);
        wait_for(&mut subscriber, "Subscribed (mid: ");
        subscriber
    }

    /// Publishes until nobody is there who takes it.
    pub fn wait_until_nobody_takes(&self, user: (&str, &str), topic: &str) {
        let start = Instant::now();
        loop {
            let (_, said) = self.publish(Some(user), &["-V", "5", "-t", topic]);
            if said.contains("RC:16") {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{topic} is still taken: {said}");
        }
    }
}

pub fn text(line: Line) -> String {
    let (Line::Out(line) | Line::Err(line)) = line;
    line
}

pub fn wait_for(process: &mut Process, words: &str) -> String {
    process.wait_for(words, |line| {
        let (Line::Out(line) | Line::Err(line)) = line;
        line.contains(words).then(|| line.clone())
    })
}
