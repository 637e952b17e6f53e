//! RabbitMQ: one server with its own `epmd`, by which Erlang's nodes find each other.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, wait_until};
use crate::{Folder, Server, find_program, free_port};

/// How long a server may take for the first byte that it sends.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// A RabbitMQ server of one's own, with the user `guest` and the password `guest`. It listens on the loopback
/// address alone, and ends, with its folder, when it is dropped.
#[derive(Debug)]
pub struct RabbitMq {
    // Before what it needs.
    server: Server,
    tls_port: Option<u16>,
    _epmd: Epmd,
}

/// What a server asks whether its name is free. Without one of its own it would start one that outlives it.
#[derive(Debug)]
struct Epmd {
    _process: Process,
    port: u16,
    _folder: Folder,
}

/// Files in PEM with which a server speaks TLS.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// Its certificate.
    pub certificate: &'a Path,
    /// The key of that.
    pub key: &'a Path,
    /// The certificate of who has issued it.
    pub authority: &'a Path,
}

impl RabbitMq {
    /// Starts a server and waits until it answers, which takes some ten seconds.
    ///
    /// # Panics
    /// If it does not come up, or there is no rabbitmq-server.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// One that speaks TLS on a port of its own, too.
    ///
    /// # Panics
    /// If it does not come up, or there is no rabbitmq-server.
    pub fn start_tls(tls: Tls<'_>) -> Self {
        Self::start_with(Some(tls))
    }

    fn start_with(tls: Option<Tls<'_>>) -> Self {
        let epmd = Epmd::start();
        let tls_port = tls.map(|_| free_port());
        let run = |port, folder: &Path| {
            let configuration = configuration(port, tls.zip(tls_port));
            run(port, epmd.port, folder, &configuration)
        };
        Self {
            server: Server::start("rabbitmq-server", run, answers),
            tls_port,
            _epmd: epmd,
        }
    }

    /// Its address, with the user that it has.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port())
    }

    /// The port on which it speaks TLS, if it does.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }
}

impl Deref for RabbitMq {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for RabbitMq {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Epmd {
    fn start() -> Self {
        let (folder, port) = (Folder::new("epmd"), free_port());
        let mut command = Command::new(find_program("MOSCA_TEST_EPMD", "epmd"));
        command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        let mut process = Process::start(&mut command, folder.path());
        wait_until("epmd to listen", || {
            assert!(process.ended().is_none(), "epmd has ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self {
            _process: process,
            port,
            _folder: folder,
        }
    }
}

fn configuration(port: u16, tls: Option<(Tls<'_>, u16)>) -> String {
    let mut text = format!("listeners.tcp.1 = 127.0.0.1:{port}\n");
    if let Some((tls, port)) = tls {
        text += &format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\n\
             ssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n\
             ssl_options.cacertfile = {}\n\
             ssl_options.verify = verify_none\n",
            tls.certificate.display(),
            tls.key.display(),
            tls.authority.display()
        );
    }
    text
}

fn run(port: u16, epmd: u16, folder: &Path, configuration: &str) -> Process {
    let file = folder.join("rabbitmq.conf");
    if let Err(error) = std::fs::write(&file, configuration) {
        panic!("cannot write {}: {error}", file.display());
    }
    let mut command = Command::new(program());
    let variables = [
        ("RABBITMQ_NODENAME", format!("mosca-test-{port}@localhost")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", free_port().to_string()),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
        ),
        ("ERL_EPMD_PORT", epmd.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        // Its own process is Erlang's then, and not a shell that waits for it.
        ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
        ("RABBITMQ_LOGS", "-".to_owned()),
    ];
    let places = [
        ("HOME", ""),
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
    ];
    command
        .arg("-noinput")
        .current_dir(folder)
        .envs(variables)
        .envs(places.map(|(name, place)| (name, folder.join(place))));
    Process::start(&mut command, folder)
}

/// Whether a server answers on this port: what begins AMQP 0-9-1 is answered with a frame of the first type.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(FIRST_BYTE))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    ask().is_ok_and(|first| first == 1)
}

/// The script itself: what Debian has in `PATH` is another one, which becomes the user `rabbitmq` and forgets
/// what it was told.
fn program() -> PathBuf {
    let found = find_program("MOSCA_TEST_RABBITMQ_SERVER", "rabbitmq-server");
    match found.canonicalize() {
        Ok(real) => real.with_file_name("rabbitmq-server"),
        Err(_) => found,
    }
}
