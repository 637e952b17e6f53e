//! Removes in the background, in steps of bounded size, what nobody can find any more: contents of
//! sessions that have ended, large messages without users; and messages in queues that expired long
//! ago. What one process leaves undone another one does.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use broker_core::Escaped;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc, rawdoc};
use tokio::time::{sleep, timeout};

use crate::bodies;
use crate::changes::push_growth;
use crate::error::{Attempt, Failure};
use crate::inner::{Inner, backoff};
use crate::schema::{
    CHUNKS, DROPPED, EXPIRY_GRACE_SECS, INCOMING, MESSAGES, OUTGOING, QUEUES, SUBSCRIPTIONS,
};
use crate::transaction::{Find, Order, Statements, Transaction, durable};

/// Documents that one step removes at most.
const STEP: usize = 1_000;

/// Dropped contents that are looked at in one round.
const ROUND: i64 = 1_000;

/// Milliseconds for which contents are kept in mind after they have been removed. A transaction of
/// another process that began before the session ended may still add to them; the server ends it
/// after a minute unless it is told otherwise.
const LATE_MS: i64 = 180_000;

/// Milliseconds for which a large message waits for its first user.
const PENDING_MS: i64 = 3_600_000;

/// Cleans for ever; to be aborted.
pub(crate) async fn run(inner: Arc<Inner>) {
    let interval = Duration::from_millis(inner.options.clean_interval_ms.max(1_000));
    loop {
        let mut backoff = backoff();
        while let Err(failure) = clean(&inner).await {
            if !failure.is_passing() {
                tracing::error!(failure = %Escaped(&failure), "MongoDB cannot be cleaned");
                break;
            }
            sleep(backoff.pause()).await;
        }
        tokio::select! {
            () = inner.litter.notified() => {}
            () = sleep(interval) => {}
        }
    }
}

/// Whether all that was left by sessions that have ended is gone.
pub(crate) async fn is_clean(inner: &Inner) -> Attempt<bool> {
    let dropped = inner.database.collection::<Document>(DROPPED);
    let left = dropped.find_one(doc! { "swept": false }).await?;
    let messages = inner.database.collection::<Document>(MESSAGES);
    let unused =
        doc! { "chunks": { "$gt": 0 }, "refs": { "$lte": 0 }, "pending": { "$exists": false } };
    Ok(left.is_none() && messages.find_one(unused).await?.is_none())
}

async fn clean(inner: &Inner) -> Attempt<()> {
    // What has been left just now, then what has been removed once and may have been added to.
    let late = doc! { "$expr": { "$lt": ["$at", { "$subtract": ["$$NOW", LATE_MS] }] } };
    for (filter, is_last) in [(doc! { "swept": false }, false), (late, true)] {
        loop {
            let round = dropped(inner, filter.clone()).await?;
            for contents in &round {
                while step(inner, *contents).await? {}
                forget(inner, *contents, is_last).await?;
            }
            if i64::try_from(round.len()).unwrap_or_default() < ROUND {
                break;
            }
        }
    }
    clean_messages(inner).await?;
    while expire(inner).await? {}
    Ok(())
}

async fn dropped(inner: &Inner, filter: Document) -> Attempt<Vec<ObjectId>> {
    let collection = inner.database.collection::<Document>(DROPPED);
    let mut cursor = collection.find(filter).limit(ROUND).await?;
    let mut found = Vec::new();
    while cursor.advance().await? {
        if let Ok(Some(id)) = cursor.current().get("_id")
            && let Some(id) = id.as_object_id()
        {
            found.push(id);
        }
    }
    Ok(found)
}

/// Contents have been removed; the last time nothing more can come.
async fn forget(inner: &Inner, contents: ObjectId, is_last: bool) -> Attempt<()> {
    let collection = inner.database.collection::<Document>(DROPPED);
    let name = doc! { "_id": contents };
    if is_last {
        collection.delete_one(name).await?;
    } else {
        collection
            .update_one(name, doc! { "$set": { "swept": true } })
            .await?;
    }
    Ok(())
}

/// Removes some of what is left of contents, in one transaction. `false` if there was nothing.
async fn step(inner: &Inner, contents: ObjectId) -> Attempt<bool> {
    let work = async {
        let mut session = inner.writing_session().await?;
        let mut transaction = Transaction::begin(&mut session, &inner.database).await?;
        let all = |last: &str| {
            let mut to = doc! { "s": contents };
            to.insert(last, Bson::MaxKey);
            doc! { "_id": { "$gte": { "s": contents }, "$lte": to } }
        };
        let removed = remove_outgoing(&mut transaction, all("n"), false).await?;
        let mut more = removed > 0;
        for (collection, field) in [(SUBSCRIPTIONS, "f"), (INCOMING, "p")] {
            more |= remove(&mut transaction, collection, all(field)).await? > 0;
        }
        let mut counters = Statements::delete(QUEUES);
        counters.push_removal(contents);
        transaction.write(counters).await?;
        session.commit_transaction().await?;
        Ok(more)
    };
    match timeout(inner.attempt_timeout(), work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Removes messages from queues and lets go of what they refer to; returns how many. Where the queues
/// live on, they are counted.
async fn remove_outgoing(
    transaction: &mut Transaction<'_>,
    filter: Document,
    counted: bool,
) -> Attempt<usize> {
    let mut statements = Statements::delete(OUTGOING);
    let mut released = BTreeMap::new();
    let mut shrunk: BTreeMap<ObjectId, (i64, i64)> = BTreeMap::new();
    let mut removed = 0;
    let find = Find {
        collection: OUTGOING,
        filter,
        projection: doc! { "message": 1, "bytes": 1 },
        order: Order::Any,
        limit: Some(STEP),
    };
    transaction
        .find(find, |row| {
            let id = row.id()?;
            let (contents, number) = (id.object_id("s")?, id.int("n")?);
            statements.push_removal(rawdoc! { "s": contents, "n": number });
            if let Some(message) = row.maybe_object_id("message")? {
                *released.entry(message).or_default() += 1;
            }
            let queue = shrunk.entry(contents).or_default();
            queue.0 += 1;
            queue.1 += row.maybe_int("bytes")?.unwrap_or_default();
            removed += 1;
            Ok(true)
        })
        .await?;
    transaction.write(statements).await?;
    bodies::release(transaction, released).await?;
    if counted {
        let mut counters = Statements::update(QUEUES);
        for (contents, (messages, bytes)) in shrunk {
            push_growth(&mut counters, contents, -messages, -bytes);
        }
        transaction.write(counters).await?;
    }
    Ok(removed)
}

/// Removes documents that refer to nothing; returns how many.
async fn remove(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    filter: Document,
) -> Attempt<usize> {
    let mut ids = Vec::new();
    let find = Find {
        collection,
        filter,
        projection: doc! { "_id": 1 },
        order: Order::Any,
        limit: Some(STEP),
    };
    transaction
        .find(find, |row| {
            ids.push(row.raw_id()?);
            Ok(true)
        })
        .await?;
    let mut statements = Statements::delete(collection);
    let count = ids.len();
    for id in ids {
        statements.push_removal(id);
    }
    transaction.write(statements).await?;
    Ok(count)
}

/// Removes some messages that expired long ago from queues that go on, in one transaction. `false` if
/// there was none.
async fn expire(inner: &Inner) -> Attempt<bool> {
    let work = async {
        let grace = i64::from(EXPIRY_GRACE_SECS) * 1_000;
        let latest = bson::DateTime::from_millis(bson::DateTime::now().timestamp_millis() - grace);
        let mut session = inner.writing_session().await?;
        let mut transaction = Transaction::begin(&mut session, &inner.database).await?;
        let filter = doc! { "expires": { "$lt": latest } };
        let removed = remove_outgoing(&mut transaction, filter, true).await?;
        session.commit_transaction().await?;
        Ok(removed > 0)
    };
    match timeout(inner.attempt_timeout(), work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Removes messages in chunks that have no users, or never got any.
async fn clean_messages(inner: &Inner) -> Attempt<()> {
    let messages = inner.database.collection::<Document>(MESSAGES);
    let chunks = inner.database.collection::<Document>(CHUNKS);
    let now = bson::DateTime::now().timestamp_millis();
    let oldest = bson::DateTime::from_millis(now - PENDING_MS);
    let unused = doc! {
        "chunks": { "$gt": 0 },
        "refs": { "$lte": 0 },
        "$or": [{ "pending": { "$exists": false } }, { "pending": { "$lt": oldest } }],
    };
    // Marked first: from then on nobody can refer to it any more.
    let mark = || {
        messages
            .find_one_and_update(unused.clone(), doc! { "$set": { "sweeping": true } })
            .projection(doc! { "_id": 1 })
            .into_future()
    };
    while let Some(message) = mark().await? {
        let Ok(id) = message.get_object_id("_id") else {
            return Ok(());
        };
        let all =
            doc! { "_id": { "$gte": { "m": id, "n": 0 }, "$lte": { "m": id, "n": i32::MAX } } };
        chunks.delete_many(all).write_concern(durable()).await?;
        messages.delete_one(doc! { "_id": id }).await?;
    }
    Ok(())
}
