//! Mosquitto: another MQTT broker.

use std::net::{Ipv4Addr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Command, Output};

use crate::process::Process;
use crate::{Server, find_program};

/// A broker to be: what it is told beyond its port and its folder. Unless told otherwise it lets everybody in and
/// keeps nothing on disk.
#[derive(Clone, Debug, Default)]
pub struct MosquittoBuilder {
    options: Vec<(String, String)>,
    users: Vec<(String, String)>,
}

/// A mosquitto of one's own. Ends, with its folder, when it is dropped.
#[derive(Debug)]
pub struct Mosquitto {
    server: Server,
    builder: MosquittoBuilder,
}

impl Mosquitto {
    /// A broker that has its usual limits, unless [`option`](MosquittoBuilder::option) says so.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a server is there once it is started"
    )]
    pub fn new() -> MosquittoBuilder {
        MosquittoBuilder::default()
    }

    /// Its address, without a user or a password.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port())
    }

    /// Starts it again after it has ended, on the same port and in the same folder.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&mut self) {
        let builder = &self.builder;
        let run = |port, folder: &Path| builder.run(port, folder);
        self.server.restart(run, answers);
    }
}

impl Deref for Mosquitto {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Mosquitto {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl MosquittoBuilder {
    /// Sets a line of the configuration, such as `max_queued_messages`, `0`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets in only those who have this password, or another one that is named so.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Starts it and waits until it takes connections.
    ///
    /// # Panics
    /// If it does not come up, or there is no mosquitto.
    pub fn start(self) -> Mosquitto {
        let run = |port, folder: &Path| self.run(port, folder);
        Mosquitto {
            server: Server::start("mosquitto", run, answers),
            builder: self,
        }
    }

    fn run(&self, port: u16, folder: &Path) -> Process {
        let mut text = format!("listener {port} 127.0.0.1\npersistence false\n");
        // Started by root it would become somebody else, who cannot read its folder.
        text += "user root\nset_tcp_nodelay true\n";
        if self.users.is_empty() {
            text += "allow_anonymous true\n";
        } else {
            let passwords = folder.join("passwords");
            self.write_passwords(&passwords);
            text += &format!("password_file {}\n", passwords.display());
        }
        for (name, value) in &self.options {
            text += &format!("{name} {value}\n");
        }
        let file = folder.join("mosquitto.conf");
        if let Err(error) = std::fs::write(&file, text) {
            panic!("cannot write {}: {error}", file.display());
        }
        let mut command = Command::new(find_program("MOSCA_TEST_MOSQUITTO", "mosquitto"));
        command.arg("-c").arg(&file);
        Process::start(&mut command, folder)
    }

    fn write_passwords(&self, file: &Path) {
        let program = find_program("MOSCA_TEST_MOSQUITTO_PASSWD", "mosquitto_passwd");
        for (number, (name, password)) in self.users.iter().enumerate() {
            let mut command = Command::new(&program);
            command.arg("-b");
            if number == 0 {
                command.arg("-c");
            }
            let output = command.arg(file).args([name, password]).output();
            let done = output.as_ref().is_ok_and(|it: &Output| it.status.success());
            assert!(done, "cannot write passwords: {output:?}");
        }
    }
}

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
