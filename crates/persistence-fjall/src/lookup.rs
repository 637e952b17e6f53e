//! Lookups. Each sees the store at one moment, whatever is written meanwhile.

use std::ops::Bound;
use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{
    StoredOutgoing, StoredQueue, StoredSession, StoredSubscription, StoredWill,
};
use fjall::{Keyspace, Readable, Snapshot};
use mqtt_codec::PacketId;
use persistence_records::{
    OutgoingRecord, SessionRecord, decode_message, decode_subscription, decode_will,
};

use crate::changes::number;
use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::{self, Content, INCOMING, OUTGOING, QUEUE, SUBSCRIPTION};
use crate::queue_size::QueueSize;
use crate::subscriptions;

/// A page ends behind this many bytes of messages, however few they are.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// What is behind a name, in the order of bytes.
pub(crate) fn behind(after: Option<&str>) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let first = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_bytes()));
    (first, Bound::Unbounded)
}

/// What is behind `after`, and begins with `prefix`, which does not end with the largest byte.
fn behind_within(prefix: &[u8], after: Option<Vec<u8>>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let first = after.map_or_else(|| Bound::Included(prefix.to_vec()), Bound::Excluded);
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    (first, Bound::Excluded(end))
}

/// What is in a queue behind `after`; nothing is in it before `first`.
fn outgoing_from(session: u64, after: Option<u64>, first: u64) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let prefix = keys::kind(session, OUTGOING);
    let after = after.filter(|after| *after >= first);
    let (begin, end) = behind_within(&prefix, after.map(|after| keys::outgoing(session, after)));
    match after {
        Some(_) => (begin, end),
        None => (Bound::Included(keys::outgoing(session, first)), end),
    }
}

pub(crate) fn text<'k>(what: &str, key: &'k [u8]) -> Result<&'k str, Failure> {
    core::str::from_utf8(key).map_err(|error| damaged(format!("the name of {what}"), error))
}

/// One lookup: the engine as it is at this moment.
pub(crate) struct Lookup<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) at: Snapshot,
}

impl<'e> Lookup<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            at: engine.database.snapshot(),
        }
    }

    pub(crate) fn sessions(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredSession>, Failure> {
        let range = self
            .at
            .range::<&[u8], _>(&self.engine.sessions, behind(after));
        let page = range.take(limit).map(|entry| {
            let (key, value) = entry.into_inner()?;
            let client = text("a session", &key)?;
            let record = SessionRecord::decode(&value);
            let record = record.map_err(|error| damaged(format!("session {client:?}"), error))?;
            Ok(record.into_stored(client.into()))
        });
        page.collect()
    }

    fn record(&self, client: &str) -> Result<Option<SessionRecord>, Failure> {
        let Some(value) = self.get(&self.engine.sessions, client.as_bytes())? else {
            return Ok(None);
        };
        let record = SessionRecord::decode(&value);
        let record = record.map_err(|error| damaged(format!("session {client:?}"), error))?;
        Ok(Some(record))
    }

    pub(crate) fn session(&self, client: &str) -> Result<Option<StoredSession>, Failure> {
        let record = self.record(client)?;
        Ok(record.map(|record| record.into_stored(client.into())))
    }

    /// A key that is longer than any is not there.
    pub(crate) fn get(
        &self,
        part: &Keyspace,
        key: &[u8],
    ) -> Result<Option<fjall::UserValue>, Failure> {
        if key.is_empty() || key.len() > usize::from(u16::MAX) {
            return Ok(None);
        }
        Ok(self.at.get(part, key)?)
    }

    pub(crate) fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredSubscription>, Failure> {
        let mut page = Vec::new();
        let Some(session) = self.record(client)? else {
            return Ok(page);
        };
        let prefix = keys::kind(session.number, SUBSCRIPTION);
        let (mut first, end) = behind_within(
            &prefix,
            after.map(|after| keys::subscription(session.number, after.as_bytes())),
        );
        // What is behind a long filter may have the same key.
        if let (Some(_), Bound::Excluded(key)) = (after.and_then(subscriptions::rest), &first) {
            first = Bound::Included(key.clone());
        }
        for entry in self.at.range(&self.engine.contents, (first, end)) {
            if page.len() >= limit {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let filter = key.get(prefix.len()..).unwrap_or_default();
            for (filter, options) in expand(filter, &value)? {
                let filter = text("a subscription", &filter)?;
                let wanted = after.is_none_or(|after| filter.as_bytes() > after.as_bytes());
                if wanted && page.len() < limit {
                    let filter = filter.into();
                    page.push(StoredSubscription { filter, options });
                }
            }
        }
        Ok(page)
    }

    pub(crate) fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredOutgoing>, Failure> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        let Some(session) = self.record(client)? else {
            return Ok(page);
        };
        let Some(size) = self.size(session.number)? else {
            return Ok(page);
        };
        let range = outgoing_from(session.number, after, size.first);
        for entry in self.at.range(&self.engine.contents, range) {
            if page.len() >= limit || bytes >= PAGE_BYTES {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let name = || format!("a message in the queue of {client:?}");
            let Ok((_, Content::Outgoing(sequence))) = keys::read_contents(&key) else {
                return Err(damaged(name(), "its key is none"));
            };
            let record = OutgoingRecord::decode(&value).map_err(|error| damaged(name(), error))?;
            let message = match record.message {
                None => None,
                Some(id) => Some(self.message(number(id)?)?),
            };
            bytes += message.as_ref().map_or(0, |message| message.size_bytes());
            page.push(record.into_stored(sequence, message));
        }
        Ok(page)
    }

    pub(crate) fn queue(&self, client: &str) -> Result<StoredQueue, Failure> {
        let Some(session) = self.record(client)? else {
            return Ok(StoredQueue::default());
        };
        let Some(size) = self.size(session.number)? else {
            return Ok(StoredQueue::default());
        };
        let range = outgoing_from(session.number, None, size.first);
        let mut entries = self.at.range(&self.engine.contents, range);
        let last = match entries.next_back() {
            Some(entry) => match keys::read_contents(&entry.key()?) {
                Ok((_, Content::Outgoing(sequence))) => Some(sequence),
                _ => {
                    return Err(damaged(
                        format!("the queue of {client:?}"),
                        "its key is none",
                    ));
                }
            },
            None => None,
        };
        Ok(size.into_stored(last))
    }

    /// How much is in a queue; `None` if nothing is.
    fn size(&self, session: u64) -> Result<Option<QueueSize>, Failure> {
        let record = self.get(&self.engine.contents, &keys::kind(session, QUEUE))?;
        let size = record
            .map(|record| QueueSize::decode(session, &record))
            .transpose()?;
        Ok(size.filter(|size| size.messages > 0))
    }

    pub(crate) fn message(&self, number: u64) -> Result<Arc<Message>, Failure> {
        let name = || format!("message {number}");
        let value = self.get(&self.engine.messages, &number.to_be_bytes())?;
        let value = value.ok_or_else(|| damaged(name(), "it is queued and not there"))?;
        decode_message(&value).map_err(|error| damaged(name(), error))
    }

    pub(crate) fn incoming(&self, client: &str) -> Result<Vec<PacketId>, Failure> {
        let Some(session) = self.record(client)? else {
            return Ok(Vec::new());
        };
        let prefix = keys::kind(session.number, INCOMING);
        let page = self.at.prefix(&self.engine.contents, prefix).map(|entry| {
            let key = entry.key()?;
            match keys::read_contents(&key) {
                Ok((_, Content::Incoming(packet_id))) => Ok(packet_id),
                _ => Err(damaged(
                    format!("a packet identifier of {client:?}"),
                    "its key is none",
                )),
            }
        });
        page.collect()
    }

    pub(crate) fn wills(
        &self,
        node: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredWill>, Failure> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in self.at.range::<&[u8], _>(&self.engine.wills, behind(after)) {
            if page.len() >= limit || bytes >= PAGE_BYTES {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let client = text("a will", &key)?;
            let will = decode_will(client.into(), &value);
            let will = will.map_err(|error| damaged(format!("the will of {client:?}"), error))?;
            // One process has this store, and so one node, as good as always.
            if *will.node == *node {
                bytes += will.message.size_bytes();
                page.push(will);
            }
        }
        Ok(page)
    }

    /// Whether there is something left of sessions that were dropped.
    pub(crate) fn has_remains(&self) -> Result<bool, Failure> {
        let mut noted = self.at.prefix(&self.engine.meta, [keys::DROPPED]);
        Ok(noted.next().map(fjall::Guard::key).transpose()?.is_some())
    }

    /// Bytes of all messages that wait in queues, those that are shared once.
    pub(crate) fn message_bytes(&self) -> Result<u64, Failure> {
        let mut bytes = 0;
        for entry in self.at.iter(&self.engine.messages) {
            bytes += u64::from(entry.size()?);
        }
        Ok(bytes)
    }
}

type Expanded = Vec<(Vec<u8>, broker_core::SubscriptionOptions)>;

/// The subscriptions of one record: one, or all that share a long beginning.
pub(crate) fn expand(filter: &[u8], value: &[u8]) -> Result<Expanded, Failure> {
    if filter.len() < keys::MAX_FILTER_BYTES {
        let options = decode_subscription(value).map_err(|error| {
            let name = String::from_utf8_lossy(filter);
            damaged(format!("the subscription to {name:?}"), error)
        })?;
        return Ok(vec![(filter.to_vec(), options)]);
    }
    let shared = subscriptions::decode(value)?;
    let whole = |(rest, options): (Vec<u8>, _)| ([filter, &*rest].concat(), options);
    Ok(shared.into_iter().map(whole).collect())
}
