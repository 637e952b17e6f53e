//! Packets do not come one by one: cut anywhere, many at once, very large, or not taken at all.

use std::time::{Duration, Instant};

use mosca::Server;
use mqtt_codec::{Connect, OwnedPacket, Packet, Publish, QoS, Version, Will};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{
    Client, Pair, VERSIONS, encoded, id, plain_server, start, wait_for_connections, within,
};

/// A connection whose buffers on the client's side hold `bytes`. With less than a segment of the
/// loopback interface (64 KiB) TCP itself begins to wait for its timers.
pub(crate) async fn narrow(server: &Server, bytes: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(bytes).unwrap();
    socket.set_send_buffer_size(bytes).unwrap();
    socket.connect(server.local_addresses()[0]).await.unwrap()
}

#[tokio::test]
async fn connect_and_a_thousand_messages_in_one_write_are_all_handled_in_order() {
    let server = plain_server().await;
    for version in VERSIONS {
        let mut client = Client::open(&server, version).await;
        let mut bytes = encoded(Packet::Connect(Connect::new(version, "client")), version);
        for number in 1..=1_000 {
            let payload = u16::to_be_bytes(number);
            let publish = Publish {
                qos: QoS::AtLeastOnce,
                packet_id: Some(id(number)),
                ..Publish::new("topic", &payload)
            };
            Packet::Publish(publish)
                .encode(version, &mut bytes)
                .unwrap();
        }
        client.write(&bytes).await;
        assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
        for number in 1..=1_000 {
            assert_eq!(client.receive_puback().await, id(number));
        }
        client.send(Packet::PingReq).await;
        assert_eq!(client.receive().await, OwnedPacket::PingResp);
    }
}

#[tokio::test]
async fn bytes_that_come_one_by_one_make_packets() {
    let server = plain_server().await;
    let mut client = Client::open(&server, Version::V5).await;
    let mut bytes = encoded(
        Packet::Connect(Connect::new(Version::V5, "client")),
        Version::V5,
    );
    bytes.extend(encoded(
        Packet::Publish(Publish {
            qos: QoS::ExactlyOnce,
            packet_id: Some(id(7)),
            ..Publish::new("a/topic", &[b'x'; 300])
        }),
        Version::V5,
    ));
    for byte in bytes {
        client.write(&[byte]).await;
    }
    assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
    let OwnedPacket::PubRec(pubrec) = client.receive().await else {
        panic!("PUBREC expected");
    };
    assert_eq!(pubrec.packet_id, id(7));
}

#[tokio::test]
async fn large_messages_pass_through_small_socket_buffers() {
    let builder = Server::builder().broker(|options| options.max_packet_size_bytes = 32 << 20);
    let server = start(builder).await;
    let pair = Pair::start(&server).await;
    let mut subscriber = Client::over(narrow(&server, 64 << 10).await, Version::V5);
    subscriber
        .say_hello(&Connect::new(Version::V5, "subscriber"))
        .await;
    subscriber.subscribe("large", QoS::AtLeastOnce).await;
    let mut publisher = Client::over(narrow(&server, 64 << 10).await, Version::V311);
    publisher
        .say_hello(&Connect::new(Version::V311, "publisher"))
        .await;
    for (number, size) in [(1, 1 << 20), (2, 20 << 20), (3, 1)] {
        // A period that divides no power of two: a part in the wrong place would show.
        let payload = b"seven.."
            .repeat(size / 7 + 1)
            .get(..size)
            .unwrap()
            .to_vec();
        let send = async {
            publisher
                .publish_at_least_once(number, "large", &payload)
                .await;
            publisher.receive_puback().await
        };
        let (acknowledged, received) = tokio::join!(send, subscriber.receive_publish());
        assert_eq!(acknowledged, id(number));
        assert!(received.payload == payload, "{size} bytes differ");
    }
    assert!(pair.stop().await > 0);
}

/// A client that takes nothing of what it is sent gets no more than its outbox may hold; the
/// rest is dropped and counted. [MQTT-3.1.2-24] of 3.1.1 ends it in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_loses_messages_and_then_its_connection_and_nobody_else_does() {
    let builder = Server::builder().broker(|options| options.max_outbox_bytes = 64 << 10);
    let server = start(builder).await;
    let pair = Pair::start(&server).await;
    let mut stuck = Client::over(narrow(&server, 2_048).await, Version::V311);
    let mut hello = Connect::new(Version::V311, "stuck");
    hello.keep_alive = 2;
    stuck.say_hello(&hello).await;
    stuck.subscribe("flood", QoS::AtMostOnce).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    // More than the system's own buffers hold, which grow to some megabytes.
    let message = encoded(
        Packet::Publish(Publish::new("flood", &[0; 10_000])),
        Version::V5,
    );
    publisher.write(&message.repeat(2_000)).await;
    publisher.ping().await;
    assert!(server.counters().dropped_slow_reader.get() > 0);
    within("keep alive to end the session", async {
        while server.sizes().sessions > 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(server.counters().keep_alive_timeouts.get(), 1);
    // And its network connection, although its last words cannot be delivered.
    wait_for_connections(&server, 3).await;
    assert!(pair.stop().await > 0);
}

/// What it is sent in return is not collected without bound either.
#[tokio::test]
async fn a_client_that_asks_and_never_reads_the_answers_is_not_read_from_for_ever() {
    let builder = Server::builder().broker(|options| options.max_outbox_bytes = 64 << 10);
    let server = start(builder).await;
    let mut asking = Client::over(narrow(&server, 2_048).await, Version::V311);
    asking
        .say_hello(&Connect::new(Version::V311, "asking"))
        .await;
    let questions = encoded(Packet::PingReq, Version::V311).repeat(32 << 10);
    // More than all buffers between us and the server's hold.
    let mut written = 0;
    let blocked = loop {
        let write = asking.stream.write_all(&questions);
        match tokio::time::timeout(Duration::from_millis(300), write).await {
            Ok(result) => result.unwrap(),
            Err(_) => break true,
        }
        written += questions.len();
        if written > 64 << 20 {
            break false;
        }
    };
    assert!(blocked, "{written} bytes of PINGREQ were taken");
    // Someone else takes its place at once, and it ends.
    let mut next = Client::connect(&server, Version::V311, "asking").await;
    next.ping().await;
    wait_for_connections(&server, 1).await;
}

#[tokio::test]
async fn a_client_that_has_ended_its_own_direction_still_gets_its_answers() {
    let server = plain_server().await;
    for version in VERSIONS {
        let mut client = Client::connect(&server, version, "client").await;
        client.publish_at_least_once(1, "topic", b"payload").await;
        client.send(Packet::PingReq).await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.receive_puback().await, id(1));
        assert_eq!(client.receive().await, OwnedPacket::PingResp);
        assert!(client.last_words().await.is_empty());
    }
}

/// [MQTT-3.1.2-8] of 3.1.1, [MQTT-3.1.2-8] of 5.0.
#[tokio::test]
async fn the_will_of_a_client_that_vanishes_within_a_packet_is_published() {
    let server = plain_server().await;
    let mut witness = Client::connect(&server, Version::V5, "witness").await;
    witness.subscribe("gone/+", QoS::AtLeastOnce).await;
    for version in VERSIONS {
        for reset in [false, true] {
            let payload = format!("{version:?} {reset}");
            let mut hello = Connect::new(version, "vanishing");
            hello.will = Some(Will {
                qos: QoS::AtMostOnce,
                retain: false,
                topic: "gone/will",
                payload: payload.as_bytes(),
                properties: mqtt_codec::Properties::EMPTY,
            });
            let mut client = Client::connect_with(&server, &hello).await;
            let publish = encoded(
                Packet::Publish(Publish::new("gone/never", &[0; 500])),
                version,
            );
            client.write(&publish[..250]).await;
            if reset {
                client.stream.set_zero_linger().unwrap();
            }
            drop(client);
            let will = witness.receive_publish().await;
            assert_eq!(will.topic, "gone/will");
            assert_eq!(will.payload, payload.as_bytes());
        }
    }
    assert_eq!(server.sizes().sessions, 1, "only the witness is left");
}

/// A packet that never ends is not a sign of life: [MQTT-3.1.2-24] of 3.1.1, [MQTT-3.1.2-22] of
/// 5.0 want whole packets.
#[tokio::test]
async fn half_packets_that_drip_do_not_keep_a_connection_alive() {
    let server = plain_server().await;
    for version in [Version::V311, Version::V5] {
        let mut hello = Connect::new(version, "dripping");
        hello.keep_alive = 1;
        let mut client = Client::connect_with(&server, &hello).await;
        let since = Instant::now();
        client.write(&[0x30, 0xFF, 0xFF, 0x40, 0, 1]).await;
        let dripping = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if client.stream.write_all(b"x").await.is_err() {
                    return;
                }
                // A byte that comes is the beginning of the last words.
                let mut byte = [0];
                if client.stream.try_read(&mut byte).is_ok() {
                    return;
                }
            }
        };
        within("the end of a client that drips", dripping).await;
        assert!(
            since.elapsed() < Duration::from_secs(4),
            "{:?}",
            since.elapsed()
        );
    }
    assert_eq!(server.counters().keep_alive_timeouts.get(), 2);
}

/// The rest of a large packet is a sign of life though: there is no room for PINGREQ in between.
#[tokio::test]
async fn a_large_packet_on_a_slow_line_keeps_its_connection_alive() {
    let server = plain_server().await;
    let mut hello = Connect::new(Version::V5, "slow");
    hello.keep_alive = 1;
    let mut client = Client::connect_with(&server, &hello).await;
    let payload = vec![7; 400_000];
    let publish = Publish {
        qos: QoS::AtLeastOnce,
        packet_id: Some(id(1)),
        ..Publish::new("topic", &payload)
    };
    let bytes = encoded(Packet::Publish(publish), Version::V5);
    // Three seconds for one packet, with half of the time allowed between its parts.
    for part in bytes.chunks(bytes.len().div_ceil(6)) {
        client.write(part).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(client.receive_puback().await, id(1));
    client.ping().await;
    client.stream.shutdown().await.unwrap();
    let words = client.last_words().await;
    assert!(words.is_empty(), "{words:?}");
}
