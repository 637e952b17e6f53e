//! What the server says of itself, in a rhythm that does not keep tests waiting.

use std::collections::HashMap;
use std::time::Duration;

use mosca::{Server, ServerBuilder};
use mqtt_codec::{QoS, Version};

use crate::harness::{Client, Hello, Message, VERSIONS, each_with, start};

/// Statistics every 20 ms, and nothing else.
fn builder() -> ServerBuilder {
    let builder = Server::builder().id("here").publish_subscriptions(false);
    builder.statistics(Duration::from_millis(20))
}

/// Waits until the topic says this; what it says before does not matter, but that it says it at QoS 0.
async fn until(client: &mut Client, topic: &str, payload: &str) {
    loop {
        let publish = client.receive_publish().await;
        assert_eq!(publish.qos, QoS::AtMostOnce);
        if publish.topic == topic && *publish.payload == *payload.as_bytes() {
            return;
        }
    }
}

/// Waits until statistics have been published twice from now on: what has happened before is in them.
async fn two_rounds(client: &mut Client) {
    for _ in 0..2 {
        while client.receive_publish().await.topic != "$SYS/here/version" {}
    }
}

#[tokio::test]
async fn clients_are_counted_up_and_down_and_the_most_of_them_is_remembered() {
    each_with(&VERSIONS, builder, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness
            .subscribe("$SYS/+/clients/#", QoS::ExactlyOnce)
            .await;
        until(&mut witness, "$SYS/here/clients/connected", "1").await;
        let mut others = Vec::new();
        for number in 0..3 {
            others.push(Client::connect(server, version, &number.to_string()).await);
        }
        until(&mut witness, "$SYS/here/clients/connected", "4").await;
        until(&mut witness, "$SYS/broker/clients/connected", "4").await;
        // One is taken over, two leave.
        let _again = Client::connect(server, version, "0").await;
        for other in others.drain(1..) {
            other.disconnect().await;
        }
        until(&mut witness, "$SYS/here/clients/connected", "2").await;
        until(&mut witness, "$SYS/here/clients/maximum", "4").await;
        let sizes = server.sizes();
        assert_eq!((sizes.connected, sizes.connected_maximum), (2, 4));
    })
    .await;
}

#[tokio::test]
async fn what_is_retained_is_seen_at_once_and_is_nowhere_else() {
    let server = start(builder()).await;
    let mut first = Client::connect(&server, Version::V5, "first").await;
    first.subscribe("$SYS/#", QoS::AtMostOnce).await;
    two_rounds(&mut first).await;
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("$SYS/#", QoS::ExactlyOnce).await;
    let mut retained = HashMap::new();
    // Others may come in between, as news.
    while !retained.contains_key("$SYS/here/version")
        || !retained.contains_key("$SYS/broker/clients/total")
        || !retained.contains_key("$SYS/broker/retained messages/count")
    {
        let publish = client.receive_publish().await;
        if publish.retain {
            let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
            retained.insert(publish.topic, payload);
        }
    }
    let version = format!("mosca {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(retained["$SYS/here/version"], version);
    assert_eq!(retained["$SYS/broker/retained messages/count"], "0");
    assert_eq!(server.sizes().retained_messages, 0);
}

#[tokio::test]
async fn only_traffic_of_clients_is_counted() {
    each_with(&VERSIONS, builder, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("$SYS/#", QoS::AtMostOnce).await;
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        let before = server.traffic();
        two_rounds(&mut witness).await;
        assert_eq!(server.traffic(), before, "of itself it says nothing");
        let mut publisher = Client::connect(server, version, "publisher").await;
        let before = server.traffic();
        publisher.publish_whole(&Message::new("a", b"12345")).await;
        client.expect_publish("a", b"12345", QoS::AtMostOnce).await;
        publisher
            .publish_whole(&Message::new("a", b"6789").qos1(1))
            .await;
        let publish = client.receive_publish().await;
        client.send_puback(publish.packet_id.unwrap()).await;
        // Nobody may publish there.
        publisher.publish_whole(&Message::new("$SYS/x", b"1")).await;
        client.ping().await;
        let after = server.traffic();
        // Three messages and two PINGREQ; PUBACK and PINGREQ.
        assert_eq!(after.received.packets - before.received.packets, 7);
        assert_eq!(after.received.messages - before.received.messages, 2);
        assert_eq!(
            after.received.payload_bytes - before.received.payload_bytes,
            9
        );
        // PUBACK and two PINGRESP; two messages and PINGRESP.
        assert_eq!(after.sent.packets - before.sent.packets, 6);
        assert_eq!(after.sent.messages - before.sent.messages, 2);
        assert_eq!(after.sent.payload_bytes - before.sent.payload_bytes, 9);
        assert!(after.received.bytes - before.received.bytes >= 7 * 2 + 9);
        assert!(after.sent.bytes - before.sent.bytes >= 6 * 2 + 9);
        for (topic, payload) in [
            ("$SYS/here/publish/received", "2"),
            ("$SYS/broker/publish/messages/received", "2"),
            ("$SYS/broker/publish/bytes/sent", "9"),
        ] {
            let mut late = Client::connect(server, version, "late").await;
            late.subscribe(topic, QoS::AtMostOnce).await;
            until(&mut late, topic, payload).await;
        }
    })
    .await;
}

/// As mosquitto has it: what is retained, and what waits.
#[tokio::test]
async fn stored_are_messages_that_are_retained_and_those_that_wait_for_sessions() {
    each_with(&VERSIONS, builder, async |server, version| {
        let lasting = Hello::new(version, "away").persistent(1_000);
        let mut client = lasting.connect(server).await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        client.disconnect().await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for number in 1..=100 {
            let message = Message::new("a", &[b'x'; 100]).qos1(number);
            publisher.publish_whole(&message).await;
        }
        let retained = Message::new("b", b"12345").retain();
        publisher.publish_whole(&retained).await;
        publisher.ping().await;
        let sizes = server.sizes();
        assert_eq!(sizes.retained_messages, 1);
        assert!((85..=100).contains(&sizes.queued_messages), "{sizes:?}");
        assert!(sizes.queued_bytes >= 4_096, "{sizes:?}");
        let count = (sizes.retained_messages + sizes.queued_messages).to_string();
        let bytes = (sizes.retained_bytes + sizes.queued_bytes).to_string();
        for (topic, payload) in [
            ("$SYS/broker/messages/stored", &count),
            ("$SYS/broker/store/messages/count", &count),
            ("$SYS/broker/store/messages/bytes", &bytes),
            ("$SYS/broker/retained messages/count", &"1".to_owned()),
        ] {
            let mut late = Client::connect(server, version, "late").await;
            late.subscribe(topic, QoS::AtMostOnce).await;
            until(&mut late, topic, payload).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_waits_for_a_session_whose_client_is_away() {
    let away = || builder().broker(|options| options.queue_qos_0 = true);
    each_with(&VERSIONS, away, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("$SYS/here/#", QoS::AtMostOnce).await;
        let lasting = Hello::new(version, "away").persistent(1_000);
        let mut client = lasting.connect(server).await;
        client
            .subscribe("$SYS/here/version", QoS::ExactlyOnce)
            .await;
        client.disconnect().await;
        for _ in 0..3 {
            two_rounds(&mut witness).await;
        }
        // What comes is news.
        let mut client = lasting.connect(server).await;
        let before = server.traffic().sent;
        two_rounds(&mut client).await;
        assert_eq!(server.traffic().sent, before);
        assert_eq!(server.counters().dropped_messages(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_does_not_ask_for_them_gets_none_and_a_server_that_is_not_told_to_has_none() {
    let server = start(builder()).await;
    let mut witness = Client::connect(&server, Version::V5, "witness").await;
    witness
        .subscribe("$SYS/here/version", QoS::AtMostOnce)
        .await;
    let mut client = Client::connect(&server, Version::V5, "client").await;
    for filter in ["#", "+/+/+", "+/here/#"] {
        client.subscribe(filter, QoS::AtMostOnce).await;
    }
    two_rounds(&mut witness).await;
    client.nothing_comes().await;

    let server = start(Server::builder().publish_subscriptions(false)).await;
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("$SYS/#", QoS::AtMostOnce).await;
    client.nothing_comes().await;
}
