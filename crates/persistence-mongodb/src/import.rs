//! What the Node.js mosca stored in MongoDB, brought into any store: once, or again.
//!
//! It kept `subscriptions` (`client`, `topic`, `qos`, `added`), `packets` (`client`, `packet`, `added`;
//! one copy for each subscription that matched) and `retained` (the packet itself).
//!
//! An import may be repeated, and goes on where it broke off. A session that it makes says when it was
//! last changed in the Node.js mosca, and is left alone as soon as it says something else: the client
//! has used it then. The place of a message in a queue follows from its document, so that it is the
//! same each time. A retained message that is there is not replaced.

mod documents;
mod expiry;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use broker_core::persistence::{
    Batch, Operation, Persistence, PersistenceError, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use bson::{RawDocumentBuf, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection, Cursor, Database};

use crate::ConnectError;
use crate::options::without_password;
use documents::{Packet, Subscription};

/// The incarnation of sessions that were imported: earlier than any that a broker makes.
const INCARNATION: u64 = 1;

/// Operations in one batch, and bytes of messages after which it ends.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// Copies of a message for one client lie close together.
const COPIES: usize = 256;

/// Where to import from.
#[derive(Clone)]
pub struct ImportOptions {
    /// The address of the Node.js mosca's MongoDB, as in [`MongoOptions::url`](crate::MongoOptions::url).
    /// A standalone server is fine here.
    pub url: String,
    /// Its database. Default: the one in `url`, or else `mosca`.
    pub database: Option<String>,
    /// Seconds that imported sessions outlive the import (the last one, if it is repeated) unless their
    /// clients come; `u32::MAX`, the default, for ever.
    pub session_expiry_secs: u32,
    /// Milliseconds for which a server is looked for. Default 5,000.
    pub connect_timeout_ms: u64,
}

impl ImportOptions {
    /// The defaults, for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: None,
            session_expiry_secs: u32::MAX,
            connect_timeout_ms: 5_000,
        }
    }
}

impl core::fmt::Debug for ImportOptions {
    /// The address without its user and password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ImportOptions")
            .field("url", &without_password(&self.url))
            .field("database", &self.database)
            .field("session_expiry_secs", &self.session_expiry_secs)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .finish()
    }
}

/// How much has been imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Sessions, made or completed.
    pub sessions: u64,
    /// Their subscriptions.
    pub subscriptions: u64,
    /// Messages that wait for them.
    pub messages: u64,
    /// Retained messages.
    pub retained: u64,
    /// Sessions that were there already and have been used: nothing was added to them.
    pub sessions_in_use: u64,
    /// Retained messages whose topics had one already.
    pub retained_in_use: u64,
    /// Second and further copies of one message for one client, and what was queued of `$SYS`.
    pub left_out: u64,
    /// Documents that could not be read; each was reported.
    pub unreadable: u64,
}

/// A document that was left out because it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The collection.
    pub collection: &'static str,
    /// Its `_id`, as text.
    pub id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why an import has ended before everything was imported. What has been imported is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The address is wrong, or nobody answers there.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The MongoDB that is imported from cannot be read.
    #[error("{url} cannot be read: {source}")]
    Source {
        /// The address, without user and password.
        url: String,
        /// What the driver says.
        source: Box<dyn core::error::Error + Send + Sync>,
    },
    /// The store that is imported into fails.
    #[error(transparent)]
    Target(#[from] PersistenceError),
}

/// What goes wrong in between.
enum Trouble {
    Source(mongodb::error::Error),
    Target(PersistenceError),
}

impl From<mongodb::error::Error> for Trouble {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Source(error)
    }
}

impl From<PersistenceError> for Trouble {
    fn from(error: PersistenceError) -> Self {
        Self::Target(error)
    }
}

/// Imports what the Node.js mosca stored, in bounded memory; `report` hears of each document that is
/// left out because it cannot be read. Nothing is changed where it is imported from.
///
/// No broker should work on either side meanwhile.
///
/// # Errors
/// When either side fails. It may then be repeated.
///
/// # Cancel safety
/// Dropping the future leaves what has been imported; it may be repeated.
pub async fn import_mosca(
    options: &ImportOptions,
    target: &dyn Persistence,
    report: impl FnMut(Unreadable) + Send,
) -> Result<Imported, ImportError> {
    let url = without_password(&options.url);
    let database = open(options, &url).await?;
    let mut import = Import {
        target,
        report,
        expires: expiry::after(options.session_expiry_secs),
        done: Imported::default(),
        batch: Batch::new(),
        bytes: 0,
    };
    let outcome = match import.sessions(&database).await {
        Ok(()) => import.retained(&database).await,
        Err(trouble) => Err(trouble),
    };
    match outcome {
        Ok(()) => Ok(import.done),
        Err(Trouble::Target(error)) => Err(error.into()),
        Err(Trouble::Source(error)) => Err(ImportError::Source {
            url,
            source: error.kind.to_string().into(),
        }),
    }
}

async fn open(options: &ImportOptions, url: &str) -> Result<Database, ConnectError> {
    let wrong = |error: mongodb::error::Error| ConnectError::Url {
        url: url.to_owned(),
        reason: error.kind.to_string(),
    };
    let mut parsed = ClientOptions::parse(&options.url).await.map_err(wrong)?;
    let timeout = Duration::from_millis(options.connect_timeout_ms.max(1));
    parsed.connect_timeout = Some(timeout);
    parsed.server_selection_timeout = Some(timeout);
    let named = options.database.clone();
    let name = named.or_else(|| parsed.default_database.clone());
    let client = Client::with_options(parsed).map_err(wrong)?;
    Ok(client.database(name.as_deref().unwrap_or("mosca")))
}

struct Import<'t, R> {
    target: &'t dyn Persistence,
    report: R,
    /// When sessions expire.
    expires: Timestamp,
    done: Imported,
    batch: Batch,
    bytes: usize,
}

/// Nothing is kept of a collection but the document that is looked at.
type Documents = Collection<RawDocumentBuf>;

impl<R: FnMut(Unreadable) + Send> Import<'_, R> {
    async fn sessions(&mut self, database: &Database) -> Result<(), Trouble> {
        let subscriptions: Documents = database.collection(documents::SUBSCRIPTIONS);
        let packets: Documents = database.collection(documents::PACKETS);
        let mut last: Option<String> = None;
        loop {
            // The clients come in the order of the indexes that the Node.js mosca made.
            let next_of = [
                next_client(&subscriptions, last.as_deref()).await?,
                next_client(&packets, last.as_deref()).await?,
            ];
            let Some(client) = next_of.into_iter().flatten().min() else {
                break;
            };
            self.session(&client, &subscriptions, &packets).await?;
            last = Some(client);
        }
        // Those without a client's name have not been looked at.
        let nameless = doc! { "client": { "$not": { "$type": "string" } } };
        for collection in [&subscriptions, &packets] {
            let mut cursor = collection.find(nameless.clone()).await?;
            while cursor.advance().await? {
                let name = documents::name_of(collection.name());
                self.unreadable(name, &cursor, "client is no string".to_owned());
            }
        }
        Ok(())
    }

    async fn session(
        &mut self,
        client: &str,
        subscriptions: &Documents,
        packets: &Documents,
    ) -> Result<(), Trouble> {
        let changed_at = last_change(client, [subscriptions, packets]).await?;
        let key = SessionKey {
            client: client.into(),
            incarnation: INCARNATION,
        };
        let session = StoredSession {
            session: key.clone(),
            expiry_interval_secs: expiry::interval(self.expires, changed_at),
            disconnected_at: Some(changed_at),
        };
        if client.is_empty() || client.len() > usize::from(u16::MAX) || client.contains('\0') {
            self.done.unreadable += 1;
            (self.report)(Unreadable {
                collection: documents::SUBSCRIPTIONS,
                id: format!("{client:?}"),
                reason: "this is no client identifier".to_owned(),
            });
            return Ok(());
        }
        let found = self.target.session(client).await?;
        if found.is_some_and(|found| {
            found.session != session.session || found.disconnected_at != session.disconnected_at
        }) {
            self.done.sessions_in_use += 1;
            return Ok(());
        }
        self.push(Operation::PutSession(session), 0).await?;
        self.subscriptions(&key, subscriptions).await?;
        self.packets(&key, packets).await?;
        self.flush().await?;
        self.done.sessions += 1;
        Ok(())
    }

    async fn subscriptions(
        &mut self,
        session: &SessionKey,
        collection: &Documents,
    ) -> Result<(), Trouble> {
        let mut cursor = collection.find(doc! { "client": &*session.client }).await?;
        while cursor.advance().await? {
            match Subscription::read(cursor.current()) {
                Ok(subscription) => {
                    let operation = Operation::PutSubscription {
                        session: session.clone(),
                        filter: subscription.filter,
                        options: SubscriptionOptions {
                            qos: subscription.qos,
                            no_local: false,
                            retain_as_published: false,
                            identifier: 0,
                        },
                    };
                    self.push(operation, 0).await?;
                    self.done.subscriptions += 1;
                }
                Err(reason) => self.unreadable(documents::SUBSCRIPTIONS, &cursor, reason),
            }
        }
        Ok(())
    }

    async fn packets(
        &mut self,
        session: &SessionKey,
        collection: &Documents,
    ) -> Result<(), Trouble> {
        let mut cursor = collection
            .find(doc! { "client": &*session.client })
            .sort(doc! { "added": 1, "_id": 1 })
            .allow_disk_use(true)
            .await?;
        let mut seen = VecDeque::new();
        while cursor.advance().await? {
            let packet = match Packet::read_queued(cursor.current()) {
                Ok(packet) => packet,
                Err(reason) => {
                    self.unreadable(documents::PACKETS, &cursor, reason);
                    continue;
                }
            };
            let is_copy = packet.id.as_ref().is_some_and(|id| seen.contains(id));
            if is_copy || packet.message.topic().starts_with("$SYS/") {
                self.done.left_out += 1;
                continue;
            }
            if seen.len() == COPIES {
                seen.pop_front();
            }
            seen.extend(packet.id);
            let bytes = packet.message.size_bytes();
            let operation = Operation::Enqueue {
                session: session.clone(),
                sequence: packet.sequence,
                qos: packet.message.qos(),
                message: packet.message,
                retain: false,
                subscription_ids: SubscriptionIds::None,
                shared: None,
                packet_id: None,
            };
            self.push(operation, bytes).await?;
            self.done.messages += 1;
        }
        Ok(())
    }

    /// Both sides come in the order of the topics' bytes, so one walk tells what is missing.
    async fn retained(&mut self, database: &Database) -> Result<(), Trouble> {
        let collection: Documents = database.collection(documents::RETAINED);
        let by_topic = doc! { "topic": 1 };
        let mut cursor = collection
            .find(doc! {})
            .sort(by_topic)
            .allow_disk_use(true)
            .await?;
        let mut there = There::new(self.target);
        while cursor.advance().await? {
            let message = match Packet::read_retained(cursor.current()) {
                Ok(message) => message,
                Err(reason) => {
                    self.unreadable(documents::RETAINED, &cursor, reason);
                    continue;
                }
            };
            if there.has(message.topic()).await? {
                self.done.retained_in_use += 1;
                continue;
            }
            let bytes = message.size_bytes();
            self.push(Operation::PutRetained { message }, bytes).await?;
            self.done.retained += 1;
        }
        self.flush().await
    }

    async fn push(&mut self, operation: Operation, bytes: usize) -> Result<(), Trouble> {
        self.batch.push(operation);
        self.bytes += bytes;
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Trouble> {
        self.bytes = 0;
        if !self.batch.is_empty() {
            self.target.commit(&mut self.batch).await?;
        }
        Ok(())
    }

    fn unreadable(
        &mut self,
        collection: &'static str,
        cursor: &Cursor<RawDocumentBuf>,
        reason: String,
    ) {
        self.done.unreadable += 1;
        (self.report)(Unreadable {
            collection,
            id: documents::id(cursor.current()),
            reason,
        });
    }
}

async fn next_client(
    collection: &Documents,
    after: Option<&str>,
) -> Result<Option<String>, mongodb::error::Error> {
    // Only strings are greater than a string.
    let filter = match after {
        Some(after) => doc! { "client": { "$gt": after } },
        None => doc! { "client": { "$gte": "" } },
    };
    let found = collection
        .find_one(filter)
        .sort(doc! { "client": 1 })
        .projection(doc! { "client": 1 })
        .await?;
    Ok(found.and_then(|found| found.get_str("client").ok().map(str::to_owned)))
}

/// When a session was changed last.
async fn last_change(
    client: &str,
    collections: [&Documents; 2],
) -> Result<Timestamp, mongodb::error::Error> {
    let mut last = Timestamp::default();
    for collection in collections {
        let found = collection
            .find_one(doc! { "client": client, "added": { "$type": "date" } })
            .sort(doc! { "added": -1 })
            .projection(doc! { "added": 1 })
            .await?;
        let added = found.and_then(|found| found.get_datetime("added").ok());
        let millis = added
            .map(|added| added.timestamp_millis())
            .unwrap_or_default();
        last = last.max(Timestamp::from_millis(
            u64::try_from(millis).unwrap_or_default(),
        ));
    }
    Ok(last)
}

/// Retained messages of the store that is imported into, page by page.
struct There<'t> {
    target: &'t dyn Persistence,
    page: VecDeque<Arc<Message>>,
    after: Option<String>,
    is_last: bool,
}

impl<'t> There<'t> {
    fn new(target: &'t dyn Persistence) -> Self {
        Self {
            target,
            page: VecDeque::new(),
            after: None,
            is_last: false,
        }
    }

    /// Whether there is one of this topic; topics are asked for in ascending order.
    async fn has(&mut self, topic: &str) -> Result<bool, PersistenceError> {
        loop {
            while let Some(message) = self.page.front() {
                if message.topic() >= topic {
                    return Ok(message.topic() == topic);
                }
                self.page.pop_front();
            }
            if self.is_last {
                return Ok(false);
            }
            // What lies in between has not to be looked at, but for the topic itself.
            let page = self.target.retained(None, self.after.as_deref(), BATCH);
            self.page = page.await?.into();
            self.after = self.page.back().map(|message| message.topic().to_owned());
            self.is_last = self.page.is_empty();
        }
    }
}
