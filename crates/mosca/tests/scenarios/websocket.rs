//! MQTT over WebSocket: what RFC 6455 asks of a server, and what a server owes itself. The numbered
//! statements of MQTT about it are in `tests/conformance/websocket.rs`.

mod endings;
mod handshake;
mod load;

use mosca::Server;
use mqtt_codec::{Connect, OwnedPacket, Packet, Publish, ReasonCode, Version};

use crate::client::encoded;
use crate::websocket_client::{
    BINARY, CLOSE, CONTINUATION, Ended, LAST, PING, PONG, TEXT, WebSocketClient, frame, head,
    masked, start,
};

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
        (
            b"\x82\xFE\0\x02\0\0\0\0\xC0\0".to_vec(),
            1002,
            "two in two bytes",
        ),
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
    bytes.extend(masked(&ping.repeat(10)));
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
    let connect = encoded(
        Packet::Connect(Connect::new(Version::V311, "client")),
        Version::V311,
    );
    let (front, back) = connect.split_at(9);
    client.write(&frame(BINARY & !LAST, front)).await;
    client.write(&frame(PING, b"now")).await;
    assert_eq!(client.next_frame().await, Some((PONG, b"now".to_vec())));
    client.write(&frame(CONTINUATION, back)).await;
    assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let server = start(Server::builder()).await;
    for (reason, code) in [
        (&[][..], None),
        (&1000_u16.to_be_bytes(), Some(1000)),
        (b"\x03\xE9going away", Some(1001)),
        (&4000_u16.to_be_bytes(), Some(4000)),
        (b"\x03\xE9\xC3\x28", Some(1007)),
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
