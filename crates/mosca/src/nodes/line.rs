//! What waits for the engine: a queue with limits, taken in batches.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use broker_core::backend::Envelope;
use tokio::sync::{Notify, oneshot};

use super::awaited::Awaited;

/// Envelopes of one batch.
const BATCH: usize = 1_024;

/// Bytes of one batch, unless one envelope has more.
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Line {
    max_envelopes: usize,
    max_bytes: usize,
    queue: Mutex<Queue>,
    has_some: Notify,
    /// How many of all that have come are done with.
    pub(super) accepted: Awaited,
}

#[derive(Default)]
struct Queue {
    envelopes: VecDeque<Envelope>,
    bytes: usize,
    /// All that have come.
    entered: u64,
    /// Messages of the batch that was taken and is not done with.
    under_way: usize,
    is_closed: bool,
}

/// What is published together.
pub(super) struct Batch {
    pub(super) envelopes: Vec<Envelope>,
    pub(super) messages: usize,
    /// How many have come up to its end.
    end: u64,
}

impl Line {
    pub(super) fn new(max_envelopes: usize, max_bytes: usize) -> Self {
        Self {
            max_envelopes,
            max_bytes,
            queue: Mutex::default(),
            has_some: Notify::new(),
            accepted: Awaited::default(),
        }
    }

    /// Puts envelopes at the end. Returns how many have come up to the last of them, and how many messages
    /// were left out because there is no room.
    pub(super) fn put(&self, envelopes: Vec<Envelope>) -> (u64, usize) {
        let mut left_out = 0;
        let mut queue = self.queue();
        for envelope in envelopes {
            let bytes = envelope.size_bytes();
            let has_room = queue.envelopes.len() < self.max_envelopes
                && (queue.envelopes.is_empty() || queue.bytes + bytes <= self.max_bytes);
            if !has_room || queue.is_closed {
                left_out += usize::from(envelope.is_message());
                continue;
            }
            queue.bytes += bytes;
            queue.entered += 1;
            queue.envelopes.push_back(envelope);
        }
        let position = queue.entered;
        drop(queue);
        self.has_some.notify_one();
        (position, left_out)
    }

    /// The next batch.
    pub(super) async fn next(&self) -> Batch {
        loop {
            let has_some = self.has_some.notified();
            if let Some(batch) = self.take() {
                return batch;
            }
            has_some.await;
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let mut envelopes = Vec::with_capacity(queue.envelopes.len().min(BATCH));
        let (mut bytes, mut messages) = (0, 0);
        while let Some(next) = queue.envelopes.front() {
            let size = next.size_bytes();
            if envelopes.len() == BATCH || bytes > 0 && bytes + size > BATCH_BYTES {
                break;
            }
            bytes += size;
            messages += usize::from(next.is_message());
            envelopes.extend(queue.envelopes.pop_front());
        }
        if envelopes.is_empty() {
            return None;
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        queue.under_way = messages;
        Some(Batch {
            envelopes,
            messages,
            end: queue.entered - queue.envelopes.len() as u64,
        })
    }

    /// The batch is done with.
    pub(super) fn finish(&self, end: u64) {
        self.queue().under_way = 0;
        self.accepted.reach(end);
    }

    /// What was taken and is not done with never will be. Returns how many messages that are.
    pub(super) fn write_off(&self) -> usize {
        let mut queue = self.queue();
        let end = queue.entered - queue.envelopes.len() as u64;
        let lost = std::mem::take(&mut queue.under_way);
        drop(queue);
        self.accepted.reach(end);
        lost
    }

    /// What says that all that has come is done with; `None` if it is.
    pub(super) fn all_accepted(&self) -> Option<oneshot::Receiver<()>> {
        let entered = self.queue().entered;
        self.accepted.wait_for(entered)
    }

    /// Takes nothing more. Returns how many messages were still there.
    pub(super) fn close(&self) -> usize {
        let mut queue = self.queue();
        queue.is_closed = true;
        let left = std::mem::take(&mut queue.envelopes);
        queue.bytes = 0;
        let under_way = std::mem::take(&mut queue.under_way);
        drop(queue);
        self.accepted.let_go();
        left.iter().filter(|it| it.is_message()).count() + under_way
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// How many have come up to its end.
    pub(super) fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use broker_core::backend::Content;
    use broker_core::{Message, MessageParts, Timestamp};
    use mqtt_codec::QoS;

    use super::*;

    fn message(payload_bytes: usize) -> Envelope {
        let message = Message::new(MessageParts {
            topic: "t",
            properties: &[],
            payload: &vec![0; payload_bytes],
            qos: QoS::AtLeastOnce,
            retain: false,
            expires: Timestamp::MAX,
        });
        let content = Content::Message {
            message,
            expires_in: None,
            publisher: None,
            retained_at: 0,
        };
        Envelope { tag: None, content }
    }

    fn connected() -> Envelope {
        let client = "c".into();
        let content = Content::Connected { client, at: 1 };
        Envelope { tag: None, content }
    }

    #[test]
    fn what_has_no_room_is_left_out_and_one_always_has() {
        let line = Line::new(3, 1_000);
        assert_eq!(line.put(vec![message(5_000), message(0)]), (1, 1));
        assert_eq!(line.take().unwrap().envelopes.len(), 1);
        let many = vec![message(0), connected(), message(0), connected(), message(0)];
        assert_eq!(line.put(many), (4, 1));
        let batch = line.take().unwrap();
        assert_eq!(
            (batch.envelopes.len(), batch.messages, batch.end()),
            (3, 2, 4)
        );
        assert!(line.take().is_none());
        assert_eq!(line.close(), 2);
        assert_eq!(line.put(vec![message(0)]), (4, 1));
    }

    #[test]
    fn batches_have_a_limit_and_what_a_panic_has_left_is_written_off() {
        let line = Line::new(10_000, usize::MAX);
        line.put((0..BATCH + 1).map(|_| message(0)).collect());
        line.put(vec![message(BATCH_BYTES), message(0)]);
        let sizes = [(); 3].map(|()| line.take().unwrap().envelopes.len());
        assert_eq!(sizes, [BATCH, 1, 1]);
        let mut all = line.all_accepted().unwrap();
        assert_eq!(line.write_off(), 1);
        assert!(all.try_recv().is_err());
        let last = line.take().unwrap();
        line.finish(last.end());
        assert!(all.try_recv().is_ok());
        assert_eq!(line.write_off(), 0);
    }
}
