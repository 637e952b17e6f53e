//! The store in memory keeps what every store promises.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::collections::HashMap;
use std::sync::Arc;

use broker_core::persistence::Persistence;
use broker_core::persistence::contract::{Factory, block_on};
use persistence_memory::{MemoryLimits, MemoryPersistence};

/// Makes stores in one of their two ways of working.
enum Memory {
    Unlimited,
    /// With limits that are never reached; each batch can then be taken back.
    Limited,
}

impl Factory for Memory {
    type Place = Arc<MemoryPersistence>;
    type Store = Arc<MemoryPersistence>;

    fn create(&self) -> Self::Place {
        Arc::new(match self {
            Self::Unlimited => MemoryPersistence::new(),
            Self::Limited => MemoryPersistence::with_limits(MemoryLimits::default()),
        })
    }

    fn open(&self, place: &Self::Place) -> Self::Store {
        Arc::clone(place)
    }

    fn spoil_version(&self, _: &Self::Place, _: u32) -> Option<u32> {
        None
    }

    fn crash_image(&self, _: &Self::Place) -> Option<Self::Place> {
        None
    }

    /// Adds up the messages that are found in queues, those that are the same [`Arc`] once.
    fn stored_message_bytes(&self, _: &Self::Place, store: &Self::Store) -> Option<u64> {
        let mut sizes = HashMap::new();
        for session in block_on(store.sessions(None, usize::MAX)).unwrap() {
            let queue = store.outgoing(&session.session.client, None, usize::MAX);
            for message in block_on(queue)
                .unwrap()
                .into_iter()
                .filter_map(|one| one.message)
            {
                sizes.insert(Arc::as_ptr(&message), message.size_bytes() as u64);
            }
        }
        let found = sizes.into_values().sum();
        if let Some(counted) = store.sizes().message_bytes {
            assert_eq!(counted as u64, found, "the store's own count");
        }
        Some(found)
    }
}

mod unlimited {
    use super::*;
    broker_core::persistence_contract!(Memory::Unlimited);
}

mod limited {
    use super::*;
    broker_core::persistence_contract!(Memory::Limited);
}
