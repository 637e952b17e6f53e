//! When which session has to be looked at: keep alive, will delay and session expiry.
//!
//! Each session has at most one deadline here, the next one; when it has come the broker looks
//! what is due and sets the following one. So a million idle connections cost an ordered map of a
//! million entries and one look per keep alive each, and no timer of the runtime's.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Timestamp;
use crate::session::{Session, SessionId};

/// The deadlines of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    ordered: Mutex<BTreeMap<(Timestamp, SessionId), Arc<Session>>>,
}

impl Deadlines {
    /// Moves a session's deadline from `old` to `new`; [`Timestamp::MAX`] stands for none. The
    /// caller holds the session's state, which remembers where its deadline stands.
    pub(crate) fn set(&self, session: &Arc<Session>, old: Timestamp, new: Timestamp) {
        if old == new {
            return;
        }
        let mut ordered = self.ordered.lock();
        if old != Timestamp::MAX {
            ordered.remove(&(old, session.id()));
        }
        if new != Timestamp::MAX {
            ordered.insert((new, session.id()), Arc::clone(session));
        }
    }

    /// Takes out one session whose deadline has come.
    pub(crate) fn take_due(&self, now: Timestamp) -> Option<(Timestamp, Arc<Session>)> {
        let mut ordered = self.ordered.lock();
        let first = ordered.first_entry()?;
        let due = first.key().0;
        (due <= now).then(|| (due, first.remove()))
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.ordered
            .lock()
            .first_key_value()
            .map(|((due, _), _)| *due)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ordered.lock().len()
    }
}
