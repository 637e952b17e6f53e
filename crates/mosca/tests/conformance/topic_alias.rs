//! Sections 3.1.2.11.5, 3.2.2.3.8 and 3.3.2.3.4 of MQTT 5.0: topic aliases, which MQTT 3.1.1 does not
//! have.

use mosca::{Server, ServerBuilder};
use mqtt_codec::{OwnedPublish, Property, QoS, ReasonCode, Version};

use crate::harness::{Client, Hello, Message, each, each_with};

const TOPIC: &str = "house/kitchen/temperature";

fn alias_of(publish: &OwnedPublish) -> Option<u16> {
    publish.properties.as_properties().topic_alias()
}

fn aliased(alias: u16, topic: &str, payload: &[u8]) -> Message {
    Message::new(topic, payload).property(Property::TopicAlias(alias))
}

fn new_client(client_id: &str) -> Hello {
    Hello::new(Version::V5, client_id)
}

fn taking(maximum: u16) -> ServerBuilder {
    Server::builder().broker(move |options| options.topic_alias_maximum = maximum)
}

async fn subscriber(server: &Server, hello: &Hello) -> Client {
    let mut client = hello.connect(server).await;
    client.subscribe("#", QoS::AtMostOnce).await;
    client
}

/// MQTT 5.0: [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
#[tokio::test]
async fn the_server_uses_the_aliases_that_the_client_takes_and_no_others() {
    each(&[Version::V5], async |server, _| {
        let mut publisher = new_client("publisher").connect(server).await;
        let topics = ["topic/1", "topic/2", "topic/3"];
        for (asked, taken) in [(None, 0), (Some(0), 0), (Some(1), 1), (Some(2), 2)] {
            let mut hello = new_client("subscriber");
            if let Some(maximum) = asked {
                hello = hello.property(Property::TopicAliasMaximum(maximum));
            }
            let mut client = subscriber(server, &hello).await;
            for round in 0..2 {
                for (number, topic) in (1..).zip(topics) {
                    publisher.publish(topic, b"x").await;
                    let received = client.receive_publish().await;
                    let expected = (number <= taken).then_some(number);
                    assert_eq!(alias_of(&received), expected);
                    let is_unnamed = round > 0 && expected.is_some();
                    assert_eq!(received.topic, if is_unnamed { "" } else { topic });
                }
            }
            client.disconnect().await;
        }
    })
    .await;
}

/// A client of an older version, and one that asks for none, get the same bytes as ever.
///
/// MQTT 5.0: [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-12]
#[tokio::test]
async fn a_topic_name_is_sent_once_in_each_direction() {
    each(&[Version::V5], async |server, _| {
        let short = new_client("short").property(Property::TopicAliasMaximum(1));
        let mut short = subscriber(server, &short).await;
        let mut plain = subscriber(server, &new_client("plain")).await;
        let mut old = subscriber(server, &Hello::new(Version::V311, "old")).await;
        let mut publisher = new_client("publisher").connect(server).await;
        let named = [&[0, 25], TOPIC.as_bytes()].concat();
        for (number, payload) in [b'1', b'2', b'3'].into_iter().enumerate() {
            let topic = if number == 0 { TOPIC } else { "" };
            let message = aliased(256, topic, &[payload]);
            publisher.send_message(&message).await;
            let topic: &[u8] = if number == 0 { &named } else { &[0, 0] };
            let body = [topic, &[3, 0x23, 0, 1, payload]].concat();
            let length = u8::try_from(body.len()).unwrap();
            short
                .expect_bytes(&[&[0x30, length], &body[..]].concat())
                .await;
            let full = [&[0x30, 29], &named[..], &[0, payload]].concat();
            plain.expect_bytes(&full).await;
            let full = [&[0x30, 28], &named[..], &[payload]].concat();
            old.expect_bytes(&full).await;
        }
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.2.2-17] [MQTT-3.3.2-9] [MQTT-3.3.2-12]
#[tokio::test]
async fn the_server_takes_every_alias_that_it_announced_and_no_other() {
    for maximum in [1, 2, 300] {
        each_with(
            &[Version::V5],
            || taking(maximum),
            async |server, _| {
                let mut subscriber = subscriber(server, &new_client("subscriber")).await;
                let (mut publisher, connack) = new_client("publisher").connect_told(server).await;
                let told = connack.properties.as_properties().topic_alias_maximum();
                assert_eq!(told, Some(maximum));
                for (payload, is_named) in [(b"sets", true), (b"uses", false)] {
                    for alias in 1..=maximum {
                        let topic = format!("topic/{alias}");
                        let name = if is_named { &topic } else { "" };
                        publisher.send_message(&aliased(alias, name, payload)).await;
                        let received = subscriber.expect_publish(&topic, payload, QoS::AtMostOnce);
                        assert_eq!(alias_of(&received.await), None);
                    }
                }
                publisher
                    .send_message(&aliased(maximum + 1, TOPIC, b"x"))
                    .await;
                publisher
                    .assert_disconnected(ReasonCode::TopicAliasInvalid)
                    .await;
                subscriber.nothing_comes().await;
            },
        )
        .await;
    }
}

/// MQTT 5.0: [MQTT-3.2.2-18]
#[tokio::test]
async fn a_server_that_announces_none_takes_none() {
    each_with(
        &[Version::V5],
        || taking(0),
        async |server, _| {
            let mut subscriber = subscriber(server, &new_client("subscriber")).await;
            for topic in [TOPIC, ""] {
                let (mut publisher, connack) = new_client("publisher").connect_told(server).await;
                let told = connack.properties.as_properties().topic_alias_maximum();
                assert_eq!(told, None);
                publisher.send_message(&aliased(1, topic, b"x")).await;
                publisher
                    .assert_disconnected(ReasonCode::TopicAliasInvalid)
                    .await;
            }
            subscriber.nothing_comes().await;
        },
    )
    .await;
}

/// MQTT 5.0: [MQTT-3.3.2-7]
#[tokio::test]
async fn aliases_end_with_their_connection_in_both_directions() {
    each(&[Version::V5], async |server, _| {
        let lasting = |client_id| new_client(client_id).persistent(100);
        let hello = lasting("subscriber").property(Property::TopicAliasMaximum(5));
        let mut first = hello.connect(server).await;
        first.subscribe("#", QoS::AtMostOnce).await;
        let mut publisher = lasting("publisher").connect(server).await;
        publisher.send_message(&aliased(1, TOPIC, b"1")).await;
        publisher.send_message(&aliased(1, "", b"2")).await;
        for topic in [TOPIC, ""] {
            let received = first.receive_publish().await;
            assert_eq!(
                (received.topic.as_str(), alias_of(&received)),
                (topic, Some(1))
            );
        }
        first.disconnect().await;
        let (mut second, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
        publisher.send_message(&aliased(1, "", b"3")).await;
        let received = second.receive_publish().await;
        assert_eq!(
            (received.topic.as_str(), alias_of(&received)),
            (TOPIC, Some(1))
        );

        publisher.disconnect().await;
        let (mut publisher, connack) = lasting("publisher").connect_told(server).await;
        assert!(connack.session_present);
        publisher.send_message(&aliased(1, "", b"4")).await;
        publisher
            .assert_disconnected(ReasonCode::ProtocolError)
            .await;
        second.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.3.2-8]
#[tokio::test]
async fn alias_0_is_refused() {
    each(&[Version::V5], async |server, _| {
        let mut subscriber = subscriber(server, &new_client("subscriber")).await;
        for publish in [
            b"\x30\x07\x00\x01a\x03\x23\x00\x00".as_slice(),
            b"\x30\x06\x00\x00\x03\x23\x00\x00",
        ] {
            let mut publisher = new_client("publisher").connect(server).await;
            publisher.write(publish).await;
            publisher
                .assert_disconnected(ReasonCode::TopicAliasInvalid)
                .await;
        }
        subscriber.nothing_comes().await;
    })
    .await;
}
