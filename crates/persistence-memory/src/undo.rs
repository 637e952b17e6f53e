//! What a change has replaced: to be put back if the batch does not fit, or to be dropped.

use std::sync::Arc;

use broker_core::persistence::{ClientId, StoredWill};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use mqtt_codec::PacketId;

use crate::queue::Queued;
use crate::state::Session;

/// One step back: what was in a place before. Steps are taken in the reverse order.
#[derive(Debug)]
pub(crate) enum Undo {
    /// There was no session.
    NoSession { client: ClientId },
    /// There was this one.
    Session { client: ClientId, session: Session },
    /// This was known of it.
    Record {
        client: ClientId,
        expiry_interval_secs: u32,
        disconnected_at: Option<Timestamp>,
    },
    /// This was subscribed to.
    Subscription {
        client: ClientId,
        filter: Box<str>,
        before: Option<SubscriptionOptions>,
    },
    /// This was in the queue.
    Queued {
        client: ClientId,
        sequence: u64,
        before: Option<Queued>,
    },
    /// The packet identifier was there, or not.
    Incoming {
        client: ClientId,
        packet_id: PacketId,
        was_there: bool,
    },
    /// This was retained.
    Retained {
        topic: Box<str>,
        before: Option<Arc<Message>>,
    },
    /// This was the will.
    Will {
        client: ClientId,
        before: Option<StoredWill>,
    },
}

/// Who hears of what was replaced.
pub(crate) trait Journal {
    /// Something small was replaced; `undo` owns it.
    fn note(&mut self, undo: impl FnOnce() -> Undo);

    /// A session was removed.
    fn note_removed(&mut self, client: ClientId, session: Session);
}

/// Keeps all steps.
impl Journal for Vec<Undo> {
    fn note(&mut self, undo: impl FnOnce() -> Undo) {
        self.push(undo());
    }

    fn note_removed(&mut self, client: ClientId, session: Session) {
        self.push(Undo::Session { client, session });
    }
}

/// Keeps only what would take long to drop, so that it can be dropped when the lock has been let go.
#[derive(Debug, Default)]
pub(crate) struct Forget {
    removed: Vec<Session>,
}

impl Journal for Forget {
    fn note(&mut self, _: impl FnOnce() -> Undo) {}

    fn note_removed(&mut self, _: ClientId, session: Session) {
        if !session.is_small() {
            self.removed.push(session);
        }
    }
}
