//! Clients that connect, on each kind of interface, and then say nothing, or half of what they should, or
//! one byte after the other. They are closed when their time is over, others are served meanwhile, and
//! memory and descriptors are what they were before. A test program of its own, because it counts for the
//! whole process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code,
    reason = "all of this is a test, and uses only a part of the client"
)]

#[path = "harness/allocator.rs"]
mod allocator;
#[path = "harness/client.rs"]
mod client;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mosca::{Interface, Server, Tls, TlsOptions};
use mqtt_codec::{Connect, Packet, Version};
use test_servers::certificates::{Authority, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use client::{Pair, encoded, wait_for_connections, within};

/// Connections of each kind at one time.
const EACH: usize = 40;

/// Bytes that a round may leave behind, of some 600 connections.
const LEFT_MAX: isize = 16 << 10;

/// Bytes in use.
fn bytes() -> isize {
    allocator::in_use().iter().sum()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// How a client goes on that has connected.
#[derive(Clone)]
struct Manner {
    interface: usize,
    says: Vec<u8>,
    /// Goes on by one byte after the other, and that all the time.
    drips: Option<u8>,
    /// What it says when the server has answered.
    then: Vec<u8>,
    /// Shakes hands first, if it is with TLS.
    shakes: bool,
}

impl Manner {
    fn new(interface: usize, says: &[u8]) -> Self {
        Self {
            interface,
            says: says.to_vec(),
            drips: None,
            then: Vec::new(),
            shakes: false,
        }
    }

    fn dripping(mut self, byte: u8) -> Self {
        self.drips = Some(byte);
        self
    }

    fn going_on(mut self, then: &[u8]) -> Self {
        self.then = then.to_vec();
        self
    }

    fn shaking(mut self) -> Self {
        self.shakes = true;
        self
    }
}

const MQTT: usize = 0;
const WEBSOCKET: usize = 1;
const TLS: usize = 2;
const PROXIED: usize = 3;

/// All that is begun on an interface, and not brought to its end.
fn manners(config: &Arc<ClientConfig>) -> Vec<Manner> {
    let hello = encoded(
        Packet::Connect(Connect::new(Version::V5, "half")),
        Version::V5,
    );
    let half = &hello[..hello.len() / 2];
    let name = ServerName::try_from("localhost").unwrap();
    let mut client_hello = Vec::new();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    tls.write_tls(&mut client_hello).unwrap();
    let half_frame = [b"\x82\xFE\x01\0\0\0\0\0", half].concat();
    vec![
        Manner::new(MQTT, b""),
        Manner::new(MQTT, half),
        Manner::new(MQTT, b"\x10\xFF\x7F\0\x04M").dripping(b'M'),
        Manner::new(WEBSOCKET, b""),
        Manner::new(WEBSOCKET, &REQUEST[..60]),
        Manner::new(WEBSOCKET, &REQUEST[..60]).dripping(b'x'),
        Manner::new(WEBSOCKET, REQUEST),
        Manner::new(WEBSOCKET, REQUEST).going_on(&half_frame),
        Manner::new(TLS, b""),
        Manner::new(TLS, &client_hello[..client_hello.len() / 2]),
        Manner::new(TLS, b"\x16\x03\x01\x3F\0\x01\0\x3E\xFC\x03\x03").dripping(0),
        // The server's answer to the whole of it is not answered.
        Manner::new(TLS, &client_hello),
        Manner::new(TLS, b"").shaking(),
        Manner::new(TLS, half).shaking(),
        Manner::new(PROXIED, b"PROXY TCP4 192.0.2"),
    ]
}

/// Connects, begins, and stays until the server has closed the connection.
async fn stay(address: SocketAddr, manner: Manner, config: Arc<ClientConfig>) {
    let mut stream = within("TCP connection", TcpStream::connect(address))
        .await
        .unwrap();
    if manner.shakes {
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(config);
        let mut stream = match within("TLS", connector.connect(name, stream)).await {
            Ok(stream) => stream,
            // Its time was over before that.
            Err(_) => return,
        };
        let _written = stream.write_all(&manner.says).await;
        let _flushed = stream.flush().await;
        let mut rest = Vec::new();
        let _read = within("the end", stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "there is nothing to say");
        return;
    }
    // Whoever is late finds it closed.
    let _written = stream.write_all(&manner.says).await;
    if !manner.then.is_empty() {
        let _answer = within("the answer", stream.read(&mut [0; 1_024])).await;
        let _written = stream.write_all(&manner.then).await;
    }
    let Some(byte) = manner.drips else {
        let mut rest = Vec::new();
        let _read = within("the end", stream.read_to_end(&mut rest)).await;
        return;
    };
    let dripping = async {
        while stream.write_all(&[byte]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the end of who drips", dripping).await;
}

struct Setting {
    server: Server,
    manners: Vec<Manner>,
    config: Arc<ClientConfig>,
}

impl Setting {
    async fn new(limit: Duration) -> Self {
        let authority = Authority::new("Test CA");
        let issued = authority.issue("server", &Subject::server("localhost"));
        let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
        let any = "127.0.0.1:0";
        let proxied = Interface::mqtt(any).proxy_protocol(true);
        let server = Server::builder()
            .listen(Interface::mqtt(any))
            .listen(Interface::websocket(any))
            .listen(Interface::mqtt(any).tls(&tls).handshake_timeout(limit))
            .listen(proxied.handshake_timeout(limit))
            .broker(|options| options.connect_timeout = limit)
            .start()
            .await
            .unwrap();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&authority.certificate).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        Self {
            server,
            manners: manners(&config),
            config,
        }
    }

    /// All of them at once, until all are closed. Two others stay.
    async fn round(&self) {
        let addresses = self.server.local_addresses();
        let mut clients = Vec::new();
        for manner in &self.manners {
            for _ in 0..EACH {
                let (manner, config) = (manner.clone(), Arc::clone(&self.config));
                let address = addresses[manner.interface];
                clients.push(tokio::spawn(stay(address, manner, config)));
            }
        }
        for client in clients {
            client.await.unwrap();
        }
        wait_for_connections(&self.server, 2).await;
    }

    /// Those that were closed because their time was over.
    fn timed_out(&self) -> u64 {
        let in_mqtt = self.server.counters().connect_timeouts.get();
        in_mqtt + self.server.network_counters().failed_handshakes
    }
}

#[tokio::test]
async fn silent_connections_are_closed_and_leave_nothing_and_disturb_nobody() {
    let setting = Setting::new(Duration::from_secs(1)).await;
    let pair = Pair::start(&setting.server).await;
    // Once for what is there once: tables, and memory of the threads.
    setting.round().await;
    let (memory, open) = (bytes(), descriptors());
    let counted = setting.timed_out();
    setting.round().await;
    let expected = setting.manners.len() * EACH;
    assert_eq!(setting.timed_out() - counted, expected as u64);
    // Tasks that have ended are put away a little later.
    let limit = memory + LEFT_MAX;
    within("memory to be given back", async {
        while bytes() > limit || descriptors() > open {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let left = bytes() - memory;
    eprintln!("{expected} connections have left {left} bytes of {memory}");
    assert!(pair.stop().await > 0, "others are served meanwhile");
    wait_for_connections(&setting.server, 0).await;
    assert_eq!(setting.server.sizes().sessions, 0);
}
