//! Lookups: each is a transaction that writes nothing, so that all that it reads is of one moment.

use core::future::Future;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use broker_core::Message;
use broker_core::SubscriptionOptions;
use broker_core::persistence::{
    InflightStage, PersistenceError, SessionKey, StoredOutgoing, StoredQueue, StoredSession,
    StoredSubscription, StoredWill, SubscriptionIds,
};
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mqtt_codec::PacketId;
use tokio::time::{sleep, timeout};

use crate::bodies;
use crate::error::{Attempt, Failure};
use crate::inner::{Inner, backoff};
use crate::load::session_row;
use crate::row::{Row, from_ordered, ordered, unsigned};
use crate::schema::{INCOMING, OUTGOING, QUEUES, SESSIONS, SUBSCRIPTIONS, WILLS};
use crate::transaction::{Find, Order, Transaction};

/// Entries of one page at most that are asked for at a time.
pub(crate) const LARGEST_PAGE: usize = 100_000;

/// A question to the store.
pub(crate) trait Lookup: Send + Sync + 'static {
    type Answer: Send + 'static;

    fn read(
        &self,
        inner: &Inner,
        transaction: &mut Transaction<'_>,
    ) -> impl Future<Output = Attempt<Self::Answer>> + Send;
}

/// Asks until there is an answer, or patience is at its end.
pub(crate) async fn ask<L: Lookup>(
    inner: Arc<Inner>,
    lookup: L,
) -> Result<L::Answer, PersistenceError> {
    let start = Instant::now();
    let patience = Duration::from_millis(inner.options.unavailable_timeout_ms);
    let mut backoff = backoff();
    loop {
        let attempt = timeout(inner.attempt_timeout(), attempt(&inner, &lookup)).await;
        let failure = match attempt.unwrap_or(Err(Failure::TimedOut)) {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if !failure.is_passing() || start.elapsed() >= patience {
            return Err(failure.into_error("reading"));
        }
        sleep(backoff.pause()).await;
    }
}

async fn attempt<L: Lookup>(inner: &Inner, lookup: &L) -> Attempt<L::Answer> {
    let mut session = inner.session().await?;
    let mut transaction = Transaction::begin(&mut session, &inner.database).await?;
    let answer = lookup.read(inner, &mut transaction).await?;
    // Only now it is known that what was read cannot be undone by an election.
    session.commit_transaction().await?;
    inner.note(&session);
    Ok(answer)
}

/// The condition on names behind `after`.
fn behind(after: Option<&str>) -> Document {
    match after {
        Some(after) => doc! { "_id": { "$gt": after } },
        None => Document::new(),
    }
}

pub(crate) struct Sessions {
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

impl Lookup for Sessions {
    type Answer = Vec<StoredSession>;

    async fn read(&self, _: &Inner, transaction: &mut Transaction<'_>) -> Attempt<Self::Answer> {
        let mut page = Vec::new();
        let find = Find {
            collection: SESSIONS,
            filter: behind(self.after.as_deref()),
            projection: doc! {},
            order: Order::Ascending,
            limit: Some(self.limit.min(LARGEST_PAGE)),
        };
        transaction
            .find(find, |row| {
                page.push(stored_session(&row)?);
                Ok(true)
            })
            .await?;
        Ok(page)
    }
}

fn stored_session(row: &Row<'_>) -> Attempt<StoredSession> {
    let known = session_row(row)?;
    Ok(StoredSession {
        session: SessionKey {
            client: row.text("_id")?.into(),
            incarnation: known.incarnation,
        },
        expiry_interval_secs: known.expiry_interval_secs,
        disconnected_at: known.disconnected_at,
    })
}

pub(crate) struct Session {
    pub(crate) client: String,
}

impl Lookup for Session {
    type Answer = Option<StoredSession>;

    async fn read(&self, _: &Inner, transaction: &mut Transaction<'_>) -> Attempt<Self::Answer> {
        let mut found = None;
        transaction
            .find(one(SESSIONS, &self.client, doc! {}), |row| {
                found = Some(stored_session(&row)?);
                Ok(true)
            })
            .await?;
        Ok(found)
    }
}

fn one(collection: &'static str, name: &str, projection: Document) -> Find {
    Find {
        collection,
        filter: doc! { "_id": name },
        projection,
        order: Order::Any,
        limit: Some(1),
    }
}

/// Where the contents of a client's session are.
async fn contents(transaction: &mut Transaction<'_>, client: &str) -> Attempt<Option<ObjectId>> {
    let mut found = None;
    transaction
        .find(one(SESSIONS, client, doc! { "contents": 1 }), |row| {
            found = Some(row.object_id("contents")?);
            Ok(true)
        })
        .await?;
    Ok(found)
}

pub(crate) struct Subscriptions {
    pub(crate) client: String,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

impl Lookup for Subscriptions {
    type Answer = Vec<StoredSubscription>;

    async fn read(&self, _: &Inner, transaction: &mut Transaction<'_>) -> Attempt<Self::Answer> {
        let mut page = Vec::new();
        let Some(contents) = contents(transaction, &self.client).await? else {
            return Ok(page);
        };
        let from = match &self.after {
            Some(after) => doc! { "$gt": { "s": contents, "f": after } },
            None => doc! { "$gte": { "s": contents, "f": "" } },
        };
        let find = Find {
            collection: SUBSCRIPTIONS,
            filter: within(from, doc! { "s": contents, "f": Bson::MaxKey }),
            projection: doc! {},
            order: Order::Ascending,
            limit: Some(self.limit.min(LARGEST_PAGE)),
        };
        transaction
            .find(find, |row| {
                page.push(StoredSubscription {
                    filter: row.id()?.text("f")?.into(),
                    options: SubscriptionOptions {
                        qos: row.qos()?,
                        no_local: row.flag("no_local")?,
                        retain_as_published: row.flag("retain_as_published")?,
                        identifier: row.small("identifier")?,
                    },
                });
                Ok(true)
            })
            .await?;
        Ok(page)
    }
}

fn within(mut from: Document, to: Document) -> Document {
    from.insert("$lte", to);
    doc! { "_id": from }
}

pub(crate) struct Outgoing {
    pub(crate) client: String,
    pub(crate) after: Option<u64>,
    pub(crate) limit: usize,
}

/// A message in a queue whose body may still have to be fetched.
struct Entry {
    outgoing: StoredOutgoing,
    elsewhere: Option<ObjectId>,
}

impl Lookup for Outgoing {
    type Answer = Vec<StoredOutgoing>;

    async fn read(
        &self,
        inner: &Inner,
        transaction: &mut Transaction<'_>,
    ) -> Attempt<Self::Answer> {
        let Some(contents) = contents(transaction, &self.client).await? else {
            return Ok(Vec::new());
        };
        let from = match self.after {
            Some(after) => doc! { "$gt": { "s": contents, "n": ordered(after) } },
            None => doc! { "$gte": { "s": contents, "n": i64::MIN } },
        };
        let find = Find {
            collection: OUTGOING,
            filter: within(from, doc! { "s": contents, "n": i64::MAX }),
            projection: doc! {},
            order: Order::Ascending,
            limit: Some(self.limit.min(LARGEST_PAGE)),
        };
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        // A message that many entries of the page share is there once.
        let mut elsewhere = BTreeSet::new();
        transaction
            .find(find, |row| {
                let entry = entry(&row)?;
                let is_there = entry.elsewhere.is_some_and(|id| elsewhere.contains(&id));
                if !is_there && row.has("bytes")? {
                    bytes = bytes.saturating_add(row.small("bytes")?);
                }
                let fits = is_there || entries.is_empty() || bytes <= inner.options.page_bytes;
                if fits {
                    elsewhere.extend(entry.elsewhere);
                    entries.push(entry);
                }
                Ok(fits)
            })
            .await?;
        let bodies = bodies::fetch(transaction, elsewhere).await?;
        entries
            .into_iter()
            .map(|entry| entry.with_body(&bodies))
            .collect()
    }
}

impl Entry {
    fn with_body(mut self, bodies: &HashMap<ObjectId, Arc<Message>>) -> Attempt<StoredOutgoing> {
        if self.elsewhere.is_some() {
            self.outgoing.message = Some(one_of((None, self.elsewhere), bodies)?);
        }
        Ok(self.outgoing)
    }
}

fn entry(row: &Row<'_>) -> Attempt<Entry> {
    let ids = row.numbers("subscription_ids")?;
    let stage = if row.flag("released")? {
        InflightStage::Released
    } else {
        InflightStage::Published
    };
    let inflight = match row.has("packet_id")? {
        true => Some((row.packet_id("packet_id")?, stage)),
        false => None,
    };
    Ok(Entry {
        outgoing: StoredOutgoing {
            sequence: from_ordered(row.id()?.int("n")?),
            message: bodies::inline(row)?,
            qos: row.qos()?,
            retain: row.flag("retain")?,
            subscription_ids: SubscriptionIds::from(ids),
            shared: row.maybe_text("shared")?.map(Arc::from),
            inflight,
        },
        elsewhere: row.maybe_object_id("message")?,
    })
}

pub(crate) struct Queue {
    pub(crate) client: String,
}

impl Lookup for Queue {
    type Answer = StoredQueue;

    async fn read(&self, _: &Inner, transaction: &mut Transaction<'_>) -> Attempt<Self::Answer> {
        let mut queue = StoredQueue::default();
        let Some(contents) = contents(transaction, &self.client).await? else {
            return Ok(queue);
        };
        let counters = Find {
            collection: QUEUES,
            filter: doc! { "_id": contents },
            projection: doc! {},
            order: Order::Any,
            limit: Some(1),
        };
        transaction
            .find(counters, |row| {
                queue.messages = row.small("messages")?;
                queue.bytes = row.small("bytes")?;
                Ok(true)
            })
            .await?;
        if queue.messages == 0 {
            return Ok(queue);
        }
        let from = doc! { "$gte": { "s": contents, "n": i64::MIN } };
        let last = Find {
            collection: OUTGOING,
            filter: within(from, doc! { "s": contents, "n": i64::MAX }),
            projection: doc! { "_id": 1 },
            order: Order::Descending,
            limit: Some(1),
        };
        transaction
            .find(last, |row| {
                queue.last = Some(from_ordered(row.id()?.int("n")?));
                Ok(true)
            })
            .await?;
        Ok(queue)
    }
}

pub(crate) struct Incoming {
    pub(crate) client: String,
}

impl Lookup for Incoming {
    type Answer = Vec<PacketId>;

    async fn read(&self, _: &Inner, transaction: &mut Transaction<'_>) -> Attempt<Self::Answer> {
        let mut ids = Vec::new();
        let Some(contents) = contents(transaction, &self.client).await? else {
            return Ok(ids);
        };
        let from = doc! { "$gte": { "s": contents, "p": 0 } };
        let find = Find {
            collection: INCOMING,
            filter: within(from, doc! { "s": contents, "p": i32::MAX }),
            projection: doc! {},
            order: Order::Ascending,
            limit: None,
        };
        transaction
            .find(find, |row| {
                ids.push(row.id()?.packet_id("p")?);
                Ok(true)
            })
            .await?;
        Ok(ids)
    }
}

/// The message that is inline, or is elsewhere and does not go by itself.
pub(crate) fn one_of(
    place: (Option<Arc<Message>>, Option<ObjectId>),
    bodies: &HashMap<ObjectId, Arc<Message>>,
) -> Attempt<Arc<Message>> {
    let found = match place {
        (Some(message), _) => Some(message),
        (None, Some(id)) => bodies.get(&id).map(Arc::clone),
        (None, None) => None,
    };
    found.ok_or_else(|| Failure::damaged(format!("message {:?} is missing", place_id(&place.1))))
}

fn place_id(id: &Option<ObjectId>) -> String {
    id.map(|id| id.to_hex()).unwrap_or_default()
}

pub(crate) struct Wills {
    pub(crate) node: String,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

impl Lookup for Wills {
    type Answer = Vec<StoredWill>;

    async fn read(
        &self,
        inner: &Inner,
        transaction: &mut Transaction<'_>,
    ) -> Attempt<Self::Answer> {
        let mut filter = behind(self.after.as_deref());
        filter.insert("node", &self.node);
        let find = Find {
            collection: WILLS,
            filter,
            projection: doc! {},
            order: Order::Ascending,
            limit: Some(self.limit.min(LARGEST_PAGE)),
        };
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        transaction
            .find(find, |row| {
                let place = (bodies::inline(&row)?, row.maybe_object_id("message")?);
                bytes = bytes.saturating_add(match &place {
                    (Some(message), _) => message.size_bytes(),
                    (None, _) => row.small("bytes")?,
                });
                let fits = found.is_empty() || bytes <= inner.options.page_bytes;
                if fits {
                    found.push((will(&row)?, place));
                }
                Ok(fits)
            })
            .await?;
        let elsewhere: Vec<ObjectId> = found.iter().filter_map(|(_, place)| place.1).collect();
        let bodies = bodies::fetch(transaction, elsewhere).await?;
        found
            .into_iter()
            .map(|(will, place)| Ok(will(one_of(place, &bodies)?)))
            .collect()
    }
}

/// A will that waits for its message.
fn will(row: &Row<'_>) -> Attempt<impl FnOnce(Arc<Message>) -> StoredWill + use<>> {
    let session = SessionKey {
        client: row.text("_id")?.into(),
        incarnation: unsigned(row.int("incarnation")?),
    };
    let node: Arc<str> = row.text("node")?.into();
    let delay_secs = row.small("delay_secs")?;
    let expiry_interval_secs = match row.has("expiry_interval_secs")? {
        true => Some(row.small("expiry_interval_secs")?),
        false => None,
    };
    Ok(move |message| StoredWill {
        session,
        node,
        message,
        delay_secs,
        expiry_interval_secs,
    })
}
