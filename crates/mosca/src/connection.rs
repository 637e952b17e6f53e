//! The task of one connection: it alone reads the socket, and it alone writes it.
//!
//! ```text
//!   wait for CONNECT ──► serve ──► say the last words ──► done
//!                         │ ▲
//!           read, handle, │ │ commit, wake, write
//!                         ▼ │
//!                    (one loop, no step of which waits for another connection)
//! ```
//!
//! Everything is done in one `poll`, with the memory of the worker thread (see `worker.rs`). Kept
//! from one call to the next are only the end of an incomplete packet and what the socket did not
//! take.

mod committing;
mod giving_way;
mod in_steps;
mod input;
mod last_words;
mod partial;
mod parting;
mod reading;
mod receivers_first;
mod writing;

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use broker_core::{CloseCause, Connection, Escaped, Outbox, Timestamp};
use tokio::time::{Instant, Sleep};

use self::giving_way::{GivingWay, let_others_run};
use self::partial::Partial;
use self::parting::discard;
use self::writing::Written;
use crate::lobby::Place;
use crate::log;
use crate::network::Network;
use crate::peer::Peer as _;
use crate::settle::Commits;
use crate::shared::Shared;
use crate::worker::{self, READ_BYTES, Worker};

/// Reads of one turn before other tasks get theirs.
const READS_PER_TURN: usize = 4;

/// Parts of one vectored write.
pub(crate) const SLICES: usize = 64;

/// Bytes of an incomplete packet up to which it is read on in the worker's buffer.
const PARTIAL_SMALL: usize = READ_BYTES / 2;

/// Time after which a turn ends although there is more to read: one message may go to very many.
const TURN_TIME: Duration = Duration::from_millis(2);

/// The task of one connection, over any stream of bytes.
pub(crate) struct Driver<S: Network> {
    stream: S,
    connection: Connection,
    shared: Arc<Shared>,
    partial: Partial,
    /// What the socket has not taken yet.
    writing: Outbox,
    /// What is being committed, if anything is.
    commits: Option<Box<Commits>>,
    stage: Stage,
    peer: S::Peer,
    /// The number of the interface, which counts its connections.
    interface: u32,
}

enum Stage {
    /// No CONNECT yet.
    Awaiting(Box<Awaiting>),
    Serving,
    /// The same, but before its next turn it goes to the end of the line once more.
    LettingPass,
    /// The same while a re-authentication goes on, hooks think, reading pauses, or the socket takes nothing:
    /// until then at most.
    Timed(Pin<Box<Sleep>>),
    /// The connection is closing: its last words are being written. They have until then, if they are not
    /// out at once.
    Farewell(Option<Pin<Box<Sleep>>>),
    /// Nothing more is written; what the client still sends is thrown away.
    Discarding(Pin<Box<Sleep>>, u32),
    /// The socket is closed or broken; what is being committed is waited for.
    Lost,
}

/// What a connection waits for besides CONNECT.
struct Awaiting {
    until: Timestamp,
    place: Place,
    giving_way: GivingWay,
}

impl<S: Network> Driver<S> {
    /// The task of a connection that was just accepted. The interface with this number counts it
    /// until it ends.
    pub(crate) fn new(stream: S, peer: S::Peer, shared: Arc<Shared>, interface: u32) -> Self {
        shared.connection_opened(interface, peer.ip());
        let now = shared.clock.now();
        let mut connection = Connection::new(&shared.broker, now);
        if let Some(address) = peer.address() {
            connection.locate(address);
        }
        let awaiting = Awaiting {
            until: connection.poll_timeout().unwrap_or(now),
            place: shared.lobby.enter(),
            giving_way: GivingWay::default(),
        };
        Self {
            stream,
            connection,
            shared,
            partial: Partial::default(),
            writing: Outbox::default(),
            commits: None,
            stage: Stage::Awaiting(Box::new(awaiting)),
            peer,
            interface,
        }
    }

    /// Who the client is, if what carries the connection has shown it.
    pub(crate) fn certified(mut self, user: Option<Arc<str>>) -> Self {
        if let Some(user) = user {
            self.connection.certify(user);
        }
        self
    }

    /// Does all that can be done now.
    fn turn(&mut self, worker: &mut Worker, context: &mut Context<'_>) -> Poll<()> {
        let now = self.shared.clock.now();
        self.keep_time(now, worker, context);
        let mut reads = 0;
        loop {
            match self.hear_of_commit(now, worker, context) {
                None => {}
                Some(false) => continue,
                Some(true) => return self.let_receivers_pass(context),
            }
            match self.enter_stage(worker, context) {
                ControlFlow::Continue(true) => {}
                ControlFlow::Continue(false) => continue,
                ControlFlow::Break(ended) => return ended,
            }
            if !self.waits_for_store() && self.hear_verdict(now, worker, context) {
                continue;
            }
            let was_open = self.connection.closing().is_none();
            let was_timed = matches!(self.stage, Stage::Timed(_));
            let blocked = match self.write(now, worker, context) {
                Written::All => false,
                Written::Blocked => true,
                Written::Lost => {
                    self.lose(None, now, worker);
                    continue;
                }
                Written::Close(cause) => {
                    self.part(cause);
                    continue;
                }
            };
            if !was_timed && matches!(self.stage, Stage::Timed(_)) {
                // Hooks think about what is to be written next, or the socket takes nothing: the time is
                // to be watched.
                continue;
            }
            match self.after_writing(blocked, was_open, now, worker, context) {
                ControlFlow::Continue(true) => {}
                ControlFlow::Continue(false) => continue,
                ControlFlow::Break(ended) => return ended,
            }
            let took_long = || reads > 0 && self.shared.clock.now() > now + TURN_TIME;
            if reads == READS_PER_TURN || self.connection.is_unfinished() || took_long() {
                return let_others_run(context);
            }
            reads += 1;
            match ready!(self.read(now, worker, context)) {
                Ok(false) => self.count_partial(now, worker),
                Ok(true) => return self.let_receivers_pass(context),
                Err(error) => self.lose(Some(&error), now, worker),
            }
        }
    }

    /// What follows on writing. Continues with true if the connection may read now, with false if there
    /// is something else to be done first; breaks with what the turn has come to.
    fn after_writing(
        &mut self,
        blocked: bool,
        was_open: bool,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> ControlFlow<Poll<()>, bool> {
        let waits = self.waits_for_store();
        if (blocked || waits) && self.is_farewell_over(context) {
            return ControlFlow::Continue(false);
        }
        if !waits && blocked && was_open {
            self.ask_whether_to_close(now, worker, context.waker());
            // The time for last words has begun, perhaps while writing: it is to be watched.
            if self.connection.closing().is_some() {
                return ControlFlow::Continue(false);
            }
        }
        if self.commits.as_ref().is_some_and(|it| !it.is_awaited()) {
            return ControlFlow::Continue(false);
        }
        if waits {
            self.stop_listening();
            return ControlFlow::Break(Poll::Pending);
        }
        // Someone who sends and never reads is not read from for ever.
        if blocked && was_open && !self.connection.accepts_input() {
            return ControlFlow::Break(Poll::Pending);
        }
        ControlFlow::Continue(true)
    }

    /// Does what belongs to the stage. Continues with true if the connection may write and read now,
    /// with false if there is another stage; breaks with what the turn has come to.
    fn enter_stage(
        &mut self,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> ControlFlow<Poll<()>, bool> {
        let waits = self.waits_for_store();
        match &mut self.stage {
            Stage::Lost if self.commits.is_some() => return ControlFlow::Break(Poll::Pending),
            Stage::Lost => return ControlFlow::Break(Poll::Ready(())),
            Stage::Discarding(until, left) => {
                if discard(&mut self.stream, until, left, worker, context).is_pending() {
                    return ControlFlow::Break(Poll::Pending);
                }
                self.stage = Stage::Lost;
                return ControlFlow::Continue(false);
            }
            Stage::Timed(until) => {
                if !waits && until.as_mut().poll(context).is_ready() {
                    let now = self.shared.clock.now();
                    self.connection.handle_timeout(now, &mut worker.effects);
                    self.stage = Stage::Serving;
                    self.handle_kept(now, worker);
                    self.settle(now, worker);
                    return ControlFlow::Continue(false);
                }
            }
            Stage::Awaiting(_) | Stage::Serving | Stage::LettingPass | Stage::Farewell(_) => {}
        }
        ControlFlow::Continue(true)
    }

    /// Looks whether CONNECT took too long, the server closes, or the time for last words began.
    fn keep_time(&mut self, now: Timestamp, worker: &mut Worker, context: &mut Context<'_>) {
        if let Stage::Awaiting(awaiting) = &mut self.stage {
            awaiting.place.wait(awaiting.until, context.waker());
            self.connection.handle_timeout(now, &mut worker.effects);
            // Behind the line above: who comes too late to be called has this to see.
            if self.shared.broker.is_shutting_down() {
                self.connection
                    .close(now, CloseCause::ServerShutdown, &mut worker.effects);
            }
            self.settle(now, worker);
        }
    }

    /// Goes on with a packet that takes long, or asks for the verdict that the connection waits for.
    /// True if the next packet may be handled.
    fn hear_verdict(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> bool {
        if self.connection.is_unfinished() {
            return self.take_step(now, worker);
        }
        if !self.connection.awaits_verdict() {
            return false;
        }
        let was_deciding = self.connection.is_deciding();
        let effects = &mut worker.effects;
        if self
            .connection
            .poll_verdict(now, context, effects)
            .is_pending()
        {
            return false;
        }
        if was_deciding {
            self.handle_kept(now, worker);
        }
        self.settle(now, worker);
        true
    }

    /// A re-authentication has a time limit, and so have hooks, a pause in reading, and a socket that takes
    /// nothing; nothing else has one here.
    fn set_time(&mut self, now: Timestamp) {
        match (self.connection.poll_timeout(), &mut self.stage) {
            (Some(until), Stage::Serving) => {
                // Once: a client must not fill the log.
                if self.connection.is_pausing() && self.connection.pauses() == 1 {
                    let client = log::client_id(&self.connection);
                    tracing::debug!(client, peer = %self.peer, "the client sends too fast, and is read from more slowly");
                }
                self.stage = Stage::Timed(Box::pin(tokio::time::sleep(until - now)));
            }
            (Some(until), Stage::Timed(timer)) => {
                let until = Instant::now() + (until - now);
                // One that fires too early does no harm.
                if until < timer.deadline() {
                    timer.as_mut().reset(until);
                }
            }
            (None, Stage::Timed(_)) => self.stage = Stage::Serving,
            _ => {}
        }
    }

    /// The network connection is gone, or of no more use.
    fn lose(&mut self, error: Option<&io::Error>, now: Timestamp, worker: &mut Worker) {
        self.connection.handle_lost(now, &mut worker.effects);
        // That the system has lost a connection is said in one way, whatever the system says.
        match error.filter(|error| error.kind() == io::ErrorKind::InvalidData) {
            Some(error) => {
                self.shared.refused.note_broken();
                self.log_end(error);
            }
            None => self.log_close(),
        }
        self.settle(now, worker);
        self.stage = self.stage_of_loss();
    }

    /// A turn has panicked. What it was about to do is lost, and with it the connection: the
    /// client hears nothing of it, the broker that the connection is gone.
    fn recover(&mut self) -> Poll<()> {
        let client = log::client_id(&self.connection);
        tracing::error!(client, peer = %self.peer, "a defect of the server ends the connection");
        // What has panicked once is not asked again.
        self.commits = None;
        self.partial = Partial::default();
        self.writing = Outbox::default();
        let now = self.shared.clock.now();
        if worker::with(|worker| self.lose(None, now, worker)).is_none() || self.commits.is_none() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn log_close(&self) {
        if let Some(cause) = self.connection.closing() {
            self.log_end(&cause);
        }
    }

    fn log_end(&self, cause: &dyn Display) {
        let client = log::client_id(&self.connection);
        tracing::debug!(client, peer = %self.peer, "connection closed: {}", Escaped(cause));
    }
}

impl<S: Network> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        if let Stage::LettingPass = driver.stage {
            driver.stage = Stage::Serving;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        worker::with(|worker| driver.turn(worker, context)).unwrap_or_else(|| {
            // Once more: there may be a commit to wait for now.
            context.waker().wake_by_ref();
            driver.recover()
        })
    }
}

impl<S: Network> Drop for Driver<S> {
    fn drop(&mut self) {
        self.shared.connection_ended(self.interface, self.peer.ip());
    }
}

#[cfg(test)]
mod tests;
