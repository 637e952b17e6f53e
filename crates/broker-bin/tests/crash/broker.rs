//! The real broker over one store, started again and again.

use std::process::Command;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::process::{Line, Process};

/// The broker, whichever of its processes is the present one.
pub struct Broker {
    arguments: Vec<String>,
    process: Option<Process>,
    port: watch::Sender<Option<u16>>,
    /// How long each start took until the port was open.
    pub starts: Vec<Duration>,
    /// How often it was killed.
    pub kills: usize,
    /// All lines of its log, from all of its processes.
    pub log: Vec<String>,
}

impl Broker {
    /// A broker that is not running yet.
    pub fn new(arguments: Vec<String>) -> Self {
        Self {
            arguments,
            process: None,
            port: watch::Sender::new(None),
            starts: Vec::new(),
            kills: 0,
            log: Vec::new(),
        }
    }

    /// Where it listens, now and later.
    pub fn port(&self) -> watch::Receiver<Option<u16>> {
        self.port.subscribe()
    }

    fn spawn(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        command.args(["--port", "0", "--host", "127.0.0.1"]);
        // One thread and several are served by runtimes of different kinds.
        let threads = if self.kills.is_multiple_of(2) {
            "2"
        } else {
            "1"
        };
        command.args(["--threads", threads]).args(&self.arguments);
        Process::start("mosca", &mut command)
    }

    /// Starts it, and waits until it accepts connections.
    pub async fn start(&mut self) {
        let start = Instant::now();
        let mut process = self.spawn();
        let waiting = tokio::task::spawn_blocking(move || {
            let mut log = Vec::new();
            let port = process.wait_for("line with its port", |line| match line {
                Line::Out(line) => line.rsplit_once(':')?.1.parse().ok(),
                Line::Err(line) => {
                    log.push(line.clone());
                    None
                }
            });
            (process, port, log)
        });
        let (process, port, log) = waiting.await.expect("the broker starts");
        self.starts.push(start.elapsed());
        self.log.extend(log);
        self.process = Some(process);
        self.port.send_replace(Some(port));
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        let process = self.process.take().expect("it runs");
        self.kills += 1;
        let dying = tokio::task::spawn_blocking(|| process.kill_and_hear());
        let lines = dying.await.unwrap();
        self.port.send_replace(None);
        self.hear(lines);
    }

    /// Starts it, and kills it before it has got far.
    pub async fn kill_while_starting(&mut self, after: Duration) {
        let process = self.spawn();
        tokio::time::sleep(after).await;
        self.process = Some(process);
        self.kill().await;
    }

    /// Ends it in order.
    pub async fn terminate(&mut self) {
        let mut process = self.process.take().expect("it runs");
        self.port.send_replace(None);
        let ending = tokio::task::spawn_blocking(move || {
            process.signal(super::process::Signal::Terminate);
            process.finish()
        });
        let (status, lines) = ending.await.unwrap();
        assert!(status.success(), "{status}: {lines:?}");
        self.hear(lines);
    }

    fn hear(&mut self, lines: Vec<Line>) {
        self.log
            .extend(lines.into_iter().filter_map(|line| match line {
                Line::Err(line) => Some(line),
                Line::Out(_) => None,
            }));
    }

    /// Lines of the log that tell of a defect.
    pub fn panics(&self) -> Vec<&String> {
        let words = ["panicked", "defect"];
        let tells = |line: &&String| words.iter().any(|word| line.contains(word));
        self.log.iter().filter(tells).collect()
    }
}
