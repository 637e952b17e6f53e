//! When which session has to be looked at: keep alive, will delay and session expiry.
//!
//! Each session has at most one deadline here, the next one; when it has come the broker looks
//! what is due and sets the following one. Deadlines of the same tenth of a second stand in one list,
//! so a million idle connections cost eight bytes each and one look per keep alive, and no timer of
//! the runtime's. Nobody is looked at too early, and nobody more than a tenth of a second late.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Timestamp;
use crate::session::Session;

/// Deadlines are put off to a multiple of this.
const STEP_MILLIS: u64 = 100;

/// The deadlines of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    ordered: Mutex<Ordered>,
}

#[derive(Debug, Default)]
struct Ordered {
    slots: BTreeMap<Timestamp, Vec<Arc<Session>>>,
    len: usize,
}

/// Where a session stands in the deadlines. Changed only while they are locked.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// In milliseconds; that of [`Timestamp::MAX`] for none.
    slot: AtomicU64,
    /// The place in the slot's list.
    place: AtomicU32,
}

impl Default for Deadline {
    fn default() -> Self {
        Self {
            slot: AtomicU64::new(Timestamp::MAX.as_millis()),
            place: AtomicU32::new(0),
        }
    }
}

impl Deadline {
    /// Whether the session is to be looked at some time.
    pub(crate) fn is_set(&self) -> bool {
        self.slot() != Timestamp::MAX
    }

    fn slot(&self) -> Timestamp {
        Timestamp::from_millis(self.slot.load(Ordering::Relaxed))
    }

    fn set_slot(&self, slot: Timestamp) {
        self.slot.store(slot.as_millis(), Ordering::Relaxed);
    }

    fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed) as usize
    }

    fn set_place(&self, place: usize) {
        // A list of more sessions than that does not fit into memory.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.place.store(place, Ordering::Relaxed);
    }
}

impl Deadlines {
    /// Sets a session's deadline, in place of the one that it had. [`Timestamp::MAX`] stands for
    /// none. The caller holds the session's state.
    pub(crate) fn set(&self, session: &Arc<Session>, due: Timestamp) {
        let slot = slot_of(due);
        let deadline = session.deadline();
        let mut ordered = self.ordered.lock();
        if deadline.slot() == slot {
            return;
        }
        if deadline.is_set() {
            ordered.remove(deadline);
        }
        if slot != Timestamp::MAX {
            ordered.insert(slot, session);
        }
        deadline.set_slot(slot);
    }

    /// Takes out one session whose deadline has come.
    pub(crate) fn take_due(&self, now: Timestamp) -> Option<Arc<Session>> {
        let mut ordered = self.ordered.lock();
        let mut first = ordered.slots.first_entry()?;
        if *first.key() > now {
            return None;
        }
        let session = first.get_mut().pop()?;
        if first.get().is_empty() {
            first.remove();
        }
        ordered.len -= 1;
        session.deadline().set_slot(Timestamp::MAX);
        Some(session)
    }

    /// When the first of them is looked at.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let ordered = self.ordered.lock();
        ordered.slots.first_key_value().map(|(slot, _)| *slot)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ordered.lock().len
    }
}

impl Ordered {
    fn insert(&mut self, slot: Timestamp, session: &Arc<Session>) {
        let list = self.slots.entry(slot);
        // Most slots of the far future have one session only.
        let list = list.or_insert_with(|| Vec::with_capacity(1));
        session.deadline().set_place(list.len());
        list.push(Arc::clone(session));
        self.len += 1;
    }

    /// Takes the session out that stands there; the last one of the list gets its place.
    fn remove(&mut self, deadline: &Deadline) {
        let (slot, place) = (deadline.slot(), deadline.place());
        let Some(list) = self.slots.get_mut(&slot) else {
            return;
        };
        if place >= list.len() {
            return;
        }
        list.swap_remove(place);
        self.len -= 1;
        if let Some(moved) = list.get(place) {
            moved.deadline().set_place(place);
        }
        if list.is_empty() {
            self.slots.remove(&slot);
        }
    }
}

fn slot_of(due: Timestamp) -> Timestamp {
    let millis = due.as_millis();
    Timestamp::from_millis(
        millis
            .checked_next_multiple_of(STEP_MILLIS)
            .unwrap_or(millis),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionId;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn sessions(number: u64) -> Vec<Arc<Session>> {
        let new = |id| Session::new(SessionId(id), "client".into(), 0, false, &Arc::default());
        (0..number).map(new).collect()
    }

    #[test]
    fn nobody_is_looked_at_too_early_or_much_too_late() {
        let deadlines = Deadlines::default();
        let sessions = sessions(3);
        for (session, due) in sessions.iter().zip([1_000, 1_001, 2_000]) {
            deadlines.set(session, at(due));
        }
        assert_eq!(deadlines.next(), Some(at(1_000)));
        assert!(deadlines.take_due(at(999)).is_none());
        let taken = deadlines.take_due(at(1_000)).unwrap();
        assert_eq!(taken.id(), sessions[0].id());
        assert!(!taken.deadline().is_set());
        assert!(deadlines.take_due(at(1_099)).is_none());
        assert_eq!(deadlines.next(), Some(at(1_100)));
        let taken = deadlines.take_due(at(1_100)).unwrap();
        assert_eq!(taken.id(), sessions[1].id());
        assert_eq!(deadlines.len(), 1);
        deadlines.set(&sessions[2], Timestamp::MAX);
        assert_eq!((deadlines.len(), deadlines.next()), (0, None));
    }

    #[test]
    fn each_session_is_taken_once_at_its_last_deadline() {
        let deadlines = Deadlines::default();
        let sessions = sessions(50);
        let mut dues = [None; 50];
        let mut random = 1_u64;
        for _ in 0..5_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = (random >> 33) as usize % 50;
            let due = (random >> 40) % 10 * 50;
            dues[number] = (due > 0).then_some(due);
            let due = dues[number].map_or(Timestamp::MAX, at);
            deadlines.set(&sessions[number], due);
            assert_eq!(deadlines.len(), dues.iter().flatten().count());
        }
        for now in (0..=500).step_by(50) {
            while let Some(session) = deadlines.take_due(at(now)) {
                let due = dues[session.id().0 as usize].take().unwrap();
                assert_eq!(due.next_multiple_of(100), now);
            }
        }
        assert_eq!((deadlines.len(), deadlines.next()), (0, None));
        assert_eq!(dues.iter().flatten().count(), 0);
        assert!(
            sessions
                .iter()
                .all(|session| Arc::strong_count(session) == 1)
        );
    }
}
