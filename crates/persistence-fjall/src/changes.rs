//! What a group of batches changes, worked out before anything is written.
//!
//! Each record is written once however often the group changes it, and not at all if it comes and
//! goes within the group, as most messages to a client that is connected do.

mod contents;
mod emit;
mod messages;
mod upkeep;

use std::sync::Arc;

use broker_core::persistence::{ClientId, Operation, SessionKey, StoredSession, StoredWill};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use hashbrown::HashMap;
use mqtt_codec::PacketId;
use persistence_records::{OutgoingRecord, SessionRecord, decode_will};

use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::numbers::Numbers;
use crate::queue_size::QueueSize;
use crate::table::Table;
pub(crate) use messages::{is_shared, number, read_count};

use messages::Messages;

/// What the writer knows, and what the group has changed so far.
pub(crate) struct Changes {
    numbers: Numbers,
    sessions: Table<ClientId, SessionRecord>,
    outgoing: Table<(u64, u64), Arc<OutgoingRecord>>,
    queues: Table<u64, QueueSize>,
    messages: Messages,
    /// The incarnations of the sessions whose wills are there.
    wills: Table<ClientId, u64>,
    /// Those of them that are new.
    new_wills: HashMap<ClientId, StoredWill>,
    incoming: HashMap<(u64, PacketId), bool>,
    subscriptions: HashMap<(u64, Box<str>), Option<SubscriptionOptions>>,
    retained: HashMap<Box<str>, Option<Arc<Message>>>,
    /// Sessions that are gone, whose contents are to go.
    dropped: Vec<u64>,
    /// Sessions whose contents are gone.
    cleaned: Vec<u64>,
    /// Contents of sessions that are gone.
    remains: Vec<Vec<u8>>,
    /// Whether there may be messages in the store that expire some day.
    something_expires: bool,
    /// Whether that is new, and has to be noted.
    expiry_is_news: bool,
    /// Whether such a message has come since the store was last walked over.
    came_during_walk: bool,
}

impl Changes {
    /// Goes on with what is stored.
    pub(crate) fn load(engine: &Engine) -> Result<Self, Failure> {
        let something_expires = engine.meta.contains_key(crate::keys::SOMETHING_EXPIRES)?;
        Ok(Self {
            numbers: Numbers::load(engine)?,
            sessions: Table::new(|client, _| client.len() + 96),
            outgoing: Table::new(|_, record| {
                let ids = record.subscription_ids.as_slice().len() * 4;
                ids + record.shared.as_ref().map_or(0, |filter| filter.len()) + 160
            }),
            queues: Table::new(|_, _| 64),
            messages: Messages::new(),
            wills: Table::new(|client, _| client.len() + 64),
            new_wills: HashMap::new(),
            incoming: HashMap::new(),
            subscriptions: HashMap::new(),
            retained: HashMap::new(),
            dropped: Vec::new(),
            cleaned: Vec::new(),
            remains: Vec::new(),
            something_expires,
            expiry_is_news: false,
            came_during_walk: false,
        })
    }

    /// Looks at what is to come: a message that is queued twice in it is shared from the beginning.
    pub(crate) fn prepare<'o>(&mut self, operations: impl Iterator<Item = &'o Operation>) {
        for operation in operations {
            if let Operation::Enqueue { message, .. } = operation {
                self.messages.expect(message);
            }
        }
    }

    pub(crate) fn apply(&mut self, engine: &Engine, operation: &Operation) -> Result<(), Failure> {
        match operation {
            Operation::PutSession(stored) => self.put_session(engine, stored),
            Operation::DropSession { session } => self.drop_session(engine, session),
            Operation::PutWill(will) => self.put_will(engine, will),
            Operation::DropWill { session } => self.drop_will(engine, session),
            Operation::PutRetained { message } => {
                self.note_expiry(message.expires());
                let topic = message.topic().into();
                self.retained.insert(topic, Some(Arc::clone(message)));
                Ok(())
            }
            Operation::DropRetained { topic } => {
                self.retained.insert(topic.clone(), None);
                Ok(())
            }
            Operation::PutSubscription { .. }
            | Operation::DropSubscription { .. }
            | Operation::Enqueue { .. }
            | Operation::MarkInflight { .. }
            | Operation::Dequeue { .. }
            | Operation::IncomingReceived { .. }
            | Operation::IncomingReleased { .. } => self.apply_to_contents(engine, operation),
        }
    }

    fn note_expiry(&mut self, expires: Timestamp) {
        if expires == Timestamp::MAX {
            return;
        }
        self.came_during_walk = true;
        if !self.something_expires {
            self.something_expires = true;
            self.expiry_is_news = true;
        }
    }

    fn session(&self, engine: &Engine, client: &str) -> Result<Option<SessionRecord>, Failure> {
        self.sessions.get(client, || {
            let Some(bytes) = engine.sessions.get(client)? else {
                return Ok(None);
            };
            let record = SessionRecord::decode(&bytes);
            let record = record.map_err(|error| damaged(format!("session {client:?}"), error))?;
            Ok(Some(record))
        })
    }

    /// The number under which the contents are, if the session is there in this incarnation.
    fn number(&self, engine: &Engine, session: &SessionKey) -> Result<Option<u64>, Failure> {
        let record = self.session(engine, &session.client)?;
        let record = record.filter(|record| record.incarnation == session.incarnation);
        Ok(record.map(|record| record.number))
    }

    fn put_session(&mut self, engine: &Engine, stored: &StoredSession) -> Result<(), Failure> {
        let key = &stored.session;
        let before = self.session(engine, &key.client)?;
        let number = match before {
            Some(before) if before.incarnation > key.incarnation => return Ok(()),
            Some(before) if before.incarnation == key.incarnation => before.number,
            Some(before) => {
                let earlier = SessionKey {
                    client: Arc::clone(&key.client),
                    incarnation: before.incarnation,
                };
                self.drop_session(engine, &earlier)?;
                self.numbers.session()
            }
            None => self.numbers.session(),
        };
        let record = SessionRecord::new(stored, number);
        let client = Arc::clone(&key.client);
        self.sessions.set(client, Some(record), before.is_some());
        Ok(())
    }

    fn drop_session(&mut self, engine: &Engine, key: &SessionKey) -> Result<(), Failure> {
        let Some(number) = self.number(engine, key)? else {
            return Ok(());
        };
        self.drop_will(engine, key)?;
        self.sessions.set(Arc::clone(&key.client), None, true);
        self.dropped.push(number);
        Ok(())
    }

    /// The incarnation of the session whose will is there.
    fn will(&self, engine: &Engine, client: &ClientId) -> Result<Option<u64>, Failure> {
        self.wills.get(client, || {
            let Some(bytes) = engine.wills.get(&**client)? else {
                return Ok(None);
            };
            let will = decode_will(Arc::clone(client), &bytes);
            let will = will.map_err(|error| damaged(format!("the will of {client:?}"), error))?;
            Ok(Some(will.session.incarnation))
        })
    }

    fn put_will(&mut self, engine: &Engine, will: &StoredWill) -> Result<(), Failure> {
        let SessionKey {
            client,
            incarnation,
        } = &will.session;
        let before = self.will(engine, client)?;
        if before.is_some_and(|before| before > *incarnation) {
            return Ok(());
        }
        let set = Some(*incarnation);
        self.wills.set(Arc::clone(client), set, before.is_some());
        self.new_wills.insert(Arc::clone(client), will.clone());
        Ok(())
    }

    fn drop_will(&mut self, engine: &Engine, key: &SessionKey) -> Result<(), Failure> {
        if self.will(engine, &key.client)? == Some(key.incarnation) {
            self.wills.set(Arc::clone(&key.client), None, true);
            self.new_wills.remove(&key.client);
        }
        Ok(())
    }

    /// Whether sessions are gone whose contents are to go.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// The group is stored: gives the sessions whose contents are to go.
    pub(crate) fn keep(&mut self) -> Vec<u64> {
        self.sessions.keep();
        self.outgoing.keep();
        self.queues.keep();
        self.messages.keep();
        self.wills.keep();
        self.numbers.keep();
        self.clear()
    }

    /// The group is given up, or tried again from the beginning.
    pub(crate) fn forget(&mut self) {
        self.sessions.forget();
        self.outgoing.forget();
        self.queues.forget();
        self.messages.forget();
        self.wills.forget();
        self.numbers.forget();
        // Noted again with the next one.
        if self.expiry_is_news {
            self.something_expires = false;
        }
        self.clear();
    }

    fn clear(&mut self) -> Vec<u64> {
        self.new_wills.clear();
        self.incoming.clear();
        self.subscriptions.clear();
        self.retained.clear();
        self.cleaned.clear();
        self.remains.clear();
        self.expiry_is_news = false;
        core::mem::take(&mut self.dropped)
    }
}
