//! A store that takes its time, fails, or outlives its server.

mod restart;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::contract::{Behaviour, FailingPersistence};
use broker_core::persistence::{Batch, Operation, Persistence as _, SessionKey, StoredSession};
use mosca::{Message, MessageParts, PublishError, Server, Timestamp};
use mqtt_codec::{Connect, OwnedPacket, Packet, PubRel, Publish, QoS, ReasonCode, Version};
use persistence_memory::MemoryPersistence;

use crate::client::{Client, Pair, VERSIONS, encoded, id, start, wait_for_connections, within};

type Store = FailingPersistence<MemoryPersistence>;

/// Commits of one connection that may be under way.
const COMMITS_MAX: usize = 16;

async fn server_with_store() -> (Server, Arc<Store>) {
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    (server_over(&store).await, store)
}

async fn server_over(store: &Arc<Store>) -> Server {
    start(Server::builder().persistence(Arc::clone(store) as _)).await
}

/// A session that outlives its connection.
fn lasting(version: Version, client_id: &str) -> Connect<'_> {
    Connect {
        clean_start: false,
        ..Connect::new(version, client_id)
    }
}

/// A session that waits for everything on `durable/#`, so that a publisher's batch has something
/// in it.
async fn leave_subscriber(server: &Server) {
    let hello = lasting(Version::V311, "away");
    let mut subscriber = Client::connect_with(server, &hello).await;
    subscriber.subscribe("durable/#", QoS::ExactlyOnce).await;
    subscriber
        .send(Packet::Disconnect(mqtt_codec::Disconnect::new(
            ReasonCode::Success,
        )))
        .await;
    assert!(subscriber.last_words().await.is_empty());
    drop(subscriber);
}

async fn wait_for_held(store: &Store, number: usize) {
    within("calls of the store", async {
        while store.held() < number {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Nothing has come: everything that the server had to say before the answer to this is there.
fn assert_silent(client: &Client, what: &str) {
    let mut byte = [0];
    let read = client.stream.try_read(&mut byte);
    assert!(
        matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
        "{what}: {read:?}"
    );
}

#[tokio::test]
async fn puback_does_not_come_before_the_commit_and_others_are_served_meanwhile() {
    let (server, store) = server_with_store().await;
    let pair = Pair::start(&server).await;
    leave_subscriber(&server).await;
    for version in VERSIONS {
        let mut publisher = Client::connect(&server, version, "publisher").await;
        let mut other = Client::connect(&server, version, "other").await;
        store.set_commits(Behaviour::Hold);
        publisher
            .publish_at_least_once(1, "durable/a", b"one")
            .await;
        // More arrives while the commit is under way, and is committed too.
        wait_for_held(&store, 1).await;
        publisher
            .publish_at_least_once(2, "durable/a", b"two")
            .await;
        wait_for_held(&store, 2).await;
        // That the connection lives is said at once.
        publisher.ping().await;
        for _ in 0..20 {
            other.ping().await;
        }
        assert_silent(&publisher, "before the commit");
        store.set_commits(Behaviour::Pass);
        store.release_all();
        assert_eq!(publisher.receive_puback().await, id(1));
        assert_eq!(publisher.receive_puback().await, id(2));
    }
    assert!(pair.stop().await > 0);
}

/// Many connections wait for their commits at once, and those end in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_end_in_any_order_acknowledge_each_their_own() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    store.set_commits(Behaviour::Hold);
    let mut publishers = Vec::new();
    for number in 1..=20 {
        let name = format!("publisher-{number}");
        let mut publisher = Client::connect(&server, Version::V5, &name).await;
        publisher
            .publish_at_least_once(number, "durable/a", b"payload")
            .await;
        wait_for_held(&store, usize::from(number)).await;
        publishers.push((number, publisher));
    }
    while let Some((number, mut publisher)) = publishers.pop() {
        // From the last to the first.
        assert!(store.release(publishers.len()));
        assert_eq!(publisher.receive_puback().await, id(number));
        for (_, waiting) in &publishers {
            assert_silent(waiting, "others");
        }
    }
}

/// MQTT 3.1.1: [MQTT-4.8.0-2]
#[tokio::test]
async fn what_could_not_be_stored_is_not_acknowledged_and_others_go_on() {
    let (server, store) = server_with_store().await;
    let pair = Pair::start(&server).await;
    leave_subscriber(&server).await;
    for version in VERSIONS {
        for held in [false, true] {
            let what = format!("{version:?}, held {held}");
            let mut publisher = Client::connect(&server, version, "publisher").await;
            let behaviour = if held {
                Behaviour::Hold
            } else {
                Behaviour::Fail
            };
            store.set_commits(behaviour);
            publisher
                .publish_at_least_once(1, "durable/lost", b"lost")
                .await;
            publisher.send(Packet::PingReq).await;
            if held {
                wait_for_held(&store, 1).await;
                store.set_commits(Behaviour::Pass);
                assert!(store.fail_held(0));
            }
            if version.is_v5() {
                // It hears so for the message, and stays.
                let mut replies = [publisher.receive().await, publisher.receive().await];
                replies.sort_by_key(|reply| matches!(reply, OwnedPacket::PingResp));
                let [OwnedPacket::PubAck(puback), OwnedPacket::PingResp] = &replies else {
                    panic!("{what}: {replies:?}");
                };
                let reason = ReasonCode::ImplementationSpecificError;
                assert_eq!((puback.packet_id, puback.reason_code), (id(1), reason));
            } else {
                publisher
                    .assert_ends_with(ReasonCode::ImplementationSpecificError, &what)
                    .await;
            }
            store.heal();
            // The same once more works, and is stored once.
            let mut publisher = Client::connect(&server, version, "publisher").await;
            publisher
                .publish_at_least_once(1, "durable/kept", what.as_bytes())
                .await;
            assert_eq!(publisher.receive_puback().await, id(1));
        }
    }
    let hello = lasting(Version::V311, "away");
    let mut subscriber = Client::connect_with(&server, &hello).await;
    for _ in 0..6 {
        assert_eq!(subscriber.receive_publish().await.topic, "durable/kept");
    }
    subscriber.ping().await;
    assert!(pair.stop().await > 0);
}

#[tokio::test]
async fn a_session_that_cannot_be_stored_is_refused_and_not_promised() {
    let (server, store) = server_with_store().await;
    for version in [Version::V311, Version::V5] {
        let mut client = Client::open(&server, version).await;
        store.set_commits(Behaviour::Fail);
        let mut hello = lasting(version, "client");
        let mut properties = mqtt_codec::PropertiesBuf::new();
        if version.is_v5() {
            let expiry = mqtt_codec::Property::SessionExpiryInterval(60);
            properties.push(expiry).unwrap();
        }
        hello.properties = properties.as_properties();
        client.send(Packet::Connect(hello)).await;
        let words = client.last_words().await;
        let [OwnedPacket::ConnAck(connack)] = &words[..] else {
            panic!("CONNACK expected, not {words:?}");
        };
        assert_eq!(connack.reason_code, ReasonCode::ServerUnavailable);
        store.heal();
        Client::connect_with(&server, &hello).await.ping().await;
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_keeps_nobody_but_its_callers() {
    let (server, store) = server_with_store().await;
    let pair = Pair::start(&server).await;
    leave_subscriber(&server).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    store.set_commits(Behaviour::Hold);
    publisher
        .publish_at_least_once(1, "durable/a", b"payload")
        .await;
    wait_for_held(&store, 1).await;
    // Its client goes, and another connection of the same client comes.
    drop(publisher);
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    publisher.ping().await;
    assert!(pair.stop().await > 0);

    let limit = Duration::from_millis(500);
    let since = Instant::now();
    let left = within("close", server.close(limit)).await;
    assert!(since.elapsed() < limit * 60, "{:?}", since.elapsed());
    assert_eq!(left, 1, "the connection whose commit has no answer");
}

#[tokio::test]
async fn what_is_sent_in_the_meantime_waits_for_the_commit_and_then_all_is_answered() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    let mut publisher = Client::connect(&server, Version::V311, "publisher").await;
    store.set_commits(Behaviour::Hold);
    let mut bytes = Vec::new();
    for number in 1..=2_000 {
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(id(number)),
            ..Publish::new("durable/a", &[0; 200])
        };
        bytes.extend(encoded(Packet::Publish(publish), Version::V311));
    }
    let send = publisher.write(&bytes);
    let release = async {
        // Each batch is what one read has brought, so there are several.
        for _ in 0..3 {
            wait_for_held(&store, 1).await;
            assert!(store.held() <= COMMITS_MAX, "{}", store.held());
            store.release_all();
        }
        store.set_commits(Behaviour::Pass);
        store.release_all();
    };
    tokio::join!(send, release);
    for number in 1..=2_000 {
        assert_eq!(publisher.receive_puback().await, id(number));
    }
}

/// A store that takes its time for each commit is not waited for after each of them.
#[tokio::test]
async fn batches_of_one_connection_are_under_way_together_and_acknowledged_in_order() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    for version in VERSIONS {
        let mut publisher = Client::connect(&server, version, "publisher").await;
        store.set_commits(Behaviour::Hold);
        let last = u16::try_from(COMMITS_MAX).unwrap();
        for number in 1..=last {
            let payload = number.to_be_bytes();
            publisher
                .publish_at_least_once(number, "durable/a", &payload)
                .await;
            wait_for_held(&store, usize::from(number)).await;
        }
        // One more waits in the socket.
        publisher
            .publish_at_least_once(last + 1, "durable/a", b"more")
            .await;
        let mut other = Client::connect(&server, version, "other").await;
        other.ping().await;
        assert_eq!(store.held(), COMMITS_MAX);
        // They end in any order; the first is the last.
        for _ in 1..COMMITS_MAX {
            assert!(store.release(1));
        }
        other.ping().await;
        assert_silent(&publisher, "before the first commit is done");
        store.set_commits(Behaviour::Pass);
        assert!(store.release(0));
        for number in 1..=last + 1 {
            assert_eq!(publisher.receive_puback().await, id(number));
        }
    }
}

/// MQTT 3.1.1 3.1.2.10: who cannot be heard is not taken for silent.
#[tokio::test]
async fn a_store_that_is_slower_than_the_keep_alive_closes_nobody() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    let hello = Connect {
        keep_alive: 1,
        ..Connect::new(Version::V311, "publisher")
    };
    let mut publisher = Client::connect_with(&server, &hello).await;
    store.set_commits(Behaviour::Hold);
    let last = u16::try_from(COMMITS_MAX).unwrap();
    for number in 1..=last {
        publisher
            .publish_at_least_once(number, "durable/a", b"x")
            .await;
        wait_for_held(&store, usize::from(number)).await;
    }
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    assert_eq!(server.counters().keep_alive_timeouts.get(), 0);
    store.heal();
    store.release_all();
    for number in 1..=last {
        assert_eq!(publisher.receive_puback().await, id(number));
    }
    publisher.ping().await;
}

/// Sessions that expired while no server ran are all due when one starts.
#[tokio::test]
async fn what_is_due_waits_in_the_broker_once_so_many_batches_of_it_are_on_their_way() {
    const BATCHES_MAX: usize = 64;
    const SESSIONS_PER_BATCH: usize = 256;
    const SESSIONS: usize = (BATCHES_MAX + 1) * SESSIONS_PER_BATCH;
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    let mut expired = Batch::default();
    for number in 0..SESSIONS {
        expired.push(Operation::PutSession(StoredSession {
            session: SessionKey {
                client: format!("client-{number}").into(),
                incarnation: 1,
            },
            expiry_interval_secs: 1,
            disconnected_at: Some(Timestamp::from_millis(1)),
        }));
    }
    store.commit(&mut expired).await.unwrap();
    store.set_commits(Behaviour::Hold);
    let builder = Server::builder().persistence(Arc::clone(&store) as _);
    let connect_timeout = Duration::from_millis(1);
    let server = start(builder.broker(|options| options.connect_timeout = connect_timeout)).await;
    wait_for_held(&store, BATCHES_MAX).await;
    // Who is late with CONNECT is closed by the same task, so it has looked what is due since then.
    for _ in 0..3 {
        let mut silent = Client::open(&server, Version::V311).await;
        assert!(silent.last_words().await.is_empty());
        assert_eq!(store.held(), BATCHES_MAX);
        assert_eq!(server.sizes().sessions, SESSIONS_PER_BATCH);
    }
    store.set_commits(Behaviour::Pass);
    store.release_all();
    within("the end of all sessions", async {
        while !store.inner().sessions(None, 1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(server.sizes().sessions, 0);
}

/// What only comes to light when output is made is committed too: here, that
/// messages are larger than the client takes.
#[tokio::test]
async fn what_is_dropped_on_the_way_out_is_committed_too() {
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    let builder = Server::builder().persistence(Arc::clone(&store) as _);
    let server = start(builder.broker(|options| options.max_outbox_bytes = 1_000)).await;
    leave_subscriber(&server).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    for number in 1..=40 {
        // Every second one is too large.
        let payload = vec![0; if number % 2 == 0 { 2_000 } else { 600 }];
        publisher
            .publish_at_least_once(number, "durable/a", &payload)
            .await;
        assert_eq!(publisher.receive_puback().await, id(number));
    }
    let mut properties = mqtt_codec::PropertiesBuf::new();
    for property in [
        mqtt_codec::Property::SessionExpiryInterval(60),
        mqtt_codec::Property::MaximumPacketSize(1_000),
    ] {
        properties.push(property).unwrap();
    }
    let mut hello = lasting(Version::V5, "away");
    hello.properties = properties.as_properties();
    let mut subscriber = Client::open(&server, Version::V5).await;
    store.set_commits(Behaviour::Hold);
    subscriber.send(Packet::Connect(hello)).await;
    let received = async {
        assert!(matches!(
            subscriber.receive().await,
            OwnedPacket::ConnAck(_)
        ));
        for _ in 0..20 {
            assert_eq!(subscriber.receive_publish().await.payload.len(), 600);
        }
    };
    tokio::pin!(received);
    loop {
        tokio::select! {
            () = &mut received => break,
            () = wait_for_held(&store, 1) => {}
        }
        for _ in 0..3 {
            publisher.ping().await;
            assert!(store.held() <= COMMITS_MAX, "{}", store.held());
        }
        assert!(store.release(0));
    }
    // The last one is too large.
    store.heal();
    store.release_all();
    within("the last to be dropped", async {
        while server.counters().dropped_too_large.get() < 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within("the store to forget them", async {
        while store.inner().queue("away").await.unwrap().messages > 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn message(topic: &str) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: b"from the program",
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

#[tokio::test]
async fn the_program_hears_of_a_store_that_fails() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    store.set_commits(Behaviour::Fail);
    let failed = server.publish(&message("durable/a")).await;
    assert!(matches!(failed, Err(PublishError::Store(_))), "{failed:?}");
    store.heal();
    server.publish(&message("durable/a")).await.unwrap();
}

/// Nobody is forgotten when the program does not wait for the end of its own publication.
#[tokio::test]
async fn a_publication_that_is_not_waited_for_still_wakes_its_receivers() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    let mut live = Client::connect(&server, Version::V5, "live").await;
    live.subscribe("durable/+", QoS::AtLeastOnce).await;
    store.set_commits(Behaviour::Hold);
    let message = message("durable/a");
    let publish = tokio::time::timeout(Duration::ZERO, server.publish(&message)).await;
    assert!(publish.is_err(), "the commit is held");
    assert_eq!(live.receive_publish().await.topic, "durable/a");
    store.heal();
    store.release_all();
    drop(live);
    wait_for_connections(&server, 0).await;
}
