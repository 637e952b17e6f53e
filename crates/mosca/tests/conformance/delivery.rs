//! Section 4.3: the three qualities of service, with the server as receiver and as sender.

use std::collections::HashSet;
use std::time::Duration;

use mosca::Server;
use mqtt_codec::{
    OwnedPacket, OwnedPublish, Packet, Property, PubAck, PubRec, QoS, ReasonCode, Version,
};

use crate::harness::{Client, Hello, Message, NUMBERED, each, id, plain_server};

/// A client with a session that stays, subscribed to `a` at QoS 2, and one that publishes.
async fn pair(server: &Server, version: Version) -> (Client, Client) {
    let mut subscriber = resumed(server, version).await;
    subscriber.subscribe("a", QoS::ExactlyOnce).await;
    let publisher = Client::connect(server, version, "publisher").await;
    (subscriber, publisher)
}

/// The subscriber of [`pair`], on a new connection.
async fn resumed(server: &Server, version: Version) -> Client {
    let hello = Hello::new(version, "subscriber").persistent(1_000);
    hello.connect(server).await
}

/// MQTT 3.1.1: [MQTT-4.3.1-1] [MQTT-2.3.1-5] [MQTT-3.3.1-2]
/// MQTT 5.0: [MQTT-4.3.1-1] [MQTT-2.2.1-2] [MQTT-3.3.1-2]
#[tokio::test]
async fn qos_0_is_one_publish_without_dup_and_identifier() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        publisher.publish_whole(&Message::new("a", b"once")).await;
        let publish = subscriber
            .expect_publish("a", b"once", QoS::AtMostOnce)
            .await;
        assert!(!publish.dup);
        assert_eq!(publish.packet_id, None);
        // Nobody acknowledges it, and it does not come a second time.
        subscriber.nothing_comes().await;
        drop(subscriber);
        resumed(server, version).await.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.2-1] [MQTT-2.3.1-4] [MQTT-4.3.3-1]
/// MQTT 5.0: [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-2.2.1-4]
#[tokio::test]
async fn each_new_message_of_the_server_has_an_identifier_of_its_own_and_no_dup() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        let mut under_way = HashSet::new();
        let mut newest = None;
        for number in 1..=200_u16 {
            let payload = number.to_be_bytes();
            let message = Message::new("a", &payload);
            let (message, qos) = match number % 2 {
                0 => (message.qos1(number), QoS::AtLeastOnce),
                _ => (message.qos2(number), QoS::ExactlyOnce),
            };
            publisher.publish_whole(&message).await;
            let publish = subscriber.expect_publish("a", &payload, qos).await;
            assert!(!publish.dup);
            let packet_id = publish.packet_id.unwrap();
            assert!(under_way.insert(packet_id), "{packet_id:?} is in use");
            // Every fourth is acknowledged, after which its identifier is free.
            if number % 4 == 0 {
                subscriber.send_puback(packet_id).await;
                under_way.remove(&packet_id);
                newest = Some(publish);
            }
        }
        assert!(newest.is_some_and(|publish: OwnedPublish| publish.qos == QoS::AtLeastOnce));
        assert_eq!(under_way.len(), 150);
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.2-1] [MQTT-4.4.0-1] [MQTT-3.3.1-1]
/// MQTT 5.0: [MQTT-4.3.2-3] [MQTT-4.4.0-1] [MQTT-3.3.1-1]
#[tokio::test]
async fn a_message_at_qos_1_is_pending_until_puback() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        publisher
            .publish_whole(&Message::new("a", b"x").qos1(1))
            .await;
        let first = subscriber.expect_publish("a", b"x", QoS::AtLeastOnce).await;
        for _ in 0..2 {
            drop(subscriber);
            subscriber = resumed(server, version).await;
            let again = subscriber.expect_publish("a", b"x", QoS::AtLeastOnce).await;
            assert!(again.dup);
            assert_eq!(again.packet_id, first.packet_id);
        }
        subscriber.send_puback(first.packet_id.unwrap()).await;
        subscriber.nothing_comes().await;
        drop(subscriber);
        resumed(server, version).await.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.2-2] [MQTT-2.3.1-6] [MQTT-3.3.1-3]
/// MQTT 5.0: [MQTT-4.3.2-4] [MQTT-4.3.2-5] [MQTT-2.2.1-5] [MQTT-3.3.1-3]
#[tokio::test]
async fn after_puback_a_publish_of_the_same_identifier_is_a_new_message() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        for message in [
            Message::new("a", b"x").qos1(7),
            Message::new("a", b"x").qos1(7),
            Message::new("a", b"x").qos1(7).dup(),
        ] {
            publisher.send_message(&message).await;
            publisher.expect_puback(id(7)).await;
            let publish = subscriber.take_publish("a", b"x", QoS::AtLeastOnce).await;
            assert!(!publish.dup, "DUP of the publisher is not passed on");
        }
        subscriber.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.3-1] [MQTT-2.3.1-6]
/// MQTT 5.0: [MQTT-4.3.3-4] [MQTT-2.2.1-5]
#[tokio::test]
async fn a_message_at_qos_2_goes_publish_pubrec_pubrel_pubcomp() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        publisher
            .publish_whole(&Message::new("a", b"x").qos2(1))
            .await;
        let publish = subscriber.expect_publish("a", b"x", QoS::ExactlyOnce).await;
        let packet_id = publish.packet_id.unwrap();
        // PUBREL answers PUBREC, and comes not before.
        subscriber.nothing_comes().await;
        subscriber.send_pubrec(packet_id).await;
        subscriber.expect_pubrel(packet_id).await;
        subscriber.send_pubcomp(packet_id).await;
        subscriber.nothing_comes().await;
        drop(subscriber);
        resumed(server, version).await.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.3-1] [MQTT-4.4.0-1] [MQTT-3.3.1-1]
/// MQTT 5.0: [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT-4.4.0-1] [MQTT-3.3.1-1]
#[tokio::test]
async fn at_qos_2_publish_is_pending_until_pubrec_and_pubrel_until_pubcomp() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        publisher
            .publish_whole(&Message::new("a", b"x").qos2(1))
            .await;
        let first = subscriber.expect_publish("a", b"x", QoS::ExactlyOnce).await;
        let packet_id = first.packet_id.unwrap();
        for _ in 0..2 {
            drop(subscriber);
            subscriber = resumed(server, version).await;
            let again = subscriber.expect_publish("a", b"x", QoS::ExactlyOnce).await;
            assert!(again.dup);
            assert_eq!(again.packet_id, Some(packet_id));
        }
        subscriber.send_pubrec(packet_id).await;
        subscriber.expect_pubrel(packet_id).await;
        for _ in 0..2 {
            drop(subscriber);
            subscriber = resumed(server, version).await;
            // Not PUBLISH any more.
            subscriber.expect_pubrel(packet_id).await;
            subscriber.nothing_comes().await;
        }
        subscriber.send_pubcomp(packet_id).await;
        subscriber.nothing_comes().await;
        drop(subscriber);
        resumed(server, version).await.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.3-2] [MQTT-2.3.1-6]
/// MQTT 5.0: [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12] [MQTT-2.2.1-5]
#[tokio::test]
async fn a_message_at_qos_2_that_is_repeated_before_pubrel_is_delivered_once() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, mut publisher) = pair(server, version).await;
        let message = Message::new("a", b"x").qos2(9);
        for round in 0..2 {
            for repeated in [
                message.clone(),
                message.clone().dup(),
                message.clone().dup(),
            ] {
                publisher.send_message(&repeated).await;
                publisher.expect_pubrec(id(9)).await;
            }
            // The same for the packets that follow.
            for _ in 0..2 {
                publisher.send_pubrel(id(9)).await;
                let code = publisher.expect_pubcomp(id(9)).await;
                if round == 0 {
                    assert!(
                        matches!(
                            code,
                            ReasonCode::Success | ReasonCode::PacketIdentifierNotFound
                        ),
                        "{code:?}"
                    );
                }
            }
            // The identifier was free again for the second round: that is another message.
            subscriber.take_publish("a", b"x", QoS::ExactlyOnce).await;
            subscriber.nothing_comes().await;
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-4.3.3-2] [MQTT-4.1.0-1]
/// MQTT 5.0: [MQTT-4.3.3-10]
#[tokio::test]
async fn a_message_at_qos_2_that_is_repeated_on_another_connection_is_delivered_once() {
    each(&NUMBERED, async |server, version| {
        let (mut subscriber, _) = pair(server, version).await;
        let hello = Hello::new(version, "resuming-publisher").persistent(1_000);
        let mut publisher = hello.connect(server).await;
        let message = Message::new("a", b"x").qos2(9);
        publisher.send_message(&message).await;
        publisher.expect_pubrec(id(9)).await;
        drop(publisher);
        let mut publisher = hello.connect(server).await;
        publisher.send_message(&message.dup()).await;
        publisher.expect_pubrec(id(9)).await;
        publisher.send_pubrel(id(9)).await;
        publisher.expect_pubcomp(id(9)).await;
        subscriber.take_publish("a", b"x", QoS::ExactlyOnce).await;
        subscriber.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.3.3-9]
#[tokio::test]
async fn after_a_pubrec_with_an_error_a_publish_of_the_same_identifier_is_a_new_message() {
    let server = plain_server().await;
    let (mut subscriber, mut publisher) = pair(&server, Version::V5).await;
    // Only the server itself speaks on these topics.
    let refused = Message::new("$SYS/a", b"no").qos2(9);
    for _ in 0..2 {
        publisher.send_message(&refused).await;
        match publisher.receive().await {
            OwnedPacket::PubRec(pubrec) => {
                assert_eq!(pubrec.packet_id, id(9));
                assert_eq!(pubrec.reason_code, ReasonCode::NotAuthorized);
            }
            other => panic!("PUBREC expected, not {other:?}"),
        }
    }
    let message = Message::new("a", b"x").qos2(9);
    publisher.publish_whole(&message).await;
    subscriber.take_publish("a", b"x", QoS::ExactlyOnce).await;
    subscriber.nothing_comes().await;
}

/// MQTT 5.0: [MQTT-4.4.0-2] [MQTT-4.3.3-4]
#[tokio::test]
async fn a_message_that_is_refused_is_settled_and_not_sent_again() {
    let server = plain_server().await;
    let (mut subscriber, mut publisher) = pair(&server, Version::V5).await;
    publisher
        .publish_whole(&Message::new("a", b"1").qos1(1))
        .await;
    publisher
        .publish_whole(&Message::new("a", b"2").qos2(2))
        .await;
    let first = subscriber.expect_publish("a", b"1", QoS::AtLeastOnce).await;
    let second = subscriber.expect_publish("a", b"2", QoS::ExactlyOnce).await;
    let puback = PubAck {
        reason_code: ReasonCode::QuotaExceeded,
        ..PubAck::new(first.packet_id.unwrap())
    };
    subscriber.send(Packet::PubAck(puback)).await;
    let pubrec = PubRec {
        reason_code: ReasonCode::UnspecifiedError,
        ..PubRec::new(second.packet_id.unwrap())
    };
    subscriber.send(Packet::PubRec(pubrec)).await;
    // No PUBREL either.
    subscriber.nothing_comes().await;
    drop(subscriber);
    resumed(&server, Version::V5).await.nothing_comes().await;
}

/// MQTT 5.0: [MQTT-4.3.3-7] [MQTT-4.3.3-13]
#[tokio::test]
async fn a_message_at_qos_2_does_not_expire_once_its_handshake_has_begun() {
    let server = plain_server().await;
    let (mut subscriber, mut publisher) = pair(&server, Version::V5).await;
    let expiring = |topic| Message::new(topic, b"x").property(Property::MessageExpiryInterval(1));
    // One that the server is sending, one that it is receiving.
    publisher.publish_whole(&expiring("a").qos2(1)).await;
    let sent = subscriber.expect_publish("a", b"x", QoS::ExactlyOnce).await;
    publisher.send_message(&expiring("b").qos2(2)).await;
    publisher.expect_pubrec(id(2)).await;
    drop(subscriber);
    // Time has to pass, and nothing tells that it has.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    publisher.send_pubrel(id(2)).await;
    publisher.expect_pubcomp(id(2)).await;
    let mut subscriber = resumed(&server, Version::V5).await;
    let again = subscriber.take_publish("a", b"x", QoS::ExactlyOnce).await;
    assert!(again.dup);
    assert_eq!(again.packet_id, sent.packet_id);
    subscriber.nothing_comes().await;
}

/// One that waits does expire, so the test above shows something.
#[tokio::test]
async fn a_message_that_waits_for_its_receiver_expires() {
    let server = plain_server().await;
    let (subscriber, mut publisher) = pair(&server, Version::V5).await;
    subscriber.disconnect().await;
    for (number, seconds) in [(1, 1), (2, 1_000)] {
        let message = Message::new("a", &[number]).qos2(u16::from(number));
        let message = message.property(Property::MessageExpiryInterval(seconds));
        publisher.publish_whole(&message).await;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let mut subscriber = resumed(&server, Version::V5).await;
    subscriber.take_publish("a", &[2], QoS::ExactlyOnce).await;
    subscriber.nothing_comes().await;
}
