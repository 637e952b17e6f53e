//! Reads what a group touches of what is stored.

use broker_core::Timestamp;
use broker_core::persistence::Operation;
use bson::{Bson, doc};

use crate::error::Attempt;
use crate::plan::{OutgoingRow, Plan, SessionRow, WillRow};
use crate::row::{Row, from_ordered, ordered, unsigned};
use crate::schema::{OUTGOING, RETAINED, SESSIONS, WILLS};
use crate::transaction::Transaction;

/// What the operations come to, on what is stored at the moment of the transaction. `may_be_there` says
/// whether a message that is queued may be stored already.
pub(crate) async fn plan<'g>(
    transaction: &mut Transaction<'_>,
    operations: impl Iterator<Item = &'g Operation> + Clone + Send,
    may_be_there: bool,
) -> Attempt<Plan<'g>> {
    let mut plan = Plan {
        may_be_there,
        ..Plan::default()
    };
    operations
        .clone()
        .for_each(|operation| plan.touch(operation));
    load_sessions(transaction, &mut plan).await?;
    load_wills(transaction, &mut plan).await?;
    load_retained(transaction, &mut plan).await?;
    operations
        .clone()
        .for_each(|operation| plan.touch_outgoing(operation));
    load_outgoing(transaction, &mut plan).await?;
    operations.for_each(|operation| plan.apply(operation));
    Ok(plan)
}

/// A name with its size.
fn name(text: &str) -> (Bson, usize) {
    (Bson::String(text.to_owned()), text.len())
}

async fn load_sessions(transaction: &mut Transaction<'_>, plan: &mut Plan<'_>) -> Attempt<()> {
    let names: Vec<_> = plan.sessions.keys().map(|client| name(client)).collect();
    let sessions = &mut plan.sessions;
    transaction
        .find_named(SESSIONS, names, doc! {}, |row| {
            if let Some(slot) = sessions.get_mut(row.text("_id")?) {
                slot.stored = Some(session_row(&row)?);
                slot.now = slot.stored;
            }
            Ok(())
        })
        .await
}

pub(crate) fn session_row(row: &Row<'_>) -> Attempt<SessionRow> {
    let disconnected_at = row.maybe_int("disconnected_at")?.map(unsigned);
    Ok(SessionRow {
        incarnation: unsigned(row.int("incarnation")?),
        contents: row.object_id("contents")?,
        expiry_interval_secs: row.small("expiry_interval_secs")?,
        disconnected_at: disconnected_at.map(Timestamp::from_millis),
    })
}

async fn load_wills(transaction: &mut Transaction<'_>, plan: &mut Plan<'_>) -> Attempt<()> {
    let names: Vec<_> = plan.wills.keys().map(|client| name(client)).collect();
    let wills = &mut plan.wills;
    let projection = doc! { "incarnation": 1, "message": 1 };
    transaction
        .find_named(WILLS, names, projection, |row| {
            if let Some(slot) = wills.get_mut(row.text("_id")?) {
                slot.stored = Some(WillRow {
                    incarnation: unsigned(row.int("incarnation")?),
                    message: row.maybe_object_id("message")?,
                });
            }
            Ok(())
        })
        .await
}

async fn load_retained(transaction: &mut Transaction<'_>, plan: &mut Plan<'_>) -> Attempt<()> {
    let names: Vec<_> = plan.retained.keys().map(|topic| name(topic)).collect();
    let retained = &mut plan.retained;
    transaction
        .find_named(RETAINED, names, doc! { "message": 1 }, |row| {
            if let Some(slot) = retained.get_mut(row.text("_id")?) {
                slot.stored_message = row.maybe_object_id("message")?;
            }
            Ok(())
        })
        .await
}

async fn load_outgoing(transaction: &mut Transaction<'_>, plan: &mut Plan<'_>) -> Attempt<()> {
    let names: Vec<_> = plan
        .outgoing
        .iter()
        .filter(|(_, slot)| slot.is_read)
        .map(|((contents, sequence), _)| {
            let id = doc! { "s": *contents, "n": ordered(*sequence) };
            (Bson::Document(id), 40)
        })
        .collect();
    let outgoing = &mut plan.outgoing;
    let projection = doc! { "message": 1, "bytes": 1 };
    transaction
        .find_named(OUTGOING, names, projection, |row| {
            let id = row.id()?;
            let key = (id.object_id("s")?, from_ordered(id.int("n")?));
            if let Some(slot) = outgoing.get_mut(&key) {
                slot.stored = Some(OutgoingRow {
                    message: row.maybe_object_id("message")?,
                    bytes: row.maybe_int("bytes")?.unwrap_or_default(),
                });
            }
            Ok(())
        })
        .await
}
