//! A WebSocket client for tests: it sends whatever frames it is told to, and takes nothing from the
//! library with which the server reads them.

use std::net::SocketAddr;

use mosca::{Interface, Server, ServerBuilder};
use mqtt_codec::{
    Connect, Decoded, OwnedPacket, OwnedPublish, Packet, Publish, QoS, Subscribe,
    SubscribeFiltersBuf, SubscriptionOptions, Version, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{encoded, id, within};

/// First bytes of frames that are the last ones of their messages.
pub(crate) const CONTINUATION: u8 = 0x80;
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;

/// Taken off such a first byte: the message goes on.
pub(crate) const LAST: u8 = 0x80;

const MASK: [u8; 4] = [0xA5, 0x5A, 0x3C, 0x01];

/// Starts a server that listens for WebSockets alone.
pub(crate) async fn start(builder: ServerBuilder) -> Server {
    let builder = builder.listen(Interface::websocket("127.0.0.1:0"));
    builder.start().await.unwrap()
}

/// The head of a frame: its first byte, how long it says that it is, and whether it has a mask.
pub(crate) fn head(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut head = vec![first];
    match length {
        0..126 => head.push(mask_bit | u8::try_from(length).unwrap()),
        126..65_536 => {
            head.push(mask_bit | 126);
            head.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            head.push(mask_bit | 127);
            head.extend(length.to_be_bytes());
        }
    }
    if masked {
        head.extend(MASK);
    }
    head
}

/// `bytes` under the mask.
pub(crate) fn masked(bytes: &[u8]) -> Vec<u8> {
    let keys = MASK.iter().cycle();
    bytes
        .iter()
        .zip(keys)
        .map(|(byte, key)| byte ^ key)
        .collect()
}

pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64, true);
    frame.extend(masked(payload));
    frame
}

/// A request for the upgrade that offers what `protocols` says, in lines of their own.
pub(crate) fn request(path: &str, protocols: &[&str]) -> String {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for protocol in protocols {
        request.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    request + "\r\n"
}

/// What came instead of a binary frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A close frame with this code, and behind it the end of the stream.
    Closed(Option<u16>),
    /// The end of the stream alone.
    Silent,
}

/// One WebSocket connection, seen from the client.
pub(crate) struct WebSocketClient {
    pub(crate) stream: TcpStream,
    version: Version,
    /// What has come and was not looked at.
    raw: Vec<u8>,
    /// What binary frames have carried.
    mqtt: Vec<u8>,
}

impl WebSocketClient {
    /// A network connection, nothing said.
    pub(crate) async fn bare(server: &Server, version: Version) -> Self {
        Self::bare_at(*server.local_addresses().last().unwrap(), version).await
    }

    pub(crate) async fn bare_at(address: SocketAddr, version: Version) -> Self {
        let stream = within("TCP connection", TcpStream::connect(address)).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            version,
            raw: Vec::new(),
            mqtt: Vec::new(),
        }
    }

    /// A WebSocket without CONNECT.
    pub(crate) async fn open(server: &Server, version: Version) -> Self {
        Self::open_at(*server.local_addresses().last().unwrap(), version).await
    }

    pub(crate) async fn open_at(address: SocketAddr, version: Version) -> Self {
        let mut client = Self::bare_at(address, version).await;
        let response = client.ask(&request("/mqtt", &["mqtt"])).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        client
    }

    pub(crate) async fn connect(server: &Server, version: Version, client_id: &str) -> Self {
        Self::connect_with(server, &Connect::new(version, client_id)).await
    }

    pub(crate) async fn connect_with(server: &Server, connect: &Connect<'_>) -> Self {
        let mut client = Self::open(server, connect.version).await;
        client.say_hello(connect).await;
        client
    }

    pub(crate) async fn connect_at(address: SocketAddr, version: Version, client_id: &str) -> Self {
        let mut client = Self::open_at(address, version).await;
        client.say_hello(&Connect::new(version, client_id)).await;
        client
    }

    /// CONNECT, and CONNACK without an error.
    async fn say_hello(&mut self, connect: &Connect<'_>) {
        self.send(Packet::Connect(*connect)).await;
        match self.receive().await {
            OwnedPacket::ConnAck(connack) => assert!(!connack.reason_code.is_error()),
            other => panic!("CONNACK comes first, not {other:?}"),
        }
    }

    /// Sends a request and returns the head of the response.
    pub(crate) async fn ask(&mut self, request: &str) -> String {
        self.ask_bytes(request.as_bytes()).await
    }

    /// The same with what is no text behind it.
    pub(crate) async fn ask_bytes(&mut self, request: &[u8]) -> String {
        self.write(request).await;
        loop {
            let end = self.raw.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.raw.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.read().await, "ended within a response: {:?}", self.raw);
        }
    }

    /// Reads over what a response carries.
    pub(crate) async fn skip(&mut self, bytes: usize) {
        while self.raw.len() < bytes {
            assert!(self.read().await, "ended within a response");
        }
        self.raw.drain(..bytes);
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within("write", self.stream.write_all(bytes)).await.unwrap();
    }

    /// A packet in a frame of its own.
    pub(crate) async fn send(&mut self, packet: Packet<'_>) {
        let bytes = encoded(packet, self.version);
        self.write(&frame(BINARY, &bytes)).await;
    }

    /// Reads once. A connection that was reset fails the test: a client may lose what it had not
    /// read by then.
    async fn read(&mut self) -> bool {
        let read = within("bytes or their end", self.stream.read_buf(&mut self.raw)).await;
        read.unwrap_or_else(|error| panic!("ended by {error}")) > 0
    }

    /// All bytes that still come.
    pub(crate) async fn raw_until_the_end(&mut self) -> Vec<u8> {
        while self.read().await {}
        std::mem::take(&mut self.raw)
    }

    /// The next frame: its first byte and what it carries. `None` at the end of the stream.
    pub(crate) async fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let [first, second, rest @ ..] = &self.raw[..] {
                assert_eq!(second & 0x80, 0, "a server does not mask");
                let (length, rest) = match (second, rest) {
                    (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
                    (127, rest) if rest.len() >= 8 => {
                        let (length, rest) = rest.split_first_chunk().unwrap();
                        (usize::try_from(u64::from_be_bytes(*length)).unwrap(), rest)
                    }
                    (126 | 127, _) => (usize::MAX, &rest[..0]),
                    (length, rest) => (usize::from(*length), rest),
                };
                if rest.len() >= length {
                    let (first, payload) = (*first, rest[..length].to_vec());
                    let used = self.raw.len() - rest.len() + length;
                    self.raw.drain(..used);
                    return Some((first, payload));
                }
            }
            if !self.read().await {
                assert!(self.raw.is_empty(), "ended within a frame: {:?}", self.raw);
                return None;
            }
        }
    }

    /// The next packet, or how the connection ended.
    pub(crate) async fn next(&mut self) -> Result<OwnedPacket, Ended> {
        loop {
            if !self.mqtt.is_empty()
                && let Decoded::Packet { packet, size } =
                    decode(&self.mqtt, self.version, usize::MAX).unwrap()
            {
                let packet = OwnedPacket::from(packet);
                self.mqtt.drain(..size);
                return Ok(packet);
            }
            match self.next_frame().await {
                Some((BINARY, payload)) => self.mqtt.extend(payload),
                Some((CLOSE, reason)) => {
                    assert!(self.mqtt.is_empty(), "closed within a packet");
                    assert_eq!(
                        self.next_frame().await,
                        None,
                        "something after a close frame"
                    );
                    let code = reason.try_into().ok().map(u16::from_be_bytes);
                    return Err(Ended::Closed(code));
                }
                // [MQTT-6.0.0-1] holds for what the server sends as well.
                Some(other) => panic!("not a binary frame: {other:?}"),
                None => return Err(Ended::Silent),
            }
        }
    }

    pub(crate) async fn receive(&mut self) -> OwnedPacket {
        self.next().await.expect("a packet, not the end")
    }

    pub(crate) async fn receive_publish(&mut self) -> OwnedPublish {
        match self.receive().await {
            OwnedPacket::Publish(publish) => publish,
            other => panic!("PUBLISH expected, not {other:?}"),
        }
    }

    /// All that still comes, and how it ends.
    pub(crate) async fn last_words(&mut self) -> (Vec<OwnedPacket>, Ended) {
        let mut words = Vec::new();
        loop {
            match self.next().await {
                Ok(packet) => words.push(packet),
                Err(ended) => return (words, ended),
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.send(Packet::Subscribe(Subscribe {
            packet_id: id(65_535),
            properties: mqtt_codec::Properties::EMPTY,
            filters: filters(filter, qos).as_filters(),
        }))
        .await;
        match self.receive().await {
            OwnedPacket::SubAck(suback) => assert!(!suback.reason_codes[0].is_error()),
            other => panic!("SUBACK expected, not {other:?}"),
        }
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.send(Packet::Publish(Publish::new(topic, payload)))
            .await;
    }

    /// A round trip.
    pub(crate) async fn ping(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.receive().await, OwnedPacket::PingResp);
    }
}

pub(crate) fn filters(filter: &str, qos: QoS) -> SubscribeFiltersBuf {
    let mut filters = SubscribeFiltersBuf::new();
    filters.push(filter, SubscriptionOptions::new(qos)).unwrap();
    filters
}
