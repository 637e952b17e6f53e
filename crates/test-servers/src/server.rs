//! What all servers have in common: a process with a port and a folder of its own, which can be stopped,
//! ended and started again.

use std::path::Path;

use crate::process::{Process, wait_until};
use crate::{Folder, free_port};

/// How often a start is tried when somebody else was quicker to take the port.
const ATTEMPTS: usize = 5;

/// A running server of any kind. Ends, with its folder, when it is dropped.
#[derive(Debug)]
pub struct Server {
    // Before the folder, so that the server has ended when its folder goes.
    process: Process,
    program: &'static str,
    port: u16,
    folder: Folder,
}

impl Server {
    /// Starts `program`: `run` starts the process on a port and in a folder, and `answers` says whether it
    /// is ready on this port.
    pub(crate) fn start(
        program: &'static str,
        run: impl Fn(u16, &Path) -> Process,
        answers: impl Fn(u16) -> bool,
    ) -> Self {
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let (folder, port) = (Folder::new(program), free_port());
            let mut server = Self {
                process: run(port, folder.path()),
                program,
                port,
                folder,
            };
            match server.became_ready(&answers) {
                Ok(()) => return server,
                Err(error) => reason = error,
            }
        }
        panic!("{program} did not start: {reason}");
    }

    /// Starts it again, on its port and in its folder.
    pub(crate) fn restart(
        &mut self,
        run: impl Fn(u16, &Path) -> Process,
        answers: impl Fn(u16) -> bool,
    ) {
        self.process = run(self.port, self.folder.path());
        if let Err(reason) = self.became_ready(answers) {
            panic!("{} did not start: {reason}", self.program);
        }
    }

    /// Whether it answers; an error if it ended instead.
    fn became_ready(&mut self, answers: impl Fn(u16) -> bool) -> Result<(), String> {
        let mut outcome = Ok(());
        wait_until(&format!("{} to answer", self.program), || {
            if let Some(status) = self.process.ended() {
                let output = std::fs::read_to_string(self.folder.path().join("output"));
                outcome = Err(format!("{status}\n{}", output.unwrap_or_default()));
                return true;
            }
            answers(self.port)
        });
        outcome
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops it in its tracks: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Ends it with no chance to write anything more.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end in its own way, and waits until it has.
    ///
    /// # Panics
    /// If it does not end within three minutes.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }
}
