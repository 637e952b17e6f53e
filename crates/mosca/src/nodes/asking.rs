//! The engine is told which topic filters are needed here, and which are no more.

use std::future::poll_fn;
use std::sync::Arc;

use broker_core::backend::{Answer, BackendState, Membership};
use broker_core::{Escaped, FilterChanges};
use topic_trie::TopicFilterBuf;

use super::Link;

/// Filters that are said at a time.
const AT_A_TIME: usize = 1_000;

/// One of the two things that are said of filters.
type Call = fn(&dyn Membership, Vec<TopicFilterBuf>) -> Answer<()>;

/// Says what changes, for ever.
pub(super) async fn ask(link: Arc<Link>) {
    // If it begins anew: what it was about to say.
    link.broker.repeat_filters();
    loop {
        let changes = poll_fn(|context| link.broker.poll_filter_changes(context)).await;
        let FilterChanges {
            subscribe,
            unsubscribe,
            version,
        } = changes;
        say(&link, &subscribe, |to, filters| to.subscribe(filters)).await;
        say(&link, &unsubscribe, |to, filters| to.unsubscribe(filters)).await;
        link.filters.reach(version);
    }
}

/// Says it, unless the engine is lost: when it is back, all is said anew.
async fn say(link: &Link, filters: &[TopicFilterBuf], call: Call) {
    for some in filters.chunks(AT_A_TIME) {
        if link.state() == BackendState::Lost {
            return;
        }
        let answer = call(&*link.membership, some.to_vec());
        if let Err(error) = link.answer(answer, || link.filters.let_go()).await {
            tracing::warn!(
                filters = some.len(),
                error = %Escaped(&error),
                "the engine between nodes does not take topic filters"
            );
        }
    }
}
