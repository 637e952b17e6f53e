//! What was published here goes to the engine, a batch at a time: while one is under way the next one gathers.

use std::sync::Arc;

use broker_core::Escaped;
use broker_core::backend::BackendState;

use super::Link;
use super::line::Batch;

/// Publishes what comes, for ever.
pub(super) async fn forward(link: Arc<Link>) {
    // If it begins anew: what it was about to do.
    link.broker.note_not_forwarded(link.line.write_off());
    loop {
        let batch = link.line.next().await;
        let end = batch.end();
        publish(&link, batch).await;
        link.line.finish(end);
    }
}

async fn publish(link: &Link, batch: Batch) {
    let Batch {
        envelopes,
        messages,
        ..
    } = batch;
    if link.state() == BackendState::Lost {
        link.broker.note_not_forwarded(messages);
        return;
    }
    let answer = link.membership.publish(envelopes);
    match link.answer(answer, || link.line.accepted.let_go()).await {
        Ok(refused) => {
            let refused = refused.min(messages);
            if refused > 0 {
                tracing::debug!(
                    refused,
                    "messages are too large for the engine between nodes"
                );
            }
            link.broker.note_not_forwarded(refused);
            link.broker.note_forwarded(messages - refused);
        }
        Err(error) => {
            tracing::warn!(messages, error = %Escaped(&error), "messages were not forwarded to other nodes");
            link.broker.note_not_forwarded(messages);
        }
    }
}
