//! What comes from other nodes goes to those who receive it here.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use broker_core::Effects;
use broker_core::backend::{Arrival, Incoming};

use super::Link;
use crate::settle::{Commits, finish, settle_broker};
use crate::shared::Shared;

/// What is handled before others have their turn; its operations go to the store together.
const AT_A_TIME: usize = 64;

/// Commits that may be under way at a time.
const COMMITS_MAX: usize = 64;

/// Takes what comes, for ever.
pub(super) async fn receive(shared: Arc<Shared>, link: Arc<Link>) {
    let mut incoming = link.incoming.lock().await;
    let mut effects = Effects::new();
    let mut commits = Commits::default();
    loop {
        let next = poll_fn(|context| {
            poll_next(&shared, &mut incoming, &mut commits, &mut effects, context)
        });
        let Some(first) = next.await else {
            return std::future::pending().await;
        };
        take(&shared, &link, first, &mut effects);
        for _ in 1..AT_A_TIME {
            let more = poll_fn(|context| Poll::Ready(incoming.poll_next(context)));
            let Poll::Ready(Some(arrival)) = more.await else {
                break;
            };
            take(&shared, &link, arrival, &mut effects);
        }
        settle_broker(&shared, &mut effects, &mut commits);
        tokio::task::yield_now().await;
    }
}

/// Ready with what comes next, once the store keeps up.
fn poll_next(
    shared: &Shared,
    incoming: &mut Incoming,
    commits: &mut Commits,
    effects: &mut Effects,
    context: &mut Context<'_>,
) -> Poll<Option<Arrival>> {
    while let Poll::Ready(Some(done)) = commits.poll(&shared.health, context) {
        let _acceptance = finish(shared, done, shared.clock.now(), effects);
    }
    if commits.len() >= COMMITS_MAX {
        return Poll::Pending;
    }
    incoming.poll_next(context)
}

fn take(shared: &Shared, link: &Link, arrival: Arrival, effects: &mut Effects) {
    match arrival {
        Arrival::Envelope(envelope) => {
            let now = shared.clock.now();
            shared.broker.receive_from_node(now, envelope, effects);
        }
        Arrival::State(state) => link.set_state(state),
        Arrival::Missed(messages) => {
            tracing::debug!(messages, "messages of other nodes were missed");
            shared.broker.note_missed_from_nodes(messages);
        }
        _ => {}
    }
}
