//! Streams that the program hands to the server: any stream of bytes is a connection like those that
//! the server accepts itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mosca::{Server, StreamRefused};
use mqtt_codec::{Connect, QoS, ReasonCode, Version};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};

use crate::client::{Client, VERSIONS, start, wait_for_connections, within};
use crate::websocket_client::request;

/// A client at the end of a pipe that takes so many bytes at a time.
async fn connect(
    server: &Server,
    version: Version,
    name: &str,
    takes: usize,
) -> Client<DuplexStream> {
    let (ours, theirs) = duplex(takes);
    server.streams().serve(theirs, name).unwrap();
    let mut client = Client::over_stream(ours, version);
    client.say_hello(&Connect::new(version, name)).await;
    client
}

#[tokio::test]
async fn a_stream_is_served_whatever_it_takes_at_a_time() {
    let server = Server::builder().start().await.unwrap();
    for version in VERSIONS {
        for (takes, length) in [(1, 3_000), (2, 3_000), (7, 20_000), (1 << 16, 1_000_000)] {
            let mut client = connect(&server, version, "client", takes).await;
            client.subscribe("a", QoS::ExactlyOnce).await;
            let payload: Vec<u8> = (0..length).map(|at: usize| (at * at / 7) as u8).collect();
            client.publish("a", &payload).await;
            let publish = client.receive_publish().await;
            assert!(publish.payload[..] == payload, "{version:?}, {takes}");
            client.ping().await;
            client.write(&[0xE0, 0]).await;
            // Shut down, which is an end and not an error.
            assert_eq!(client.next().await, None, "{version:?}, {takes}");
        }
    }
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn streams_and_sockets_are_one_broker() {
    let server = start(Server::builder()).await;
    let mut socket = Client::connect(&server, Version::V5, "socket").await;
    let mut stream = connect(&server, Version::V311, "stream", 1).await;
    socket.subscribe("to/socket", QoS::AtLeastOnce).await;
    stream.subscribe("to/stream", QoS::AtLeastOnce).await;
    socket.publish("to/stream", b"hello").await;
    assert_eq!(&stream.receive_publish().await.payload[..], b"hello");
    stream.publish("to/socket", b"hello yourself").await;
    assert_eq!(
        &socket.receive_publish().await.payload[..],
        b"hello yourself"
    );
    // A takeover from one to the other.
    let mut newer = Client::connect(&server, Version::V311, "stream").await;
    assert_eq!(stream.next().await, None);
    newer.ping().await;
}

#[tokio::test]
async fn a_stream_that_ends_is_a_lost_connection_and_one_that_is_silent_ends_in_time() {
    let builder =
        Server::builder().broker(|options| options.connect_timeout = Duration::from_secs(1));
    let server = builder.start().await.unwrap();
    let client = connect(&server, Version::V5, "client", 64).await;
    let (mut silent, theirs) = duplex(64);
    server.streams().serve(theirs, "silent").unwrap();
    assert_eq!(server.streams().open(), 2);
    assert_eq!(server.open_connections(), 2);
    let read = within("the end", silent.read_u8()).await;
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    drop(client);
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn no_more_streams_are_served_than_may_be() {
    let server = Server::builder().max_streams(1).start().await.unwrap();
    let streams = server.streams();
    let mut first = connect(&server, Version::V5, "first", 64).await;
    let refused = streams.serve(duplex(64).1, "second");
    assert_eq!(refused, Err(StreamRefused::TooMany(1)));
    assert_eq!(server.network_counters().refused_connections, 1);
    first.ping().await;
    drop(first);
    wait_for_connections(&server, 0).await;
    assert_eq!(streams.serve(duplex(64).1, "third"), Ok(()));
}

#[tokio::test]
async fn a_server_that_closes_tells_its_streams_and_takes_no_more() {
    let server = Server::builder().start().await.unwrap();
    let streams = server.streams();
    let mut client = connect(&server, Version::V5, "client", 1).await;
    let closing = tokio::spawn(server.close(Duration::from_secs(20)));
    client
        .assert_ends_with(ReasonCode::ServerShuttingDown, "close")
        .await;
    drop(client);
    assert_eq!(within("close", closing).await.unwrap(), 0);
    assert_eq!(
        streams.serve(duplex(64).1, "late"),
        Err(StreamRefused::Closing)
    );
}

#[tokio::test]
async fn a_stream_may_carry_a_websocket() {
    let server = Server::builder().start().await.unwrap();
    let (mut client, theirs) = duplex(1);
    server.streams().serve_websocket(theirs, "browser").unwrap();
    let asked = request("/", &["mqtt"]);
    within("request", client.write_all(asked.as_bytes()))
        .await
        .unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        let byte = within("response", client.read_u8()).await.unwrap();
        response.push(byte);
    }
    assert!(response.starts_with(b"HTTP/1.1 101 "), "{response:?}");
}

/// A stream that keeps what it is given until it is told to flush, as one that encrypts does.
struct Gathering {
    stream: DuplexStream,
    kept: Vec<u8>,
}

impl AsyncRead for Gathering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.kept.is_empty() {
            let stream = Pin::new(&mut this.stream);
            let written = std::task::ready!(stream.poll_write(context, &this.kept))?;
            this.kept.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It does not flush: all has been flushed before.
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[tokio::test]
async fn what_a_stream_gathers_is_flushed_up_to_the_last_words() {
    let server = Server::builder().start().await.unwrap();
    for takes in [1, 64] {
        let (ours, stream) = duplex(takes);
        let kept = Vec::new();
        let gathering = Gathering { stream, kept };
        server.streams().serve(gathering, "gathering").unwrap();
        let mut client = Client::over_stream(ours, Version::V5);
        client.say_hello(&Connect::new(Version::V5, "client")).await;
        client.subscribe("a", QoS::AtMostOnce).await;
        let payload = vec![7; 5_000];
        client.publish("a", &payload).await;
        assert!(client.receive_publish().await.payload[..] == payload);
        client.ping().await;
        // A packet that only servers send.
        client.write(&[0xD0, 0]).await;
        client
            .assert_ends_with(ReasonCode::ProtocolError, "the last words")
            .await;
    }
    wait_for_connections(&server, 0).await;
}
