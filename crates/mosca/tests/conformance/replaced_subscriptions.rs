//! Section 3.8.4: a SUBSCRIBE for a filter that the session has already.

use mosca::Server;
use mqtt_codec::{OwnedPacket, Property, QoS, ReasonCode, SubscriptionOptions, Version};
use tokio::sync::watch;

use crate::harness::{Client, Message, NUMBERED, each, each_with, id, options, within};
use crate::subscribe::QOS;

/// MQTT 3.1.1: [MQTT-3.8.4-3]
/// MQTT 5.0: [MQTT-3.8.4-3] [MQTT-3.8.4-4] [MQTT-3.3.1-9]
#[tokio::test]
async fn a_second_subscribe_takes_the_place_of_the_first_and_brings_the_retained_messages_again() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        for topic in ["r", "r/1", "r/2"] {
            let message = Message::new(topic, b"retained").qos2(1).retain();
            publisher.publish_whole(&message).await;
        }
        let mut client = Client::connect(server, version, "client").await;
        for qos in [QOS[2], QOS[0], QOS[1], QOS[1]] {
            client.subscribe("r/#", qos).await;
            let mut topics = Vec::new();
            for publish in client.all_that_comes().await {
                assert!(publish.retain);
                assert_eq!(publish.qos, qos);
                client.complete(&publish).await;
                topics.push(publish.topic);
            }
            topics.sort_unstable();
            assert_eq!(topics, ["r", "r/1", "r/2"]);
            client.nothing_comes().await;
            // There is one subscription, with the QoS of the last SUBSCRIBE.
            let message = Message::new("r/new", b"new").qos2(2);
            publisher.publish_whole(&message).await;
            client.take_publish("r/new", b"new", qos).await;
            client.nothing_comes().await;
        }
        // And one UNSUBSCRIBE ends it.
        client.unsubscribe_from(9, &["r/#"]).await;
        publisher
            .publish_whole(&Message::new("r/new", b"new"))
            .await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.8.4-3]
#[tokio::test]
async fn every_option_of_a_subscription_is_replaced() {
    each(&[Version::V5], async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let mut other = Client::connect(server, version, "other").await;
        let set = SubscriptionOptions {
            no_local: true,
            retain_as_published: true,
            ..options(QoS::AtLeastOnce)
        };
        let plain = options(QoS::AtMostOnce);
        let table = [
            (plain, None),
            (set, Some(1)),
            (plain, Some(268_435_455)),
            (set, None),
            (plain, None),
        ];
        for (options, identifier) in table {
            let properties: Vec<_> = identifier
                .map(Property::SubscriptionIdentifier)
                .into_iter()
                .collect();
            let suback = client
                .subscribe_to(3, &[("a/+", options)], &properties)
                .await;
            assert_eq!(suback.reason_codes, [ReasonCode::granted(options.qos)]);
            let message = Message::new("a/b", b"other").qos1(1).retain();
            other.publish_whole(&message).await;
            let publish = client.take_publish("a/b", b"other", options.qos).await;
            assert_eq!(publish.retain, options.retain_as_published);
            let identifiers = publish.properties.as_properties();
            let identifiers: Vec<_> = identifiers.subscription_identifiers().collect();
            assert_eq!(identifiers, Vec::from_iter(identifier));
            let clear = Message::new("a/b", b"").qos1(2).retain();
            other.publish_whole(&clear).await;
            client.take_publish("a/b", b"", options.qos).await;
            client.send_message(&Message::new("a/b", b"own")).await;
            if !options.no_local {
                client.expect_publish("a/b", b"own", QoS::AtMostOnce).await;
            }
            client.nothing_comes().await;
        }
    })
    .await;
}

/// A publisher does not stop, while the receiver of its messages subscribes a hundred times and more.
///
/// MQTT 3.1.1: [MQTT-3.8.4-3]
/// MQTT 5.0: [MQTT-3.8.4-4]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_or_doubled_while_a_subscription_is_replaced() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let kept = Message::new("s/retained", b"kept").qos1(1).retain();
        publisher.publish_whole(&kept).await;
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("s/#", QoS::AtLeastOnce).await;
        client
            .take_publish("s/retained", b"kept", QoS::AtLeastOnce)
            .await;
        let (tell, received) = watch::channel(0);
        let stream = tokio::spawn(publish_numbers(publisher, received));
        let (mut next, mut replaced) = (0_u32, 0);
        while replaced < 100 || next < 1_000 {
            let filters = [("s/#", options(QOS[1 + replaced % 2]))];
            client.send_subscribe(9, &filters, &[]).await;
            let (mut is_granted, mut is_resent) = (false, false);
            let much_later = next + 20_000;
            while !(is_granted && is_resent) {
                assert!(
                    next < much_later,
                    "granted {is_granted}, resent {is_resent}"
                );
                match client.receive().await {
                    OwnedPacket::Publish(publish) => {
                        client.complete(&publish).await;
                        if publish.retain {
                            assert_eq!(publish.topic, "s/retained");
                            is_resent = true;
                        } else {
                            assert_eq!(&publish.payload[..], next.to_be_bytes(), "{replaced}");
                            next += 1;
                            tell.send_replace(next);
                        }
                    }
                    OwnedPacket::SubAck(suback) => {
                        is_granted = !suback.reason_codes[0].is_error();
                    }
                    other => panic!("{other:?}"),
                }
            }
            replaced += 1;
        }
        drop(tell);
        let published = within("the publisher", stream).await.unwrap();
        while next < published {
            let payload = next.to_be_bytes();
            client
                .take_publish("s/new", &payload, QoS::AtLeastOnce)
                .await;
            next += 1;
        }
        client.nothing_comes().await;
    })
    .await;
}

/// Messages that were accepted for the old subscription and have not been sent, since the client has as
/// many as it may have, are not forgotten with it.
///
/// MQTT 3.1.1: [MQTT-3.8.4-3]
/// MQTT 5.0: [MQTT-3.8.4-4]
#[tokio::test]
async fn messages_that_wait_are_not_lost_when_their_subscription_is_replaced() {
    let narrow = || Server::builder().broker(|options| options.max_inflight = 1);
    each_with(&NUMBERED, narrow, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        for number in 1..=6_u16 {
            let message = Message::new("a", &number.to_be_bytes());
            let message = match number % 2 {
                0 => message.qos1(number),
                _ => message.qos2(number),
            };
            publisher.publish_whole(&message).await;
        }
        let mut publish = client.receive_publish().await;
        client.nothing_comes().await;
        client.subscribe("a", QoS::AtMostOnce).await;
        for number in 1..=6_u16 {
            assert_eq!(&publish.payload[..], number.to_be_bytes());
            client.complete(&publish).await;
            if number < 6 {
                publish = client.receive_publish().await;
            }
        }
        client.nothing_comes().await;
    })
    .await;
}

/// Publishes 0, 1, 2 and so on until nobody tells any more how many have been received; how many it were.
/// It is never far ahead of that number, so that a retained message is not one behind very many others.
async fn publish_numbers(mut publisher: Client, mut received: watch::Receiver<u32>) -> u32 {
    let mut next = 0_u32;
    while received.has_changed().is_ok()
        && received
            .wait_for(|received| next < received + 500)
            .await
            .is_ok()
    {
        for packet_id in 1..=10 {
            publisher
                .publish_at_least_once(packet_id, "s/new", &next.to_be_bytes())
                .await;
            next += 1;
        }
        for packet_id in 1..=10 {
            publisher.expect_puback(id(packet_id)).await;
        }
    }
    next
}
