//! Redis: one server, a primary with a replica under a Sentinel, a Cluster of three.

mod cluster;
mod sentinel;

use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;

use crate::process::Process;
use crate::{Server, find_program};

/// A server to be: what it is told beyond its port and its folder. Unless told otherwise it writes
/// nothing to its disk.
#[derive(Clone, Debug)]
pub struct RedisBuilder {
    options: Vec<(String, String)>,
    // What `redis-cli` needs to know.
    client: Vec<String>,
    tls: bool,
    sentinel: bool,
}

/// A Redis server of one's own. Ends, with its folder, when it is dropped.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    builder: RedisBuilder,
}

impl Redis {
    /// A server that keeps nothing on disk, unless [`option`](RedisBuilder::option) says so.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a server is there once it is started"
    )]
    pub fn new() -> RedisBuilder {
        RedisBuilder {
            options: Vec::new(),
            client: Vec::new(),
            tls: false,
            sentinel: false,
        }
        .option("save", "")
    }

    /// A server that has every write on its disk before it answers: `appendfsync always`.
    pub fn durable() -> RedisBuilder {
        Self::new()
            .option("appendonly", "yes")
            .option("appendfsync", "always")
    }

    /// Its address, without a user or a password.
    pub fn url(&self) -> String {
        let scheme = if self.builder.tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port())
    }

    /// Starts it again after it has ended, on the same port and in the same folder.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&mut self) {
        let builder = &self.builder;
        let run = |port, folder: &Path| builder.run(port, folder);
        self.server.restart(run, |port| builder.answers(port));
    }

    /// Sends one command and returns what `redis-cli` prints for the answer, without the last line
    /// break.
    ///
    /// # Panics
    /// If the server cannot be reached or answers with an error.
    pub fn command(&self, words: &[&str]) -> String {
        match self.try_command(words) {
            Ok(answer) => answer,
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    /// As [`command`](Self::command), for one that may fail.
    ///
    /// # Errors
    /// What `redis-cli` says.
    pub fn try_command(&self, words: &[&str]) -> Result<String, String> {
        self.builder.ask(self.port(), &["-e"], words, b"")
    }

    /// Sends commands, one per line as `redis-cli` reads them, and returns the answers.
    ///
    /// # Panics
    /// If the server cannot be reached.
    pub fn commands(&self, lines: &str) -> String {
        match self.builder.ask(self.port(), &[], &[], lines.as_bytes()) {
            Ok(answers) => answers,
            Err(error) => panic!("{error}"),
        }
    }

    /// A value of INFO, such as `role` or `used_memory`.
    pub fn info(&self, name: &str) -> Option<String> {
        let info = self.command(&["INFO"]);
        let mut lines = info.lines();
        lines.find_map(|line| {
            Some(
                line.strip_prefix(name)?
                    .strip_prefix(':')?
                    .trim()
                    .to_owned(),
            )
        })
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl RedisBuilder {
    /// Sets a line of the server's configuration, such as `appendonly`, `yes`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks clients for this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.client.extend(["-a".to_owned(), password.to_owned()]);
        self.option("requirepass", password)
    }

    /// Speaks TLS only, with these files in PEM: the certificate, its key, the authority's certificate.
    #[must_use]
    pub fn tls(mut self, certificate: &Path, key: &Path, authority: &Path) -> Self {
        self.tls = true;
        let authority = authority.display().to_string();
        self.client
            .extend(["--tls".to_owned(), "--cacert".to_owned(), authority.clone()]);
        self.option("tls-cert-file", &certificate.display().to_string())
            .option("tls-key-file", &key.display().to_string())
            .option("tls-ca-cert-file", &authority)
            .option("tls-auth-clients", "no")
            .option("tls-replication", "yes")
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If it does not come up, or there is no redis-server.
    pub fn start(self) -> Redis {
        let run = |port, folder: &Path| self.run(port, folder);
        Redis {
            server: Server::start("redis-server", run, |port| self.answers(port)),
            builder: self,
        }
    }

    /// Whether a server answers on this port. Also a refusal is an answer; but not while data is being
    /// loaded.
    fn answers(&self, port: u16) -> bool {
        match self.ask(port, &["-e"], &["PING"], b"") {
            Ok(_) => true,
            Err(error) => error.contains("NOAUTH") || error.contains("WRONGPASS"),
        }
    }

    /// What `redis-cli` says.
    fn ask(
        &self,
        port: u16,
        flags: &[&str],
        words: &[&str],
        input: &[u8],
    ) -> Result<String, String> {
        let mut child = Command::new(find_program("MOSCA_TEST_REDIS_CLI", "redis-cli"))
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["--no-auth-warning"])
            .args(&self.client)
            .args(flags)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).map_err(|error| error.to_string())?;
        }
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .trim_end_matches('\n')
                .to_owned()
        };
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stdout) + &text(&output.stderr))
        }
    }

    fn run(&self, port: u16, folder: &Path) -> Process {
        // Sentinel and Cluster write to their configuration; so a file, and it is not written anew.
        let file = folder.join("redis.conf");
        if !file.is_file()
            && let Err(error) = std::fs::write(&file, self.configuration(port, folder))
        {
            panic!("cannot write {}: {error}", file.display());
        }
        let mut command = Command::new(server_program());
        command.arg(&file);
        if self.sentinel {
            command.arg("--sentinel");
        }
        Process::start(&mut command, folder)
    }

    fn configuration(&self, port: u16, folder: &Path) -> String {
        let (plain, tls) = if self.tls { (0, port) } else { (port, 0) };
        let mut text = format!(
            "bind 127.0.0.1\nprotected-mode no\nport {plain}\ndir \"{}\"\n",
            folder.display()
        );
        if tls != 0 {
            text += &format!("tls-port {tls}\n");
        }
        for (name, value) in &self.options {
            // An option with several values brings its own quotes.
            let quote = if value.is_empty() { "\"\"" } else { value };
            text += &format!("{name} {quote}\n");
        }
        text
    }
}

fn server_program() -> PathBuf {
    find_program("MOSCA_TEST_REDIS_SERVER", "redis-server")
}
