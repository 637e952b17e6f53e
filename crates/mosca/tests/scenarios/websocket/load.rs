//! Large messages, slow readers, and another implementation of WebSocket.

use std::time::Duration;

use mosca::Server;
use mqtt_codec::{Connect, Decoded, OwnedPacket, Packet, Publish, QoS, Version, decode};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::client::{VERSIONS, encoded, id, within};
use crate::websocket_client::{
    BINARY, CONTINUATION, LAST, PING, PONG, WebSocketClient, filters, frame, start,
};

const MEBIBYTE: usize = 1 << 20;

/// Bytes without a short period.
fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(0x9E37_79B9) >> 13).to_le_bytes()[0])
        .collect()
}

#[tokio::test]
async fn a_mebibyte_arrives_byte_for_byte_however_it_is_framed() {
    let server = start(Server::builder()).await;
    let payload = noise(MEBIBYTE);
    for version in VERSIONS {
        let mut subscriber = WebSocketClient::connect(&server, version, "subscriber").await;
        subscriber.subscribe("files/#", QoS::AtMostOnce).await;
        let mut publisher = WebSocketClient::connect(&server, version, "publisher").await;
        let publish = encoded(Packet::Publish(Publish::new("files/a", &payload)), version);
        for size in [publish.len(), 70_001, 1_021] {
            let mut pieces = publish.chunks(size).enumerate().map(|(number, piece)| {
                let first = if number == 0 { BINARY } else { CONTINUATION };
                frame(first & !LAST, piece)
            });
            for piece in pieces.by_ref() {
                publisher.write(&piece).await;
            }
            publisher.write(&frame(CONTINUATION, &[])).await;
            let publish = subscriber.receive_publish().await;
            assert!(publish.payload[..] == payload, "frames of {size}");
        }
    }
}

#[tokio::test]
async fn a_reader_that_is_slow_loses_messages_and_nothing_else() {
    const MESSAGES: usize = 800;
    let server = start(Server::builder()).await;
    let mut slow = WebSocketClient::connect(&server, Version::V5, "slow").await;
    slow.subscribe("load", QoS::AtMostOnce).await;
    let mut publisher = WebSocketClient::connect(&server, Version::V5, "publisher").await;
    for number in 0..MESSAGES {
        let payload = [&number.to_be_bytes()[..], &noise(65_536)].concat();
        publisher.publish("load", &payload).await;
    }
    publisher.ping().await;
    let dropped = server.counters().dropped_slow_reader.get();
    assert!(dropped > 0, "all of it was kept somewhere");

    slow.send(Packet::PingReq).await;
    let (mut next, mut come) = (0, 0);
    loop {
        match slow.receive().await {
            OwnedPacket::Publish(publish) => {
                let (number, rest) = publish.payload.split_first_chunk().unwrap();
                let number = usize::from_be_bytes(*number);
                assert!(number >= next, "out of order");
                assert!(*rest == noise(65_536));
                (next, come) = (number + 1, come + 1);
            }
            OwnedPacket::PingResp => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(come + dropped, MESSAGES as u64);
}

/// The answers do not pile up: at most one waits while the network takes none.
#[tokio::test]
async fn a_flood_of_pings_that_nobody_reads_the_answers_of_ends_with_the_last_answer() {
    const PINGS: u32 = 300_000;
    let server = start(Server::builder()).await;
    let client = WebSocketClient::connect(&server, Version::V311, "client").await;
    let flood: Vec<u8> = (0..PINGS)
        .flat_map(|number| frame(PING, &[&number.to_be_bytes()[..], &[0; 100]].concat()))
        .collect();
    let mut client = client;
    client.write(&flood).await;
    let mut answers = 0;
    loop {
        let (first, payload) = client.next_frame().await.unwrap();
        assert_eq!(first, PONG);
        answers += 1;
        if payload[..4] == (PINGS - 1).to_be_bytes() {
            break;
        }
    }
    assert!(answers < PINGS);
    client.ping().await;
}

/// Another client than ours, with a thread of its own.
struct Other(WebSocket<std::net::TcpStream>);

impl Other {
    fn open(server: std::net::SocketAddr) -> Self {
        let stream = std::net::TcpStream::connect(server).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut request = format!("ws://{server}/mqtt").into_client_request().unwrap();
        let mqtt = HeaderValue::from_static("mqtt");
        request.headers_mut().insert("Sec-WebSocket-Protocol", mqtt);
        let (socket, response) = tungstenite::client(request, stream).unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "mqtt");
        Self(socket)
    }

    fn send(&mut self, packet: Packet<'_>) {
        let bytes = encoded(packet, Version::V5);
        self.0.send(Message::Binary(bytes.into())).unwrap();
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> OwnedPacket {
        loop {
            if !buffer.is_empty()
                && let Decoded::Packet { packet, size } =
                    decode(buffer, Version::V5, usize::MAX).unwrap()
            {
                let packet = OwnedPacket::from(packet);
                buffer.drain(..size);
                return packet;
            }
            match self.0.read().unwrap() {
                Message::Binary(bytes) => buffer.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn another_implementation_of_websocket_understands_us() {
    let server = start(Server::builder()).await;
    let address = server.local_addresses()[0];
    let conversation = tokio::task::spawn_blocking(move || {
        let (mut client, mut buffer) = (Other::open(address), Vec::new());
        client.send(Packet::Connect(Connect::new(Version::V5, "other")));
        assert!(matches!(
            client.receive(&mut buffer),
            OwnedPacket::ConnAck(_)
        ));
        client.send(Packet::Subscribe(mqtt_codec::Subscribe {
            packet_id: id(1),
            properties: mqtt_codec::Properties::EMPTY,
            filters: filters("#", QoS::AtMostOnce).as_filters(),
        }));
        assert!(matches!(
            client.receive(&mut buffer),
            OwnedPacket::SubAck(_)
        ));
        for size in [0, 100, 126, 65_536, MEBIBYTE] {
            let payload = noise(size);
            client.send(Packet::Publish(Publish::new("a", &payload)));
            let OwnedPacket::Publish(publish) = client.receive(&mut buffer) else {
                panic!("no PUBLISH");
            };
            assert!(publish.payload[..] == payload, "{size} bytes");
        }
        client.0.send(Message::Ping("now".into())).unwrap();
        assert_eq!(client.0.read().unwrap(), Message::Pong("now".into()));
        client.0.close(None).unwrap();
        assert_eq!(client.0.read().unwrap(), Message::Close(None));
        let end = client.0.read().unwrap_err();
        assert!(matches!(end, tungstenite::Error::ConnectionClosed), "{end}");
    });
    within("conversation", conversation).await.unwrap();
}
