//! One connection must not keep the others from their turn, nor take them down with it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use broker_core::persistence::{
    Answer, Batch, Persistence, StoredOutgoing, StoredQueue, StoredSession, StoredSubscription,
    StoredWill,
};
use mosca::{Message, Server};
use mqtt_codec::{Connect, OwnedPacket, Packet, PacketId, Publish, QoS, Version, Will};
use persistence_memory::MemoryPersistence;
use topic_trie::TopicFilter;

use crate::client::{Client, Pair, encoded, id, plain_server, start, wait_for_connections, within};

/// Writes as fast as the server reads, from a thread of its own, until told to stop. Says when it has
/// begun.
fn flood(
    server: &Server,
    stop: &Arc<AtomicBool>,
    name: &str,
    begun: mpsc::Sender<()>,
) -> std::thread::JoinHandle<u64> {
    let mut stream = std::net::TcpStream::connect(server.local_addresses()[0]).unwrap();
    let hello = encoded(
        Packet::Connect(Connect::new(Version::V311, name)),
        Version::V311,
    );
    let publish = encoded(
        Packet::Publish(Publish::new("flood/topic", &[0; 200])),
        Version::V311,
    );
    let messages = publish.repeat((1 << 20) / publish.len());
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        stream.write_all(&hello).unwrap();
        let mut written = 0;
        while !stop.load(Ordering::Relaxed) {
            stream.write_all(&messages).unwrap();
            written += messages.len() as u64;
            // If nobody waits for it any more the test has failed already.
            let _told = begun.send(());
        }
        written
    })
}

async fn others_get_their_turn() {
    let server = plain_server().await;
    let mut receiver = Client::connect(&server, Version::V311, "receiver").await;
    receiver.subscribe("flood/#", QoS::AtMostOnce).await;
    let pair = Pair::start(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut all_begun = Vec::new();
    let floods = [1, 2, 3].map(|number| {
        let (begun, has_begun) = mpsc::channel();
        all_begun.push(has_begun);
        flood(&server, &stop, &format!("flood-{number}"), begun)
    });
    let wait = move || all_begun.into_iter().all(|begun| begun.recv().is_ok());
    let begun = within("floods to begin", tokio::task::spawn_blocking(wait)).await;
    assert!(begun.unwrap());
    let mut bystander = Client::connect(&server, Version::V5, "bystander").await;
    for _ in 0..20 {
        bystander.ping().await;
    }
    stop.store(true, Ordering::Relaxed);
    let pair = pair.stop();
    let join = tokio::task::spawn_blocking(move || floods.map(|flood| flood.join().unwrap()));
    let (exchanged, written) = tokio::join!(pair, within("floods", join));
    assert!(exchanged > 0);
    assert!(written.unwrap().iter().all(|bytes| *bytes > 0));
    drop(receiver);
}

#[tokio::test]
async fn publishers_that_flood_leave_others_their_turn_on_one_thread() {
    others_get_their_turn().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn publishers_that_flood_leave_others_their_turn_on_one_worker() {
    others_get_their_turn().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_flood_leave_others_their_turn_on_two_workers() {
    others_get_their_turn().await;
}

/// A defect (here: of the program's own function) costs one connection, and nothing of it is found
/// by the next.
#[tokio::test]
async fn a_panic_in_one_connection_ends_only_that_connection() {
    let calls = Arc::new(AtomicUsize::new(0));
    let builder = Server::builder().broker({
        let calls = Arc::clone(&calls);
        |options| {
            options.assign_client_id = Arc::new(move || {
                let call = calls.fetch_add(1, Ordering::Relaxed);
                assert!(call % 2 == 1, "told to panic by a test");
                format!("assigned-{call}")
            });
        }
    });
    let server = start(builder).await;
    let pair = Pair::start(&server).await;
    for _ in 0..5 {
        let mut first = Client::open(&server, Version::V5).await;
        first
            .send(Packet::Connect(Connect::new(Version::V5, "")))
            .await;
        assert!(first.last_words().await.is_empty());
        let mut second = Client::open(&server, Version::V5).await;
        let hello = second.say_hello(&Connect::new(Version::V5, "")).await;
        let properties = hello.properties.as_properties();
        let assigned = properties.assigned_client_identifier().unwrap();
        assert!(assigned.starts_with("assigned-"), "{assigned}");
        second.ping().await;
    }
    assert!(pair.stop().await > 0);
    wait_for_connections(&server, 0).await;
    assert_eq!(server.sizes().sessions, 0);
}

/// A store with a defect.
struct Panicking {
    inner: MemoryPersistence,
    panics: AtomicBool,
    calls: AtomicUsize,
}

impl Persistence for Panicking {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(
            !self.panics.load(Ordering::Relaxed),
            "told to panic by a test"
        );
        self.inner.commit(batch)
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        self.inner.sessions(after, limit)
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        self.inner.session(client)
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        self.inner.subscriptions(client, after, limit)
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        self.inner.outgoing(client, after, limit)
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        self.inner.queue(client)
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        self.inner.incoming(client)
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        self.inner.retained(filter, after, limit)
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        self.inner.wills(node, after, limit)
    }
}

/// The batch of the one that panicked, with its PUBACK, must not go out on another connection of
/// the same thread; whoever it had a message for must still be woken.
#[tokio::test]
async fn a_store_that_panics_leaves_no_answers_behind_for_others() {
    let store = Arc::new(Panicking {
        inner: MemoryPersistence::new(),
        panics: AtomicBool::new(false),
        calls: AtomicUsize::new(0),
    });
    let server = start(Server::builder().persistence(Arc::clone(&store) as _)).await;
    let mut witness = Client::connect(&server, Version::V5, "witness").await;
    witness.subscribe("will", QoS::AtMostOnce).await;
    witness.subscribe("durable/#", QoS::AtMostOnce).await;
    let mut hello = Connect::new(Version::V311, "away");
    hello.clean_start = false;
    let mut away = Client::connect_with(&server, &hello).await;
    away.subscribe("durable/#", QoS::AtLeastOnce).await;
    drop(away);
    wait_for_connections(&server, 1).await;

    let mut hello = Connect::new(Version::V311, "publisher");
    hello.will = Some(Will {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "will",
        payload: b"",
        properties: mqtt_codec::Properties::EMPTY,
    });
    let mut publisher = Client::connect_with(&server, &hello).await;
    let mut other = Client::connect(&server, Version::V5, "other").await;
    store.panics.store(true, Ordering::Relaxed);
    publisher
        .publish_at_least_once(7, "durable/a", b"payload")
        .await;
    // No PUBACK, not even to someone else.
    assert!(publisher.last_words().await.is_empty());
    store.panics.store(false, Ordering::Relaxed);
    other.ping().await;
    // The message was on its way to others before the store was asked.
    assert_eq!(witness.receive_publish().await.topic, "durable/a");
    assert_eq!(witness.receive_publish().await.topic, "will");
    witness.ping().await;
    other
        .publish_at_least_once(8, "durable/b", b"payload")
        .await;
    assert_eq!(other.receive_puback().await, id(8));
    assert!(store.calls.load(Ordering::Relaxed) > 0);
    drop(publisher);
    wait_for_connections(&server, 2).await;
}

/// The watch over timeouts goes on after a panic: without it nobody is closed for silence.
#[tokio::test]
async fn timeouts_are_watched_after_a_panic_as_before() {
    let store = Arc::new(Panicking {
        inner: MemoryPersistence::new(),
        panics: AtomicBool::new(false),
        calls: AtomicUsize::new(0),
    });
    let server = start(
        Server::builder()
            .persistence(Arc::clone(&store) as _)
            .broker(|options| options.legacy_session_expiry_secs = 1),
    )
    .await;
    let mut hello = Connect::new(Version::V311, "expiring");
    hello.clean_start = false;
    drop(Client::connect_with(&server, &hello).await);
    wait_for_connections(&server, 0).await;
    store.panics.store(true, Ordering::Relaxed);
    let calls = store.calls.load(Ordering::Relaxed);
    within("the end of the session, and the panic", async {
        while store.calls.load(Ordering::Relaxed) == calls {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    store.panics.store(false, Ordering::Relaxed);
    let mut hello = Connect::new(Version::V5, "silent");
    hello.keep_alive = 1;
    let mut silent = Client::connect_with(&server, &hello).await;
    let words = silent.last_words().await;
    assert!(
        matches!(&words[..], [OwnedPacket::Disconnect(_)]),
        "{words:?}"
    );
    assert_eq!(server.counters().keep_alive_timeouts.get(), 1);
}
