//! Interfaces behind a load balancer that speaks the PROXY protocol.

use std::time::Duration;

use mosca::{Interface, Server, Tls, TlsOptions};
use mqtt_codec::{Connect, Packet, QoS, Version};
use test_servers::certificates::{Authority, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, encoded, wait_for_connections, within};
use crate::log::Log;
use crate::websocket_client::request;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 1883\r\n";

/// The same in version 2.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x07\xC0\0\x02\x01\x9C\x40\x07\x5B";

async fn start(interface: Interface) -> Server {
    let interface = interface.proxy_protocol(true);
    Server::builder().listen(interface).start().await.unwrap()
}

async fn bare(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.local_addresses()[0]);
    let stream = within("TCP connection", stream).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[tokio::test]
async fn the_log_has_the_address_that_the_header_names() {
    let (log, _guard) = Log::begin();
    let server = start(Interface::mqtt("127.0.0.1:0")).await;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (header, peer) in [
        (HEADER, "peer=192.0.2.7:40000"),
        (BINARY, "peer=192.0.2.7:40000"),
        (b"PROXY UNKNOWN\r\n", "peer=127.0.0.1:"),
        (local, "peer=127.0.0.1:"),
    ] {
        let mut stream = bare(&server).await;
        // In one piece with CONNECT, of which not a byte may be lost.
        let connect = Connect::new(Version::V311, "client");
        let connect = encoded(Packet::Connect(connect), Version::V311);
        stream
            .write_all(&[header, &connect].concat())
            .await
            .unwrap();
        let mut connack = [0; 4];
        let read = within("CONNACK", stream.read_exact(&mut connack)).await;
        read.unwrap();
        let mut client = Client::over_stream(stream, Version::V311);
        client.subscribe("a", QoS::AtMostOnce).await;
        client.ping().await;
        drop(client);
        wait_for_connections(&server, 0).await;
        let lines = log.take();
        assert!(
            !lines.is_empty() && lines.iter().all(|line| line.contains(peer)),
            "{peer} in {lines:#?}"
        );
    }
    assert_eq!(server.network_counters().failed_handshakes, 0);
}

#[tokio::test]
async fn the_header_may_come_byte_by_byte() {
    let server = start(Interface::mqtt("127.0.0.1:0")).await;
    for header in [HEADER, BINARY] {
        let mut stream = bare(&server).await;
        for byte in header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut client = Client::over_stream(stream, Version::V5);
        client.say_hello(&Connect::new(Version::V5, "client")).await;
    }
}

#[tokio::test]
async fn whoever_has_no_header_or_half_of_one_is_closed() {
    let interface = Interface::mqtt("127.0.0.1:0").handshake_timeout(Duration::from_millis(100));
    let server = start(interface).await;
    let connect = Connect::new(Version::V311, "client");
    let plain = encoded(Packet::Connect(connect), Version::V311);
    let malformed = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n";
    // A header of 4,097 bytes, and one that ends no line within 107.
    let long = [&BINARY[..14], &[0x0F, 0xF1], &[0; 4_081]].concat();
    let endless = [b"PROXY TCP4 ", &[b'1'; 100][..]].concat();
    for said in [
        &plain[..],
        malformed,
        &long,
        &endless,
        b"",
        &HEADER[..30],
        &BINARY[..20],
    ] {
        let mut stream = bare(&server).await;
        stream.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let _read = within("the end", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, [], "{said:?}");
    }
    wait_for_connections(&server, 0).await;
    assert_eq!(server.network_counters().failed_handshakes, 7);
}

#[tokio::test]
async fn the_header_stands_in_front_of_tls_and_of_websockets() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("a", &Subject::server("localhost"));
    let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
    let server = start(Interface::mqtt("127.0.0.1:0").tls(&tls)).await;
    let mut stream = bare(&server).await;
    stream.write_all(HEADER).await.unwrap();
    let hello = crate::tls::Hello::new(&authority);
    let stream = hello.shake_over(stream).await.unwrap();
    let mut client = Client::over_stream(stream, Version::V5);
    client.say_hello(&Connect::new(Version::V5, "client")).await;

    let server = start(Interface::websocket("127.0.0.1:0")).await;
    let mut stream = bare(&server).await;
    let asked = request("/", &["mqtt"]);
    let both = [HEADER, asked.as_bytes()].concat();
    stream.write_all(&both).await.unwrap();
    let mut start = [0; 12];
    let read = within("response", stream.read_exact(&mut start)).await;
    read.unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
}
