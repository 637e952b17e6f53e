//! Places that should have one handle at a time, and what may be wrong with them.

use std::sync::Arc;

use broker_core::persistence::contract::{Factory, block_on};
use broker_core::persistence::{Operation, Persistence, StoredSession};

use super::faults::Fault;
use super::faulty::Faulty;
use super::place::Place;

impl Factory for Unshared {
    type Place = Arc<Place>;
    type Store = Arc<Faulty>;

    const SHARED: bool = false;

    fn create(&self) -> Self::Place {
        Arc::default()
    }

    fn open(&self, place: &Self::Place) -> Arc<Faulty> {
        Fault::None.open(place)
    }

    fn try_open(&self, place: &Self::Place) -> Result<Arc<Faulty>, String> {
        match self {
            Self::Refuses => Err("it is open already".into()),
            Self::Opens => Ok(self.open(place)),
            Self::Silent => Err(String::new()),
            Self::Empties => {
                let store = place.store.lock().unwrap();
                let sessions = block_on(store.sessions(None, usize::MAX)).unwrap();
                for StoredSession { session, .. } in sessions {
                    let gone = Operation::DropSession { session };
                    block_on(store.commit(&mut [gone].into_iter().collect())).unwrap();
                }
                Err("it is open already".into())
            }
        }
    }

    fn spoil_version(&self, _: &Self::Place, _: u32) -> Option<u32> {
        None
    }

    fn crash_image(&self, _: &Self::Place) -> Option<Self::Place> {
        None
    }

    fn stored_message_bytes(&self, _: &Self::Place, _: &Arc<Faulty>) -> Option<u64> {
        None
    }
}

/// A place that should have one handle at a time.
#[derive(Debug)]
pub(crate) enum Unshared {
    Refuses,
    Opens,
    /// It says no more than no.
    Silent,
    /// The first handle finds nothing any more.
    Empties,
}
