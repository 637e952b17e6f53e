//! Batches of a connection on their way to the store: what is handled meanwhile, and what waits.

use std::mem;
use std::task::{Context, Poll};

use broker_core::Timestamp;

use super::receivers_first::receivers_first;
use super::{Driver, Stage};
use crate::log;
use crate::network::Network;
use crate::settle::{COMMITS_MAX, Commits, Done, settle};
use crate::worker::Worker;

impl<S: Network> Driver<S> {
    /// Whether nothing more may be handled, or asked for to be written, before a commit is done: what
    /// is under way is enough, or the client has not been told that it is in, or all that it is to
    /// be told has to be there before the connection ends.
    pub(super) fn waits_for_store(&self) -> bool {
        self.commits.as_ref().is_some_and(|commits| {
            commits.is_alone
                || commits.len() >= COMMITS_MAX
                || !self.connection.is_greeted()
                || self.connection.closing().is_some()
        })
    }

    /// The client may say what it likes from here on; it is not heard.
    pub(super) fn stop_listening(&mut self) {
        if let Some(commits) = &mut self.commits
            && !mem::replace(&mut commits.is_unheard, true)
        {
            self.connection.hold_keep_alive(true);
        }
    }

    /// Goes on with what waited for a commit, if one is done. Then whether receivers are to write
    /// first.
    pub(super) fn hear_of_commit(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Option<bool> {
        let commits = self.commits.as_mut()?;
        let Poll::Ready(done) = commits.poll(&self.shared.health, context) else {
            return None;
        };
        if mem::take(&mut commits.is_unheard) {
            self.connection.hold_keep_alive(false);
            self.connection.hear(now, 0);
        }
        if commits.len() == 0 {
            self.commits = None;
        }
        Some(self.committed(done?, now, worker))
    }

    /// Commits what was brought about, and goes to the next stage where that is due. Returns how many
    /// tasks were woken.
    pub(super) fn settle(&mut self, now: Timestamp, worker: &mut Worker) -> usize {
        let effects = &mut worker.effects;
        let (connection, commits) = (&mut self.connection, &mut self.commits);
        let woken = settle(connection, &self.shared, now, effects, commits);
        match self.stage {
            Stage::Awaiting(_) | Stage::Serving | Stage::Timed(_)
                if self.connection.closing().is_some() =>
            {
                self.stage = Stage::Farewell(None);
            }
            Stage::Awaiting(_) if self.connection.is_connected() => {
                self.stage = Stage::Serving;
                tracing::info!(
                    client = log::client_id(&self.connection),
                    peer = %self.peer,
                    user = log::user(&self.connection),
                    "client connected"
                );
                self.set_time(now);
            }
            Stage::Serving | Stage::Timed(_) => self.set_time(now),
            _ => {}
        }
        woken
    }

    /// A commit has come to its end, or the engine between nodes has what it was given. True if receivers
    /// are to write first.
    fn committed(&mut self, done: Done, now: Timestamp, worker: &mut Worker) -> bool {
        let mut answers = false;
        let effects = &mut worker.effects;
        match done {
            Done::Committed(Ok(()), mut ticket, crossing) => {
                let replies = || ticket.take_replies();
                Commits::accept(&mut self.commits, &self.shared, crossing, replies);
                answers = ticket.has_replies();
                self.connection.handle_committed(now, ticket, effects);
            }
            Done::Accepted(replies) => {
                answers = replies.has_replies();
                self.connection.handle_committed(now, replies, effects);
            }
            Done::Committed(Err(error), ticket, crossing) => {
                self.shared.health.note_failure(&error);
                self.shared.keep_back(&crossing);
                self.connection
                    .handle_commit_failed(now, ticket, &error, effects);
            }
        }
        receivers_first(answers, self.settle(now, worker))
    }
}
