//! Sections 4.1, 4.4 and 4.5: how long a session lasts and what it keeps, what is sent again and when,
//! and who receives a message. What CONNECT does with sessions is in `connect.rs`.

use std::time::{Duration, Instant};

use mosca::Server;
use mqtt_codec::{Property, QoS, ReasonCode, Version};

use crate::harness::{
    Client, Hello, Message, NUMBERED, VERSIONS, each, id, plain_server, wait_for_connections,
    within,
};

/// MQTT 3.1.1: [MQTT-4.1.0-1]
/// MQTT 5.0: [MQTT-3.1.2-23]
#[tokio::test]
async fn a_session_keeps_all_of_its_state() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "client").persistent(1_000);
        let mut client = hello.connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        // A QoS 2 message from the client that is not complete.
        client.send_message(&Message::new("b", b"in").qos2(9)).await;
        client.expect_pubrec(id(9)).await;
        // Messages to the client: one sent and not acknowledged, one with PUBREC and no PUBCOMP.
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher
            .publish_whole(&Message::new("a", b"received").qos2(1))
            .await;
        let received = client
            .expect_publish("a", b"received", QoS::ExactlyOnce)
            .await;
        let received = received.packet_id.unwrap();
        client.send_pubrec(received).await;
        client.expect_pubrel(received).await;
        publisher
            .publish_whole(&Message::new("a", b"sent").qos1(2))
            .await;
        let sent = client.expect_publish("a", b"sent", QoS::AtLeastOnce).await;
        drop(client);
        wait_for_connections(server, 1).await;
        // And one that is waiting to be sent.
        publisher
            .publish_whole(&Message::new("a", b"waiting").qos1(3))
            .await;

        let mut client = hello.connect(server).await;
        client.expect_pubrel(received).await;
        client.send_pubcomp(received).await;
        let again = client.expect_publish("a", b"sent", QoS::AtLeastOnce).await;
        assert_eq!((again.packet_id, again.dup), (sent.packet_id, true));
        client.send_puback(again.packet_id.unwrap()).await;
        let waiting = client.take_publish("a", b"waiting", QoS::AtLeastOnce).await;
        assert!(!waiting.dup, "it was never sent before");
        // The client's own message is known: it is the same one that goes on.
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("b", QoS::AtMostOnce).await;
        client
            .send_message(&Message::new("b", b"in").qos2(9).dup())
            .await;
        client.expect_pubrec(id(9)).await;
        client.send_pubrel(id(9)).await;
        assert_eq!(client.expect_pubcomp(id(9)).await, ReasonCode::Success);
        witness.nothing_comes().await;
        // The subscription is there.
        publisher.publish_whole(&Message::new("a", b"more")).await;
        client.expect_publish("a", b"more", QoS::AtMostOnce).await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.1.0-2]
/// MQTT 5.0: [MQTT-4.1.0-1]
#[tokio::test]
async fn a_session_lasts_as_long_as_its_connection_whatever_its_expiry() {
    for version in NUMBERED {
        let server = plain_server().await;
        let clean = Hello::new(version, "clean");
        let mut hellos = vec![clean];
        if version.is_v5() {
            hellos.push(Hello::new(version, "short").property(Property::SessionExpiryInterval(1)));
        }
        let mut clients = Vec::new();
        for hello in hellos {
            let mut client = hello.connect(&server).await;
            client.subscribe("a", QoS::AtLeastOnce).await;
            clients.push(client);
        }
        // Longer than the expiry, and than the server waits to look for what has expired.
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        let mut publisher = Client::connect(&server, version, "publisher").await;
        publisher
            .publish_whole(&Message::new("a", b"x").qos1(1))
            .await;
        for client in &mut clients {
            client.take_publish("a", b"x", QoS::AtLeastOnce).await;
        }
    }
}

/// Waits until the server has so many sessions; how long that took.
async fn wait_for_sessions(server: &Server, number: usize) -> Duration {
    let since = Instant::now();
    within("sessions to end", async {
        while server.sizes().sessions > number {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    since.elapsed()
}

/// MQTT 5.0: [MQTT-4.1.0-2] [MQTT-3.1.2-23]
#[tokio::test]
async fn a_session_ends_when_its_expiry_interval_is_over_and_not_before() {
    let server = plain_server().await;
    let hello = Hello::new(Version::V5, "client").persistent(1);
    let mut client = hello.connect(&server).await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    client.disconnect().await;
    let took = wait_for_sessions(&server, 0).await;
    assert!(took > Duration::from_millis(800), "{took:?}");
    assert_eq!(server.sizes().subscriptions, 0);
    let (mut client, connack) = hello.connect_told(&server).await;
    assert!(!connack.session_present);
    client.publish_whole(&Message::new("a", b"x").qos1(1)).await;
    client.nothing_comes().await;
}

/// MQTT 5.0: [MQTT-4.1.0-2]
#[tokio::test]
async fn a_session_without_an_expiry_interval_ends_with_its_connection() {
    let server = plain_server().await;
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    drop(client);
    wait_for_sessions(&server, 0).await;
    assert_eq!(server.sizes().subscriptions, 0);
}

/// MQTT 5.0: [MQTT-4.4.0-1]
#[tokio::test]
async fn nothing_is_sent_again_while_the_connection_lasts() {
    let server = plain_server().await;
    let hello = Hello::new(Version::V5, "client").persistent(1_000);
    let mut client = hello.connect(&server).await;
    client.subscribe("a", QoS::ExactlyOnce).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    publisher
        .publish_whole(&Message::new("a", b"1").qos1(1))
        .await;
    publisher
        .publish_whole(&Message::new("a", b"2").qos2(2))
        .await;
    client.expect_publish("a", b"1", QoS::AtLeastOnce).await;
    let second = client.expect_publish("a", b"2", QoS::ExactlyOnce).await;
    let second = second.packet_id.unwrap();
    client.send_pubrec(second).await;
    client.expect_pubrel(second).await;
    // Neither after a while nor because of what else happens.
    tokio::time::sleep(Duration::from_millis(500)).await;
    publisher.publish_whole(&Message::new("a", b"3")).await;
    client.expect_publish("a", b"3", QoS::AtMostOnce).await;
    client.nothing_comes().await;
}

/// MQTT 3.1.1: [MQTT-4.4.0-1] [MQTT-3.1.2-6]
/// MQTT 5.0: [MQTT-4.4.0-1] [MQTT-3.1.2-4]
#[tokio::test]
async fn what_is_pending_is_sent_again_with_its_identifier_and_only_to_who_resumes() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "client").persistent(1_000);
        let mut client = hello.connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut pending = Vec::new();
        for number in 1..=6_u8 {
            let message = Message::new("a", &[number]);
            let message = match number % 2 {
                0 => message.qos1(u16::from(number)),
                _ => message.qos2(u16::from(number)),
            };
            publisher.publish_whole(&message).await;
            let publish = client.receive_publish().await;
            assert_eq!(publish.payload[..], [number]);
            pending.push(publish);
        }
        // One of them is done with, one half.
        client.send_puback(pending[1].packet_id.unwrap()).await;
        let half = pending[2].packet_id.unwrap();
        client.send_pubrec(half).await;
        client.expect_pubrel(half).await;
        drop(client);

        let mut client = hello.connect(server).await;
        let mut is_released = false;
        let mut again = Vec::new();
        for _ in 0..5 {
            match client.receive().await {
                mqtt_codec::OwnedPacket::PubRel(pubrel) => {
                    assert_eq!(pubrel.packet_id, half);
                    assert!(!std::mem::replace(&mut is_released, true));
                }
                mqtt_codec::OwnedPacket::Publish(publish) => {
                    assert!(publish.dup);
                    again.push((publish.packet_id, publish.payload));
                }
                other => panic!("{other:?}"),
            }
        }
        client.nothing_comes().await;
        let expected = [0, 3, 4, 5].map(|at: usize| {
            let publish = &pending[at];
            (publish.packet_id, publish.payload.clone())
        });
        assert_eq!(again, expected);
        assert!(is_released);
        drop(client);

        // Whoever starts anew is sent none of it.
        let mut client = Client::connect(server, version, "client").await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.5.0-1]
/// MQTT 5.0: [MQTT-4.5.0-1]
#[tokio::test]
async fn a_message_reaches_every_client_with_a_matching_subscription_and_no_other() {
    each(&NUMBERED, async |server, version| {
        let filters = ["a/b", "a/+", "a/#", "#", "+/b", "+/+"];
        let mut here = Vec::new();
        let mut away = Vec::new();
        // Of every version, whoever publishes.
        for (number, filter) in filters.iter().enumerate() {
            for other in VERSIONS {
                let name = format!("here-{number}-{}", other.level());
                let mut client = Client::connect(server, other, &name).await;
                client.subscribe(filter, QoS::AtLeastOnce).await;
                here.push(client);
                let name = format!("away-{number}-{}", other.level());
                let hello = Hello::new(other, &name).persistent(1_000);
                let mut client = hello.connect(server).await;
                client.subscribe(filter, QoS::AtLeastOnce).await;
                client.disconnect().await;
                away.push(hello);
            }
        }
        let mut others = Vec::new();
        for filter in ["a", "a/b/c", "+", "b/+", "A/b", "a/b/+"] {
            let mut client = Client::connect(server, version, &format!("other-{filter}")).await;
            client.subscribe(filter, QoS::AtLeastOnce).await;
            others.push(client);
        }
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher
            .publish_whole(&Message::new("a/b", b"x").qos1(1))
            .await;
        for client in &mut here {
            client.take_publish("a/b", b"x", QoS::AtLeastOnce).await;
            client.nothing_comes().await;
        }
        for hello in away {
            let mut client = hello.connect(server).await;
            client.take_publish("a/b", b"x", QoS::AtLeastOnce).await;
            client.nothing_comes().await;
        }
        for client in &mut others {
            client.nothing_comes().await;
        }
    })
    .await;
}
