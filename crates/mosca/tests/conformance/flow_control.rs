//! Section 4.9, and the receive maximum of section 3.3.4: how many messages may be under way.

use mosca::Server;
use mqtt_codec::{OwnedPacket, Packet, PacketId, Property, PubRec, QoS, ReasonCode, Version};

use crate::harness::{Client, Hello, Message, each, each_with, id, options};

const V5: [Version; 1] = [Version::V5];

/// A subscriber to `a` that takes so many messages at a time, and whose session lasts.
fn subscriber(receive_maximum: u16) -> Hello {
    Hello::new(Version::V5, "subscriber")
        .persistent(100)
        .property(Property::ReceiveMaximum(receive_maximum))
}

/// A server that takes two messages at a time from each client.
fn takes_two() -> mosca::ServerBuilder {
    Server::builder().broker(|options| options.receive_maximum = 2)
}

/// Takes the next PUBLISH and says no more than that.
async fn take(client: &mut Client, payload: &[u8], qos: QoS) -> PacketId {
    let publish = client.expect_publish("a", payload, qos).await;
    publish.packet_id.unwrap()
}

/// What ends a delivery makes room for one more, and nothing else does.
///
/// MQTT 5.0: [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]
#[tokio::test]
async fn a_client_is_sent_no_more_messages_at_a_time_than_its_receive_maximum() {
    each(&V5, async |server, version| {
        let mut client = subscriber(2).connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for number in 1..=8_u16 {
            let message = Message::new("a", &number.to_be_bytes());
            let message = if number % 2 == 1 {
                message.qos1(number)
            } else {
                message.qos2(number)
            };
            publisher.publish_whole(&message).await;
        }
        let (one, two) = (QoS::AtLeastOnce, QoS::ExactlyOnce);
        let first = take(&mut client, &[0, 1], one).await;
        let second = take(&mut client, &[0, 2], two).await;
        client.nothing_comes().await;
        // PUBREC does not complete a delivery, nor does an answer to something else.
        client.send_pubrec(second).await;
        client.expect_pubrel(second).await;
        client.send_puback(id(60_000)).await;
        client.send_pubcomp(id(60_000)).await;
        client.nothing_comes().await;
        client.send_pubcomp(second).await;
        let third = take(&mut client, &[0, 3], one).await;
        client.nothing_comes().await;
        client.send_puback(first).await;
        let fourth = take(&mut client, &[0, 4], two).await;
        client.nothing_comes().await;
        // Twice the same is one.
        client.send_puback(third).await;
        client.send_puback(third).await;
        take(&mut client, &[0, 5], one).await;
        client.nothing_comes().await;
        // A PUBREC with an error does complete it.
        let refused = PubRec {
            reason_code: ReasonCode::UnspecifiedError,
            ..PubRec::new(fourth)
        };
        client.send(Packet::PubRec(refused)).await;
        take(&mut client, &[0, 6], two).await;
        client.nothing_comes().await;
        // The quota does not outlive the connection.
        drop(client);
        let mut client = subscriber(3).connect(server).await;
        take(&mut client, &[0, 5], one).await;
        take(&mut client, &[0, 6], two).await;
        take(&mut client, &[0, 7], one).await;
        client.nothing_comes().await;
        drop(client);
        let mut client = subscriber(1).connect(server).await;
        take(&mut client, &[0, 5], one).await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.3.4-9] [MQTT-4.9.0-2]
#[tokio::test]
async fn retained_messages_keep_to_the_receive_maximum_too() {
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for topic in ["a/1", "a/2", "a/3", "a/4"] {
            let message = Message::new(topic, b"x").qos1(1).retain();
            publisher.publish_whole(&message).await;
        }
        let mut client = subscriber(2).connect(server).await;
        client.subscribe("a/+", QoS::AtLeastOnce).await;
        let mut open = client.all_that_comes().await;
        assert_eq!(open.len(), 2, "{open:?}");
        for _ in 0..2 {
            let publish = open.remove(0);
            client.send_puback(publish.packet_id.unwrap()).await;
            open.push(client.receive_publish().await);
            client.nothing_comes().await;
        }
    })
    .await;
}

/// Messages at QoS 0, and every other packet in either direction.
///
/// MQTT 5.0: [MQTT-3.3.4-10] [MQTT-4.9.0-3]
#[tokio::test]
async fn without_quota_everything_but_messages_at_qos_1_and_2_goes_on() {
    each(&V5, async |server, version| {
        let mut client = subscriber(1).connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher.subscribe("b", QoS::ExactlyOnce).await;
        for number in 1..=3 {
            let message = Message::new("a", b"x").qos2(number);
            publisher.publish_whole(&message).await;
        }
        let first = take(&mut client, b"x", QoS::ExactlyOnce).await;
        client.nothing_comes().await;
        publisher.publish_whole(&Message::new("a", b"0")).await;
        client.expect_publish("a", b"0", QoS::AtMostOnce).await;
        let filters = [("c", options(QoS::ExactlyOnce))];
        client.subscribe_to(1, &filters, &[]).await;
        client.unsubscribe_from(2, &["c"]).await;
        client.send_message(&Message::new("b", b"x").qos1(3)).await;
        client.expect_puback(id(3)).await;
        client.send_message(&Message::new("b", b"y").qos2(4)).await;
        client.expect_pubrec(id(4)).await;
        client.send_pubrel(id(4)).await;
        client.expect_pubcomp(id(4)).await;
        publisher.take_publish("b", b"x", QoS::AtLeastOnce).await;
        publisher.take_publish("b", b"y", QoS::ExactlyOnce).await;
        client.send_pubrec(first).await;
        client.expect_pubrel(first).await;
        client.nothing_comes().await;
        client.send_pubcomp(first).await;
        take(&mut client, b"x", QoS::ExactlyOnce).await;
    })
    .await;
}

/// A client that comes back with a smaller receive maximum: messages wait, PUBREL packets do not.
///
/// MQTT 5.0: [MQTT-3.3.4-9] [MQTT-3.3.4-10]
#[tokio::test]
async fn pubrel_packets_that_are_sent_again_do_not_wait_for_quota() {
    each(&V5, async |server, version| {
        let mut client = subscriber(10).connect(server).await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut ids = Vec::new();
        for payload in [b"1", b"2", b"3", b"4", b"5"] {
            publisher
                .publish_whole(&Message::new("a", payload).qos2(1))
                .await;
            ids.push(take(&mut client, payload, QoS::ExactlyOnce).await);
        }
        for place in [2, 4] {
            client.send_pubrec(ids[place]).await;
            client.expect_pubrel(ids[place]).await;
        }
        drop(client);
        let mut client = subscriber(1).connect(server).await;
        assert_eq!(take(&mut client, b"1", QoS::ExactlyOnce).await, ids[0]);
        client.expect_pubrel(ids[2]).await;
        client.expect_pubrel(ids[4]).await;
        client.nothing_comes().await;
        // They are under way like the others: the next message waits for all that came before it.
        client.send_pubcomp(ids[2]).await;
        client.nothing_comes().await;
        for (payload, place) in [(b"2", 1), (b"4", 3)] {
            let before = if place == 1 { ids[0] } else { ids[1] };
            client.send_pubrec(before).await;
            client.expect_pubrel(before).await;
            client.nothing_comes().await;
            client.send_pubcomp(before).await;
            let next = take(&mut client, payload, QoS::ExactlyOnce).await;
            assert_eq!(next, ids[place]);
            client.nothing_comes().await;
        }
        client.send_pubrec(ids[3]).await;
        client.expect_pubrel(ids[3]).await;
        client.send_pubcomp(ids[3]).await;
        client.send_pubcomp(ids[4]).await;
        client.nothing_comes().await;
        drop(client);
        subscriber(1).connect(server).await.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.3.4-7]
#[tokio::test]
async fn a_client_that_sends_more_messages_at_a_time_than_it_was_told_is_disconnected() {
    each_with(&V5, takes_two, async |server, version| {
        let (mut client, connack) = Hello::new(version, "client").connect_told(server).await;
        let told = connack.properties.as_properties().receive_maximum();
        assert_eq!(told, Some(2));
        // As many as it was told, again and again, and as many at QoS 1 as it likes to wait for.
        for _ in 0..3 {
            for number in [1, 2] {
                let message = Message::new("b", b"x").qos2(number);
                client.send_message(&message).await;
                client.expect_pubrec(id(number)).await;
                // The same again is not one more.
                client.send_message(&message.dup()).await;
                client.expect_pubrec(id(number)).await;
            }
            for number in [1, 2] {
                client.send_pubrel(id(number)).await;
                client.expect_pubcomp(id(number)).await;
                client
                    .publish_whole(&Message::new("b", b"x").qos1(number))
                    .await;
            }
        }
        // What was refused is not under way.
        for number in [1, 2, 3] {
            let refused = Message::new("$SYS/x", b"x").qos2(number);
            client.send_message(&refused).await;
            let OwnedPacket::PubRec(pubrec) = client.receive().await else {
                panic!("PUBREC comes");
            };
            assert_eq!(pubrec.reason_code, ReasonCode::NotAuthorized);
        }
        let mut listener = Client::connect(server, version, "listener").await;
        listener.subscribe("a", QoS::AtMostOnce).await;
        for number in [1, 2] {
            let message = Message::new("a", b"x").qos2(number);
            client.send_message(&message).await;
            client.expect_pubrec(id(number)).await;
            listener.expect_publish("a", b"x", QoS::AtMostOnce).await;
        }
        client.send_message(&Message::new("a", b"x").qos2(3)).await;
        client
            .assert_disconnected(ReasonCode::ReceiveMaximumExceeded)
            .await;
        listener.nothing_comes().await;
    })
    .await;
}

/// A client's quota begins anew with each connection, whatever it has not completed.
///
/// MQTT 5.0: [MQTT-4.9.0-1]
#[tokio::test]
async fn messages_from_before_the_connection_do_not_count_against_the_receive_maximum() {
    each_with(&V5, takes_two, async |server, version| {
        let hello = Hello::new(version, "client").persistent(100);
        let mut client = hello.connect(server).await;
        for number in [1, 2] {
            client
                .send_message(&Message::new("a", b"x").qos2(number))
                .await;
            client.expect_pubrec(id(number)).await;
        }
        drop(client);
        let mut client = hello.connect(server).await;
        for number in [3, 4] {
            client
                .send_message(&Message::new("a", b"x").qos2(number))
                .await;
            client.expect_pubrec(id(number)).await;
        }
        client.send_message(&Message::new("a", b"x").qos2(5)).await;
        client
            .assert_disconnected(ReasonCode::ReceiveMaximumExceeded)
            .await;
        let mut client = hello.connect(server).await;
        for number in 1..=4 {
            client.send_pubrel(id(number)).await;
            assert_eq!(client.expect_pubcomp(id(number)).await, ReasonCode::Success);
        }
    })
    .await;
}
