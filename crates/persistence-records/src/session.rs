//! The record of what is known of a session apart from its contents.

use broker_core::Timestamp;
use broker_core::persistence::{ClientId, SessionKey, StoredSession};
use serde::{Deserialize, Serialize};

use crate::{RecordError, record};

/// What is known of a session. Whose it is stands in the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Which of the client's sessions.
    pub incarnation: u64,
    /// The store's own number for the session, under which it keeps the contents; 0 in stores
    /// that do without.
    pub number: u64,
    /// Seconds for which it outlives its connection; `u32::MAX` for ever.
    pub expiry_interval_secs: u32,
    /// When the connection ended; `None` while there is one.
    pub disconnected_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    incarnation: u64,
    number: u64,
    expiry_interval_secs: u32,
    disconnected_at: Option<u64>,
}

impl SessionRecord {
    /// The record of a session that the store knows by `number`.
    pub fn new(session: &StoredSession, number: u64) -> Self {
        Self {
            incarnation: session.session.incarnation,
            number,
            expiry_interval_secs: session.expiry_interval_secs,
            disconnected_at: session.disconnected_at,
        }
    }

    /// The session, as the broker wants it.
    pub fn into_stored(self, client: ClientId) -> StoredSession {
        StoredSession {
            session: SessionKey {
                client,
                incarnation: self.incarnation,
            },
            expiry_interval_secs: self.expiry_interval_secs,
            disconnected_at: self.disconnected_at,
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// None in practice: all fields are small.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let fields = Fields {
            incarnation: self.incarnation,
            number: self.number,
            expiry_interval_secs: self.expiry_interval_secs,
            disconnected_at: self.disconnected_at.map(Timestamp::as_millis),
        };
        record::encode(&fields, 40)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If the bytes are not such a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let fields: Fields = record::decode(bytes)?;
        Ok(Self {
            incarnation: fields.incarnation,
            number: fields.number,
            expiry_interval_secs: fields.expiry_interval_secs,
            disconnected_at: fields.disconnected_at.map(Timestamp::from_millis),
        })
    }
}
