//! The engine is lost, or slow, or there is too much for it.

use std::sync::Arc;
use std::time::Duration;

use backend_memory::MemoryBackend;
use mosca::backend::contract::Controlled;
use mosca::backend::{Backend, BackendState};
use mosca::persistence::contract::{Behaviour, FailingPersistence};
use mosca::{QoS, Server, ServerBuilder, Version};
use mqtt_codec::{OwnedPacket, Packet};
use persistence_memory::MemoryPersistence;

use crate::harness::{Client, Hello, Message, id, within};
use crate::{node, node_with};

type Engine = Controlled<MemoryBackend>;

/// Two nodes, and a client at each that gets everything.
struct Two {
    engine: Engine,
    servers: [Server; 2],
    here: Client,
    there: Client,
}

async fn two(change: impl Fn(ServerBuilder) -> ServerBuilder) -> Two {
    let engine = Controlled::new(MemoryBackend::new());
    let shared: Arc<dyn Backend> = Arc::new(engine.clone());
    let servers = [
        node_with(&shared, "a", &change).await,
        node_with(&shared, "b", &change).await,
    ];
    let mut here = Client::connect(&servers[0], Version::V5, "here").await;
    let mut there = Client::connect(&servers[1], Version::V5, "there").await;
    for client in [&mut here, &mut there] {
        client.subscribe("t/#", QoS::AtMostOnce).await;
    }
    Two {
        engine,
        servers,
        here,
        there,
    }
}

fn patient(builder: ServerBuilder) -> ServerBuilder {
    builder.backend_options(|it| it.acceptance_timeout = Duration::from_secs(100_000))
}

#[tokio::test]
async fn while_the_engine_is_lost_clients_are_served_here_and_what_others_miss_is_counted() {
    let Two {
        engine,
        servers: [a, b],
        mut here,
        mut there,
    } = two(patient).await;
    let mut publisher = Client::connect(&a, Version::V5, "publisher").await;
    let payloads: [&[u8]; 2] = [b"1", b"2"];
    for (round, payload) in (1..).zip(payloads) {
        engine.lose();
        for server in [&a, &b] {
            let lost = server.wait_for_backend(BackendState::Lost);
            within("the loss", lost).await;
            assert_eq!(server.backend_state(), Some(BackendState::Lost));
        }
        // Nobody waits for an engine that is not there.
        let program = b.subscribe("late").unwrap();
        within("a filter for nobody", program.ready()).await;
        publisher
            .publish_whole(&Message::new("t/lost", payload).qos1(1))
            .await;
        here.expect_publish("t/lost", payload, QoS::AtMostOnce)
            .await;
        assert_eq!(a.counters().not_forwarded_to_nodes.get(), round);
        // Those who come and go now are known when the engine is back.
        let mut late = Client::connect(&b, Version::V5, "late").await;
        late.subscribe("late", QoS::AtMostOnce).await;

        engine.restore();
        for server in [&a, &b] {
            let back = server.wait_for_backend(BackendState::Connected);
            within("the end of it", back).await;
        }
        crate::until("filters", || engine.filters("b").len() == 2).await;
        crate::until("filters", || engine.filters("a").len() == 1).await;
        publisher
            .publish_whole(&Message::new("late", payload).qos1(2))
            .await;
        late.expect_publish("late", payload, QoS::AtMostOnce).await;
        publisher
            .publish_whole(&Message::new("t/back", payload).qos1(3))
            .await;
        for client in [&mut here, &mut there] {
            client
                .expect_publish("t/back", payload, QoS::AtMostOnce)
                .await;
        }
        late.disconnect().await;
    }
    assert_eq!(a.counters().forwarded_to_nodes.get(), 4);
}

#[tokio::test]
async fn an_acknowledgement_waits_for_the_engine_and_nothing_else_does() {
    let Two {
        engine,
        servers: [a, _b],
        mut here,
        mut there,
    } = two(patient).await;
    let mut publisher = Client::connect(&a, Version::V5, "publisher").await;
    engine.hold();
    publisher
        .send_message(&Message::new("t/1", b"1").qos1(1))
        .await;
    publisher
        .send_message(&Message::new("t/2", b"2").qos2(2))
        .await;
    publisher.publish("t/3", b"3").await;
    for (topic, payload) in [("t/1", b"1"), ("t/2", b"2"), ("t/3", b"3")] {
        here.expect_publish(topic, payload, QoS::AtMostOnce).await;
    }
    publisher.ping().await;
    there.ping().await;
    engine.let_go();
    publisher.expect_puback(id(1)).await;
    publisher.expect_pubrec(id(2)).await;
    for (topic, payload) in [("t/1", b"1"), ("t/2", b"2"), ("t/3", b"3")] {
        there.expect_publish(topic, payload, QoS::AtMostOnce).await;
    }
}

#[tokio::test]
async fn nobody_waits_long_for_a_slow_engine_and_all_comes_in_the_end() {
    let limit = Duration::from_millis(50);
    let Two {
        engine,
        servers: [a, _b],
        mut here,
        mut there,
    } = two(|builder| builder.backend_options(|it| it.acceptance_timeout = limit)).await;
    let mut publisher = Client::connect(&a, Version::V5, "publisher").await;
    engine.hold();
    for number in 1..=30_u16 {
        let payload = number.to_string();
        let message = Message::new("t", payload.as_bytes()).qos1(number);
        publisher.publish_whole(&message).await;
        here.expect_publish("t", payload.as_bytes(), QoS::AtMostOnce)
            .await;
    }
    // Nor does who subscribes.
    here.subscribe("u", QoS::AtMostOnce).await;
    there.ping().await;
    engine.let_go();
    for number in 1..=30_u16 {
        let payload = number.to_string();
        there
            .expect_publish("t", payload.as_bytes(), QoS::AtMostOnce)
            .await;
    }
    crate::until("the answer", || a.counters().forwarded_to_nodes.get() == 30).await;
    assert_eq!(a.counters().not_forwarded_to_nodes.get(), 0);
}

#[tokio::test]
async fn what_has_no_room_in_front_of_the_engine_is_counted() {
    const MANY: u64 = 500;
    let Two {
        engine,
        servers: [a, _b],
        mut here,
        mut there,
    } = two(|builder| patient(builder).backend_options(|it| it.max_forward_messages = 10)).await;
    engine.hold();
    let mut publisher = Client::connect(&a, Version::V5, "publisher").await;
    let mut bytes = Vec::new();
    for number in 0..MANY {
        let payload = number.to_string();
        let publish = mqtt_codec::Publish::new("t/x", payload.as_bytes());
        Packet::Publish(publish)
            .encode(Version::V5, &mut bytes)
            .unwrap();
    }
    publisher.write(&bytes).await;
    for number in 0..MANY {
        let payload = number.to_string();
        here.expect_publish("t/x", payload.as_bytes(), QoS::AtMostOnce)
            .await;
    }
    engine.let_go();
    let counters = a.counters();
    let all = || counters.forwarded_to_nodes.get() + counters.not_forwarded_to_nodes.get();
    crate::until("all to be counted", || all() == MANY).await;
    assert!(counters.not_forwarded_to_nodes.get() > 0);
    for _ in 0..counters.forwarded_to_nodes.get() {
        there.receive_publish().await;
    }
    there.nothing_comes().await;
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_told_to_others() {
    let engine: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    let a = node_with(&engine, "a", |builder| builder.persistence(store.clone())).await;
    let b = node(&engine, "b").await;
    let mut there = Client::connect(&b, Version::V5, "there").await;
    there.subscribe("t", QoS::AtMostOnce).await;
    let mut publisher = Client::connect(&a, Version::V5, "publisher").await;

    store.set_commits(Behaviour::Fail);
    publisher
        .send_message(&Message::new("t", b"lost").retain().qos1(1))
        .await;
    let OwnedPacket::PubAck(refused) = publisher.receive().await else {
        panic!("PUBACK expected");
    };
    assert!(refused.reason_code.is_error());
    // Nothing that has been stored goes to others before it is.
    store.set_commits(Behaviour::Hold);
    publisher
        .send_message(&Message::new("t", b"kept").retain().qos1(2))
        .await;
    crate::until("the commit", || store.held() == 1).await;
    there.ping().await;
    store.set_commits(Behaviour::Pass);
    assert!(store.release(0));
    publisher.expect_puback(id(2)).await;
    there.expect_publish("t", b"kept", QoS::AtMostOnce).await;
    assert_eq!(a.counters().not_forwarded_to_nodes.get(), 1);
}

#[tokio::test]
async fn no_more_is_taken_from_others_than_the_store_keeps_up_with() {
    let engine: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    let a = node(&engine, "a").await;
    let b = node_with(&engine, "b", |builder| builder.persistence(store.clone())).await;
    let hello = Hello::new(Version::V5, "client").persistent(3_600);
    let mut client = hello.connect(&b).await;
    client.subscribe("t", QoS::AtLeastOnce).await;
    let received = || b.counters().received_from_nodes.get();
    store.set_commits(Behaviour::Hold);
    for number in 1..=65_u64 {
        let payload = number.to_string();
        let message = a.publish_to("t", &payload).qos(QoS::AtLeastOnce);
        message.await.unwrap();
        // One commit for each.
        crate::until("it to be taken", || received() == number.min(64)).await;
    }
    client.ping().await;
    assert_eq!((received(), store.held()), (64, 64));
    store.set_commits(Behaviour::Pass);
    assert!(store.release(0));
    crate::until("the last to be taken", || received() == 65).await;
    while store.release(0) {}
    for number in 1..=65_u64 {
        let payload = number.to_string();
        let message = client.expect_publish("t", payload.as_bytes(), QoS::AtLeastOnce);
        message.await;
    }
}
