//! A child process under a deadline: its lines as they come, everything it said when a test fails,
//! and its death when the test ends.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take. Only a failing test waits this long, so it is generous: two busy
/// processors start a node program in seconds, not in milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How much of what a process said is shown when a test fails.
const SHOWN_LINES: usize = 40;
const SHOWN_CHARACTERS: usize = 160;

/// A child process.
pub struct Process {
    name: String,
    child: Child,
    /// Lines of both outputs, in the order of their arrival.
    lines: Receiver<Line>,
    said: Arc<Mutex<VecDeque<String>>>,
}

/// A line that a process said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Out(String),
    Err(String),
}

/// The signals that the tests send.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    #[allow(dead_code, reason = "only the tests of the command send it")]
    Interrupt,
    Terminate,
    #[allow(
        dead_code,
        reason = "only the test of `mosca bench` lets a broker go on"
    )]
    Continue,
    #[allow(dead_code, reason = "only the tests of TLS send it")]
    Hangup,
    Stop,
}

impl Process {
    /// Starts `command`; `name` is what failures call it.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::start_with_input(name, command, Vec::new())
    }

    /// Starts `command` and gives it `input`.
    pub fn start_with_input(name: &str, command: &mut Command, input: Vec<u8>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{name}: cannot run {:?}: {error} (`cargo xtask test` installs the MQTT clients)",
                    command.get_program()
                )
            });
        let (sender, lines) = mpsc::channel();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        forward(out, Line::Out, sender.clone(), Arc::clone(&said));
        forward(err, Line::Err, sender, Arc::clone(&said));
        let mut stdin = child.stdin.take().unwrap();
        // A process that ends before it has read everything shows in its exit status.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
        Self {
            name: name.to_owned(),
            child,
            lines,
            said,
        }
    }

    /// The next line, or `None` when both outputs are closed.
    pub fn line(&mut self) -> Option<Line> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!(
                    "{}: said nothing for {PATIENCE:?}{}",
                    self.name,
                    self.transcript()
                )
            }
        }
    }

    /// The first line of the standard output that `pick` accepts; others are dropped.
    pub fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(&Line) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        while let Some(line) = self.line() {
            if let Some(picked) = pick(&line) {
                return picked;
            }
            assert!(
                Instant::now() < deadline,
                "{}: no {what} within {PATIENCE:?}{}",
                self.name,
                self.transcript()
            );
        }
        panic!("{}: ended before {what}{}", self.name, self.transcript());
    }

    /// The port at 127.0.0.1 that the `mosca` command tells of next for this scheme.
    pub fn port(&mut self, scheme: &str) -> u16 {
        let start = format!(" listening: {scheme}://127.0.0.1:");
        self.wait_for("line with its port", |line| {
            let Line::Out(line) = line else { return None };
            line.split_once(&start)?.1.parse().ok()
        })
    }

    /// Its number for the system.
    #[allow(dead_code, reason = "the tests of the command alone ask for it")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. The shell has the system call that the standard library lacks.
    pub fn signal(&self, signal: Signal) {
        let word = match signal {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
            Signal::Continue => "CONT",
            Signal::Hangup => "HUP",
            Signal::Stop => "STOP",
        };
        let script = format!("kill -{word} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(
            status.success(),
            "{}: {script}: {status}{}",
            self.name,
            self.transcript()
        );
    }

    /// Ends the process with a signal that it cannot see coming.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same, and what it had said that nobody has heard yet.
    #[allow(dead_code, reason = "only the crash test listens to what is dead")]
    pub fn kill_and_hear(mut self) -> Vec<Line> {
        self.child.kill().unwrap();
        self.finish().1
    }

    /// Waits for the end of the process and returns the lines that were left, too.
    pub fn finish(&mut self) -> (ExitStatus, Vec<Line>) {
        // Its outputs close when it ends, and that can be awaited.
        let deadline = Instant::now() + PATIENCE;
        let mut rest = Vec::new();
        while let Some(line) = self.line() {
            rest.push(line);
            assert!(
                Instant::now() < deadline,
                "{}: did not end within {PATIENCE:?}{}",
                self.name,
                self.transcript()
            );
        }
        (self.child.wait().unwrap(), rest)
    }

    /// Waits for an end without complaint.
    pub fn succeed(&mut self) {
        let (status, _) = self.finish();
        assert!(
            status.success(),
            "{}: {status}{}",
            self.name,
            self.transcript()
        );
    }

    /// What the process said last, for a message of failure.
    pub fn transcript(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = said
            .iter()
            .map(|line| format!("\n    {line}"))
            .collect::<String>();
        format!(
            "\n  {} said:{}",
            self.name,
            if lines.is_empty() { " nothing" } else { &lines }
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.transcript());
        }
    }
}

/// Sends the lines of `output` to the test until the process closes it.
fn forward(
    output: impl Read + Send + 'static,
    wrap: fn(String) -> Line,
    sender: mpsc::Sender<Line>,
    said: Arc<Mutex<VecDeque<String>>>,
) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_back(line.chars().take(SHOWN_CHARACTERS).collect());
            if said.len() > SHOWN_LINES {
                said.pop_front();
            }
            drop(said);
            // A test that has ended does not listen any more, but the pipe must stay empty.
            let _ = sender.send(wrap(line));
        }
    });
}
