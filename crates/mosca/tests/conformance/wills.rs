//! Sections 3.1.2.5 to 3.1.2.7 and 3.1.3.2: will messages, from CONNECT to their publication.

use std::time::{Duration, Instant};

use mosca::Server;
use mqtt_codec::{Property, QoS, ReasonCode, Version};

use crate::harness::{
    Client, Hello, Message, NUMBERED, WillMessage, each, plain_server, wait_for_connections,
};

/// A client that sees every will.
async fn witness(server: &Server, version: Version) -> Client {
    let mut witness = Client::connect(server, version, "witness").await;
    witness.subscribe("will/#", QoS::ExactlyOnce).await;
    witness
}

fn with_will(version: Version) -> Hello {
    Hello::new(version, "client").will(WillMessage::new("will/1", b"gone"))
}

/// MQTT 3.1.1: [MQTT-3.1.2-8]
/// MQTT 5.0: [MQTT-3.1.2-7] [MQTT-3.1.2-8]
#[tokio::test]
async fn the_will_is_published_when_the_connection_is_lost_and_not_before() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let client = with_will(version).connect(server).await;
        witness.nothing_comes().await;
        drop(client);
        witness
            .expect_publish("will/1", b"gone", QoS::AtMostOnce)
            .await;
        witness.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-8]
/// MQTT 5.0: [MQTT-3.1.2-8]
#[tokio::test]
async fn the_will_is_published_when_the_server_closes_the_connection_for_an_error() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let mut client = with_will(version).connect(server).await;
        // A second CONNECT.
        client.send(with_will(version).packet()).await;
        client.assert_disconnected(ReasonCode::ProtocolError).await;
        witness
            .expect_publish("will/1", b"gone", QoS::AtMostOnce)
            .await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-8]
/// MQTT 5.0: [MQTT-3.1.2-8]
#[tokio::test]
async fn the_will_is_published_when_another_connection_takes_over_and_the_session_ends() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let mut client = with_will(version).connect(server).await;
        let _newer = Client::connect(server, version, "client").await;
        client
            .assert_disconnected(ReasonCode::SessionTakenOver)
            .await;
        witness
            .expect_publish("will/1", b"gone", QoS::AtMostOnce)
            .await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-10] [MQTT-3.14.4-3] [MQTT-3.1.2-8]
/// MQTT 5.0: [MQTT-3.1.2-10] [MQTT-3.14.4-3] [MQTT-3.1.2-8]
#[tokio::test]
async fn disconnect_removes_the_will() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let client = with_will(version).connect(server).await;
        client.disconnect().await;
        wait_for_connections(server, 1).await;
        witness.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-10]
/// MQTT 5.0: [MQTT-3.1.2-10]
#[tokio::test]
async fn a_will_is_published_once_also_if_the_session_goes_on() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let client = with_will(version).persistent(1_000).connect(server).await;
        drop(client);
        witness
            .expect_publish("will/1", b"gone", QoS::AtMostOnce)
            .await;
        // The same session without a will, lost in the same way.
        let hello = Hello::new(version, "client").persistent(1_000);
        let (client, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
        drop(client);
        wait_for_connections(server, 1).await;
        witness.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.1.2-8]
#[tokio::test]
async fn disconnect_with_any_other_reason_publishes_the_will() {
    let server = plain_server().await;
    let mut witness = witness(&server, Version::V5).await;
    let client = with_will(Version::V5).connect(&server).await;
    client
        .disconnect_with(ReasonCode::DisconnectWithWill, &[])
        .await;
    witness
        .expect_publish("will/1", b"gone", QoS::AtMostOnce)
        .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-12]
#[tokio::test]
async fn a_client_without_a_will_ends_without_one() {
    each(&NUMBERED, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("#", QoS::ExactlyOnce).await;
        // It had one once, on a connection that ended as it should.
        with_will(version).connect(server).await.disconnect().await;
        drop(Client::connect(server, version, "client").await);
        wait_for_connections(server, 1).await;
        witness.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-9] [MQTT-3.1.2-16] [MQTT-3.1.2-17]
/// MQTT 5.0: [MQTT-3.1.2-9] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
#[tokio::test]
async fn a_will_has_the_qos_and_the_retain_flag_that_connect_gave_it() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for is_retained in [false, true] {
                let topic = format!("will/{qos:?}/{is_retained}");
                let mut will = WillMessage::new(&topic, b"\0\xFF").qos(qos);
                if is_retained {
                    will = will.retain();
                }
                drop(
                    Hello::new(version, "client")
                        .will(will)
                        .connect(server)
                        .await,
                );
                let publish = witness.take_publish(&topic, b"\0\xFF", qos).await;
                assert!(!publish.retain, "the subscription was there before");
                let mut late = Client::connect(server, version, "late").await;
                late.subscribe(&topic, QoS::ExactlyOnce).await;
                if is_retained {
                    let publish = late.take_publish(&topic, b"\0\xFF", qos).await;
                    assert!(publish.retain);
                }
                late.nothing_comes().await;
            }
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-17]
/// MQTT 5.0: [MQTT-3.1.2-15]
#[tokio::test]
async fn an_empty_retained_will_clears_its_topic() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let message = Message::new("will/1", b"before").qos1(1).retain();
        witness.send_message(&message).await;
        let mut packets = [witness.receive().await, witness.receive().await];
        packets.sort_by_key(|packet| matches!(packet, mqtt_codec::OwnedPacket::PubAck(_)));
        let mqtt_codec::OwnedPacket::Publish(publish) = &packets[0] else {
            panic!("{packets:?}");
        };
        witness.send_puback(publish.packet_id.unwrap()).await;
        assert_eq!(server.sizes().retained_messages, 1);
        let will = WillMessage::new("will/1", b"").retain();
        drop(
            Hello::new(version, "client")
                .will(will)
                .connect(server)
                .await,
        );
        witness.expect_publish("will/1", b"", QoS::AtMostOnce).await;
        assert_eq!(server.sizes().retained_messages, 0);
    })
    .await;
}

fn delayed(name: &str, delay_secs: u32, expiry_secs: u32) -> Hello {
    let topic = format!("will/{name}");
    Hello::new(Version::V5, name)
        .persistent(expiry_secs)
        .will(WillMessage::new(&topic, b"gone").property(Property::WillDelayInterval(delay_secs)))
}

/// MQTT 5.0: [MQTT-3.1.2-7] [MQTT-3.1.2-8]
#[tokio::test]
async fn a_will_waits_for_its_delay_or_the_end_of_the_session_whichever_is_first() {
    let server = plain_server().await;
    for (name, delay, expiry) in [("delay", 1, 1_000), ("session", 1_000, 1)] {
        let mut witness = witness(&server, Version::V5).await;
        let client = delayed(name, delay, expiry).connect(&server).await;
        drop(client);
        wait_for_connections(&server, 1).await;
        let since = Instant::now();
        witness.nothing_comes().await;
        let topic = format!("will/{name}");
        witness
            .expect_publish(&topic, b"gone", QoS::AtMostOnce)
            .await;
        let took = since.elapsed();
        assert!(took > Duration::from_millis(800), "{name}: {took:?}");
    }
}

/// MQTT 5.0: [MQTT-3.1.3-9] [MQTT-3.1.2-8]
#[tokio::test]
async fn a_client_that_returns_within_the_will_delay_stops_its_will() {
    let server = plain_server().await;
    let mut witness = witness(&server, Version::V5).await;
    drop(delayed("returns", 1, 1_000).connect(&server).await);
    wait_for_connections(&server, 1).await;
    let again = Hello::new(Version::V5, "returns").persistent(1_000);
    let (_returned, connack) = again.connect_told(&server).await;
    assert!(connack.session_present);
    // One that was lost later and stays away: when its will comes the other was due.
    drop(delayed("stays-away", 1, 1_000).connect(&server).await);
    witness
        .expect_publish("will/stays-away", b"gone", QoS::AtMostOnce)
        .await;
    witness.nothing_comes().await;
}

/// A takeover closes the older network connection (section 3.1.4): the will goes out, unless it waits.
///
/// MQTT 3.1.1: [MQTT-3.1.2-8]
/// MQTT 5.0: [MQTT-3.1.2-8] [MQTT-3.1.3-9]
#[tokio::test]
async fn a_takeover_that_resumes_the_session_publishes_the_will_unless_it_waits() {
    each(&NUMBERED, async |server, version| {
        let mut witness = witness(server, version).await;
        let resuming = Hello::new(version, "client").persistent(1_000);
        if version.is_v5() {
            let mut older = delayed("client", 1_000, 1_000).connect(server).await;
            let newer = resuming.connect(server).await;
            older
                .assert_disconnected(ReasonCode::SessionTakenOver)
                .await;
            newer.disconnect().await;
            wait_for_connections(server, 1).await;
            witness.nothing_comes().await;
        }
        let mut older = with_will(version).persistent(1_000).connect(server).await;
        let _newer = resuming.connect(server).await;
        older
            .assert_disconnected(ReasonCode::SessionTakenOver)
            .await;
        witness
            .expect_publish("will/1", b"gone", QoS::AtMostOnce)
            .await;
        witness.nothing_comes().await;
    })
    .await;
}

/// A new session is none of those for which the will waited.
///
/// MQTT 5.0: [MQTT-3.1.2-8]
#[tokio::test]
async fn a_clean_start_ends_the_session_and_so_publishes_its_delayed_will() {
    let server = plain_server().await;
    let mut witness = witness(&server, Version::V5).await;
    drop(delayed("client", 1_000, 1_000).connect(&server).await);
    wait_for_connections(&server, 1).await;
    witness.nothing_comes().await;
    let _clean = Client::connect(&server, Version::V5, "client").await;
    witness
        .expect_publish("will/client", b"gone", QoS::AtMostOnce)
        .await;
}

/// MQTT 5.0: [MQTT-3.1.3-10]
#[tokio::test]
async fn a_will_is_published_with_its_properties_and_user_properties_in_order() {
    let server = plain_server().await;
    let mut witness = witness(&server, Version::V5).await;
    let pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("a", "0")];
    let mut will = WillMessage::new("will/1", b"gone")
        .property(Property::ContentType("text/plain"))
        .property(Property::ResponseTopic("answer"))
        .property(Property::CorrelationData(b"\0\x01"));
    for (name, value) in pairs {
        will = will.property(Property::UserProperty(name, value));
    }
    drop(
        Hello::new(Version::V5, "client")
            .will(will)
            .connect(&server)
            .await,
    );
    let publish = witness
        .expect_publish("will/1", b"gone", QoS::AtMostOnce)
        .await;
    let properties = publish.properties.as_properties();
    assert!(properties.user_properties().eq(pairs));
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.response_topic(), Some("answer"));
    assert_eq!(properties.correlation_data(), Some(&b"\0\x01"[..]));
    assert_eq!(properties.will_delay_interval(), None);
}
