//! CONNECT of a client that is connected already waits until what it sent before has been read.
//!
//! A client that takes its leave and comes back at once uses two network connections, and which of
//! them is heard first is a matter of chance between two tasks. If the second one were heard first,
//! DISCONNECT would never count: the client's own will would be published, and its session would
//! keep an expiry interval that it has changed.
//!
//! Whoever has to show who he is first does not wait here; see [`Connection::would_displace`].

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use broker_core::{Connection, Timestamp};
use mqtt_codec::{DecodedConnect, decode_connect};
use tokio::time::Sleep;

use super::input::handle_input;
use super::partial::Partial;
use super::{Driver, Stage};
use crate::network::Network;
use crate::worker::Worker;

/// Turns that other tasks get at once. One is nearly always enough.
const TURNS_MAX: u8 = 4;

/// Time that the older connection's task gets after them: it may be in another thread's line, on a
/// machine that has more to do than it can. Whoever is really there still loses its place then.
const PAUSE: Duration = Duration::from_millis(2);

/// How far a CONNECT has given way.
#[derive(Default)]
pub(super) struct GivingWay {
    turns: u8,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether CONNECT is kept in the driver's `partial`, and was not handled.
    is_kept: bool,
}

impl<S: Network> Driver<S> {
    /// Whether a CONNECT has come that waits.
    pub(super) fn is_giving_way(&self) -> bool {
        matches!(&self.stage, Stage::Awaiting(awaiting) if awaiting.giving_way.is_kept)
    }

    /// Keeps `input` if it is a CONNECT that has to wait; to be followed by
    /// [`give_way`](Self::give_way) then.
    pub(super) fn keep_connect(&mut self, input: &[u8]) -> bool {
        let Stage::Awaiting(awaiting) = &mut self.stage else {
            return false;
        };
        awaiting.giving_way.is_kept = displaces(&self.connection, input);
        if awaiting.giving_way.is_kept {
            self.partial = Partial::new(input, 0);
        }
        awaiting.giving_way.is_kept
    }

    /// Waits a little while the older connection is there; then handles what was kept.
    pub(super) fn give_way(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if let Stage::Awaiting(awaiting) = &mut self.stage {
            let giving_way = &mut awaiting.giving_way;
            if displaces(&self.connection, self.partial.bytes()) {
                if giving_way.turns < TURNS_MAX {
                    giving_way.turns += 1;
                    return let_others_run(context);
                }
                let pause = &mut giving_way.pause;
                let pause = pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(PAUSE)));
                ready!(pause.as_mut().poll(context));
            }
            giving_way.is_kept = false;
        }
        let all = self.partial.take();
        let (used, missing) = handle_input(&mut self.connection, &all, now, &mut worker.effects);
        self.partial = Partial::new(all.get(used..).unwrap_or_default(), missing);
        self.settle(now, worker);
        Poll::Ready(())
    }
}

/// Whether `input` begins with a CONNECT that takes the place of a connection that is there now.
fn displaces(connection: &Connection, input: &[u8]) -> bool {
    matches!(
        decode_connect(input, connection.max_packet_size()),
        Ok(DecodedConnect::Connect { connect, .. }) if connection.would_displace(&connect)
    )
}

/// Comes back after the others, and after the runtime has asked the system for what is new: a task
/// that woke itself would keep it from that for dozens of turns.
pub(super) fn let_others_run(context: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::yield_now()).poll(context)
}
