//! Operations on the contents of a session.

use std::sync::Arc;

use broker_core::persistence::{InflightStage, Operation, SessionKey};
use mqtt_codec::PacketId;
use persistence_records::OutgoingRecord;

use super::Changes;
use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys;
use crate::queue_size::QueueSize;

impl Changes {
    pub(super) fn apply_to_contents(
        &mut self,
        engine: &Engine,
        operation: &Operation,
    ) -> Result<(), Failure> {
        match operation {
            Operation::PutSubscription {
                session,
                filter,
                options,
            } => {
                if let Some(number) = self.number(engine, session)? {
                    let key = (number, filter.clone());
                    self.subscriptions.insert(key, Some(*options));
                }
            }
            Operation::DropSubscription { session, filter } => {
                if let Some(number) = self.number(engine, session)? {
                    self.subscriptions.insert((number, filter.clone()), None);
                }
            }
            Operation::IncomingReceived { session, packet_id } => {
                self.set_incoming(engine, session, *packet_id, true)?;
            }
            Operation::IncomingReleased { session, packet_id } => {
                self.set_incoming(engine, session, *packet_id, false)?;
            }
            Operation::MarkInflight {
                session,
                sequence,
                packet_id,
                stage,
            } => {
                if let Some(number) = self.number(engine, session)? {
                    self.mark(engine, (number, *sequence), (*packet_id, *stage))?;
                }
            }
            Operation::Dequeue { session, sequence } => {
                if let Some(number) = self.number(engine, session)? {
                    self.dequeue(engine, (number, *sequence))?;
                }
            }
            other => self.enqueue(engine, other)?,
        }
        Ok(())
    }

    fn set_incoming(
        &mut self,
        engine: &Engine,
        session: &SessionKey,
        packet_id: PacketId,
        there: bool,
    ) -> Result<(), Failure> {
        if let Some(number) = self.number(engine, session)? {
            self.incoming.insert((number, packet_id), there);
        }
        Ok(())
    }

    fn queued(
        &self,
        engine: &Engine,
        place: (u64, u64),
    ) -> Result<Option<Arc<OutgoingRecord>>, Failure> {
        let (number, sequence) = place;
        self.outgoing.get(&place, || {
            let Some(bytes) = engine.contents.get(keys::outgoing(number, sequence))? else {
                return Ok(None);
            };
            let record = OutgoingRecord::decode(&bytes).map_err(|error| {
                let name = format!("message {sequence} in the queue of session number {number}");
                damaged(name, error)
            })?;
            Ok(Some(Arc::new(record)))
        })
    }

    fn enqueue(&mut self, engine: &Engine, operation: &Operation) -> Result<(), Failure> {
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
        let Some(number) = self.number(engine, session)? else {
            return Ok(());
        };
        let place = (number, *sequence);
        let mut size = self.size(engine, number)?;
        let before = match size.is_behind(engine, number, *sequence)? {
            true => None,
            false => self.queued(engine, place)?,
        };
        // Taken before the other is let go: it may be the same one.
        let id = self.messages.take(message, &mut self.numbers);
        if let Some(before) = &before {
            size.take(*sequence, before);
            if let Some(message) = before.message {
                self.messages.release(engine, message)?;
            }
        }
        self.note_expiry(message.expires());
        let record = OutgoingRecord {
            message: Some(id),
            expires: message.expires(),
            bytes: u64::try_from(message.size_bytes()).unwrap_or(u64::MAX),
            qos: *qos,
            retain: *retain,
            subscription_ids: subscription_ids.clone(),
            shared: shared.clone(),
            inflight: packet_id.map(|packet_id| (packet_id, InflightStage::Published)),
        };
        size.add(*sequence, &record);
        self.set_size(number, size);
        let record = Some(Arc::new(record));
        self.outgoing.set(place, record, before.is_some());
        Ok(())
    }

    fn size(&self, engine: &Engine, number: u64) -> Result<QueueSize, Failure> {
        let size = self
            .queues
            .get(&number, || QueueSize::load(engine, number))?;
        Ok(size.unwrap_or_default())
    }

    /// An empty queue has a size too: that tells a reader that there is nothing to look for.
    fn set_size(&mut self, number: u64, size: QueueSize) {
        self.queues.set(number, Some(size), true);
    }

    fn mark(
        &mut self,
        engine: &Engine,
        place: (u64, u64),
        inflight: (PacketId, InflightStage),
    ) -> Result<(), Failure> {
        let Some(before) = self.queued(engine, place)? else {
            return Ok(());
        };
        let mut record = OutgoingRecord::clone(&before);
        record.inflight = Some(inflight);
        if inflight.1 == InflightStage::Released
            && let Some(message) = record.message.take()
        {
            self.messages.release(engine, message)?;
            let mut size = self.size(engine, place.0)?;
            size.bytes = size.bytes.saturating_sub(before.bytes);
            record.bytes = 0;
            self.set_size(place.0, size);
        }
        self.outgoing.set(place, Some(Arc::new(record)), true);
        Ok(())
    }

    pub(super) fn dequeue(&mut self, engine: &Engine, place: (u64, u64)) -> Result<(), Failure> {
        let Some(before) = self.queued(engine, place)? else {
            return Ok(());
        };
        if let Some(message) = before.message {
            self.messages.release(engine, message)?;
        }
        let mut size = self.size(engine, place.0)?;
        size.take(place.1, &before);
        self.set_size(place.0, size);
        self.outgoing.set(place, None, true);
        Ok(())
    }
}
