//! The driver's duty after each batch of input: commit, give the ticket back, wake.

use crate::health::StoreHealth;
use crate::shared::Shared;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use broker_core::persistence::{Answer, Persistence, PersistenceError};
use broker_core::{Connection, Effects, Ticket, Timestamp};

/// Commits of one connection that may be under way at a time: each is what one read has brought, so
/// that a store which takes its time for each commit, and takes many at a time, is used by few
/// connections as well.
pub(crate) const COMMITS_MAX: usize = 16;

/// A commit that is under way, and what waits for it.
pub(crate) struct Commit {
    answer: Answer<()>,
    ticket: Option<Ticket>,
    /// Whether there is anything in it for the store.
    is_stored: bool,
}

/// The commits of one connection that are under way, in their order. What waits for them is given
/// out in this order, however they end.
#[derive(Default)]
pub(crate) struct Commits {
    queue: VecDeque<Commit>,
    /// Whether the first has been asked whether it is done, and will wake the task.
    is_awaited: bool,
    /// Whether nothing more is handled until all are done.
    pub(crate) is_alone: bool,
    /// Whether the core was told that the client is not heard.
    pub(crate) is_unheard: bool,
}

impl Commits {
    pub(crate) fn push(&mut self, commit: Commit) {
        self.queue.push_back(commit);
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether the task is woken when the first one is done.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Takes out the first commit if it is done: its ticket, or why it failed.
    pub(crate) fn poll(
        &mut self,
        health: &StoreHealth,
        context: &mut Context<'_>,
    ) -> Poll<Option<(Result<(), PersistenceError>, Ticket)>> {
        let Some(first) = self.queue.front_mut() else {
            return Poll::Ready(None);
        };
        self.is_awaited = true;
        let result = std::task::ready!(Pin::new(&mut first.answer).poll(context));
        self.is_awaited = false;
        if first.is_stored && result.is_ok() {
            health.note_success();
        }
        let ticket = self.queue.pop_front().and_then(|first| first.ticket);
        Poll::Ready(Some((result, ticket.unwrap_or_default())))
    }
}

/// Commits what a connection has brought about. Returns the commit if it takes its time, or if there
/// are others that it `is_behind`: what waits for it is not given out before they are done. And how many
/// tasks were woken.
pub(crate) fn settle(
    connection: &mut Connection,
    shared: &Shared,
    now: Timestamp,
    effects: &mut Effects,
    is_behind: bool,
) -> (Option<Commit>, usize) {
    shared.run_loose(effects);
    shared.broker.count_traffic(effects);
    // What is released may in turn have something to commit: an expired message was dropped, say.
    loop {
        let is_stored = !effects.batch().is_empty();
        let answer = commit(shared.store.as_deref(), effects);
        match answer {
            Answer::Ready(Ok(())) if !is_behind || effects.may_overtake() => {
                if is_stored {
                    shared.health.note_success();
                }
                connection.handle_committed_now(now, effects);
            }
            Answer::Ready(Err(error)) if !is_behind => {
                let ticket = effects.take_ticket();
                shared.health.note_failure(&error);
                connection.handle_commit_failed(now, ticket, &error, effects);
            }
            answer => {
                let ticket = Some(effects.take_ticket());
                let commit = Commit {
                    answer,
                    ticket,
                    is_stored,
                };
                return (Some(commit), effects.wake());
            }
        }
        if effects.batch().is_empty() {
            return (None, effects.wake());
        }
    }
}

/// Commits what a program has published in the server's name.
pub(crate) async fn settle_publication(
    shared: &Shared,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<(), PersistenceError> {
    // Before anything is waited for: the wakers would be lost if the caller did not wait.
    effects.wake();
    let mut commits = Commits::default();
    settle_broker(shared, effects, &mut commits);
    let done = poll_fn(|context| commits.poll(&shared.health, context)).await;
    let Some((result, ticket)) = done else {
        return Ok(());
    };
    finish(shared, &result, ticket, now, effects);
    result
}

/// Begins to commit what the broker itself has brought about: timeouts, wills, messages of the server's
/// own.
pub(crate) fn settle_broker(shared: &Shared, effects: &mut Effects, commits: &mut Commits) {
    shared.run_loose(effects);
    shared.broker.count_traffic(effects);
    let is_stored = !effects.batch().is_empty();
    let answer = commit(shared.store.as_deref(), effects);
    let ticket = effects.take_ticket();
    if is_stored || !ticket.is_empty() {
        commits.push(Commit {
            answer,
            ticket: Some(ticket),
            is_stored,
        });
    }
    effects.wake();
}

/// A commit of the broker's own is done, or has failed.
pub(crate) fn finish(
    shared: &Shared,
    result: &Result<(), PersistenceError>,
    ticket: Ticket,
    now: Timestamp,
    effects: &mut Effects,
) {
    match result {
        Ok(()) => shared.broker.handle_committed(now, ticket, effects),
        Err(error) => {
            shared.health.note_failure(error);
            shared.broker.handle_commit_failed(ticket);
        }
    }
    effects.wake();
}

fn commit(store: Option<&dyn Persistence>, effects: &mut Effects) -> Answer<()> {
    let batch = effects.batch();
    let answer = match store {
        Some(store) if !batch.is_empty() => store.commit(batch),
        _ => Answer::ready(()),
    };
    // A store has taken it, or failed; what it left behind must not be committed a second time.
    batch.drain().for_each(drop);
    answer
}
