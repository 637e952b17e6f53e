//! An MQTT client for tests: it sends whatever it is told to, and waits for nothing without a
//! deadline.

use std::future::Future;
use std::time::Duration;

use mosca::{Interface, Server, ServerBuilder};
use mqtt_codec::{
    Connect, Decoded, OwnedConnAck, OwnedPacket, OwnedPublish, Packet, PacketId, Properties,
    Publish, QoS, ReasonCode, Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Version, decode,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// All versions of the protocol.
pub(crate) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// What has not happened by then does not happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not for ever.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Starts a server on a free port of the loopback address.
pub(crate) async fn start(builder: ServerBuilder) -> Server {
    let builder = builder.listen(Interface::mqtt("127.0.0.1:0"));
    builder.start().await.unwrap()
}

/// A server with nothing changed.
pub(crate) async fn plain_server() -> Server {
    start(Server::builder()).await
}

pub(crate) fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

pub(crate) fn encoded(packet: Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes
}

/// One network connection, seen from the client.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    version: Version,
    /// What has been received and not looked at.
    buffer: Vec<u8>,
}

impl Client {
    /// A network connection without CONNECT.
    pub(crate) async fn open(server: &Server, version: Version) -> Self {
        let address = server.local_addresses()[0];
        let stream = within("TCP connection", TcpStream::connect(address)).await;
        Self::over(stream.unwrap(), version)
    }

    pub(crate) fn over(stream: TcpStream, version: Version) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::over_stream(stream, version)
    }

    /// A connection with a clean session.
    pub(crate) async fn connect(server: &Server, version: Version, client_id: &str) -> Self {
        Self::connect_with(server, &Connect::new(version, client_id)).await
    }

    pub(crate) async fn connect_with(server: &Server, connect: &Connect<'_>) -> Self {
        let mut client = Self::open(server, connect.version).await;
        client.say_hello(connect).await;
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over any stream of bytes.
    pub(crate) fn over_stream(stream: S, version: Version) -> Self {
        Self {
            stream,
            version,
            buffer: Vec::new(),
        }
    }

    /// The version in which it speaks.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// CONNECT, and CONNACK without an error.
    pub(crate) async fn say_hello(&mut self, connect: &Connect<'_>) -> OwnedConnAck {
        self.send(Packet::Connect(*connect)).await;
        match self.receive().await {
            OwnedPacket::ConnAck(connack) => {
                assert_eq!(connack.reason_code, ReasonCode::Success);
                connack
            }
            other => panic!("CONNACK comes first, not {other:?}"),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within("write", self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, packet: Packet<'_>) {
        self.write(&encoded(packet, self.version)).await;
    }

    /// The next packet; `None` at the end of the stream. A connection that was reset instead of
    /// closed fails the test: a client may lose what it had not read by then.
    pub(crate) async fn next(&mut self) -> Option<OwnedPacket> {
        loop {
            if !self.buffer.is_empty() {
                match decode(&self.buffer, self.version, usize::MAX).unwrap() {
                    Decoded::Packet { packet, size } => {
                        let packet = OwnedPacket::from(packet);
                        self.buffer.drain(..size);
                        return Some(packet);
                    }
                    Decoded::Incomplete { .. } => {}
                }
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let read = within("packet or end of stream", read).await;
            if read.unwrap_or_else(|error| panic!("ended by {error}")) == 0 {
                assert!(self.buffer.is_empty(), "ended within a packet");
                return None;
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

    pub(crate) async fn receive_puback(&mut self) -> PacketId {
        match self.receive().await {
            OwnedPacket::PubAck(puback) => {
                assert!(!puback.reason_code.is_error(), "{puback:?}");
                puback.packet_id
            }
            other => panic!("PUBACK expected, not {other:?}"),
        }
    }

    /// All that still comes until the connection ends.
    pub(crate) async fn last_words(&mut self) -> Vec<OwnedPacket> {
        let mut words = Vec::new();
        while let Some(packet) = self.next().await {
            words.push(packet);
        }
        words
    }

    /// The end, with the DISCONNECT that only MQTT 5 has.
    pub(crate) async fn assert_ends_with(&mut self, reason: ReasonCode, what: &str) {
        let words = self.last_words().await;
        if self.version.is_v5() {
            let [OwnedPacket::Disconnect(disconnect)] = &words[..] else {
                panic!("{what}: DISCONNECT expected, not {words:?}");
            };
            assert_eq!(disconnect.reason_code, reason, "{what}");
        } else {
            assert!(words.is_empty(), "{what}: {words:?}");
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        let mut filters = SubscribeFiltersBuf::new();
        filters.push(filter, SubscriptionOptions::new(qos)).unwrap();
        let subscribe = Subscribe {
            packet_id: id(65_535),
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        };
        self.send(Packet::Subscribe(subscribe)).await;
        match self.receive().await {
            OwnedPacket::SubAck(suback) => {
                assert_eq!(suback.reason_codes, [ReasonCode::granted(qos)]);
            }
            other => panic!("SUBACK expected, not {other:?}"),
        }
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.send(Packet::Publish(Publish::new(topic, payload)))
            .await;
    }

    /// QoS 1, without waiting for PUBACK.
    pub(crate) async fn publish_at_least_once(&mut self, number: u16, topic: &str, payload: &[u8]) {
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(id(number)),
            ..Publish::new(topic, payload)
        };
        self.send(Packet::Publish(publish)).await;
    }

    /// A round trip: everything that was sent before has been handled, and answered.
    pub(crate) async fn ping(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.receive().await, OwnedPacket::PingResp);
    }
}

/// Two clients that keep exchanging messages: what is done to others must not disturb them.
pub(crate) struct Pair {
    stop: oneshot::Sender<()>,
    task: JoinHandle<u32>,
}

impl Pair {
    pub(crate) async fn start(server: &Server) -> Self {
        let mut publisher = Client::connect(server, Version::V5, "pair-publisher").await;
        let mut subscriber = Client::connect(server, Version::V311, "pair-subscriber").await;
        subscriber.subscribe("pair", QoS::AtLeastOnce).await;
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut exchanged = 0_u32;
            loop {
                // Looked at first: the last exchange begins after the end of the disturbance.
                let last = stopped.try_recv().is_ok();
                let number = u16::try_from(exchanged % 65_535).unwrap() + 1;
                let payload = exchanged.to_be_bytes();
                publisher
                    .publish_at_least_once(number, "pair", &payload)
                    .await;
                assert_eq!(publisher.receive_puback().await, id(number));
                let publish = subscriber.receive_publish().await;
                assert_eq!(&publish.payload[..], payload);
                let puback = mqtt_codec::PubAck::new(publish.packet_id.unwrap());
                subscriber.send(Packet::PubAck(puback)).await;
                exchanged += 1;
                if last {
                    return exchanged;
                }
            }
        });
        Self { stop, task }
    }

    /// Ends the exchange after one more message; the number of messages exchanged.
    pub(crate) async fn stop(self) -> u32 {
        // If the task is gone already its panic is what comes out below.
        let _sent = self.stop.send(());
        within("the undisturbed pair", self.task).await.unwrap()
    }
}

/// Waits until the server has no more than `number` network connections.
pub(crate) async fn wait_for_connections(server: &Server, number: usize) {
    within("connections to end", async {
        while server.open_connections() > number {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
