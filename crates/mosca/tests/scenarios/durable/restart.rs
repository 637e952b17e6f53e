//! A server that starts over the store of another one.

use super::*;

/// [MQTT-4.1.0-1] and [MQTT-4.4.0-1] of both versions, across the end of a server.
#[tokio::test]
async fn a_new_server_over_the_same_store_has_the_session_and_what_waits_in_it() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    for number in 1..=10 {
        let payload = [u8::try_from(number).unwrap()];
        publisher
            .publish_at_least_once(number, "durable/a", &payload)
            .await;
        assert_eq!(publisher.receive_puback().await, id(number));
    }
    let retained = Publish {
        retain: true,
        ..Publish::new("kept", b"retained")
    };
    publisher.send(Packet::Publish(retained)).await;
    publisher.ping().await;
    drop(publisher);
    assert_eq!(
        within("close", server.close(Duration::from_secs(10))).await,
        0
    );

    let server = server_over(&store).await;
    assert_eq!(server.sizes().sessions, 1);
    assert_eq!(server.sizes().retained_messages, 1);
    let mut subscriber = Client::open(&server, Version::V311).await;
    let hello = lasting(Version::V311, "away");
    let connack = subscriber.say_hello(&hello).await;
    assert!(connack.session_present);
    for number in 1..=10 {
        let publish = subscriber.receive_publish().await;
        assert_eq!(publish.payload[..], [number]);
        let puback = mqtt_codec::PubAck::new(publish.packet_id.unwrap());
        subscriber.send(Packet::PubAck(puback)).await;
    }
    subscriber.ping().await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    publisher.publish("durable/b", b"still subscribed").await;
    let publish = subscriber.receive_publish().await;
    assert_eq!(publish.topic, "durable/b");
}

/// [MQTT-4.3.3-2] of 3.1.1 and [MQTT-4.3.3-10] of 5.0: not even a restart makes a second message of
/// a PUBLISH that is sent again.
#[tokio::test]
async fn a_qos_2_message_that_is_sent_again_after_a_restart_is_delivered_once() {
    let (server, store) = server_with_store().await;
    leave_subscriber(&server).await;
    let hello = lasting(Version::V311, "publisher");
    let publish = Publish {
        qos: QoS::ExactlyOnce,
        packet_id: Some(id(9)),
        ..Publish::new("durable/once", b"once")
    };
    let mut publisher = Client::connect_with(&server, &hello).await;
    publisher.send(Packet::Publish(publish)).await;
    assert!(matches!(publisher.receive().await, OwnedPacket::PubRec(_)));
    drop(publisher);
    assert_eq!(
        within("close", server.close(Duration::from_secs(10))).await,
        0
    );

    let server = server_over(&store).await;
    let mut publisher = Client::connect_with(&server, &hello).await;
    let again = Publish {
        dup: true,
        ..publish
    };
    publisher.send(Packet::Publish(again)).await;
    assert!(matches!(publisher.receive().await, OwnedPacket::PubRec(_)));
    publisher.send(Packet::PubRel(PubRel::new(id(9)))).await;
    assert!(matches!(publisher.receive().await, OwnedPacket::PubComp(_)));
    let hello = lasting(Version::V311, "away");
    let mut subscriber = Client::connect_with(&server, &hello).await;
    assert_eq!(subscriber.receive_publish().await.topic, "durable/once");
    subscriber.ping().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_why_the_server_does_not_start() {
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    store.set_lookups(Behaviour::Fail);
    let started = Server::builder()
        .persistence(Arc::clone(&store) as _)
        .start()
        .await;
    assert!(
        matches!(started, Err(mosca::StartError::Restore(_))),
        "{started:?}"
    );
}

/// What is asked of the store for each session is asked for many at a time.
#[tokio::test]
async fn a_start_reads_many_sessions_at_a_time_and_no_queue() {
    let (server, store) = server_with_store().await;
    for number in 0..200 {
        let name = format!("client-{number}");
        drop(Client::connect_with(&server, &lasting(Version::V311, &name)).await);
    }
    wait_for_connections(&server, 0).await;
    leave_subscriber(&server).await;
    server.publish(&message("durable/a")).await.unwrap();
    server.close(Duration::from_secs(10)).await;

    store.set_lookups(Behaviour::Hold);
    let starting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { server_over(&store).await }
    });
    let mut most = 0;
    while !starting.is_finished() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        most = most.max(store.held());
        store.release_all();
    }
    store.heal();
    let server = starting.await.unwrap();
    assert_eq!(server.sizes().sessions, 201);
    assert_eq!(most, 64);

    // Its client has to wait for what the store has, and others do not.
    store.set_lookups(Behaviour::Hold);
    let mut subscriber = Client::open(&server, Version::V311).await;
    let hello = lasting(Version::V311, "away");
    subscriber.send(Packet::Connect(hello)).await;
    wait_for_held(&store, 2).await;
    let mut other = Client::connect(&server, Version::V311, "other").await;
    other.ping().await;
    assert_silent(&subscriber, "before its session was read");
    store.heal();
    store.release_all();
    assert!(matches!(
        subscriber.receive().await,
        OwnedPacket::ConnAck(_)
    ));
    assert_eq!(subscriber.receive_publish().await.topic, "durable/a");
}

/// More than the window of a queue, over a restart and over sockets.
#[tokio::test]
async fn a_queue_that_is_longer_than_the_window_comes_in_its_order() {
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    let builder = || {
        let builder = Server::builder().persistence(Arc::clone(&store) as _);
        builder.broker(|options| options.queue_window_messages = 100)
    };
    let server = start(builder()).await;
    leave_subscriber(&server).await;
    let mut publisher = Client::connect(&server, Version::V311, "publisher").await;
    for number in 1..=1_500_u16 {
        let payload = number.to_be_bytes();
        publisher
            .publish_at_least_once(number, "durable/a", &payload)
            .await;
        assert_eq!(publisher.receive_puback().await, id(number));
    }
    drop(publisher);
    server.close(Duration::from_secs(10)).await;
    let server = start(builder()).await;
    let hello = lasting(Version::V311, "away");
    let mut subscriber = Client::connect_with(&server, &hello).await;
    for number in 1..=1_500_u16 {
        let publish = subscriber.receive_publish().await;
        assert_eq!(publish.payload[..], number.to_be_bytes());
        let puback = mqtt_codec::PubAck::new(publish.packet_id.unwrap());
        subscriber.send(Packet::PubAck(puback)).await;
    }
    subscriber.ping().await;
    assert_eq!(store.inner().queue("away").await.unwrap().messages, 0);
}
