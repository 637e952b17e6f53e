//! Lookups: pages of what is stored, as the store's callers know it.

use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{
    ClientId, SessionKey, StoredOutgoing, StoredQueue, StoredSession, StoredSubscription,
    StoredWill,
};
use mqtt_codec::PacketId;
use topic_trie::{Cursor, Progress, TopicFilter};

use crate::queue::Queued;
use crate::small_map::behind;
use crate::state::{Session, State};

/// Retained messages looked at between two looks at how full the page is.
const STEP: usize = 256;

impl State {
    pub(crate) fn session_page(&self, after: Option<&str>, limit: usize) -> Vec<StoredSession> {
        let clients = self.clients.range::<str, _>(behind(after)).take(limit);
        clients
            .filter_map(|client| {
                self.sessions
                    .get(client)
                    .map(|session| session.stored(client))
            })
            .collect()
    }

    pub(crate) fn stored_session(&self, client: &str) -> Option<StoredSession> {
        self.sessions
            .get_key_value(client)
            .map(|(client, session)| session.stored(client))
    }

    pub(crate) fn subscription_page(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<StoredSubscription> {
        let Some(session) = self.sessions.get(client) else {
            return Vec::new();
        };
        let page = session.subscriptions.iter_after(after).take(limit);
        page.map(|(filter, options)| StoredSubscription {
            filter: filter.clone(),
            options: *options,
        })
        .collect()
    }

    pub(crate) fn outgoing_page(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Vec<StoredOutgoing> {
        let Some(session) = self.sessions.get(client) else {
            return Vec::new();
        };
        let page = session.queue.iter_after(after).take(limit);
        page.map(|(sequence, queued)| queued.stored(sequence))
            .collect()
    }

    /// Counted when it is asked for: a broker that keeps this store has the messages anyway.
    pub(crate) fn queue_size(&self, client: &str) -> StoredQueue {
        let Some(session) = self.sessions.get(client) else {
            return StoredQueue::default();
        };
        let bytes = session
            .messages()
            .map(|message| message.size_bytes() as u64);
        StoredQueue {
            messages: session.queue.len() as u64,
            bytes: bytes.sum(),
            last: session.queue.last(),
        }
    }

    pub(crate) fn incoming(&self, client: &str) -> Vec<PacketId> {
        let session = self.sessions.get(client);
        session.map_or_else(Vec::new, |session| {
            session.incoming.iter().copied().collect()
        })
    }

    pub(crate) fn will_page(
        &self,
        node: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<StoredWill> {
        self.wills.page(node, after, limit)
    }

    pub(crate) fn retained_page(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        let Some(filter) = filter else {
            return self.all_retained(after, limit);
        };
        let mut found = Vec::new();
        if let Some(topic) = filter.as_name() {
            let is_behind = after.is_none_or(|after| topic.as_str() > after);
            let message = self.retained.get(topic).filter(|_| is_behind && limit > 0);
            found.extend(message.cloned());
            return found;
        }
        let mut cursor = after.map_or_else(Cursor::new, Cursor::after);
        while found.len() < limit {
            let progress = self
                .retained
                .matches_from(filter, &mut cursor, STEP, |message| {
                    if found.len() < limit {
                        found.push(Arc::clone(message));
                    }
                });
            if progress == Progress::Done {
                break;
            }
        }
        found
    }

    fn all_retained(&self, after: Option<&str>, limit: usize) -> Vec<Arc<Message>> {
        let page = self
            .retained
            .iter_after(after.unwrap_or_default())
            .take(limit);
        page.cloned().collect()
    }
}

impl Session {
    fn stored(&self, client: &ClientId) -> StoredSession {
        StoredSession {
            session: SessionKey {
                client: Arc::clone(client),
                incarnation: self.incarnation,
            },
            expiry_interval_secs: self.expiry_interval_secs,
            disconnected_at: self.disconnected_at,
        }
    }
}

impl Queued {
    fn stored(&self, sequence: u64) -> StoredOutgoing {
        let extra = self.extra.as_deref().cloned().unwrap_or_default();
        StoredOutgoing {
            sequence,
            message: self.message.clone(),
            qos: self.qos,
            retain: self.retain,
            subscription_ids: extra.subscription_ids,
            shared: extra.shared,
            inflight: self.inflight,
        }
    }
}
