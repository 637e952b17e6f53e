//! The driver's duty after each batch of input: commit, give the ticket back, wake.

use crate::health::StoreHealth;
use crate::nodes::Acceptance;
use crate::shared::Shared;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use broker_core::backend::Crossing;
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
    /// What other nodes are told when it is done.
    crossing: Crossing,
}

/// Something that was waited for.
pub(crate) enum Done {
    /// A commit, with what came of it, what waited for it, and what other nodes are to be told if it has not
    /// failed.
    Committed(Result<(), PersistenceError>, Ticket, Crossing),
    /// The engine between nodes has what it was given, or takes too long: these replies may go out.
    Accepted(Ticket),
}

/// The commits of one connection that are under way, in their order. What waits for them is given
/// out in this order, however they end.
#[derive(Default)]
pub(crate) struct Commits {
    queue: VecDeque<Commit>,
    /// What is committed, and whose replies wait for the engine between nodes, or behind others that do.
    accepting: VecDeque<(Option<Acceptance>, Ticket)>,
    /// Whether the first of each has been asked whether it is done, and will wake the task.
    is_awaited: bool,
    is_acceptance_awaited: bool,
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
        self.queue.len() + self.accepting.len()
    }

    /// Whether the task is woken when the first one is done.
    pub(crate) fn is_awaited(&self) -> bool {
        (self.is_awaited || self.queue.is_empty())
            && (self.is_acceptance_awaited || self.accepting.is_empty())
    }

    /// Takes out what is done first: of the commits, then of what the engine between nodes was given.
    pub(crate) fn poll(
        &mut self,
        health: &StoreHealth,
        context: &mut Context<'_>,
    ) -> Poll<Option<Done>> {
        if let Some(first) = self.queue.front_mut() {
            self.is_awaited = true;
            if let Poll::Ready(result) = Pin::new(&mut first.answer).poll(context) {
                self.is_awaited = false;
                if first.is_stored && result.is_ok() {
                    health.note_success();
                }
                let first = self.queue.pop_front();
                let (ticket, crossing) = first
                    .map(|first| (first.ticket.unwrap_or_default(), first.crossing))
                    .unwrap_or_default();
                return Poll::Ready(Some(Done::Committed(result, ticket, crossing)));
            }
        }
        if let Some((first, _)) = self.accepting.front_mut() {
            self.is_acceptance_awaited = true;
            let is_over = first
                .as_mut()
                .is_none_or(|first| Pin::new(first).poll(context).is_ready());
            if is_over {
                self.is_acceptance_awaited = false;
                let replies = self.accepting.pop_front().map(|(_, replies)| replies);
                return Poll::Ready(replies.map(Done::Accepted));
            }
        }
        match self.len() {
            0 => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    /// Tells other nodes what was committed. Takes those replies that wait until the engine between nodes has
    /// it, or behind others that do.
    pub(crate) fn accept(
        commits: &mut Option<Box<Self>>,
        shared: &Shared,
        crossing: Crossing,
        replies: impl FnOnce() -> Ticket,
    ) {
        let awaits_filters = crossing.awaits_filters;
        let acceptance = shared.forward(crossing);
        let waits = commits.as_ref().is_some_and(|it| !it.accepting.is_empty());
        if acceptance.is_some() || waits {
            let commits = commits.get_or_insert_default();
            // Retained messages are not sent before SUBACK.
            commits.is_alone |= awaits_filters;
            commits.accepting.push_back((acceptance, replies()));
        }
    }
}

/// Commits what a connection has brought about. What takes its time, or is behind others that do, goes to
/// `commits`: what waits for it is not given out before they are done. Returns how many tasks were woken.
pub(crate) fn settle(
    connection: &mut Connection,
    shared: &Shared,
    now: Timestamp,
    effects: &mut Effects,
    commits: &mut Option<Box<Commits>>,
) -> usize {
    shared.run_loose(effects);
    shared.broker.count_traffic(effects);
    // What is released may in turn have something to commit: an expired message was dropped, say.
    loop {
        let is_stored = !effects.batch().is_empty();
        let answer = commit(shared.store.as_deref(), effects);
        let is_behind = commits.as_ref().is_some_and(|it| !it.queue.is_empty());
        match answer {
            Answer::Ready(Ok(())) if !is_behind || effects.may_overtake() => {
                if is_stored {
                    shared.health.note_success();
                }
                if effects.has_crossing() || commits.is_some() && !effects.may_overtake() {
                    let crossing = effects.take_crossing();
                    Commits::accept(commits, shared, crossing, || effects.take_replies());
                }
                connection.handle_committed_now(now, effects);
            }
            Answer::Ready(Err(error)) if !is_behind => {
                let ticket = effects.take_ticket();
                shared.health.note_failure(&error);
                shared.keep_back(&effects.take_crossing());
                connection.handle_commit_failed(now, ticket, &error, effects);
            }
            answer => {
                let ticket = Some(effects.take_ticket());
                let crossing = effects.take_crossing();
                commits.get_or_insert_default().push(Commit {
                    answer,
                    ticket,
                    is_stored,
                    crossing,
                });
                return effects.wake();
            }
        }
        if effects.batch().is_empty() {
            return effects.wake();
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
    while let Some(done) = poll_fn(|context| commits.poll(&shared.health, context)).await {
        if let Some(acceptance) = finish(shared, done, now, effects)? {
            acceptance.await;
        }
    }
    Ok(())
}

/// Begins to commit what the broker itself has brought about: timeouts, wills, messages of the server's
/// own.
pub(crate) fn settle_broker(shared: &Shared, effects: &mut Effects, commits: &mut Commits) {
    shared.run_loose(effects);
    shared.broker.count_traffic(effects);
    let is_stored = !effects.batch().is_empty();
    let answer = commit(shared.store.as_deref(), effects);
    let ticket = effects.take_ticket();
    let crossing = effects.take_crossing();
    if is_stored || !ticket.is_empty() || !crossing.is_empty() {
        commits.push(Commit {
            answer,
            ticket: Some(ticket),
            is_stored,
            crossing,
        });
    }
    effects.wake();
}

/// A commit of the broker's own is done, or has failed. Returns what says that other nodes have heard of it,
/// if that takes its time.
pub(crate) fn finish(
    shared: &Shared,
    done: Done,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<Option<Acceptance>, PersistenceError> {
    let mut acceptance = None;
    let mut finished = Ok(());
    match done {
        Done::Committed(Ok(()), ticket, crossing) => {
            shared.broker.handle_committed(now, ticket, effects);
            acceptance = shared.forward(crossing);
        }
        Done::Committed(Err(error), ticket, crossing) => {
            shared.health.note_failure(&error);
            shared.keep_back(&crossing);
            shared.broker.handle_commit_failed(ticket);
            finished = Err(error);
        }
        Done::Accepted(_) => {}
    }
    effects.wake();
    finished.map(|()| acceptance)
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
