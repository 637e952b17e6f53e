//! MongoDB: one server that is a replica set by itself, or alone; and a set of three.

mod set;
mod wire;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use bson::{Document, doc};

pub use set::MongodSet;

use crate::process::{Process, wait_until};
use crate::{Server, find_program};

/// What the replica sets are called.
const SET: &str = "rs0";

/// A server to be.
#[derive(Clone, Debug)]
pub struct MongodBuilder {
    arguments: Vec<String>,
    user: Option<(String, String)>,
    tls: bool,
    mode: Mode,
}

/// What a server is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// A replica set of its own.
    Primary,
    /// A replica set that somebody else makes.
    Member,
    /// None: it has no transactions then.
    Standalone,
}

/// A MongoDB server of one's own. Ends, with its folder, when it is dropped.
#[derive(Debug)]
pub struct Mongod {
    server: Server,
    builder: MongodBuilder,
}

impl Mongod {
    /// A server that is a replica set of one, with small caches, which looks every second for
    /// documents that have expired.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a server is there once it is started"
    )]
    pub fn new() -> MongodBuilder {
        MongodBuilder {
            arguments: Vec::new(),
            user: None,
            tls: false,
            mode: Mode::Primary,
        }
    }

    /// Its address, without a user or a password, with the name of its replica set if it is one.
    pub fn url(&self) -> String {
        let mut options = Vec::new();
        if self.builder.mode != Mode::Standalone {
            options.push(format!("replicaSet={SET}"));
        }
        if self.builder.tls {
            options.push("tls=true".to_owned());
        }
        format!("mongodb://127.0.0.1:{}/?{}", self.port(), options.join("&"))
    }

    /// Starts it again after it has ended, on the same port and in the same folder, and waits until
    /// it answers; one that is a replica set by itself also takes writes then.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&mut self) {
        let run = |port, folder: &Path| self.builder.run(port, folder);
        self.server.restart(run, answers);
        if self.builder.mode == Mode::Primary {
            self.await_writable();
        }
    }

    /// Sends one command, without a password, and returns the answer.
    ///
    /// # Errors
    /// If the server cannot be reached, or what it says of the command.
    pub fn try_command(&self, database: &str, command: Document) -> Result<Document, String> {
        wire::command(self.port(), database, command)
    }

    /// As [`try_command`](Self::try_command), for one that must not fail.
    ///
    /// # Panics
    /// If it fails.
    pub fn command(&self, database: &str, command: Document) -> Document {
        let shown = command.to_string();
        match self.try_command(database, command) {
            Ok(answer) => answer,
            Err(error) => panic!("{shown}: {error}"),
        }
    }

    /// Whether it takes writes.
    pub fn is_writable(&self) -> bool {
        self.try_command("admin", doc! { "hello": 1 })
            .is_ok_and(|answer| answer.get_bool("isWritablePrimary").unwrap_or(false))
    }

    fn await_writable(&self) {
        wait_until("mongod to take writes", || self.is_writable());
    }

    fn initiate(&self, members: &[u16]) {
        let members: Vec<Document> = (0_i32..)
            .zip(members)
            .map(|(id, port)| doc! { "_id": id, "host": format!("127.0.0.1:{port}") })
            .collect();
        self.command(
            "admin",
            doc! { "replSetInitiate": {
                "_id": SET,
                "members": members,
                // A primary that is gone is missed sooner than after ten seconds.
                "settings": { "electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500 },
            } },
        );
    }
}

impl Deref for Mongod {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Mongod {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl MongodBuilder {
    /// Adds arguments to its command line.
    #[must_use]
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Asks clients for a user's name and password; this user may do anything.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Speaks TLS with those who want it, with these files in PEM: the certificate behind its key, the
    /// authority's certificate.
    #[must_use]
    pub fn tls(mut self, certificate_and_key: &Path, authority: &Path) -> Self {
        self.tls = true;
        self.arguments.extend([
            "--tlsMode".to_owned(),
            "preferTLS".to_owned(),
            "--tlsAllowConnectionsWithoutCertificates".to_owned(),
            "--tlsCertificateKeyFile".to_owned(),
            certificate_and_key.display().to_string(),
            "--tlsCAFile".to_owned(),
            authority.display().to_string(),
        ]);
        self
    }

    /// Makes it a server without a replica set, which has no transactions.
    #[must_use]
    pub fn standalone(mut self) -> Self {
        self.mode = Mode::Standalone;
        self
    }

    /// Starts it and waits until it takes writes.
    ///
    /// # Panics
    /// If it does not come up, or there is no mongod.
    pub fn start(self) -> Mongod {
        let server = self.start_uninitiated();
        if server.builder.mode == Mode::Primary {
            server.initiate(&[server.port()]);
            server.await_writable();
        }
        if let Some((name, password)) = &server.builder.user {
            // The first user of all may be made without being one, from this machine.
            server.command(
                "admin",
                doc! { "createUser": name, "pwd": password, "roles": ["root"] },
            );
        }
        server
    }

    fn start_uninitiated(self) -> Mongod {
        Mongod {
            server: Server::start("mongod", |port, folder| self.run(port, folder), answers),
            builder: self,
        }
    }

    fn run(&self, port: u16, folder: &Path) -> Process {
        let mut command = Command::new(program());
        command
            .arg("--dbpath")
            .arg(folder)
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1"])
            .args(["--nounixsocket", "--quiet"])
            .args(["--setParameter", "ttlMonitorSleepSecs=1"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        // It takes no option twice.
        let cache = "--wiredTigerCacheSizeGB";
        if !self.arguments.iter().any(|argument| argument == cache) {
            command.args([cache, "0.25"]);
        }
        if self.mode != Mode::Standalone {
            command.args(["--replSet", SET, "--oplogSize", "64"]);
        }
        if self.user.is_some() {
            command.arg("--keyFile").arg(key_file(folder));
        }
        command.args(&self.arguments);
        Process::start(&mut command, folder)
    }
}

/// Whether a server answers on this port.
fn answers(port: u16) -> bool {
    wire::command(port, "admin", doc! { "hello": 1 }).is_ok()
}

/// What members of a replica set show each other where clients need passwords.
fn key_file(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.join("members.key");
    let written = std::fs::write(&file, "one server of a test")
        .and_then(|()| std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)));
    if let Err(error) = written {
        panic!("cannot write {}: {error}", file.display());
    }
    file
}

fn program() -> PathBuf {
    find_program("MOSCA_TEST_MONGOD", "mongod")
}
