//! Encoded packets that wait for one client's socket.
//!
//! Small packets lie one behind the other in a flat buffer. A large payload is not copied for
//! every receiver: the flat buffer has the packet's head, and the payload is shared.
//!
//! ```text
//!   flat:    [ PUBLISH | PUBACK | head of a large PUBLISH | PUBLISH ]
//!   shared:                                               ▲ payload of message m goes here
//! ```

use std::io::IoSlice;
use std::sync::Arc;

use crate::Message;

/// From this payload size on (bytes) a payload is shared instead of copied.
pub(crate) const SHARED_PAYLOAD_MIN: usize = 4_096;

/// Bytes on their way to a socket, in order.
///
/// Taken from a connection with [`Connection::poll_output`](crate::Connection::poll_output),
/// written with [`slices`](Self::slices) and [`advance`](Self::advance). It owns no memory
/// while it is empty and new: each idle connection has two of them.
#[derive(Debug, Default)]
pub struct Outbox {
    content: Option<Box<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    flat: Vec<u8>,
    /// Offsets in `flat` before which a payload belongs, ascending.
    shared: Vec<(usize, Arc<Message>)>,
    /// Bytes not yet written.
    len: usize,
    /// Bytes of `flat` that were written.
    flat_written: usize,
    /// Payloads that were written whole.
    shared_written: usize,
    /// Bytes written of the payload that is next.
    payload_written: usize,
}

impl Outbox {
    /// Bytes that are still to be written.
    #[inline]
    pub fn len(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.len)
    }

    /// Whether everything was written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `slices` with what is to be written next, in order, and returns how many were
    /// filled: for one vectored write. None if everything was written.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.content
            .as_ref()
            .map_or(0, |content| content.slices(slices))
    }

    /// Notes that the first `written` bytes of [`slices`](Self::slices) were written. More than
    /// there are count as all.
    pub fn advance(&mut self, written: usize) {
        if let Some(content) = &mut self.content {
            content.advance(written);
        }
    }

    /// Empties it and keeps a moderate amount of memory for the next use.
    pub fn clear(&mut self) {
        if let Some(content) = &mut self.content {
            **content = Content {
                flat: core::mem::take(&mut content.flat),
                ..Content::default()
            };
            content.flat.clear();
        }
    }

    /// The flat buffer's capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.content
            .as_ref()
            .map_or(0, |content| content.flat.capacity())
    }

    /// Appends bytes written by `write`.
    #[inline(always)]
    pub(crate) fn put<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let content = self.content.get_or_insert_default();
        let before = content.flat.len();
        let result = write(&mut content.flat);
        content.len += content.flat.len() - before;
        result
    }

    /// Appends the payload of a message without copying it.
    pub(crate) fn put_shared(&mut self, message: Arc<Message>) {
        let len = message.payload().len();
        if len > 0 {
            let content = self.content.get_or_insert_default();
            content.len += len;
            content.shared.push((content.flat.len(), message));
        }
    }

    /// Uses the memory of `spare` if it has none of its own.
    pub(crate) fn reuse(&mut self, spare: &mut Vec<Self>) {
        if self.content.is_none()
            && let Some(outbox) = spare.pop()
        {
            *self = outbox;
        }
    }
}

impl Content {
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut flat_at = self.flat_written;
        let mut payload_at = self.payload_written;
        let mut shared = self.shared.iter().skip(self.shared_written);
        let mut next = shared.next();
        for slot in slices {
            let flat_end = next.map_or(self.flat.len(), |(offset, _)| *offset);
            let part = if flat_at < flat_end {
                let part = self.flat.get(flat_at..flat_end).unwrap_or_default();
                flat_at = flat_end;
                part
            } else if let Some((_, message)) = next {
                let part = message.payload().get(payload_at..).unwrap_or_default();
                payload_at = 0;
                next = shared.next();
                part
            } else {
                break;
            };
            *slot = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut written: usize) {
        written = written.min(self.len);
        self.len -= written;
        while written > 0 {
            let next = self.shared.get(self.shared_written);
            let flat_end = next.map_or(self.flat.len(), |(offset, _)| *offset);
            if self.flat_written < flat_end {
                let step = written.min(flat_end - self.flat_written);
                self.flat_written += step;
                written -= step;
            } else if let Some((_, message)) = next {
                let rest = message.payload().len() - self.payload_written;
                let step = written.min(rest);
                self.payload_written += step;
                written -= step;
                if step == rest {
                    self.shared_written += 1;
                    self.payload_written = 0;
                }
            } else {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageParts, Timestamp};
    use mqtt_codec::QoS;

    fn message(payload: &[u8]) -> Arc<Message> {
        Message::new(MessageParts {
            topic: "t",
            properties: &[],
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            expires: Timestamp::MAX,
        })
    }

    fn written_in_steps(mut outbox: Outbox, step: usize, slots: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !outbox.is_empty() {
            let empty: &[u8] = &[];
            let mut slices = vec![IoSlice::new(empty); slots];
            let filled = outbox.slices(&mut slices);
            assert!(filled > 0, "there is something left to write");
            let bytes: Vec<u8> = slices[..filled]
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            let part = &bytes[..step.min(bytes.len())];
            all.extend_from_slice(part);
            outbox.advance(part.len());
        }
        all
    }

    fn filled() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.put_shared(message(b"first"));
        outbox.put(|flat| flat.extend_from_slice(b"-flat-"));
        outbox.put_shared(message(b"payload"));
        outbox.put_shared(message(b""));
        outbox.put_shared(message(b"!"));
        outbox.put(|flat| flat.extend_from_slice(b"end"));
        outbox
    }

    #[test]
    fn any_partial_writes_give_the_same_bytes() {
        for step in 1..30 {
            for slots in 1..5 {
                assert_eq!(
                    written_in_steps(filled(), step, slots),
                    b"first-flat-payload!end"
                );
            }
        }
    }

    #[test]
    fn clearing_leaves_nothing_to_write() {
        let mut outbox = filled();
        outbox.advance(3);
        outbox.clear();
        assert!(outbox.is_empty());
        assert_eq!(outbox.slices(&mut [IoSlice::new(&[])]), 0);
    }
}
