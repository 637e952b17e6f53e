//! The store of the example keeps what every store promises, and writes down what it is given.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_core::persistence::contract::Factory;
use broker_core::persistence::{Batch, Operation, Persistence, PersistenceError};
use mosca::{QoS, Server};
use persistence_memory::MemoryPersistence;

use example::Journaled;

#[path = "../examples/custom_persistence.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod example;

struct Journals;

impl Factory for Journals {
    type Place = Arc<MemoryPersistence>;
    type Store = Journaled<Arc<MemoryPersistence>, io::Sink>;

    fn create(&self) -> Self::Place {
        Arc::default()
    }

    fn open(&self, place: &Self::Place) -> Self::Store {
        Journaled::new(Arc::clone(place), io::sink())
    }

    fn spoil_version(&self, _: &Self::Place, _: u32) -> Option<u32> {
        None
    }

    fn crash_image(&self, _: &Self::Place) -> Option<Self::Place> {
        None
    }

    fn stored_message_bytes(&self, _: &Self::Place, _: &Self::Store) -> Option<u64> {
        None
    }
}

broker_core::persistence_contract!(Journals);

/// What was written can be read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// No paper left.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_server_keeps_its_messages_in_it() {
    let (inner, page) = (Arc::new(MemoryPersistence::new()), Page::default());
    let store = Journaled::new(Arc::clone(&inner), page.clone());
    let server = Server::builder().persistence(Arc::new(store));
    let server = server.start().await.unwrap();
    let lamp = server.publish_to("lamp", "on").qos(QoS::AtLeastOnce);
    lamp.retain().await.unwrap();
    assert_eq!(server.close(Duration::from_secs(30)).await, 0);
    let written = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written, "retained \"lamp\"\n");
    let kept = inner.retained(None, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_kept() {
    let inner = Arc::new(MemoryPersistence::new());
    let store = Journaled::new(Arc::clone(&inner), Full);
    let mut batch = Batch::new();
    batch.push(Operation::DropRetained {
        topic: "lamp".into(),
    });
    let refused = store.commit(&mut batch).await;
    assert!(matches!(refused, Err(PersistenceError::Unavailable(_))));
    assert!(batch.is_empty());
}
