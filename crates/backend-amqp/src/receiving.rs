//! From the node's queue at the server into its queue here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_core::Escaped;
use broker_core::backend::{Envelope, Inbound, NodeId, NotTaken};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use crate::carried;
use crate::connecting::answer;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::link::Link;

/// Messages that the server sends before the first of them is acknowledged: what is in memory here at most, beside
/// what the node has.
pub(crate) const PREFETCH: u16 = 256;

/// Of these so many are acknowledged with one word; the rest when nothing more is there.
const ACKNOWLEDGED_TOGETHER: u16 = 32;

/// How long a message waits for a node that has no room.
const PATIENCE: Duration = Duration::from_secs(1);

/// What comes over one link.
pub(crate) struct Receiver {
    link: Arc<Link>,
    channel: Channel,
    arriving: Consumer,
    missed: Consumer,
    /// The last that the node has, and how many were not acknowledged up to it.
    last: u64,
    unacknowledged: u16,
    /// Whether something came that was not understood: that is said once.
    has_complained: bool,
}

/// Who gets it.
pub(crate) struct Recipient {
    pub(crate) id: NodeId,
    pub(crate) keys: Keys,
    pub(crate) inbound: Inbound,
    pub(crate) has_left: AtomicBool,
    /// Whether it has let a message wait for too long and has taken nothing since.
    pub(crate) is_behind: AtomicBool,
}

impl Receiver {
    pub(crate) fn new(
        link: Arc<Link>,
        channel: Channel,
        arriving: Consumer,
        missed: Consumer,
    ) -> Self {
        Self {
            link,
            channel,
            arriving,
            missed,
            last: 0,
            unacknowledged: 0,
            has_complained: false,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Hands over what comes, until the link is lost. Returns why.
    pub(crate) async fn run(&mut self, recipient: &Recipient) -> Failure {
        loop {
            if let Err(lost) = self.step(recipient).await {
                return lost;
            }
        }
    }

    async fn step(&mut self, recipient: &Recipient) -> Result<(), Failure> {
        if self.unacknowledged >= ACKNOWLEDGED_TOGETHER {
            self.acknowledge().await?;
        }
        tokio::select! {
            biased;
            () = self.link.cut_by_others() => Err(Failure::unavailable("a call has failed")),
            dropped = self.missed.next() => {
                come(dropped)?;
                recipient.inbound.note_missed(1);
                Ok(())
            }
            delivery = self.arriving.next() => {
                let delivery = come(delivery)?;
                self.last = delivery.delivery_tag;
                self.unacknowledged += 1;
                if let Some(envelope) = self.read(recipient, &delivery) {
                    recipient.give(envelope).await;
                }
                Ok(())
            }
            () = std::future::ready(()), if self.unacknowledged > 0 => self.acknowledge().await,
        }
    }

    /// What is for the node and not its own.
    fn read(&mut self, recipient: &Recipient, delivery: &Delivery) -> Option<Envelope> {
        let (key, body) = (delivery.routing_key.as_str(), &delivery.data);
        match carried::incoming(&recipient.keys, key, &delivery.properties, body) {
            Ok(envelope) => envelope.filter(|it| !recipient.has_sent(it)),
            Err(error) => {
                recipient.inbound.note_missed(1);
                if !std::mem::replace(&mut self.has_complained, true) {
                    tracing::warn!(
                        error = %Escaped(&error),
                        "a message from RabbitMQ is not understood; it counts as missed, and so do further ones, which is not said again"
                    );
                }
                None
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<(), Failure> {
        let all = BasicAckOptions { multiple: true };
        self.unacknowledged = 0;
        answer(self.link.limit, self.channel.basic_ack(self.last, all)).await
    }
}

impl Recipient {
    fn has_sent(&self, envelope: &Envelope) -> bool {
        envelope.tag.as_ref().is_some_and(|tag| tag.node == self.id)
    }

    /// Hands an envelope to the node, which has missed it if it has no room for too long. A node that has been
    /// waited for is not waited for again until it has taken something.
    async fn give(&self, envelope: Envelope) {
        if self.has_left.load(Ordering::SeqCst) {
            return;
        }
        let envelope = match self.inbound.try_put(envelope) {
            Ok(()) => return self.is_behind.store(false, Ordering::Relaxed),
            Err(NotTaken::Closed) => return,
            Err(NotTaken::Full(envelope)) => envelope,
        };
        let is_late = self.is_behind.load(Ordering::Relaxed)
            || timeout(PATIENCE, self.inbound.put(envelope)).await.is_err();
        if is_late {
            self.is_behind.store(true, Ordering::Relaxed);
            self.inbound.note_missed(1);
        }
    }
}

/// What a consumer has, unless it has ended.
fn come(delivery: Option<lapin::Result<Delivery>>) -> Result<Delivery, Failure> {
    match delivery {
        Some(delivery) => Ok(delivery?),
        None => Err(Failure::unavailable("the server has ended the queue")),
    }
}
