//! Accepts connections, and counts them.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use broker_core::Escaped;
use tokio::task::JoinSet;

use super::door::Door;
use super::listener::{Accepted, Listener};

/// How long to wait when no connection can be accepted, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted before those that were accepted get their turn: while they are answered their
/// clients go on, and the next ones come.
const ACCEPTS_PER_TURN: u32 = 4;

/// Accepts connections for ever.
pub(crate) async fn accept(listener: Listener, door: Door) {
    let door = Arc::new(door);
    // What goes on for long is a warning when it begins, and only then.
    let mut failing = false;
    let mut accepted = 0;
    // Connections that have something to say in front of MQTT. They end with this task.
    let mut arriving = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = listener.accept() => next,
            Some(ended) = arriving.join_next() => {
                door.note_end(ended);
                continue;
            }
        };
        let connection = match next {
            Ok(connection) => connection,
            Err(error) if is_about_one_connection(&error) => {
                tracing::debug!(error = %Escaped(&error), "connection lost before it was accepted");
                continue;
            }
            Err(error) => {
                if !mem::replace(&mut failing, true) {
                    let interface = door.name();
                    tracing::warn!(interface, error = %Escaped(&error), "cannot accept connections for now");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        failing = false;
        if let Err(refusal) = door.check(connection.ip()) {
            door.note_refusal(refusal, connection.peer());
            accepted = let_others_run(accepted + 1, &door).await;
            continue;
        }
        match connection {
            Accepted::Tcp(stream, peer) if door.is_open() => door.serve(stream, peer),
            Accepted::Other(stream, peer) if door.is_open() => door.serve(stream, peer),
            Accepted::Tcp(stream, peer) => door.admit(&mut arriving, stream, peer),
            Accepted::Other(stream, peer) => door.admit(&mut arriving, stream, peer),
        }
        accepted = let_others_run(accepted + 1, &door).await;
    }
}

/// Lets others have their turn after so many connections that were `accepted`, and begins to count anew.
async fn let_others_run(accepted: u32, door: &Door) -> u32 {
    if accepted < ACCEPTS_PER_TURN {
        return accepted;
    }
    door.let_others_run().await;
    0
}

/// Whether only this one connection could not be accepted: its client has left already.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
