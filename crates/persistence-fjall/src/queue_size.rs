//! How much waits in the queue of a session: counted with each change, so that nobody has to read the
//! queue to know. With it goes a number that none in the queue is below: what was removed is still in
//! the engine's files for a while, and whoever begins at the front would walk over all of it.

use broker_core::persistence::StoredQueue;
use persistence_records::{Key, KeyReader, OutgoingRecord};

use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::{self, Content, OUTGOING, QUEUE};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueSize {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// No sequence number in the queue is less.
    pub(crate) first: u64,
    /// What is known of the end of the queue; not stored.
    pub(crate) last: Last,
}

/// What is known of the greatest sequence number in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nothing.
    #[default]
    Unknown,
    /// What came last, of those that came since the size was read: the next time it is worth looking
    /// up what is stored.
    Came(u64),
    /// None is greater.
    AtMost(u64),
}

impl QueueSize {
    /// One more is in the queue.
    pub(crate) fn add(&mut self, sequence: u64, record: &OutgoingRecord) {
        (self.first, self.last) = match (self.messages, self.last) {
            (0, _) => (sequence, Last::AtMost(sequence)),
            (_, Last::AtMost(last)) => (self.first.min(sequence), Last::AtMost(last.max(sequence))),
            (_, Last::Came(last)) => (self.first.min(sequence), Last::Came(last.max(sequence))),
            (_, Last::Unknown) => (self.first.min(sequence), Last::Came(sequence)),
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
            last: Last::Unknown,
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

    /// Whether a message of this number cannot be in the queue of the session. This is asked before
    /// anything is put there: as good as all messages come behind the others, and then nothing has to
    /// be read. The end is looked up for the second message only, since that costs more than to
    /// look for one.
    pub(crate) fn is_behind(
        &mut self,
        engine: &Engine,
        session: u64,
        sequence: u64,
    ) -> Result<bool, Failure> {
        if self.messages == 0 {
            return Ok(true);
        }
        let last = match self.last {
            Last::AtMost(last) => last,
            Last::Came(last) => last.max(last_stored(engine, session)?.unwrap_or(0)),
            Last::Unknown => return Ok(false),
        };
        self.last = Last::AtMost(last);
        Ok(sequence > last)
    }

    pub(crate) fn into_stored(self, last: Option<u64>) -> StoredQueue {
        StoredQueue {
            messages: self.messages,
            bytes: self.bytes,
            last,
        }
    }
}

/// The greatest sequence number that is stored for a session.
fn last_stored(engine: &Engine, session: u64) -> Result<Option<u64>, Failure> {
    let mut queue = engine.contents.prefix(keys::kind(session, OUTGOING));
    let Some(entry) = queue.next_back() else {
        return Ok(None);
    };
    match keys::read_contents(&entry.key()?) {
        Ok((_, Content::Outgoing(sequence))) => Ok(Some(sequence)),
        _ => Err(damaged(
            format!("the queue of session {session}"),
            "its key is none",
        )),
    }
}
