//! What came from the parent, on its way to the node: whoever takes it slowly does not keep the parent waiting.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use broker_core::backend::{Envelope, Inbound, NotTaken};
use tokio::time::{Instant, timeout_at};

/// How long an envelope waits until the node has room for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Envelopes that wait behind it.
const LINE_MAX: usize = 1_000;

/// Bytes of them.
const LINE_BYTES_MAX: usize = 16 << 20;

/// An envelope that waits for room.
type Put = Pin<Box<dyn Future<Output = bool> + Send>>;

/// The way to the node.
pub(crate) struct Delivery {
    inbound: Inbound,
    first: Option<Put>,
    until: Instant,
    line: VecDeque<Envelope>,
    line_bytes: usize,
    /// Whether the node has let one wait for too long and has taken nothing since.
    is_behind: bool,
    has_gone: bool,
}

impl Delivery {
    pub(crate) fn new(inbound: Inbound) -> Self {
        Self {
            inbound,
            first: None,
            until: Instant::now(),
            line: VecDeque::new(),
            line_bytes: 0,
            is_behind: false,
            has_gone: false,
        }
    }

    /// Whether nobody is there any more.
    pub(crate) fn has_gone(&self) -> bool {
        self.has_gone
    }

    /// Hands it to the node, behind what waits already. What has no room there is missed.
    pub(crate) fn hand(&mut self, envelope: Envelope) {
        if self.first.is_none() {
            return self.hand_now(envelope);
        }
        let bytes = envelope.size_bytes();
        if self.line.len() >= LINE_MAX || self.line_bytes + bytes > LINE_BYTES_MAX {
            return self.inbound.note_missed(1);
        }
        self.line_bytes += bytes;
        self.line.push_back(envelope);
    }

    fn hand_now(&mut self, envelope: Envelope) {
        match self.inbound.try_put(envelope) {
            Ok(()) => self.is_behind = false,
            Err(NotTaken::Closed) => self.has_gone = true,
            Err(NotTaken::Full(_)) if self.is_behind => self.inbound.note_missed(1),
            Err(NotTaken::Full(envelope)) => {
                self.first = Some(Box::pin(self.inbound.put(envelope)));
                self.until = Instant::now() + PATIENCE;
            }
        }
    }

    /// Waits until the node has taken what waits first, or has not for too long. Nothing is lost if this is not
    /// waited for to the end; without an end if nothing waits.
    pub(crate) async fn go_on(&mut self) {
        let Some(first) = &mut self.first else {
            return pending().await;
        };
        match timeout_at(self.until, first).await {
            Ok(true) => self.is_behind = false,
            Ok(false) => self.has_gone = true,
            Err(_) => {
                self.is_behind = true;
                self.inbound.note_missed(1);
            }
        }
        self.first = None;
        while self.first.is_none()
            && let Some(next) = self.line.pop_front()
        {
            self.line_bytes -= next.size_bytes();
            self.hand_now(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use broker_core::backend::{Arrival, Content, InboundLimits, Incoming, inbound};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn numbered(at: u64) -> Envelope {
        let client = "c".into();
        let content = Content::Connected { client, at };
        Envelope { tag: None, content }
    }

    /// The numbers that have come, and how many were missed.
    fn come(node: &mut Incoming) -> (Vec<u64>, u64) {
        let (mut numbers, mut missed) = (Vec::new(), 0);
        let mut task = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(arrival)) = node.poll_next(&mut task) {
            match arrival {
                Arrival::Envelope(Envelope {
                    content: Content::Connected { at, .. },
                    ..
                }) => numbers.push(at),
                Arrival::Missed(more) => missed += more,
                _ => {}
            }
        }
        (numbers, missed)
    }

    fn delivery(envelopes: usize) -> (Delivery, Incoming) {
        let bytes = 1 << 20;
        let (way_in, node) = inbound(InboundLimits { envelopes, bytes });
        (Delivery::new(way_in), node)
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_waits_a_second_and_is_missed_then() {
        let (mut delivery, mut node) = delivery(2);
        (1..=5).for_each(|at| delivery.hand(numbered(at)));
        let start = Instant::now();
        delivery.go_on().await;
        assert_eq!(start.elapsed(), PATIENCE);
        // Nobody is waited for again who has taken nothing since.
        assert!(delivery.first.is_none());
        assert_eq!(come(&mut node), (vec![1, 2], 3));
        (6..=8).for_each(|at| delivery.hand(numbered(at)));
        assert_eq!(come(&mut node), (vec![6, 7], 0));
        delivery.go_on().await;
        assert_eq!(come(&mut node), (vec![8], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_has_its_limit() {
        let (mut delivery, mut node) = delivery(1);
        let all = 2 + LINE_MAX as u64;
        (0..=all).for_each(|at| delivery.hand(numbered(at)));
        assert_eq!(come(&mut node), (vec![0], 1));
        let mut numbers = Vec::new();
        while delivery.first.is_some() {
            delivery.go_on().await;
            numbers.extend(come(&mut node).0);
        }
        assert_eq!(numbers, (1..all).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_noticed_that_the_node_has_gone() {
        let (mut delivery, node) = delivery(1);
        (0..2).for_each(|at| delivery.hand(numbered(at)));
        assert!(!delivery.has_gone());
        drop(node);
        delivery.go_on().await;
        assert!(delivery.has_gone());
    }
}
