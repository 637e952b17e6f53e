//! The will: what is published in a client's name when it goes without saying so
//! (sections 3.1.2.5 of both versions, 3.1.3.2.2 of 5.0).

use std::sync::Arc;

use crate::persistence::{SessionKey, StoredWill};
use crate::{Message, MessageParts, Timestamp};

/// A client's will.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    /// What is published; without an expiry time, which counts from the publication.
    pub(crate) message: Arc<Message>,
    /// Seconds between the end of the connection and the publication.
    pub(crate) delay_secs: u32,
    pub(crate) expiry_interval_secs: Option<u32>,
    /// When it is published; [`Timestamp::MAX`] while its client is connected.
    pub(crate) due: Timestamp,
}

impl Will {
    /// The message as it is published at `now`.
    pub(crate) fn publish_at(&self, now: Timestamp) -> Arc<Message> {
        match self.expiry_interval_secs {
            None => Arc::clone(&self.message),
            Some(secs) => Message::new(MessageParts {
                expires: now.after_secs(secs),
                ..self.message.parts()
            }),
        }
    }

    /// What a store keeps of it.
    pub(crate) fn record(&self, session: &SessionKey, node: &Arc<str>) -> StoredWill {
        StoredWill {
            session: session.clone(),
            node: Arc::clone(node),
            message: Arc::clone(&self.message),
            delay_secs: self.delay_secs,
            expiry_interval_secs: self.expiry_interval_secs,
        }
    }
}

impl From<StoredWill> for Will {
    fn from(stored: StoredWill) -> Self {
        Self {
            message: stored.message,
            delay_secs: stored.delay_secs,
            expiry_interval_secs: stored.expiry_interval_secs,
            due: Timestamp::MAX,
        }
    }
}
