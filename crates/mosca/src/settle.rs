//! The driver's duty after each batch of input: commit, give the ticket back, wake.

use crate::log;
use std::pin::Pin;
use std::task::{Context, Poll};

use broker_core::persistence::{Answer, Persistence, PersistenceError};
use broker_core::{Broker, Connection, Effects, Ticket, Timestamp};
use std::sync::Arc;

/// A commit that is under way, and what waits for it.
pub(crate) struct Commit {
    answer: Answer<()>,
    ticket: Option<Ticket>,
}

impl Commit {
    /// Whether the commit is done; then the ticket, or why it failed.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<(Result<(), PersistenceError>, Ticket)> {
        let result = std::task::ready!(Pin::new(&mut self.answer).poll(context));
        Poll::Ready((result, self.ticket.take().unwrap_or_default()))
    }
}

/// Commits what a connection has brought about. Returns the commit if it takes its time: until it
/// is done nothing more may be handled for this connection. And how many tasks were woken.
pub(crate) fn settle(
    connection: &mut Connection,
    store: Option<&dyn Persistence>,
    now: Timestamp,
    effects: &mut Effects,
) -> (Option<Commit>, usize) {
    // What is released may in turn have something to commit: an expired message was dropped, say.
    loop {
        match commit(store, effects) {
            Answer::Ready(Ok(())) => connection.handle_committed_now(now, effects),
            Answer::Ready(Err(error)) => {
                let ticket = effects.take_ticket();
                fail(connection, &error, ticket, now, effects);
            }
            answer @ Answer::Pending(_) => {
                let ticket = Some(effects.take_ticket());
                return (Some(Commit { answer, ticket }), effects.wake());
            }
        }
        if effects.batch().is_empty() {
            return (None, effects.wake());
        }
    }
}

/// A commit has failed: nothing of it is acknowledged, and the connection closes.
pub(crate) fn fail(
    connection: &mut Connection,
    error: &PersistenceError,
    ticket: Ticket,
    now: Timestamp,
    effects: &mut Effects,
) {
    tracing::error!(%error, client = log::client_id(connection), "cannot store");
    connection.handle_commit_failed(now, ticket, effects);
}

/// Commits what the broker itself has brought about: timeouts, wills, messages of the server's own.
pub(crate) async fn settle_broker(
    broker: &Arc<Broker>,
    store: Option<&dyn Persistence>,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<(), PersistenceError> {
    loop {
        // Before anything is waited for: the wakers would be lost if the caller did not wait.
        effects.wake();
        let result = commit(store, effects).await;
        let ticket = effects.take_ticket();
        match &result {
            Ok(()) => broker.handle_committed(now, ticket, effects),
            Err(_) => broker.handle_commit_failed(ticket),
        }
        effects.wake();
        if result.is_err() || effects.batch().is_empty() {
            return result;
        }
    }
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
