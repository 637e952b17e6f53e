//! How much waits in the queue of a session: counted with each change, so that nobody has to read the
//! queue to know. With it goes a number that none in the queue is below: what was removed is still in
//! the engine's files for a while, and whoever begins at the front would walk over all of it.

use broker_core::persistence::StoredQueue;
use persistence_records::{Key, KeyReader, OutgoingRecord};

use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::{self, QUEUE};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueSize {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// No sequence number in the queue is less.
    pub(crate) first: u64,
}

impl QueueSize {
    /// One more is in the queue.
    pub(crate) fn add(&mut self, sequence: u64, record: &OutgoingRecord) {
        self.first = match self.messages {
            0 => sequence,
            _ => self.first.min(sequence),
        };
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(record.bytes);
    }

    /// One less is.
    pub(crate) fn take(&mut self, sequence: u64, record: &OutgoingRecord) {
        if sequence == self.first {
            self.first = sequence.saturating_add(1);
        }
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(record.bytes);
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let record = Key::new().number(self.messages).number(self.bytes);
        record.number(self.first).into_bytes()
    }

    pub(crate) fn decode(session: u64, record: &[u8]) -> Result<Self, Failure> {
        let mut reader = KeyReader::new(record);
        let read = |error| damaged(format!("the size of the queue of session {session}"), error);
        let size = Self {
            messages: reader.number().map_err(read)?,
            bytes: reader.number().map_err(read)?,
            first: reader.number().map_err(read)?,
        };
        reader.end().map_err(read)?;
        Ok(size)
    }

    pub(crate) fn load(engine: &Engine, session: u64) -> Result<Option<Self>, Failure> {
        let record = engine.contents.get(keys::kind(session, QUEUE))?;
        record
            .map(|record| Self::decode(session, &record))
            .transpose()
    }

    pub(crate) fn into_stored(self, last: Option<u64>) -> StoredQueue {
        StoredQueue {
            messages: self.messages,
            bytes: self.bytes,
            last,
        }
    }
}
