//! Ctrl-C, and the signal that service managers send: both end a command in order.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// From when this is made on, the signals do not end the program by themselves.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. None is lost if this is not waited for to the end.
    pub(super) async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
