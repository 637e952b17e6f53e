//! Section 4.6: the order of messages.

use std::collections::BTreeMap;

use mqtt_codec::{OwnedPacket, OwnedPublish, Property, QoS};

use crate::harness::{Client, Hello, Message, NUMBERED, each, id};

/// QoS 1 and 2 mixed, with gaps where some were acknowledged.
///
/// MQTT 3.1.1: [MQTT-4.6.0-1] [MQTT-4.6.0-6]
/// MQTT 5.0: [MQTT-4.6.0-1]
#[tokio::test]
async fn what_is_sent_again_comes_in_the_order_of_the_first_time_and_before_what_is_new() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "subscriber").persistent(100);
        let mut subscriber = hello.connect(server).await;
        subscriber.subscribe("#", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for number in 0..12_u8 {
            let message = Message::new(["a", "b", "c"][usize::from(number % 3)], &[number]);
            let message = if number % 2 == 0 {
                message.qos1(1)
            } else {
                message.qos2(1)
            };
            publisher.publish_whole(&message).await;
        }
        let mut open = subscriber.all_that_comes().await;
        assert_eq!(open.len(), 12);
        // Two acknowledged at a time, from both ends towards the middle; new ones come behind.
        for round in 0..3_u8 {
            for place in [open.len() - 2, 1] {
                let publish = open.remove(place);
                let packet_id = publish.packet_id.unwrap();
                if publish.qos == QoS::AtLeastOnce {
                    subscriber.send_puback(packet_id).await;
                } else {
                    subscriber.send_pubrec(packet_id).await;
                    subscriber.expect_pubrel(packet_id).await;
                    subscriber.send_pubcomp(packet_id).await;
                }
            }
            subscriber.nothing_comes().await;
            drop(subscriber);
            let late = Message::new("late", &[100 + round]).qos1(1);
            publisher.publish_whole(&late).await;
            subscriber = hello.connect(server).await;
            let again = subscriber.all_that_comes().await;
            let parts = |publish: &OwnedPublish| (publish.packet_id, publish.payload.to_vec());
            let (new, again) = again.split_last().unwrap();
            assert!(
                again.iter().map(parts).eq(open.iter().map(parts)),
                "{again:?}"
            );
            assert!(again.iter().all(|publish| publish.dup));
            assert_eq!((&new.payload[..], new.dup), (&[100 + round][..], false));
            open.push(new.clone());
        }
    })
    .await;
}

/// Whatever order that is; and in the order of the PUBRECs also when they are sent again.
///
/// MQTT 3.1.1: [MQTT-4.6.0-4] [MQTT-4.6.0-6]
/// MQTT 5.0: [MQTT-4.6.0-4]
#[tokio::test]
async fn pubrel_packets_follow_the_order_of_the_pubrec_packets() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "subscriber").persistent(100);
        let mut subscriber = hello.connect(server).await;
        subscriber.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for number in 1..=5 {
            let message = Message::new("a", b"x").qos2(number);
            publisher.publish_whole(&message).await;
        }
        let publishes = subscriber.all_that_comes().await;
        let ids: Vec<_> = publishes
            .iter()
            .filter_map(|publish| publish.packet_id)
            .collect();
        for place in [2, 0, 4, 1, 3] {
            subscriber.send_pubrec(ids[place]).await;
        }
        for place in [2, 0, 4, 1, 3] {
            subscriber.expect_pubrel(ids[place]).await;
            subscriber.send_pubcomp(ids[place]).await;
        }
        for number in 1..=5 {
            let message = Message::new("a", b"x").qos2(number);
            publisher.publish_whole(&message).await;
        }
        let mut ids = Vec::new();
        for publish in subscriber.all_that_comes().await {
            ids.push(publish.packet_id.unwrap());
            subscriber.send_pubrec(publish.packet_id.unwrap()).await;
        }
        for packet_id in &ids {
            subscriber.expect_pubrel(*packet_id).await;
        }
        drop(subscriber);
        let mut subscriber = hello.connect(server).await;
        for packet_id in ids {
            subscriber.expect_pubrel(packet_id).await;
        }
        subscriber.nothing_comes().await;
    })
    .await;
}

/// Two publishers at once, each with messages of every QoS, to one who is there, one with a window
/// of a single message, and one who comes back in between.
///
/// MQTT 3.1.1: [MQTT-4.6.0-5] [MQTT-4.6.0-6]
/// MQTT 5.0: [MQTT-4.6.0-5] [MQTT-4.6.0-6]
#[tokio::test]
async fn messages_of_one_publisher_topic_and_qos_arrive_in_the_order_in_which_they_were_sent() {
    const ROUNDS: u16 = 60;
    each(&NUMBERED, async |server, version| {
        let mut narrow = Hello::new(version, "narrow").persistent(100);
        if version.is_v5() {
            narrow = narrow.property(Property::ReceiveMaximum(1));
        }
        let away = Hello::new(version, "away").persistent(100);
        let there = Client::connect(server, version, "there").await;
        let mut clients = [
            there,
            narrow.connect(server).await,
            away.connect(server).await,
        ];
        for client in &mut clients {
            client.subscribe("#", QoS::ExactlyOnce).await;
        }
        let [mut there, mut narrow, before] = clients;
        drop(before);
        let mut publishers = [
            Client::connect(server, version, "first").await,
            Client::connect(server, version, "second").await,
        ];
        // All that is sent is sent before anything is read.
        for round in 0..ROUNDS {
            for (publisher, name) in publishers.iter_mut().zip(["first", "second"]) {
                for topic in ["a", "b"] {
                    let payload = format!("{name} {round:03}");
                    let message = Message::new(topic, payload.as_bytes());
                    let number = 2 * round + if topic == "a" { 1 } else { 2 };
                    publisher.send_message(&message).await;
                    publisher.send_message(&message.clone().qos1(number)).await;
                    publisher.send_message(&message.qos2(1_000 + number)).await;
                }
            }
        }
        for publisher in &mut publishers {
            for _ in 0..2 * ROUNDS {
                publisher.receive_puback_and_pubrec().await;
            }
            for number in 1..=2 * ROUNDS {
                publisher.send_pubrel(id(1_000 + number)).await;
                publisher.expect_pubcomp(id(1_000 + number)).await;
            }
        }
        let every = usize::from(ROUNDS) * 2 * 2;
        assert_in_order(
            &collect(&mut there, 3 * every).await,
            usize::from(ROUNDS),
            3,
        );
        assert_in_order(
            &collect(&mut narrow, 3 * every).await,
            usize::from(ROUNDS),
            3,
        );
        // Half of it on one connection, the rest on the next; QoS 0 did not wait for it.
        let mut client = away.connect(server).await;
        let mut messages = collect(&mut client, every).await;
        client.ping_past_publishes().await;
        drop(client);
        let mut client = away.connect(server).await;
        messages.extend(collect(&mut client, every).await);
        client.nothing_comes().await;
        assert_in_order(&messages, usize::from(ROUNDS), 2);
    })
    .await;
}

impl Client {
    /// PUBACK and PUBREC, in whichever order; acknowledgements of either kind come in turn.
    async fn receive_puback_and_pubrec(&mut self) {
        for _ in 0..2 {
            match self.receive().await {
                OwnedPacket::PubAck(_) | OwnedPacket::PubRec(_) => {}
                other => panic!("PUBACK or PUBREC expected, not {other:?}"),
            }
        }
    }

    /// A round trip behind which all acknowledgements have been handled; PUBLISH packets on the way
    /// are lost, as if the connection had ended before.
    async fn ping_past_publishes(&mut self) {
        self.send(mqtt_codec::Packet::PingReq).await;
        loop {
            match self.receive().await {
                OwnedPacket::PingResp => return,
                OwnedPacket::Publish(_) | OwnedPacket::PubRel(_) => {}
                other => panic!("PUBLISH or PINGRESP expected, not {other:?}"),
            }
        }
    }
}

/// So many messages, each acknowledged as it comes.
async fn collect(client: &mut Client, count: usize) -> Vec<OwnedPublish> {
    let mut messages = Vec::new();
    let mut open = 0;
    while messages.len() < count || open > 0 {
        match client.receive().await {
            OwnedPacket::Publish(publish) if messages.len() < count => {
                match (publish.qos, publish.packet_id) {
                    (QoS::AtLeastOnce, Some(id)) => client.send_puback(id).await,
                    (QoS::ExactlyOnce, Some(id)) => {
                        client.send_pubrec(id).await;
                        open += 1;
                    }
                    _ => {}
                }
                messages.push(publish);
            }
            // It comes again on the next connection.
            OwnedPacket::Publish(_) => {}
            OwnedPacket::PubRel(pubrel) => {
                client.send_pubcomp(pubrel.packet_id).await;
                open -= 1;
            }
            other => panic!("PUBLISH or PUBREL expected, not {other:?}"),
        }
    }
    messages
}

/// Of each publisher, topic and QoS the rounds from the first to the last.
#[track_caller]
fn assert_in_order(messages: &[OwnedPublish], rounds: usize, qualities: usize) {
    let mut streams: BTreeMap<(String, String, QoS), Vec<usize>> = BTreeMap::new();
    for publish in messages {
        let text = String::from_utf8(publish.payload.to_vec()).unwrap();
        let (publisher, round) = text.split_once(' ').unwrap();
        let stream = (publisher.to_owned(), publish.topic.to_string(), publish.qos);
        streams
            .entry(stream)
            .or_default()
            .push(round.parse().unwrap());
    }
    assert_eq!(streams.len(), 2 * 2 * qualities);
    for (stream, numbers) in streams {
        assert!(
            numbers.iter().copied().eq(0..rounds),
            "{stream:?}: {numbers:?}"
        );
    }
}
