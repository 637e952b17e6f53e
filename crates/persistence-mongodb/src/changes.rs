//! Writes what a plan has come to.

use std::collections::BTreeMap;

use broker_core::persistence::{InflightStage, SubscriptionIds};
use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

use crate::bodies::{self, Place, Uploads, Uses};
use crate::error::Attempt;
use crate::plan::{NewOutgoing, OutgoingNow, OutgoingSlot, Plan, WillNow};
use crate::row::{ordered, signed};
use crate::schema::{
    DROPPED, INCOMING, OUTGOING, QUEUES, RETAINED, SESSIONS, SUBSCRIPTIONS, WILLS,
};
use crate::transaction::{Statements, Transaction};

/// Writes all changes. Whether there are contents now that have to be removed.
pub(crate) async fn write(
    transaction: &mut Transaction<'_>,
    mut plan: Plan<'_>,
    uploads: &Uploads,
) -> Attempt<bool> {
    let gone = core::mem::take(&mut plan.gone);
    plan.outgoing
        .retain(|(contents, _), _| !gone.contains(contents));
    plan.incoming
        .retain(|(contents, _), _| !gone.contains(contents));
    plan.subscriptions
        .retain(|(contents, _), _| !gone.contains(contents));

    let mut uses = Uses::default();
    count_uses(&plan, uploads, &mut uses);
    write_sessions(transaction, &plan).await?;
    write_subscriptions(transaction, &plan).await?;
    write_incoming(transaction, &plan).await?;
    write_outgoing(transaction, &plan, &mut uses).await?;
    write_counters(transaction, &plan).await?;
    write_retained(transaction, &plan, &mut uses).await?;
    write_wills(transaction, &plan, &mut uses).await?;
    uses.write(transaction).await?;

    // What began and ended within the group was never stored.
    let stored = plan.sessions.values().filter_map(|slot| slot.stored);
    let mut dropped = Statements::update(DROPPED);
    let mut any = false;
    for row in stored.filter(|row| gone.contains(&row.contents)) {
        any = true;
        let mut statement = rawdoc! { "q": { "_id": row.contents } };
        statement.append(
            cstr!("u"),
            rawdoc! { "$set": { "swept": false }, "$currentDate": { "at": true } },
        );
        statement.append(cstr!("upsert"), true);
        dropped.push(&statement);
    }
    transaction.write(dropped).await?;
    Ok(any)
}

/// Where each message is to be depends on how many use it, so they are counted first. Only queues
/// share a message of usual size; one that is large is shared by all.
fn count_uses<'g>(plan: &Plan<'g>, uploads: &Uploads, uses: &mut Uses<'g>) {
    for slot in plan.outgoing.values() {
        if let OutgoingNow::New(new) = &slot.now
            && let Some(message) = new.message
        {
            uses.add(message, uploads);
        }
    }
    let retained = plan.retained.values().filter_map(|slot| slot.now);
    let wills = plan.wills.values().filter_map(|slot| match slot.now {
        WillNow::Put(will) => Some(&will.message),
        _ => None,
    });
    for message in retained
        .chain(wills)
        .filter(|message| bodies::is_large(message))
    {
        uses.add(message, uploads);
    }
}

async fn write_sessions(transaction: &mut Transaction<'_>, plan: &Plan<'_>) -> Attempt<()> {
    let mut put = Statements::update(SESSIONS);
    let mut dropped = Statements::delete(SESSIONS);
    for (client, slot) in &plan.sessions {
        match slot.now {
            now if now == slot.stored => {}
            None => dropped.push_removal(*client),
            Some(row) => {
                let mut document = rawdoc! {
                    "_id": *client,
                    "incarnation": signed(row.incarnation),
                    "contents": row.contents,
                    "expiry_interval_secs": i64::from(row.expiry_interval_secs),
                };
                if let Some(at) = row.disconnected_at {
                    document.append(cstr!("disconnected_at"), signed(at.as_millis()));
                }
                put.push_put(rawdoc! { "_id": *client }, &document);
            }
        }
    }
    transaction.write(dropped).await?;
    transaction.write(put).await.map(drop)
}

async fn write_subscriptions(transaction: &mut Transaction<'_>, plan: &Plan<'_>) -> Attempt<()> {
    let mut put = Statements::update(SUBSCRIPTIONS);
    let mut dropped = Statements::delete(SUBSCRIPTIONS);
    for ((contents, filter), now) in &plan.subscriptions {
        let id = rawdoc! { "s": *contents, "f": *filter };
        let Some(options) = now else {
            dropped.push_removal(id);
            continue;
        };
        let id = || rawdoc! { "_id": id.clone() };
        let mut document = id();
        document.append(cstr!("qos"), i32::from(options.qos as u8));
        document.append(cstr!("no_local"), options.no_local);
        document.append(cstr!("retain_as_published"), options.retain_as_published);
        document.append(cstr!("identifier"), i64::from(options.identifier));
        put.push_put(id(), &document);
    }
    transaction.write(dropped).await?;
    transaction.write(put).await.map(drop)
}

async fn write_incoming(transaction: &mut Transaction<'_>, plan: &Plan<'_>) -> Attempt<()> {
    let mut put = Statements::update(INCOMING);
    let mut dropped = Statements::delete(INCOMING);
    for ((contents, packet_id), is_there) in &plan.incoming {
        let id = rawdoc! { "s": *contents, "p": i32::from(packet_id.get()) };
        if *is_there {
            let document = rawdoc! { "_id": id };
            put.push_put(document.clone(), &document);
        } else {
            dropped.push_removal(id);
        }
    }
    transaction.write(dropped).await?;
    transaction.write(put).await.map(drop)
}

async fn write_outgoing<'g>(
    transaction: &mut Transaction<'_>,
    plan: &Plan<'g>,
    uses: &mut Uses<'g>,
) -> Attempt<()> {
    let mut new = Statements::insert(OUTGOING);
    let mut changed = Statements::update(OUTGOING);
    let mut dropped = Statements::delete(OUTGOING);
    for ((contents, sequence), slot) in &plan.outgoing {
        let id = || rawdoc! { "_id": { "s": *contents, "n": ordered(*sequence) } };
        let stored_message = slot.stored.and_then(|row| row.message);
        match &slot.now {
            OutgoingNow::AsStored => {}
            OutgoingNow::Gone => {
                if slot.stored.is_some() {
                    dropped.push_removal(rawdoc! { "s": *contents, "n": ordered(*sequence) });
                }
                uses.release(stored_message);
            }
            OutgoingNow::New(entry) => {
                let mut document = id();
                append_outgoing(&mut document, entry, uses)?;
                if slot.stored.is_some() {
                    changed.push_put(id(), &document);
                } else {
                    new.push(&document);
                }
                uses.release(stored_message);
            }
            OutgoingNow::Marked(packet_id, stage) => {
                changed.push_change(id(), &mark(i32::from(packet_id.get()), *stage));
                if *stage == InflightStage::Released {
                    uses.release(stored_message);
                }
            }
        }
    }
    transaction.write(dropped).await?;
    transaction.write(changed).await?;
    transaction.write(new).await.map(drop)
}

/// By how much each queue grows or shrinks: a count that nobody has to make when a broker starts.
async fn write_counters(transaction: &mut Transaction<'_>, plan: &Plan<'_>) -> Attempt<()> {
    let mut growth: BTreeMap<ObjectId, (i64, i64)> = BTreeMap::new();
    for ((contents, _), slot) in &plan.outgoing {
        let (before, now) = (slot.stored_size(), slot.size());
        let grown = growth.entry(*contents).or_default();
        grown.0 += i64::from(now.is_some()) - i64::from(before.is_some());
        grown.1 += now.unwrap_or_default() - before.unwrap_or_default();
    }
    let mut counted = Statements::update(QUEUES);
    for (contents, (messages, bytes)) in growth {
        if (messages, bytes) != (0, 0) {
            push_growth(&mut counted, contents, messages, bytes);
        }
    }
    transaction.write(counted).await.map(drop)
}

/// A queue has so much more.
pub(crate) fn push_growth(
    statements: &mut Statements,
    contents: ObjectId,
    messages: i64,
    bytes: i64,
) {
    let mut statement = rawdoc! { "q": { "_id": contents } };
    let change = rawdoc! { "$inc": { "messages": messages, "bytes": bytes } };
    statement.append(cstr!("u"), change);
    statement.append(cstr!("upsert"), true);
    statements.push(&statement);
}

impl OutgoingSlot<'_> {
    /// Bytes of the message in this place of the queue; `None` if the place is empty.
    fn stored_size(&self) -> Option<i64> {
        self.stored.map(|row| row.bytes)
    }

    fn size(&self) -> Option<i64> {
        match &self.now {
            OutgoingNow::AsStored | OutgoingNow::Marked(_, InflightStage::Published) => {
                self.stored_size()
            }
            OutgoingNow::Marked(_, InflightStage::Released) => Some(0),
            OutgoingNow::Gone => None,
            OutgoingNow::New(new) => Some(new.message.map_or(0, |message| bodies::size(message))),
        }
    }
}

fn mark(packet_id: i32, stage: InflightStage) -> RawDocumentBuf {
    let mut set = rawdoc! { "packet_id": packet_id };
    let mut unset = rawdoc! { "expires": 1 };
    match stage {
        InflightStage::Published => set.append(cstr!("released"), false),
        InflightStage::Released => {
            set.append(cstr!("released"), true);
            for field in [cstr!("body"), cstr!("message"), cstr!("bytes")] {
                unset.append(field, 1);
            }
        }
    }
    rawdoc! { "$set": set, "$unset": unset }
}

fn append_outgoing<'g>(
    document: &mut RawDocumentBuf,
    entry: &NewOutgoing<'g>,
    uses: &Uses<'g>,
) -> Attempt<()> {
    document.append(cstr!("qos"), i32::from(entry.qos as u8));
    document.append(cstr!("retain"), entry.retain);
    if *entry.subscription_ids != SubscriptionIds::None {
        let ids: RawArrayBuf = entry
            .subscription_ids
            .as_slice()
            .iter()
            .map(|id| i32::try_from(*id).unwrap_or(i32::MAX))
            .collect();
        document.append(cstr!("subscription_ids"), ids);
    }
    if let Some(shared) = entry.shared {
        document.append(cstr!("shared"), &**shared);
    }
    if let Some((packet_id, stage)) = entry.inflight {
        document.append(cstr!("packet_id"), i32::from(packet_id.get()));
        document.append(cstr!("released"), stage == InflightStage::Released);
    }
    let Some(message) = entry.message else {
        return Ok(());
    };
    uses.place(message).append_to(document)?;
    // Once its delivery has begun, it may be at the client, which may ask for the end of the exchange
    // whenever it returns; that the message has expired no longer matters (MQTT 5.0 3.3.2.3.3).
    if entry.inflight.is_none()
        && let Some(date) = bodies::expiry_date(message)
    {
        document.append(cstr!("expires"), date);
    }
    Ok(())
}

async fn write_retained<'g>(
    transaction: &mut Transaction<'_>,
    plan: &Plan<'g>,
    uses: &mut Uses<'g>,
) -> Attempt<()> {
    let mut put = Statements::update(RETAINED);
    let mut dropped = Statements::delete(RETAINED);
    for (topic, slot) in &plan.retained {
        uses.release(slot.stored_message);
        let Some(message) = slot.now else {
            dropped.push_removal(*topic);
            continue;
        };
        let mut document = rawdoc! { "_id": *topic };
        let place = place_alone(message, uses);
        place.append_to(&mut document)?;
        if let Some(date) = bodies::expiry_date(message).filter(|_| place.inline.is_some()) {
            document.append(cstr!("expires"), date);
        }
        put.push_put(rawdoc! { "_id": *topic }, &document);
    }
    transaction.write(dropped).await?;
    transaction.write(put).await.map(drop)
}

async fn write_wills<'g>(
    transaction: &mut Transaction<'_>,
    plan: &Plan<'g>,
    uses: &mut Uses<'g>,
) -> Attempt<()> {
    let mut put = Statements::update(WILLS);
    let mut dropped = Statements::delete(WILLS);
    for (client, slot) in &plan.wills {
        let stored_message = slot.stored.and_then(|row| row.message);
        match slot.now {
            WillNow::AsStored => {}
            WillNow::Gone => {
                if slot.stored.is_some() {
                    dropped.push_removal(*client);
                }
                uses.release(stored_message);
            }
            WillNow::Put(will) => {
                uses.release(stored_message);
                let mut document = rawdoc! {
                    "_id": *client,
                    "incarnation": signed(will.session.incarnation),
                    "node": &*will.node,
                    "delay_secs": i64::from(will.delay_secs),
                };
                if let Some(secs) = will.expiry_interval_secs {
                    document.append(cstr!("expiry_interval_secs"), i64::from(secs));
                }
                place_alone(&will.message, uses).append_to(&mut document)?;
                put.push_put(rawdoc! { "_id": *client }, &document);
            }
        }
    }
    transaction.write(dropped).await?;
    transaction.write(put).await.map(drop)
}

/// Where the message of a document is that shares it with nobody, unless it is large.
fn place_alone<'g>(
    message: &'g std::sync::Arc<broker_core::Message>,
    uses: &Uses<'g>,
) -> Place<'g> {
    if bodies::is_large(message) {
        uses.place(message)
    } else {
        Place::inline(message)
    }
}
