//! Sessions and retained messages on their way into a store. One whose import was cut off is known by that, and begun
//! again.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use broker_core::persistence::{
    Operation, PersistenceError, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use mqtt_codec::QoS;
use topic_trie::{TopicFilter, TopicFilterBuf, TopicName};

use super::{Filler, ImportProgress};

/// Sessions of the broker have later ones.
const INCARNATION: u64 = 1;
/// The end of the connection of a session whose import is not complete.
const INCOMPLETE: Timestamp = Timestamp::from_millis(1);

/// A session that is being imported; see [`Filler::begin_session`].
#[derive(Debug)]
pub struct ImportedSession {
    key: SessionKey,
    expiry_interval_secs: u32,
    /// What it has subscribed to, at which quality of service.
    granted: Vec<(TopicFilterBuf, QoS)>,
    /// The number of the last message in its queue.
    sequence: u64,
}

impl ImportedSession {
    fn stored(&self, disconnected_at: Timestamp) -> Operation {
        Operation::PutSession(StoredSession {
            session: self.key.clone(),
            expiry_interval_secs: self.expiry_interval_secs,
            disconnected_at: Some(disconnected_at),
        })
    }

    /// At which quality of service a queued message is delivered: at most at what was granted, which mosca does not look
    /// at. What was queued for a subscription that is gone keeps its own.
    fn qos_of(&self, message: &Message) -> QoS {
        let Ok(topic) = TopicName::new(message.topic()) else {
            return QoS::AtMostOnce;
        };
        let granted = self.granted.iter();
        let matching = granted.filter(|(filter, _)| filter.as_filter().matches(topic));
        let best = matching.map(|(_, qos)| *qos).max();
        best.map_or(message.qos(), |best| best.min(message.qos()))
    }
}

impl<P: FnMut(ImportProgress) + Send> Filler<'_, P> {
    /// Begins the session of a client, which expires `expiry_interval_secs` seconds after its [end](Self::end_session) here
    /// (`u32::MAX`: never). `None` if the store has it already; it is counted as such and stays as it is.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    ///
    /// # Cancel safety
    /// As that of [`push`](Self::push), here and below.
    pub async fn begin_session(
        &mut self,
        client: &str,
        expiry_interval_secs: u32,
    ) -> Result<Option<ImportedSession>, PersistenceError> {
        if let Some(present) = self.store.session(client).await? {
            if present.disconnected_at != Some(INCOMPLETE) {
                self.imported.present += 1;
                return Ok(None);
            }
            let session = present.session;
            self.push(Operation::DropSession { session }).await?;
        }
        let begun = ImportedSession {
            key: SessionKey {
                client: client.into(),
                incarnation: INCARNATION,
            },
            expiry_interval_secs,
            granted: Vec::new(),
            sequence: 0,
        };
        self.push(begun.stored(INCOMPLETE)).await?;
        Ok(Some(begun))
    }

    /// Adds a subscription to a session. One that is none is left out, and told under the key of the session; `None` is a
    /// quality of service that is none.
    ///
    /// # Errors
    /// If the store cannot be written to.
    pub async fn subscribe(
        &mut self,
        session: &mut ImportedSession,
        key: &str,
        filter: &str,
        qos: Option<QoS>,
    ) -> Result<(), PersistenceError> {
        let qos = match (TopicFilter::new(filter), qos) {
            (Ok(valid), Some(qos)) => {
                session.granted.push((valid.to_buf(), qos));
                qos
            }
            (Ok(_), None) => {
                self.skip(format!("{key} {filter}"), "its QoS is neither 0, 1 nor 2");
                return Ok(());
            }
            (Err(error), _) => {
                self.skip(format!("{key} {filter}"), error);
                return Ok(());
            }
        };
        self.imported.subscriptions += 1;
        self.push(Operation::PutSubscription {
            session: session.key.clone(),
            filter: filter.into(),
            options: SubscriptionOptions {
                qos,
                no_local: false,
                retain_as_published: false,
                identifier: 0,
            },
        })
        .await
    }

    /// Adds a message to the queue of a session, behind those that are there. False if it is one at QoS 0, which does not
    /// wait.
    ///
    /// # Errors
    /// If the store cannot be written to.
    pub async fn enqueue(
        &mut self,
        session: &mut ImportedSession,
        message: Arc<Message>,
    ) -> Result<bool, PersistenceError> {
        let qos = session.qos_of(&message);
        if qos == QoS::AtMostOnce {
            return Ok(false);
        }
        session.sequence += 1;
        self.imported.messages += 1;
        self.push(Operation::Enqueue {
            session: session.key.clone(),
            sequence: session.sequence,
            qos,
            message,
            retain: false,
            subscription_ids: SubscriptionIds::None,
            shared: None,
            packet_id: None,
        })
        .await?;
        Ok(true)
    }

    /// The session is whole, as if its connection had ended now.
    ///
    /// # Errors
    /// If the store cannot be written to.
    pub async fn end_session(&mut self, session: ImportedSession) -> Result<(), PersistenceError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or_default();
        self.imported.sessions += 1;
        self.push(session.stored(Timestamp::from_millis(millis)))
            .await?;
        self.flush().await
    }

    /// Adds a retained message, unless the store has one of its topic, which is counted as such and stays.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn retain(&mut self, message: Arc<Message>) -> Result<(), PersistenceError> {
        let Ok(filter) = TopicFilter::new(message.topic()) else {
            return Ok(());
        };
        let present = self.store.retained(Some(filter), None, 1).await?;
        if !present.is_empty() {
            self.imported.present += 1;
            return Ok(());
        }
        self.imported.retained += 1;
        self.push(Operation::PutRetained { message }).await
    }
}
