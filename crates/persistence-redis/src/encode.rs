//! Batches as the arguments of the script that applies them.

use std::collections::HashMap;
use std::sync::Arc;

use broker_core::persistence::{Operation, SessionKey};
use broker_core::{Message, Timestamp};
use persistence_records::{
    OutgoingRecord, RecordError, SessionRecord, encode_message, encode_subscription, encode_will,
};
use redis::Cmd;

use crate::entry::{NAME_BYTES, Place, encode_inflight, encode_rest};

/// A message of at most so many bytes that waits for one session is put into the queue itself: that
/// spares a second write and a second look. A larger one would be copied whenever its stage changes.
const INSIDE_BYTES: usize = 512;

/// Gives names to messages: no two of one writer are the same, and those of different writers differ.
#[derive(Debug)]
pub(crate) struct MessageNames {
    writer: u64,
    count: u64,
}

impl MessageNames {
    pub(crate) fn new(writer: u64) -> Self {
        Self { writer, count: 0 }
    }

    fn next(&mut self) -> [u8; NAME_BYTES] {
        self.count += 1;
        let number = u128::from(self.writer) << 64 | u128::from(self.count);
        number.to_be_bytes()
    }
}

/// Whether operations only make the store smaller; Redis takes those also when it is full.
pub(crate) fn only_removes<'a>(mut operations: impl Iterator<Item = &'a Operation>) -> bool {
    operations.all(|operation| match operation {
        Operation::DropSession { .. }
        | Operation::DropSubscription { .. }
        | Operation::DropRetained { .. }
        | Operation::Dequeue { .. }
        | Operation::MarkInflight { .. }
        | Operation::IncomingReleased { .. }
        | Operation::DropWill { .. } => true,
        Operation::PutSession(_)
        | Operation::PutSubscription { .. }
        | Operation::PutRetained { .. }
        | Operation::Enqueue { .. }
        | Operation::IncomingReceived { .. }
        | Operation::PutWill(_) => false,
    })
}

/// Puts batches that are applied together into the arguments of a command.
pub(crate) struct Encoder<'a> {
    command: &'a mut Cmd,
    names: &'a mut MessageNames,
    /// How many entries each message gets, if it may be more than one, and its name once it is stored under
    /// one.
    messages: HashMap<*const Message, (usize, Option<[u8; NAME_BYTES]>)>,
}

impl<'a> Encoder<'a> {
    /// `operations` are all that will be added.
    pub(crate) fn new<'o>(
        command: &'a mut Cmd,
        names: &'a mut MessageNames,
        operations: impl Iterator<Item = &'o Operation>,
    ) -> Self {
        let mut messages = HashMap::new();
        for operation in operations {
            // One that nobody else refers to is in no second operation either.
            if let Operation::Enqueue { message, .. } = operation
                && Arc::strong_count(message) > 1
            {
                messages.entry(Arc::as_ptr(message)).or_insert((0, None)).0 += 1;
            }
        }
        Self {
            command,
            names,
            messages,
        }
    }

    /// Adds one operation.
    ///
    /// # Errors
    /// If it has a part that is too large for a record.
    pub(crate) fn add(&mut self, operation: &Operation) -> Result<(), RecordError> {
        match operation {
            Operation::PutSession(stored) => {
                let record = SessionRecord::new(stored, 0).encode()?;
                self.letter("P", &stored.session).arg(record);
            }
            Operation::DropSession { session } => {
                self.letter("D", session);
            }
            Operation::PutSubscription {
                session,
                filter,
                options,
            } => {
                let record = encode_subscription(options)?;
                self.letter("S", session).arg(&**filter).arg(record);
            }
            Operation::DropSubscription { session, filter } => {
                self.letter("U", session).arg(&**filter);
            }
            Operation::PutRetained { message } => {
                let record = encode_message(message)?;
                self.command.arg("R").arg(message.topic()).arg(record);
                self.expires(message.expires());
            }
            Operation::DropRetained { topic } => {
                self.command.arg("T").arg(&**topic);
            }
            Operation::Enqueue { .. } => self.enqueue(operation)?,
            Operation::MarkInflight {
                session,
                sequence,
                packet_id,
                stage,
            } => {
                let inflight = encode_inflight(Some(*packet_id), Some(*stage));
                let number = sequence.to_be_bytes();
                self.letter("M", session).arg(&number).arg(&inflight);
            }
            Operation::Dequeue { session, sequence } => {
                self.letter("Q", session).arg(&sequence.to_be_bytes());
            }
            Operation::IncomingReceived { session, packet_id } => {
                self.letter("I", session).arg(packet_id.get());
            }
            Operation::IncomingReleased { session, packet_id } => {
                self.letter("J", session).arg(packet_id.get());
            }
            Operation::PutWill(will) => {
                let record = encode_will(will)?;
                self.letter("W", &will.session).arg(&*will.node).arg(record);
            }
            Operation::DropWill { session } => {
                self.letter("X", session);
            }
        }
        Ok(())
    }

    fn letter(&mut self, letter: &str, session: &SessionKey) -> &mut Cmd {
        self.command
            .arg(letter)
            .arg(&*session.client)
            .arg(&session.incarnation.to_be_bytes())
    }

    fn expires(&mut self, expires: Timestamp) {
        match expires {
            Timestamp::MAX => self.command.arg(""),
            // What scores of Redis can express; later is after the year 200,000.
            expires => self.command.arg(expires.as_millis().min(1 << 53)),
        };
    }

    fn enqueue(&mut self, operation: &Operation) -> Result<(), RecordError> {
        let Operation::Enqueue {
            session,
            sequence,
            message,
            qos,
            retain,
            subscription_ids,
            shared,
            packet_id,
        } = operation
        else {
            return Ok(());
        };
        let record = OutgoingRecord {
            message: None,
            expires: Timestamp::MAX,
            bytes: 0,
            qos: *qos,
            retain: *retain,
            subscription_ids: subscription_ids.clone(),
            shared: shared.clone(),
            inflight: None,
        };
        let record = record.encode()?;
        let waiting = packet_id.is_none();
        let rest = match self.name_of(message)? {
            Some(name) => encode_rest(*packet_id, message, &Place::Named(name), &record),
            None => {
                let inside = encode_message(message)?;
                encode_rest(*packet_id, message, &Place::Inside(&inside), &record)
            }
        };
        self.letter("E", session)
            .arg(&sequence.to_be_bytes())
            .arg(rest);
        self.expires(if waiting {
            message.expires()
        } else {
            Timestamp::MAX
        });
        Ok(())
    }

    /// The name of a message that is stored under one, which it is from then on; `None` for one that
    /// goes into its only queue.
    fn name_of(&mut self, message: &Arc<Message>) -> Result<Option<[u8; NAME_BYTES]>, RecordError> {
        let (count, name) = match self.messages.get(&Arc::as_ptr(message)) {
            Some(known) => *known,
            None => (1, None),
        };
        if name.is_some() || (count == 1 && message.size_bytes() <= INSIDE_BYTES) {
            return Ok(name);
        }
        let new = self.names.next();
        self.command
            .arg("B")
            .arg(&new)
            .arg(encode_message(message)?);
        self.messages
            .insert(Arc::as_ptr(message), (count, Some(new)));
        Ok(Some(new))
    }
}
