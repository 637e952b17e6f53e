//! What has changed, as one batch of the engine.

use std::collections::BTreeMap;

use fjall::{OwnedWriteBatch as WriteBatch, PersistMode};
use persistence_records::{RecordError, encode_message, encode_subscription, encode_will};

use super::Changes;
use super::messages::is_shared;
use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::QUEUE;
use crate::{keys, subscriptions};

fn written<T>(record: Result<T, RecordError>) -> Result<T, Failure> {
    record.map_err(|error| damaged("a record", error))
}

impl Changes {
    /// Writes all changes as one: they are there, as durable as `mode` says, or none of them is.
    pub(crate) fn write(&self, engine: &Engine, mode: PersistMode) -> Result<(), Failure> {
        let mut batch = engine.database.batch().durability(Some(mode));
        self.emit_sessions(engine, &mut batch)?;
        self.emit_contents(engine, &mut batch)?;
        self.emit_subscriptions(engine, &mut batch)?;
        self.emit_messages(engine, &mut batch)?;
        self.emit_retained(engine, &mut batch)?;
        self.emit_meta(engine, &mut batch);
        batch.commit()?;
        Ok(())
    }

    fn emit_sessions(&self, engine: &Engine, batch: &mut WriteBatch) -> Result<(), Failure> {
        for (client, change) in self.sessions.changes() {
            match &change.value {
                Some(record) => {
                    batch.insert(&engine.sessions, &**client, written(record.encode())?);
                }
                None => batch.remove(&engine.sessions, &**client),
            }
        }
        for (client, change) in self.wills.changes() {
            match (&change.value, self.new_wills.get(client)) {
                (Some(_), Some(will)) => {
                    batch.insert(&engine.wills, &**client, written(encode_will(will))?);
                }
                (Some(_), None) => {}
                (None, _) => batch.remove(&engine.wills, &**client),
            }
        }
        Ok(())
    }

    fn emit_contents(&self, engine: &Engine, batch: &mut WriteBatch) -> Result<(), Failure> {
        for ((number, sequence), change) in self.outgoing.changes() {
            let key = keys::outgoing(*number, *sequence);
            match &change.value {
                Some(record) => batch.insert(&engine.contents, key, written(record.encode())?),
                None => batch.remove(&engine.contents, key),
            }
        }
        for (number, change) in self.queues.changes() {
            if let Some(size) = change.value {
                batch.insert(&engine.contents, keys::kind(*number, QUEUE), size.encode());
            }
        }
        for ((number, packet_id), there) in &self.incoming {
            let key = keys::incoming(*number, *packet_id);
            match there {
                true => batch.insert(&engine.contents, key, []),
                false => batch.remove(&engine.contents, key),
            }
        }
        for key in &self.remains {
            batch.remove(&engine.contents, key.as_slice());
        }
        Ok(())
    }

    fn emit_subscriptions(&self, engine: &Engine, batch: &mut WriteBatch) -> Result<(), Failure> {
        let mut long: BTreeMap<Vec<u8>, subscriptions::Shared> = BTreeMap::new();
        for ((number, filter), options) in &self.subscriptions {
            let key = keys::subscription(*number, filter.as_bytes());
            let Some(rest) = subscriptions::rest(filter) else {
                match options {
                    Some(options) => {
                        let record = written(encode_subscription(options))?;
                        batch.insert(&engine.contents, key, record);
                    }
                    None => batch.remove(&engine.contents, key),
                }
                continue;
            };
            if !long.contains_key(&key) {
                let there = engine.contents.get(&key)?;
                let there = there.map_or_else(
                    || Ok(subscriptions::Shared::new()),
                    |bytes| subscriptions::decode(&bytes),
                )?;
                long.insert(key.clone(), there);
            }
            let shared = long.entry(key).or_default();
            match options {
                Some(options) => shared.insert(rest.to_vec(), *options),
                None => shared.remove(rest),
            };
        }
        for (key, shared) in long {
            match shared.is_empty() {
                false => {
                    let record = written(subscriptions::encode(&shared))?;
                    batch.insert(&engine.contents, key, record);
                }
                true => batch.remove(&engine.contents, key),
            }
        }
        Ok(())
    }

    fn emit_messages(&self, engine: &Engine, batch: &mut WriteBatch) -> Result<(), Failure> {
        for (number, (message, queues)) in &self.messages.fresh {
            if *queues == 0 {
                continue;
            }
            let key = number.to_be_bytes();
            batch.insert(&engine.messages, key, written(encode_message(message))?);
            if is_shared(*number) {
                batch.insert(&engine.references, key, queues.to_be_bytes());
            }
        }
        for number in &self.messages.gone {
            batch.remove(&engine.messages, number.to_be_bytes());
        }
        for (number, change) in self.messages.references.changes() {
            let key = number.to_be_bytes();
            match change.value {
                Some(queues) => batch.insert(&engine.references, key, queues.to_be_bytes()),
                None => batch.remove(&engine.references, key),
            }
        }
        Ok(())
    }

    fn emit_retained(&self, engine: &Engine, batch: &mut WriteBatch) -> Result<(), Failure> {
        for (topic, message) in &self.retained {
            match message {
                Some(message) => {
                    let record = written(encode_message(message))?;
                    batch.insert(&engine.retained, &**topic, record);
                }
                None => batch.remove(&engine.retained, &**topic),
            }
        }
        Ok(())
    }

    fn emit_meta(&self, engine: &Engine, batch: &mut WriteBatch) {
        for number in &self.dropped {
            batch.insert(&engine.meta, keys::dropped(*number), []);
        }
        for number in &self.cleaned {
            batch.remove(&engine.meta, keys::dropped(*number));
        }
        for (key, next) in self.numbers.news() {
            batch.insert(&engine.meta, key, next.to_be_bytes());
        }
        if self.expiry_is_news {
            match self.something_expires {
                true => batch.insert(&engine.meta, keys::SOMETHING_EXPIRES, []),
                false => batch.remove(&engine.meta, keys::SOMETHING_EXPIRES),
            }
        }
    }
}
