//! A store that several share is a store.

use std::sync::Arc;

use mqtt_codec::PacketId;
use topic_trie::TopicFilter;

use super::{
    Answer, Batch, Persistence, StoredOutgoing, StoredQueue, StoredSession, StoredSubscription,
    StoredWill,
};
use crate::Message;

impl<P: Persistence + ?Sized> Persistence for Arc<P> {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        (**self).commit(batch)
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        (**self).sessions(after, limit)
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        (**self).session(client)
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        (**self).subscriptions(client, after, limit)
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        (**self).outgoing(client, after, limit)
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        (**self).queue(client)
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        (**self).incoming(client)
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        (**self).retained(filter, after, limit)
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        (**self).wills(node, after, limit)
    }
    fn outlives_process(&self) -> bool {
        (**self).outlives_process()
    }
}
