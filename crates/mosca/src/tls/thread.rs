//! A thread in which TLS handshakes are done. A signature keeps a thread busy for some hundred microseconds in
//! one piece, and nobody who is connected should wait for those who are coming. A server has as many of them as serve
//! its clients, since they are what limits how fast clients can come.
//!
//! Sockets stay with the runtime that has accepted them: its reactor wakes the handshakes in here.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

#[cfg(target_os = "linux")]
use broker_core::Escaped;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// What the system calls it.
const NAME: &str = "mosca-tls";

/// By how much it is nicer than the thread that has started it: where there are too few processors it gets about
/// a tenth of what a thread that serves clients gets.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// A thread with a runtime of its own, which ends when this is dropped.
pub(crate) struct HandshakeThread {
    runtime: Handle,
    /// Nothing is sent: it ends when this is dropped.
    end: oneshot::Sender<Infallible>,
    /// Nothing comes: the other half is the last thing that the thread drops.
    ended: oneshot::Receiver<Infallible>,
    thread: JoinHandle<()>,
}

impl HandshakeThread {
    /// Starts it.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub(crate) fn start() -> io::Result<Self> {
        let (end, told_to_end) = oneshot::channel::<Infallible>();
        let (is_there, ended) = oneshot::channel::<Infallible>();
        let (give, given) = mpsc::channel::<Runtime>();
        let thread = thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                let _is_there = is_there;
                let Ok(runtime) = given.recv() else { return };
                be_nice();
                let _told = runtime.block_on(told_to_end);
                // Handshakes that are left end here, with their connections.
                drop(runtime);
            })?;
        // Made when there is a thread for it, since here, among other futures, none may be dropped. There are time
        // limits in it, and no sockets of its own.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let handle = runtime.handle().clone();
        let _given = give.send(runtime);
        Ok(Self {
            runtime: handle,
            end,
            ended,
            thread,
        })
    }

    /// Where futures are polled by it.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Ends it, and waits for that until `until` at most; later than that it ends on its own.
    ///
    /// # Cancel safety
    /// It ends also if the future is dropped.
    pub(crate) async fn end(self, until: Instant) {
        drop(self.end);
        if timeout_at(until, self.ended).await.is_ok() {
            // For the little that is left to do for the system.
            let _ended = self.thread.join();
        }
    }
}

/// Lets the threads that serve clients go first. The priority is that of the calling thread on Linux, and that of the
/// whole process elsewhere.
fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(error = %Escaped(&error), "TLS handshakes have the same priority as clients that are connected");
    }
}

#[cfg(test)]
mod tests;
