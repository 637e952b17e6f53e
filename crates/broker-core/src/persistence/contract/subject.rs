//! The store that a case works on: calls that wait for their answers and insist on getting one.

use core::future::Future;
use core::task::Poll;
use std::sync::Arc;

use mqtt_codec::PacketId;
use topic_trie::TopicFilter;

use super::Factory;
use super::scale::Scale;
use crate::Message;
use crate::persistence::{
    Answer, Batch, Operation, Persistence, StoredOutgoing, StoredQueue, StoredSession,
    StoredSubscription, StoredWill,
};

/// Records in a page where a case does not ask for pages.
const PAGE: usize = 10_000;

/// All pages of a list; `page` gives the one behind a record. A page may be as short as a store
/// likes, so only an empty one is the end.
fn all<T: PartialEq>(page: impl Fn(Option<&T>) -> Vec<T>) -> Vec<T> {
    let mut found = Vec::new();
    loop {
        let next = page(found.last());
        if next.is_empty() {
            return found;
        }
        assert!(
            found.last() != next.last(),
            "a page ends where the one before ended"
        );
        found.extend(next);
    }
}

/// A store under test, in a place of its own.
pub(super) struct Subject<'f, F: Factory> {
    factory: &'f F,
    // Before the place, so that it is closed before the place is removed.
    store: Option<F::Store>,
    place: Arc<F::Place>,
}

impl<'f, F: Factory> Subject<'f, F> {
    pub(super) fn new(factory: &'f F) -> Self {
        let place = Arc::new(factory.create());
        Self {
            factory,
            store: Some(factory.open(&place)),
            place,
        }
    }

    pub(super) fn scale(&self) -> Scale {
        self.factory.scale()
    }

    pub(super) fn store(&self) -> &F::Store {
        match &self.store {
            Some(store) => store,
            None => panic!("the store is open except while it is opened again"),
        }
    }

    /// Ends the handle and opens the same place again.
    pub(super) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.factory.open(&self.place));
    }

    /// Goes on with what a crash would have left; false where that cannot be known, and the place
    /// was opened again.
    pub(super) fn crash(&mut self) -> bool {
        let image = self.factory.crash_image(&self.place);
        let is_image = image.is_some();
        match image {
            Some(image) => {
                let survivor = self.factory.open(&image);
                self.store = Some(survivor);
                self.place = Arc::new(image);
            }
            None => self.reopen(),
        }
        is_image
    }

    /// A second handle on the same place, as another process would have it. `None` where there
    /// cannot be one; then it was refused.
    pub(super) fn second(&self) -> Option<Self> {
        let outcome = self.factory.try_open(&self.place);
        match (F::SHARED, outcome) {
            (true, Ok(store)) => Some(Self {
                factory: self.factory,
                store: Some(store),
                place: Arc::clone(&self.place),
            }),
            (true, Err(error)) => panic!("a second handle on a shared place: {error}"),
            (false, Ok(_)) => panic!("two handles on a place that is not shared"),
            (false, Err(error)) => {
                assert!(!error.is_empty(), "an operator would like to know why");
                None
            }
        }
    }

    /// Closes the place and makes it one of another version; the version that the store
    /// understands. `None` where places have no versions.
    pub(super) fn spoil_version(&mut self, version: u32) -> Option<u32> {
        self.store = None;
        self.factory.spoil_version(&self.place, version)
    }

    /// Tries to open the place after it was closed.
    pub(super) fn open_again(&mut self) -> Result<(), String> {
        self.store = Some(self.factory.try_open(&self.place)?);
        Ok(())
    }

    pub(super) fn await_expiry(&self) {
        self.factory.await_expiry(&self.place, self.store());
    }

    pub(super) fn stored_message_bytes(&self) -> Option<u64> {
        self.factory.stored_message_bytes(&self.place, self.store())
    }

    /// Asks the store for something, where the factory runs futures, and waits for the answer.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&F::Store) -> Answer<T>) -> T {
        match self.block_on(async { question(self.store()).await }) {
            Ok(value) => value,
            Err(error) => panic!("the store could not answer: {error}"),
        }
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.factory.block_on(future)
    }

    pub(super) fn commit(&self, operations: impl IntoIterator<Item = Operation>) {
        let mut batch: Batch = operations.into_iter().collect();
        self.ask(|store| store.commit(&mut batch));
    }

    /// Hands a batch over, where the factory runs futures, and does not wait for the answer.
    pub(super) fn start(&self, operations: impl IntoIterator<Item = Operation>) -> Answer<()> {
        let mut batch: Batch = operations.into_iter().collect();
        self.block_on(core::future::poll_fn(|_| {
            Poll::Ready(self.store().commit(&mut batch))
        }))
    }

    pub(super) fn sessions(&self, after: Option<&str>, limit: usize) -> Vec<StoredSession> {
        self.ask(|store| store.sessions(after, limit))
    }

    pub(super) fn session(&self, client: &str) -> Option<StoredSession> {
        self.ask(|store| store.session(client))
    }

    /// The identifiers of all clients.
    pub(super) fn clients(&self) -> Vec<Arc<str>> {
        all(|last: Option<&StoredSession>| {
            self.sessions(last.map(|one| &*one.session.client), PAGE)
        })
        .into_iter()
        .map(|stored| stored.session.client)
        .collect()
    }

    pub(super) fn subscriptions(&self, client: &str) -> Vec<StoredSubscription> {
        all(|last: Option<&StoredSubscription>| {
            let after = last.map(|one| &*one.filter);
            self.ask(|store| store.subscriptions(client, after, PAGE))
        })
    }

    pub(super) fn outgoing(&self, client: &str) -> Vec<StoredOutgoing> {
        all(|last: Option<&StoredOutgoing>| {
            self.outgoing_page(client, last.map(|one| one.sequence), PAGE)
        })
    }

    /// All messages of a client, which are as many as the store says. While they change it may say
    /// what was a moment ago.
    pub(super) fn counted_outgoing(&self, client: &str) -> Vec<StoredOutgoing> {
        let all = self.outgoing(client);
        let messages = all.iter().filter_map(|one| one.message.as_ref());
        let listed = StoredQueue {
            messages: all.len() as u64,
            bytes: messages.map(|message| message.size_bytes() as u64).sum(),
            last: all.last().map(|last| last.sequence),
        };
        assert_eq!(self.queue(client), listed, "the queue of {client:?}");
        all
    }

    pub(super) fn queue(&self, client: &str) -> StoredQueue {
        self.ask(|store| store.queue(client))
    }

    pub(super) fn outgoing_page(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Vec<StoredOutgoing> {
        self.ask(|store| store.outgoing(client, after, limit))
    }

    /// The sequence numbers on the first page of a client's messages: of one moment.
    pub(super) fn sequences_at_once(&self, client: &str) -> Vec<u64> {
        let page = self.outgoing_page(client, None, PAGE);
        page.iter().map(|outgoing| outgoing.sequence).collect()
    }

    /// The sequence numbers of a client's messages.
    pub(super) fn sequences(&self, client: &str) -> Vec<u64> {
        self.outgoing(client)
            .iter()
            .map(|outgoing| outgoing.sequence)
            .collect()
    }

    /// A client's messages, all of which are there, as texts.
    pub(super) fn queued_texts(&self, client: &str) -> Vec<String> {
        let outgoing = self.outgoing(client);
        outgoing
            .iter()
            .filter_map(|outgoing| outgoing.message.as_ref())
            .map(text)
            .collect()
    }

    pub(super) fn incoming(&self, client: &str) -> Vec<PacketId> {
        self.ask(|store| store.incoming(client))
    }

    /// Retained messages by the text of a filter; all without.
    pub(super) fn retained(&self, filter: Option<&str>) -> Vec<Arc<Message>> {
        all(|last: Option<&Arc<Message>>| {
            self.retained_page(filter, last.map(|message| message.topic()), PAGE)
        })
    }

    pub(super) fn retained_page(
        &self,
        filter: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Message>> {
        let filter = filter.map(|filter| match TopicFilter::new(filter) {
            Ok(filter) => filter,
            Err(error) => panic!("{filter:?} is no topic filter: {error}"),
        });
        self.ask(|store| store.retained(filter, after, limit))
    }

    /// The topics of retained messages by the text of a filter; all without.
    pub(super) fn retained_topics(&self, filter: Option<&str>) -> Vec<String> {
        self.retained(filter)
            .iter()
            .map(|message| message.topic().to_owned())
            .collect()
    }

    pub(super) fn wills(&self, node: &str) -> Vec<StoredWill> {
        all(|last: Option<&StoredWill>| {
            let after = last.map(|will| &*will.session.client);
            self.ask(|store| store.wills(node, after, PAGE))
        })
    }

    /// All that is found under a client's name, wills of `node` included.
    pub(super) fn contents(&self, client: &str, node: &str) -> Contents {
        Contents {
            session: self.session(client),
            subscriptions: self.subscriptions(client),
            outgoing: self.counted_outgoing(client),
            incoming: self.incoming(client),
            will: self
                .wills(node)
                .into_iter()
                .find(|will| &*will.session.client == client),
        }
    }
}

/// All that a store knows under a client's name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    pub(super) session: Option<StoredSession>,
    pub(super) subscriptions: Vec<StoredSubscription>,
    pub(super) outgoing: Vec<StoredOutgoing>,
    pub(super) incoming: Vec<PacketId>,
    pub(super) will: Option<StoredWill>,
}

/// A message's payload as text.
pub(super) fn text(message: &Arc<Message>) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}
