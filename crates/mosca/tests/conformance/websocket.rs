//! Section 6: MQTT over WebSocket.

use mosca::Server;
use mqtt_codec::{Connect, OwnedPacket, Packet, Properties, Publish, QoS, Subscribe, Version};

use crate::harness::websocket::{
    BINARY, CONTINUATION, Ended, LAST, PONG, TEXT, WebSocketClient, filters, frame, request, start,
};
use crate::harness::{VERSIONS, encoded, id};

/// The client's side of a conversation, and what has to come back.
fn conversation(version: Version) -> (Vec<u8>, Vec<OwnedPacket>) {
    let filters = filters("a/#", QoS::AtLeastOnce);
    let publish = Publish::new("a/b", &[7; 300]);
    let sent = [
        Packet::Connect(Connect::new(version, "client")),
        Packet::Subscribe(Subscribe {
            packet_id: id(1),
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        }),
        Packet::Publish(publish),
        Packet::PingReq,
    ];
    let bytes = sent
        .into_iter()
        .flat_map(|packet| encoded(packet, version))
        .collect();
    (
        bytes,
        vec![
            OwnedPacket::from(Packet::Publish(publish)),
            OwnedPacket::PingResp,
        ],
    )
}

async fn assert_answers(client: &mut WebSocketClient, expected: &[OwnedPacket], how: &str) {
    let connack = client.receive().await;
    assert!(
        matches!(connack, OwnedPacket::ConnAck(_)),
        "{how}: {connack:?}"
    );
    // A message may overtake the answer to the subscription to which it owes its coming.
    let mut come = Vec::new();
    for _ in 0..=expected.len() {
        come.push(client.receive().await);
    }
    let is_suback = |packet: &OwnedPacket| matches!(packet, OwnedPacket::SubAck(_));
    assert_eq!(come.iter().filter(|packet| is_suback(packet)).count(), 1);
    come.retain(|packet| !is_suback(packet));
    assert_eq!(come, expected, "{how}");
}

/// MQTT 3.1.1: [MQTT-6.0.0-2]
/// MQTT 5.0: [MQTT-6.0.0-2]
#[tokio::test]
async fn packets_may_be_split_and_joined_by_frames_in_any_way() {
    let server = start(Server::builder()).await;
    for version in VERSIONS {
        let (bytes, expected) = conversation(version);
        for size in [1, 2, 3, 5, 7, 13, 64, 125, 126, 200, bytes.len()] {
            let mut client = WebSocketClient::open(&server, version).await;
            let frames = bytes.chunks(size).flat_map(|piece| frame(BINARY, piece));
            client.write(&frames.collect::<Vec<_>>()).await;
            assert_answers(&mut client, &expected, &format!("frames of {size}")).await;
        }
    }
}

/// MQTT 3.1.1: [MQTT-6.0.0-2]
/// MQTT 5.0: [MQTT-6.0.0-2]
#[tokio::test]
async fn packets_may_be_split_and_joined_by_fragments_with_control_frames_between_them() {
    let server = start(Server::builder()).await;
    for version in VERSIONS {
        let (bytes, expected) = conversation(version);
        for size in [1, 50, bytes.len() - 1] {
            let mut client = WebSocketClient::open(&server, version).await;
            let mut message = frame(BINARY & !LAST, &[]);
            for piece in bytes.chunks(size) {
                message.extend(frame(CONTINUATION & !LAST, piece));
                // An answer to a ping nobody has sent, which has to be ignored.
                message.extend(frame(PONG, b"unasked"));
            }
            message.extend(frame(CONTINUATION, &[]));
            client.write(&message).await;
            assert_answers(&mut client, &expected, &format!("fragments of {size}")).await;
            client.ping().await;
        }
    }
}

/// MQTT 3.1.1: [MQTT-6.0.0-2]
/// MQTT 5.0: [MQTT-6.0.0-2]
#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let server = start(Server::builder()).await;
    for version in VERSIONS {
        let (bytes, expected) = conversation(version);
        let mut client = WebSocketClient::open(&server, version).await;
        for byte in frame(BINARY, &bytes) {
            client.write(&[byte]).await;
            tokio::task::yield_now().await;
        }
        assert_answers(&mut client, &expected, "byte by byte").await;
    }
}

/// MQTT 3.1.1: [MQTT-6.0.0-1]
/// MQTT 5.0: [MQTT-6.0.0-1]
#[tokio::test]
async fn a_text_frame_ends_the_connection() {
    let server = start(Server::builder()).await;
    for version in VERSIONS {
        for what in ["first", "after CONNECT", "behind a packet", "empty"] {
            let mut client = if what == "after CONNECT" {
                WebSocketClient::connect(&server, version, "client").await
            } else {
                WebSocketClient::open(&server, version).await
            };
            let connect = encoded(Packet::Connect(Connect::new(version, "client")), version);
            if what == "behind a packet" {
                let both = [frame(BINARY, &connect), frame(TEXT, b"text")].concat();
                client.write(&both).await;
                assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
            } else {
                let payload: &[u8] = if what == "empty" { &[] } else { &connect };
                client.write(&frame(TEXT, payload)).await;
            }
            let (words, ended) = client.last_words().await;
            assert_eq!(words, [], "{what}");
            assert_eq!(ended, Ended::Closed(Some(1003)), "{what}");
        }
    }
}

/// MQTT 3.1.1: [MQTT-6.0.0-4]
/// MQTT 5.0: [MQTT-6.0.0-4]
#[tokio::test]
async fn the_subprotocol_mqtt_is_selected_and_returned() {
    let server = start(Server::builder()).await;
    for (offered, selected) in [
        (&["mqtt"][..], "mqtt"),
        (&["mqttv3.1, mqtt"], "mqtt"),
        (&["chat,mqtt,other"], "mqtt"),
        (&["chat", "mqtt"], "mqtt"),
        (&["mqttv3.1"], "mqttv3.1"),
    ] {
        let mut client = WebSocketClient::bare(&server, Version::V311).await;
        let response = client.ask(&request("/mqtt", offered)).await;
        let lines: Vec<String> = response.lines().map(str::to_lowercase).collect();
        assert!(lines[0].starts_with("http/1.1 101 "), "{response}");
        for line in [
            &format!("sec-websocket-protocol: {selected}"),
            // The example of RFC 6455.
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            "upgrade: websocket",
            "connection: upgrade",
        ] {
            assert_eq!(
                lines.iter().filter(|one| *one == line).count(),
                1,
                "{response}"
            );
        }
        assert!(
            !response.to_lowercase().contains("extensions"),
            "{response}"
        );
    }
}
