//! What an idle connection takes from the allocator. A test program of its own, because it counts for
//! the whole process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "all of this is a test"
)]

#[path = "harness/allocator.rs"]
mod allocator;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use mosca::{Interface, Server};
use mqtt_codec::{Connect, Packet, Version};

use allocator::in_use;

/// What stands between a socket and MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Tcp,
    WebSocket,
    /// A WebSocket on the port that serves files as well.
    Http,
    /// No MQTT: half a request there has come.
    Half,
    /// One request was answered, and another may come.
    Asked,
}

impl Way {
    fn interface(self) -> Interface {
        match self {
            Self::Tcp => Interface::mqtt("127.0.0.1:0"),
            Self::WebSocket => Interface::websocket("127.0.0.1:0"),
            Self::Http | Self::Half | Self::Asked => Interface::http("127.0.0.1:0")
                .bundle("script")
                .request_timeout(Duration::from_secs(3_600)),
        }
    }
}

/// For a WebSocket.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// A client that has no memory but its socket.
fn connect(server: &Server, way: Way, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addresses()[0]).unwrap();
    let client = format!("client-{number:05}");
    let mut bytes = Vec::new();
    let connect = Connect {
        keep_alive: 60,
        ..Connect::new(Version::V311, &client)
    };
    Packet::Connect(connect)
        .encode(Version::V311, &mut bytes)
        .unwrap();
    if way == Way::Half {
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        return stream;
    }
    if way == Way::Asked {
        stream
            .write_all(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            response.extend(byte);
        }
        return stream;
    }
    if way != Way::Tcp {
        stream.write_all(REQUEST).unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            response.extend(byte);
        }
        // A mask of zeros changes nothing.
        let length = u8::try_from(bytes.len()).unwrap();
        bytes.splice(0..0, [0x82, 0x80 | length, 0, 0, 0, 0]);
    }
    stream.write_all(&bytes).unwrap();
    if way != Way::Tcp {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head, [0x82, 4]);
    }
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    stream
}

/// Those that hear nothing may not have been accepted.
async fn wait_for(server: &Server, connections: usize) {
    while server.open_connections() < connections {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Bytes for each idle connection.
async fn measure(way: Way) -> f64 {
    const CONNECTIONS: usize = 400;
    let server = Server::builder().listen(way.interface());
    let server = server.start().await.unwrap();
    // Once for what is there once.
    let mut clients: Vec<TcpStream> = Vec::with_capacity(2 * CONNECTIONS);
    clients.extend((0..CONNECTIONS).map(|number| connect(&server, way, number)));
    wait_for(&server, CONNECTIONS).await;
    let before = in_use();
    clients.extend((CONNECTIONS..2 * CONNECTIONS).map(|number| connect(&server, way, number)));
    wait_for(&server, 2 * CONNECTIONS).await;
    let after = in_use();
    let mut total = 0.0;
    for (class, (before, after)) in before.iter().zip(&after).enumerate() {
        let bytes = (after - before) as f64 / CONNECTIONS as f64;
        total += bytes;
        if bytes != 0.0 {
            eprintln!("{way:?}: in blocks of {} bytes: {bytes:.1}", class * 8);
        }
    }
    eprintln!("{way:?}: {total:.1} bytes for each connection");
    drop(clients);
    assert_eq!(server.close(Duration::from_secs(60)).await, 0);
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_idle_connection_takes_little() {
    let tcp = measure(Way::Tcp).await;
    // Two blocks of 256 are tokio's: the task, and what it knows of the socket.
    assert!(tcp <= 880.0, "{tcp} bytes for each connection");
    let websocket = measure(Way::WebSocket).await;
    assert!(websocket <= 1_140.0, "{websocket} bytes for each WebSocket");
    let http = measure(Way::Http).await;
    // Some of the allocator's and of the runtime's own.
    assert!(http <= websocket + 30.0, "{http} bytes, not {websocket}");
    let half = measure(Way::Half).await;
    assert!(half <= 1_800.0, "{half} bytes for half a request");
    let asked = measure(Way::Asked).await;
    assert!(asked <= 22_000.0, "{asked} bytes for one that may go on");
}
