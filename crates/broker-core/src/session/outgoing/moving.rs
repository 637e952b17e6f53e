//! Messages that go from one member of a shared subscription to another (MQTT 5.0 section 4.8.2).
//!
//! What was never sent may go to another member, and so may QoS 1 that was sent and not acknowledged.
//! QoS 2 that was sent stays: the specification has it completed here or not at all [MQTT-4.8.2-4]
//! [MQTT-4.8.2-5].
//!
//! A move takes two steps, because it may fail: entries that are *moving* stay where they are and are
//! pending, so that nothing of them is sent; when the batch that gives them to another session has
//! been committed they are taken out, and if it could not be they are as before. One move at a time.

use std::sync::Arc;

use hashbrown::HashSet;
use mqtt_codec::QoS;

use super::{Entry, Outgoing, Stage};
use crate::Message;
use crate::share::Group;

/// A message that is to go to another member.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) sequence: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) group: Arc<Group>,
}

/// A move that has begun.
#[derive(Debug, Default)]
pub(crate) struct Move {
    pub(crate) parcels: Vec<Parcel>,
    /// Whether some have to be asked again later, because they are not committed yet.
    pub(crate) pending: bool,
    /// Whether there are more than were wanted at one time.
    pub(crate) more: bool,
}

impl Entry {
    /// Whether it came by a shared subscription.
    pub(crate) fn is_shared(&self) -> bool {
        self.group.is_some()
    }

    fn parcel(&self) -> Option<Parcel> {
        let may_go = match self.stage {
            Stage::Waiting => true,
            Stage::Publish => !self.sent || self.qos == QoS::AtLeastOnce,
            Stage::Release | Stage::Done => false,
        };
        let (message, group) = (self.message.as_ref()?, self.group.as_ref()?);
        (may_go && !self.moving).then(|| Parcel {
            sequence: self.sequence,
            message: Arc::clone(message),
            group: Arc::clone(group),
        })
    }
}

impl Outgoing {
    /// Begins a move of so many of the entries that may go. None while another is under way.
    pub(crate) fn begin_move(&mut self, limit: usize) -> Move {
        self.begin(limit, |_| true)
    }

    /// Begins a move of what came by these shared subscriptions and was never sent.
    pub(crate) fn begin_move_unsent(&mut self, texts: &HashSet<&str>) -> Vec<Parcel> {
        let is_of_them = |group: &Arc<Group>| texts.contains(&**group.text());
        let wanted = |entry: &Entry| !entry.sent && entry.group.as_ref().is_some_and(is_of_them);
        self.begin(usize::MAX, wanted).parcels
    }

    fn begin(&mut self, limit: usize, wanted: impl Fn(&Entry) -> bool) -> Move {
        let mut begun = Move::default();
        if self.entries.iter().any(|entry| entry.moving) {
            begun.pending = true;
            return begun;
        }
        for entry in self.entries.iter_mut().filter(|entry| wanted(entry)) {
            let Some(parcel) = entry.parcel() else {
                continue;
            };
            if entry.pending > 0 {
                begun.pending = true;
                continue;
            }
            if begun.parcels.len() == limit {
                begun.more = true;
                break;
            }
            entry.moving = true;
            entry.pending = 1;
            begun.parcels.push(parcel);
        }
        begun
    }

    /// Entries that nobody takes stay after all.
    pub(crate) fn keep(&mut self, parcels: &[Parcel]) {
        for parcel in parcels {
            if let Some(index) = self.index_of_sequence(parcel.sequence)
                && let Some(entry) = self.entries.get_mut(index)
                && entry.moving
            {
                entry.moving = false;
                entry.pending = 0;
            }
        }
    }

    /// What moves has arrived elsewhere.
    pub(crate) fn finish_move(&mut self) {
        let mut admitted = self.admitted;
        for entry in self.entries.iter_mut().filter(|entry| entry.moving) {
            entry.moving = false;
            entry.pending = 0;
            if let Some(message) = entry.message.take() {
                self.bytes -= message.size_bytes();
            }
            if entry.stage != Stage::Waiting {
                self.inflight -= 1;
            }
            entry.stage = Stage::Done;
        }
        let mut index = 0;
        let mut emitted = 0;
        let mut unacknowledged = 0;
        let (was_admitted, was_emitted) = (self.admitted, self.emitted);
        self.entries.retain(|entry| {
            let is_live = entry.stage != Stage::Done;
            if index < was_admitted {
                admitted -= usize::from(!is_live);
            }
            if index < was_emitted {
                emitted += usize::from(is_live);
                unacknowledged += usize::from(is_live);
            }
            index += 1;
            is_live
        });
        self.admitted = admitted;
        self.emitted = emitted;
        self.unacknowledged = unacknowledged;
    }

    /// What moves has not arrived: it is as if nothing had been done. Returns how many they are.
    pub(crate) fn abandon_move(&mut self) -> usize {
        let mut kept = 0;
        for entry in self.entries.iter_mut().filter(|entry| entry.moving) {
            entry.moving = false;
            entry.pending = 0;
            kept += 1;
        }
        kept
    }

    /// The session is over: what others may get. What is moving is on its way already, and goes
    /// to `rest` until it is known whether it has arrived.
    pub(crate) fn split_shared(self, rest: &mut Self) -> Vec<Parcel> {
        let parcels = self.entries.iter().filter_map(Entry::parcel).collect();
        rest.entries = self.entries;
        rest.entries.retain(|entry| entry.moving);
        for entry in &mut rest.entries {
            entry.stage = Stage::Waiting;
            entry.ordinal = 0;
        }
        let kept = rest.entries.iter().filter_map(|it| it.message.as_ref());
        rest.bytes = kept.map(|message| message.size_bytes()).sum();
        parcels
    }
}
