//! Where messages are: in the document of their only user, in a document of their own that counts
//! its users, or, when they are too large for a document, in several.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use broker_core::{Message, Timestamp};
use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{Bson, DateTime, RawBinaryRef, RawDocumentBuf, doc, rawdoc};
use persistence_records::{decode_message, encode_message};

use crate::error::{Attempt, Failure};
use crate::row::{Row, signed};
use crate::schema::{CHUNKS, MESSAGES};
use crate::transaction::{Find, Order, Statements, Transaction, durable};

/// Bytes of a message above which it has documents of its own, whoever uses it, and of each of these.
/// A document may have 16 MiB, a transaction as much as the database's cache has room for.
pub(crate) const CHUNK_BYTES: usize = 8 << 20;

/// Milliseconds beyond which the database cannot say a date: the end of the year 9999.
const LATEST_DATE: u64 = 253_402_300_799_999;

/// Which message, for as long as the group that holds it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identity(usize);

impl Identity {
    pub(crate) fn of(message: &Arc<Message>) -> Self {
        Self(Arc::as_ptr(message).addr())
    }
}

/// Whether a message is stored apart from its users, even if it has just one.
pub(crate) fn is_large(message: &Message) -> bool {
    message.size_bytes() > CHUNK_BYTES
}

/// Bytes of a message as the broker counts them.
pub(crate) fn size(message: &Message) -> i64 {
    i64::try_from(message.size_bytes()).unwrap_or(i64::MAX)
}

/// The time at which the database may remove what has this message.
pub(crate) fn expiry_date(message: &Message) -> Option<DateTime> {
    let millis = message.expires().as_millis();
    if message.expires() == Timestamp::MAX || millis > LATEST_DATE {
        return None;
    }
    Some(DateTime::from_millis(signed(millis)))
}

pub(crate) fn binary(bytes: &[u8]) -> RawBinaryRef<'_> {
    RawBinaryRef {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

pub(crate) fn encode(message: &Message) -> Attempt<Vec<u8>> {
    encode_message(message).map_err(|error| Failure::Final(error.at("a message")))
}

/// Large messages of a group that have been written already, outside of the transaction that is
/// going to refer to them.
#[derive(Debug, Default)]
pub(crate) struct Uploads(BTreeMap<Identity, ObjectId>);

impl Uploads {
    pub(crate) fn get(&self, message: &Arc<Message>) -> Option<ObjectId> {
        self.0.get(&Identity::of(message)).copied()
    }

    /// All have to be written again: one of them has been cleaned away.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Writes a large message, chunk by chunk, unless that has been done. Nobody refers to it yet, and
    /// if nobody ever does it is removed after a while.
    pub(crate) async fn write(
        &mut self,
        database: &mongodb::Database,
        message: &Arc<Message>,
    ) -> Attempt<()> {
        let identity = Identity::of(message);
        if !is_large(message) || self.0.contains_key(&identity) {
            return Ok(());
        }
        let id = ObjectId::new();
        let record = encode(message)?;
        let count = record.len().div_ceil(CHUNK_BYTES);
        let head = rawdoc! {
            "_id": id,
            "refs": 0,
            "chunks": i32::try_from(count).unwrap_or(i32::MAX),
            "pending": DateTime::now(),
        };
        // First what tells how to clean up.
        let messages = database.collection::<RawDocumentBuf>(MESSAGES);
        messages.insert_one(head).write_concern(durable()).await?;
        let chunks = database.collection::<RawDocumentBuf>(CHUNKS);
        for (number, chunk) in (0_i32..).zip(record.chunks(CHUNK_BYTES)) {
            let mut part = rawdoc! { "_id": { "m": id, "n": number } };
            part.append(cstr!("data"), binary(chunk));
            chunks.insert_one(part).write_concern(durable()).await?;
        }
        self.0.insert(identity, id);
        Ok(())
    }
}

/// Where a document has its message, if it has one.
#[derive(Debug)]
pub(crate) struct Place<'g> {
    pub(crate) inline: Option<&'g Arc<Message>>,
    pub(crate) elsewhere: Option<ObjectId>,
    pub(crate) bytes: i64,
}

impl<'g> Place<'g> {
    /// With nobody else.
    pub(crate) fn inline(message: &'g Arc<Message>) -> Self {
        Self {
            inline: Some(message),
            elsewhere: None,
            bytes: size(message),
        }
    }

    /// Says so in the document.
    pub(crate) fn append_to(&self, document: &mut RawDocumentBuf) -> Attempt<()> {
        if let Some(message) = self.inline {
            document.append(cstr!("body"), binary(&encode(message)?));
        }
        if let Some(id) = self.elsewhere {
            document.append(cstr!("message"), id);
        }
        document.append(cstr!("bytes"), self.bytes);
        Ok(())
    }
}

/// Counts who uses the messages of a group, and who no longer uses those that are stored.
#[derive(Debug, Default)]
pub(crate) struct Uses<'g> {
    new: HashMap<Identity, Use<'g>>,
    released: BTreeMap<ObjectId, i32>,
}

#[derive(Debug)]
struct Use<'g> {
    message: &'g Arc<Message>,
    id: ObjectId,
    count: i32,
}

impl<'g> Uses<'g> {
    /// One more has this message.
    pub(crate) fn add(&mut self, message: &'g Arc<Message>, uploads: &Uploads) {
        let used = self
            .new
            .entry(Identity::of(message))
            .or_insert_with(|| Use {
                message,
                id: uploads.get(message).unwrap_or_default(),
                count: 0,
            });
        used.count += 1;
    }

    /// Where a message is that was added in all its uses.
    pub(crate) fn place(&self, message: &'g Arc<Message>) -> Place<'g> {
        match self.new.get(&Identity::of(message)) {
            Some(used) if used.is_apart() => Place {
                inline: None,
                elsewhere: Some(used.id),
                bytes: size(message),
            },
            _ => Place::inline(message),
        }
    }

    /// One that is stored has a user less.
    pub(crate) fn release(&mut self, id: Option<ObjectId>) {
        if let Some(id) = id {
            *self.released.entry(id).or_default() += 1;
        }
    }

    /// Writes all that it comes to.
    pub(crate) async fn write(self, transaction: &mut Transaction<'_>) -> Attempt<()> {
        let mut new = Statements::insert(MESSAGES);
        for used in self.new.values().filter(|used| used.is_apart()) {
            if is_large(used.message) {
                refer(transaction, used).await?;
                continue;
            }
            let mut document = rawdoc! { "_id": used.id, "refs": used.count };
            document.append(cstr!("body"), binary(&encode(used.message)?));
            new.push(&document);
        }
        transaction.write(new).await?;

        release(transaction, self.released).await
    }
}

impl Use<'_> {
    fn is_apart(&self) -> bool {
        self.count > 1 || is_large(self.message)
    }
}

/// Refers to a large message that has been written.
async fn refer(transaction: &mut Transaction<'_>, used: &Use<'_>) -> Attempt<()> {
    let mut statement = Statements::update(MESSAGES);
    statement.push_change(
        rawdoc! { "_id": used.id, "sweeping": { "$exists": false } },
        &rawdoc! { "$inc": { "refs": used.count }, "$unset": { "pending": 1 } },
    );
    match transaction.write(statement).await? {
        1 => Ok(()),
        // It took so long that it was cleaned away; another attempt writes it again.
        _ => Err(Failure::TimedOut),
    }
}

/// Messages have so many users less; those that have none any more go. One in chunks is left to be
/// cleaned.
pub(crate) async fn release(
    transaction: &mut Transaction<'_>,
    released: BTreeMap<ObjectId, i32>,
) -> Attempt<()> {
    if released.is_empty() {
        return Ok(());
    }
    let mut changed = Statements::update(MESSAGES);
    let unused = rawdoc! { "refs": { "$lte": 0 }, "chunks": { "$exists": false } };
    let mut gone = Statements::delete_if(MESSAGES, unused);
    for (id, count) in released {
        let change = rawdoc! { "$inc": { "refs": -count } };
        changed.push_change(rawdoc! { "_id": id }, &change);
        gone.push_removal(id);
    }
    transaction.write(changed).await?;
    transaction.write(gone).await?;
    Ok(())
}

/// The message of a document that has it inline.
pub(crate) fn inline(row: &Row<'_>) -> Attempt<Option<Arc<Message>>> {
    let Some(bytes) = row.maybe_bytes("body")? else {
        return Ok(None);
    };
    decode_message(bytes)
        .map(Some)
        .map_err(|error| row.damaged(error))
}

/// Messages that are in documents of their own; those that are gone are left out.
pub(crate) async fn fetch(
    transaction: &mut Transaction<'_>,
    ids: impl IntoIterator<Item = ObjectId> + Send,
) -> Attempt<HashMap<ObjectId, Arc<Message>>> {
    let mut found = HashMap::new();
    let mut in_chunks = Vec::new();
    let names = ids.into_iter().map(|id| (Bson::ObjectId(id), 12));
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Ok(found);
    }
    transaction
        .find_named(MESSAGES, names, doc! {}, |row| {
            let id = row.object_id("_id")?;
            match inline(&row)? {
                Some(message) => drop(found.insert(id, message)),
                None => in_chunks.push((id, row.small::<usize>("chunks")?)),
            }
            Ok(())
        })
        .await?;
    for (id, count) in in_chunks {
        found.insert(id, fetch_chunks(transaction, id, count).await?);
    }
    Ok(found)
}

async fn fetch_chunks(
    transaction: &mut Transaction<'_>,
    id: ObjectId,
    count: usize,
) -> Attempt<Arc<Message>> {
    let (mut record, mut chunks) = (Vec::new(), 0);
    let find = Find {
        collection: CHUNKS,
        filter: doc! { "_id": { "$gte": { "m": id, "n": 0 }, "$lte": { "m": id, "n": i32::MAX } } },
        projection: doc! {},
        order: Order::Ascending,
        limit: None,
    };
    transaction
        .find(find, |row| {
            record.extend_from_slice(row.maybe_bytes("data")?.unwrap_or_default());
            chunks += 1;
            Ok(true)
        })
        .await?;
    if chunks != count {
        return Err(Failure::damaged(format!(
            "message {id}: {chunks} of its {count} chunks are there"
        )));
    }
    decode_message(&record).map_err(|error| Failure::damaged(format!("message {id}: {error}")))
}
