//! What a node says to others: in its order, and accepted when the server has confirmed it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use broker_core::backend::Envelope;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};

use crate::carried::Outgoing;
use crate::connecting::answer;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::link::Link;

/// Messages that are on their way before the first of them is confirmed, and bytes of them: lapin has a copy.
const WINDOW_MESSAGES: usize = 512;
const WINDOW_BYTES: usize = 4 << 20;

/// Why a batch was not published.
pub(crate) enum NotPublished {
    /// The server does not take a message now.
    Declined,
    /// The link cannot be used any more.
    Lost(Failure),
}

/// Publishes envelopes in their order and waits until the server has confirmed all of them. Returns how many of
/// them are too large for it.
pub(crate) async fn publish(
    link: &Arc<Link>,
    keys: &Keys,
    payload_max: usize,
    batch: Vec<Envelope>,
) -> Result<usize, NotPublished> {
    let mut window = Window::default();
    let (mut too_large, frame_max) = (0, link.frame_max());
    for envelope in batch {
        let message = Outgoing::new(keys, envelope, frame_max);
        let bytes = message.body().len();
        if bytes > payload_max {
            too_large += 1;
            continue;
        }
        while window.is_full(bytes) {
            window.confirm_first(link.limit).await?;
        }
        let link = Arc::clone(link);
        let sending = send(link.publishing.clone(), link.exchange.to_string(), message);
        window.begin(bytes, Box::pin(sending)).await;
    }
    while !window.sent.is_empty() {
        window.confirm_first(link.limit).await?;
    }
    match window.declined {
        0 => Ok(too_large),
        _ => Err(NotPublished::Declined),
    }
}

async fn send(
    channel: Channel,
    exchange: String,
    message: Outgoing,
) -> lapin::Result<Confirmation> {
    let sent = channel.basic_publish(
        exchange.into(),
        message.key.as_str().into(),
        BasicPublishOptions::default(),
        message.body(),
        message.properties.clone(),
    );
    sent.await?.await
}

/// Sends a message and waits for its confirmation.
type Sending = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// What was sent and is not confirmed.
#[derive(Default)]
struct Window {
    sent: VecDeque<(usize, Sending)>,
    bytes: usize,
    declined: usize,
}

impl Window {
    /// Whether a message of this size has to wait; one is let in however large it is.
    fn is_full(&self, bytes: usize) -> bool {
        let has_room = self.sent.len() < WINDOW_MESSAGES && self.bytes + bytes <= WINDOW_BYTES;
        !has_room && !self.sent.is_empty()
    }

    /// Begins to send. With the first poll a message is in lapin's line, so they stay in their order.
    async fn begin(&mut self, bytes: usize, sending: Sending) {
        let mut sending = sending;
        poll_fn(|task| match sending.as_mut().poll(task) {
            // It has failed; that is found when it is its turn.
            Poll::Ready(ended) => {
                sending = Box::pin(std::future::ready(ended));
                Poll::Ready(())
            }
            Poll::Pending => Poll::Ready(()),
        })
        .await;
        self.bytes += bytes;
        self.sent.push_back((bytes, sending));
    }

    /// Waits until the first is confirmed.
    async fn confirm_first(&mut self, limit: Duration) -> Result<(), NotPublished> {
        let Some((bytes, sending)) = self.sent.pop_front() else {
            return Ok(());
        };
        self.bytes -= bytes;
        let confirmed = answer(limit, sending).await.map_err(NotPublished::Lost)?;
        self.declined += usize::from(confirmed.is_nack());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(messages: usize, bytes: usize) -> Window {
        let sending = || Box::pin(std::future::pending()) as Sending;
        Window {
            sent: (0..messages).map(|_| (0, sending())).collect(),
            bytes,
            declined: 0,
        }
    }

    #[test]
    fn a_window_is_bounded_and_one_message_has_room_however_large_it_is() {
        assert!(!window(0, 0).is_full(usize::MAX));
        assert!(!window(WINDOW_MESSAGES - 1, 0).is_full(WINDOW_BYTES));
        assert!(window(WINDOW_MESSAGES, 0).is_full(0));
        assert!(window(1, 1).is_full(WINDOW_BYTES));
    }
}
