//! Section 3.3.1.3: RETAIN, and the options of a subscription that are about it.

use mqtt_codec::{OwnedPublish, QoS, RetainHandling, SubscriptionOptions, Version};

use crate::harness::{Client, Hello, Message, NUMBERED, each, options};

pub(crate) const V5: [Version; 1] = [Version::V5];

/// What a new client gets when it subscribes to the filter: the topics and payloads of the retained
/// messages, in the order of their topics, and with RETAIN as it has to be.
pub(crate) async fn retained(
    server: &mosca::Server,
    version: Version,
    filter: &str,
) -> Vec<(String, Vec<u8>, QoS)> {
    let mut client = Client::connect(server, version, "latecomer").await;
    client.subscribe(filter, QoS::ExactlyOnce).await;
    let publishes = client.all_that_comes().await;
    assert!(
        publishes
            .iter()
            .all(|publish| publish.retain && !publish.dup)
    );
    let parts = |publish: OwnedPublish| {
        let payload = publish.payload.to_vec();
        (publish.topic.to_string(), payload, publish.qos)
    };
    let mut found: Vec<_> = publishes.into_iter().map(parts).collect();
    found.sort();
    client.disconnect().await;
    found
}

fn found(topic: &str, payload: &[u8], qos: QoS) -> (String, Vec<u8>, QoS) {
    (topic.to_owned(), payload.to_vec(), qos)
}

/// MQTT 3.1.1: [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] [MQTT-3.3.1-9]
/// MQTT 5.0: [MQTT-3.3.1-5] [MQTT-3.3.1-9] [MQTT-3.3.1-12]
#[tokio::test]
async fn the_last_retained_message_of_each_topic_goes_to_new_subscriptions_with_its_qos() {
    each(&NUMBERED, async |server, version| {
        let mut there_before = Client::connect(server, version, "there before").await;
        there_before.subscribe("a/#", QoS::AtMostOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for message in [
            Message::new("a/1", b"old").qos2(1),
            Message::new("a/1", b"new").qos1(2),
            Message::new("a/2", b"old"),
            Message::new("a/2", b"new").qos2(3),
            Message::new("b", b"elsewhere").qos1(4),
        ] {
            publisher.publish_whole(&message.retain()).await;
        }
        publisher.disconnect().await;
        let live = there_before.all_that_comes().await;
        assert_eq!(live.len(), 4);
        assert!(live.iter().all(|publish| !publish.retain), "{live:?}");
        assert_eq!(
            retained(server, version, "a/+").await,
            [
                found("a/1", b"new", QoS::AtLeastOnce),
                found("a/2", b"new", QoS::ExactlyOnce),
            ]
        );
    })
    .await;
}

/// It might be dropped at any time; here it is kept.
///
/// MQTT 3.1.1: [MQTT-3.3.1-7]
/// MQTT 5.0: [MQTT-3.3.1-5]
#[tokio::test]
async fn a_retained_message_at_qos_0_takes_the_place_of_one_at_qos_2() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let old = Message::new("a", b"old").qos2(1).retain();
        publisher.publish_whole(&old).await;
        let new = Message::new("a", b"new").retain();
        publisher.publish_whole(&new).await;
        let expected = [found("a", b"new", QoS::AtMostOnce)];
        assert_eq!(retained(server, version, "a").await, expected);
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.3.1-10] [MQTT-3.3.1-11]
/// MQTT 5.0: [MQTT-3.3.1-6] [MQTT-3.3.1-7]
#[tokio::test]
async fn an_empty_retained_message_is_delivered_and_clears_its_topic() {
    each(&NUMBERED, async |server, version| {
        let mut there_before = Client::connect(server, version, "there before").await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let kept = Message::new("b", b"kept").retain();
        publisher.publish_whole(&kept).await;
        for (number, qos) in (1..).zip([QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]) {
            let full = Message::new("a", b"full").qos1(number).retain();
            publisher.publish_whole(&full).await;
            let empty = match qos {
                QoS::AtMostOnce => Message::new("a", b""),
                QoS::AtLeastOnce => Message::new("a", b"").qos1(9),
                QoS::ExactlyOnce => Message::new("a", b"").qos2(9),
            };
            there_before.subscribe("a", QoS::ExactlyOnce).await;
            let full = there_before.take_publish("a", b"full", QoS::AtLeastOnce);
            assert!(full.await.retain);
            // Once for what was there, and once for a topic that has nothing to clear.
            for _ in 0..2 {
                publisher.publish_whole(&empty.clone().retain()).await;
                let publish = there_before.take_publish("a", b"", qos).await;
                assert!(!publish.retain);
            }
            there_before.unsubscribe_from(1, &["a"]).await;
            let left = [found("b", b"kept", QoS::AtMostOnce)];
            assert_eq!(retained(server, version, "#").await, left);
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.3.1-12]
/// MQTT 5.0: [MQTT-3.3.1-8]
#[tokio::test]
async fn a_message_that_is_not_to_be_retained_leaves_what_is_retained_as_it_is() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let kept = Message::new("a", b"kept").qos1(1).retain();
        publisher.publish_whole(&kept).await;
        for message in [
            Message::new("a", b"passing"),
            Message::new("a", b"passing").qos1(2),
            Message::new("a", b"passing").qos2(3),
            Message::new("a", b"").qos1(4),
            Message::new("b", b"passing").qos1(5),
        ] {
            publisher.publish_whole(&message).await;
        }
        let expected = [found("a", b"kept", QoS::AtLeastOnce)];
        assert_eq!(retained(server, version, "#").await, expected);
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
#[tokio::test]
async fn retain_handling_decides_which_subscribe_brings_retained_messages() {
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for topic in ["a/1", "a/2"] {
            let message = Message::new(topic, b"kept").retain();
            publisher.publish_whole(&message).await;
        }
        let mut client = Client::connect(server, version, "client").await;
        let steps = [
            (RetainHandling::DoNotSend, 0),
            (RetainHandling::SendIfNew, 0),
            (RetainHandling::Send, 2),
            (RetainHandling::Send, 2),
            (RetainHandling::SendIfNew, 0),
        ];
        for (retain_handling, expected) in steps {
            let options = SubscriptionOptions {
                retain_handling,
                ..options(QoS::AtMostOnce)
            };
            client.subscribe_to(1, &[("a/+", options)], &[]).await;
            let publishes = client.all_that_comes().await;
            assert_eq!(publishes.len(), expected, "{retain_handling:?}");
        }
        // It is new again behind UNSUBSCRIBE, and another filter is another subscription.
        client.unsubscribe_from(2, &["a/+"]).await;
        let if_new = SubscriptionOptions {
            retain_handling: RetainHandling::SendIfNew,
            ..options(QoS::AtMostOnce)
        };
        for (filter, expected) in [("a/+", 2), ("a/#", 2), ("a/+", 0), ("a/#", 0)] {
            client.subscribe_to(3, &[(filter, if_new)], &[]).await;
            let publishes = client.all_that_comes().await;
            assert_eq!(publishes.len(), expected, "{filter}");
        }
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[tokio::test]
async fn retain_as_published_decides_what_becomes_of_the_flag() {
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let clients = [("plain", false), ("as published", true)];
        for (client_id, retain_as_published) in clients {
            let mut client = Client::connect(server, version, client_id).await;
            let options = SubscriptionOptions {
                retain_as_published,
                ..options(QoS::ExactlyOnce)
            };
            client.subscribe_to(1, &[(client_id, options)], &[]).await;
            for (message, qos) in [
                (Message::new(client_id, b"x"), QoS::AtMostOnce),
                (Message::new(client_id, b"x").qos1(1), QoS::AtLeastOnce),
                (Message::new(client_id, b"x").qos2(1), QoS::ExactlyOnce),
            ] {
                publisher.publish_whole(&message).await;
                let publish = client.take_publish(client_id, b"x", qos).await;
                assert!(!publish.retain, "{client_id}: {publish:?}");
                publisher.publish_whole(&message.retain()).await;
                let publish = client.take_publish(client_id, b"x", qos).await;
                assert_eq!(publish.retain, retain_as_published, "{publish:?}");
            }
        }
    })
    .await;
}

/// Messages that waited for their receiver, and retained ones, keep to Retain As Published and Retain
/// Handling; the subscriptions of a session that is resumed are there already.
///
/// MQTT 5.0: [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[tokio::test]
async fn retain_options_hold_for_a_session_that_is_resumed() {
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let kept = Message::new("a/kept", b"retained").qos1(1).retain();
        publisher.publish_whole(&kept).await;
        for retain_as_published in [false, true] {
            let if_new = SubscriptionOptions {
                retain_as_published,
                retain_handling: RetainHandling::SendIfNew,
                ..options(QoS::AtLeastOnce)
            };
            let name = format!("client-{retain_as_published}");
            let hello = Hello::new(version, &name).persistent(100);
            let mut client = hello.connect(server).await;
            client.subscribe_to(1, &[("a/+", if_new)], &[]).await;
            // Whatever the option, this is what the flag is for.
            let publish = client
                .take_publish("a/kept", b"retained", QoS::AtLeastOnce)
                .await;
            assert!(publish.retain);
            client.disconnect().await;
            publisher
                .publish_whole(&Message::new("a/b", b"plain").qos1(2))
                .await;
            let message = Message::new("a/b", b"retained").qos1(3).retain();
            publisher.publish_whole(&message).await;
            let mut client = hello.connect(server).await;
            for (payload, retain) in [
                (&b"plain"[..], false),
                (&b"retained"[..], retain_as_published),
            ] {
                let publish = client.take_publish("a/b", payload, QoS::AtLeastOnce).await;
                assert_eq!(publish.retain, retain, "{name}");
            }
            client.subscribe_to(1, &[("a/+", if_new)], &[]).await;
            client.nothing_comes().await;
            let never = SubscriptionOptions {
                retain_handling: RetainHandling::DoNotSend,
                ..if_new
            };
            // For a subscription that is there, and for a new one.
            for filter in ["a/+", "a/#"] {
                client.subscribe_to(1, &[(filter, never)], &[]).await;
                client.nothing_comes().await;
            }
            publisher
                .publish_whole(&Message::new("a/b", b"").qos1(4).retain())
                .await;
        }
    })
    .await;
}
