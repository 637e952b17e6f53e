//! MQTT over WebSocket: section 6 of MQTT 3.1.1 and 5.0, and what RFC 6455 asks of a server.

mod client;
mod endings;
mod handshake;
mod load;

use mosca::Server;
use mqtt_codec::{
    Connect, OwnedPacket, Packet, Properties, Publish, QoS, ReasonCode, Subscribe, Version,
};

use crate::client::{VERSIONS, encoded, id};
use client::{
    BINARY, CLOSE, CONTINUATION, Ended, LAST, PING, PONG, TEXT, WebSocketClient, filters, frame,
    head, start,
};

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

#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let server = start(Server::builder()).await;
    let (bytes, expected) = conversation(Version::V5);
    let mut client = WebSocketClient::open(&server, Version::V5).await;
    for byte in frame(BINARY, &bytes) {
        client.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_answers(&mut client, &expected, "byte by byte").await;
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

#[tokio::test]
async fn a_broken_rule_of_websocket_ends_the_connection() {
    let server = start(Server::builder()).await;
    let ping = encoded(Packet::PingReq, Version::V5);
    let unmasked = [head(BINARY, ping.len() as u64, false), ping.clone()].concat();
    let binary = |first| frame(first, &ping);
    let within_a_message = [binary(BINARY & !LAST), binary(BINARY)].concat();
    let text_in_it = [frame(BINARY & !LAST, &[]), frame(TEXT, &[])].concat();
    for (bytes, code, what) in [
        (unmasked, 1002, "no mask"),
        (head(PING, 0, false), 1002, "no mask on a ping"),
        (binary(BINARY | 0x40), 1002, "compressed, say"),
        (binary(BINARY | 0x10), 1002, "reserved bit"),
        (binary(0x83), 1002, "unknown data"),
        (binary(0x8B), 1002, "unknown control"),
        (frame(PING, &[0; 126]), 1002, "a large ping"),
        (frame(PING & !LAST, &[]), 1002, "a fragment of a ping"),
        (binary(CONTINUATION), 1002, "a continuation of nothing"),
        (within_a_message, 1002, "a message in a message"),
        (text_in_it, 1003, "text in a message"),
        (head(BINARY, 1 << 63, true), 1002, "a length below zero"),
    ] {
        let mut client = WebSocketClient::connect(&server, Version::V5, "client").await;
        client.write(&bytes).await;
        let (_, ended) = client.last_words().await;
        assert_eq!(ended, Ended::Closed(Some(code)), "{what}");
    }
}

/// Frames are not gathered, so their size is nobody's concern; that of packets is.
#[tokio::test]
async fn a_frame_may_announce_anything_but_a_packet_may_not() {
    let builder = Server::builder().broker(|options| options.max_packet_size_bytes = 1_000);
    let server = start(builder).await;
    let mut client = WebSocketClient::connect(&server, Version::V5, "client").await;
    let ping = encoded(Packet::PingReq, Version::V5);
    let mut bytes = head(BINARY, 1 << 40, true);
    // The mask begins anew with each packet only if these are multiples of four.
    bytes.extend(client::masked(&ping.repeat(10)));
    client.write(&bytes).await;
    for _ in 0..10 {
        assert_eq!(client.receive().await, OwnedPacket::PingResp);
    }

    let mut client = WebSocketClient::connect(&server, Version::V5, "client").await;
    let publish = encoded(Packet::Publish(Publish::new("a", &[0; 1_000])), Version::V5);
    client.write(&frame(BINARY, &publish[..4])).await;
    let (words, ended) = client.last_words().await;
    let [OwnedPacket::Disconnect(disconnect)] = &words[..] else {
        panic!("DISCONNECT expected, not {words:?}");
    };
    assert_eq!(disconnect.reason_code, ReasonCode::PacketTooLarge);
    assert_eq!(ended, Ended::Closed(Some(1000)));
}

#[tokio::test]
async fn a_ping_of_websocket_is_answered_with_what_it_carries() {
    let server = start(Server::builder()).await;
    let mut client = WebSocketClient::open(&server, Version::V311).await;
    for payload in [&b""[..], b"before CONNECT", &[9; 125]] {
        client.write(&frame(PING, payload)).await;
        assert_eq!(client.next_frame().await, Some((PONG, payload.to_vec())));
    }
    // Of several that come at once the last one needs an answer.
    let pings: Vec<u8> = (0..9).flat_map(|number| frame(PING, &[number])).collect();
    client.write(&pings).await;
    while client.next_frame().await.unwrap() != (PONG, vec![8]) {}
    // In the middle of a message, and of a packet.
    let (bytes, expected) = conversation(Version::V311);
    let (front, back) = bytes.split_at(20);
    client.write(&frame(BINARY & !LAST, front)).await;
    assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
    client.write(&frame(PING, b"now")).await;
    assert_eq!(client.next_frame().await, Some((PONG, b"now".to_vec())));
    client.write(&frame(CONTINUATION, back)).await;
    let mut come = Vec::new();
    while come.last() != expected.last() {
        come.push(client.receive().await);
    }
    assert_eq!(come.len(), expected.len() + 1, "{come:?}");
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let server = start(Server::builder()).await;
    for (reason, code) in [
        (&[][..], None),
        (&1000_u16.to_be_bytes(), Some(1000)),
        (b"\x03\xE9going away", Some(1001)),
        (&4000_u16.to_be_bytes(), Some(4000)),
        (&[3], Some(1002)),
        (&1005_u16.to_be_bytes(), Some(1002)),
        (&999_u16.to_be_bytes(), Some(1002)),
    ] {
        let mut client = WebSocketClient::connect(&server, Version::V5, "client").await;
        client.write(&frame(CLOSE, reason)).await;
        let (words, ended) = client.last_words().await;
        assert_eq!(words, []);
        assert_eq!(ended, Ended::Closed(code), "{reason:?}");
    }
}
