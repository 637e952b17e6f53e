//! A server as a child process: ended when it is dropped, and also when the test process itself is
//! killed, by a shell that waits for just that.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to do what it was told, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// Reads one line. If there is none, the test process has ended without ending the server: ends the
/// server, and removes its folder.
const GUARDIAN: &str = r#"trap '' INT TERM HUP; read line || { kill -KILL "$1"; rm -rf "$2"; }"#;

/// A running server.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guardian: Child,
    // Closed when this process ends, in whatever way.
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts a program with its output in `folder/output`, behind what is there. When the test
    /// process is killed, `folder` is removed with the server.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command, folder: &Path) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("output"));
        let Ok((output, errors)) = log.and_then(|log| Ok((log.try_clone()?, log))) else {
            panic!("cannot write below {}", folder.display());
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => panic!("cannot start {:?}: {error}", command.get_program()),
        };
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(child.id().to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match guardian {
            Ok(mut guardian) => Self {
                lifeline: guardian.stdin.take(),
                child,
                guardian,
            },
            Err(error) => {
                let _ = child.kill();
                panic!("cannot start sh: {error}")
            }
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Stops it in its tracks, as a machine that hangs: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it at once, with no chance to clean up, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    /// If it does not end within three minutes.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        wait_until("the server to end", || self.ended().is_some());
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map(|pid| kill_process(pid, signal));
        assert_eq!(sent, Some(Ok(())), "{signal:?} to {}", self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut lifeline) = self.lifeline.take() {
            let _ = lifeline.write_all(b"all is done\n");
        }
        let _ = self.guardian.wait();
    }
}

/// Asks again and again until the answer is yes.
///
/// # Panics
/// If it is not within three minutes; `what` says what was waited for.
pub fn wait_until(what: &str, mut answer: impl FnMut() -> bool) {
    let start = Instant::now();
    while !answer() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
