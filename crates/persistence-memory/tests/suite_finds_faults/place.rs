//! Where a faulty store lives, how it is opened, and what a crash leaves of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use broker_core::persistence::contract::{Factory, Scale, block_on};
use broker_core::persistence::{Operation, Persistence};
use persistence_memory::MemoryPersistence;

use super::faults::Fault;
use super::faulty::Faulty;

/// Milliseconds since the epoch; what expires before has expired.
pub(crate) const LONG_AGO: u64 = 1_500_000_000_000;

/// The version that the store understands.
pub(crate) const VERSION: u32 = 3;

/// Where a faulty store lives.
pub(crate) struct Place {
    pub(crate) store: Mutex<Arc<MemoryPersistence>>,
    pub(crate) version: Mutex<u32>,
    /// Every batch, if the fault is one of crashes.
    pub(crate) journal: Mutex<Vec<Vec<Operation>>>,
    /// Bytes of all messages that were ever queued.
    pub(crate) ever: Mutex<u64>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            store: Mutex::default(),
            version: Mutex::new(VERSION),
            journal: Mutex::default(),
            ever: Mutex::default(),
        }
    }
}

impl Factory for Fault {
    type Place = Arc<Place>;
    type Store = Arc<Faulty>;

    /// A fault shows in small amounts as well.
    fn scale(&self) -> Scale {
        Scale {
            streamed_messages: 3_000,
            fan_out: 30,
            searched_messages: 20_000,
            ..Scale::SERVER
        }
    }

    fn create(&self) -> Self::Place {
        Arc::default()
    }

    fn open(&self, place: &Self::Place) -> Arc<Faulty> {
        let mut store = place.store.lock().unwrap();
        if *self == Self::Forgets {
            *store = Arc::default();
        }
        Arc::new(Faulty {
            fault: *self,
            inner: Arc::clone(&store),
            place: Arc::clone(place),
            late: Mutex::default(),
            waiting: Arc::default(),
            cached: Mutex::default(),
        })
    }

    fn try_open(&self, place: &Self::Place) -> Result<Arc<Faulty>, String> {
        let found = *place.version.lock().unwrap();
        match self {
            Self::IgnoresVersions => {}
            Self::HidesVersions if found != VERSION => return Err("it does not fit".into()),
            _ if found != VERSION => return Err(format!("version {found} where I know {VERSION}")),
            Self::Alone => return Ok(self.open(&Arc::default())),
            _ => {}
        }
        Ok(self.open(place))
    }

    fn spoil_version(&self, place: &Self::Place, version: u32) -> Option<u32> {
        *place.version.lock().unwrap() = version;
        Some(VERSION)
    }

    fn crash_image(&self, place: &Self::Place) -> Option<Self::Place> {
        if *self != Self::LosesTheMiddle {
            return None;
        }
        let image = Self::Place::default();
        let journal = place.journal.lock().unwrap();
        let lost = journal.len().checked_sub(2);
        for (at, operations) in journal.iter().enumerate() {
            if Some(at) != lost {
                let store = image.store.lock().unwrap();
                block_on(store.commit(&mut operations.iter().cloned().collect())).unwrap();
            }
        }
        Some(image)
    }

    fn stored_message_bytes(&self, place: &Self::Place, store: &Arc<Faulty>) -> Option<u64> {
        if *self == Self::LeaksMessages {
            return Some(*place.ever.lock().unwrap());
        }
        let mut messages = HashMap::new();
        for session in block_on(store.inner.sessions(None, usize::MAX)).unwrap() {
            let queue = store
                .inner
                .outgoing(&session.session.client, None, usize::MAX);
            for message in block_on(queue)
                .unwrap()
                .into_iter()
                .filter_map(|one| one.message)
            {
                messages.insert(Arc::as_ptr(&message), message.size_bytes() as u64);
            }
        }
        Some(messages.into_values().sum())
    }
}
