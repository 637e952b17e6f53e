//! The broker under test: the real `mosca` command on a port that the system picks.
//!
//! With `MOSCA_TEST_BROKER=/usr/sbin/mosquitto` the same tests run against mosquitto. A test that
//! fails there, too, is more likely wrong than both brokers.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::client::Transport;
use crate::process::{Line, Process, Signal};

/// A running broker, which ends with the test.
pub struct Broker {
    process: Process,
    pub port: u16,
    /// None for mosquitto: not every build of it has one.
    websocket_port: Option<u16>,
}

impl Broker {
    /// Starts a broker for one test and waits until it accepts connections.
    pub fn start() -> Self {
        match std::env::var_os("MOSCA_TEST_BROKER") {
            None => Self::mosca(),
            Some(path) => Self::mosquitto(Path::new(&path)),
        }
    }

    fn mosca() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        command.args(["--port", "0", "--ws-port", "0", "--host", "127.0.0.1", "-v"]);
        let mut process = Process::start("mosca", &mut command);
        let [port, websocket_port] = ["mqtt", "ws"].map(|scheme| process.port(scheme));
        Self {
            process,
            port,
            websocket_port: Some(websocket_port),
        }
    }

    fn mosquitto(path: &Path) -> Self {
        // mosquitto cannot report a port that the system picked, so it is picked for it. Somebody
        // else may take it in between; for a second opinion that is good enough.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let config = scratch_file("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
             max_inflight_messages 0\npersistence false\nuser root\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(path);
        let mut process = Process::start("mosquitto", command.arg("-v").arg("-c").arg(config));
        process.wait_for("line that it runs", |line| {
            let (Line::Out(line) | Line::Err(line)) = line;
            line.ends_with(" running").then_some(())
        });
        Self {
            process,
            port,
            websocket_port: None,
        }
    }

    /// The port for clients of this kind.
    pub fn port_of(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Tcp => self.port,
            Transport::WebSocket => match self.websocket_port {
                Some(port) => port,
                None => panic!("this broker was not asked to listen for WebSockets"),
            },
        }
    }

    /// Asks the broker to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.signal(Signal::Terminate);
        self.process.finish().0
    }
}

/// A path for a file of one test, below the target directory.
pub fn scratch_file(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let unique = format!("{}-{number}-{name}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique)
}
