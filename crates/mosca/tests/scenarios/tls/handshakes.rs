//! Handshakes that fail, do not end, or find another certificate than before.

use std::time::Duration;

use mosca::{Interface, Server, Tls, TlsError};
use mqtt_codec::{Connect, Packet, ReasonCode, Version};
use test_servers::certificates::{Authority, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Hello, options, start};
use crate::client::{encoded, wait_for_connections, within};
use crate::websocket_client::{BINARY, frame, request};

#[tokio::test]
async fn certificates_are_read_anew_without_dropping_connections() {
    let old = Authority::new("Old CA");
    let new = Authority::new("New CA");
    let issued = old.issue("server", &Subject::server("localhost"));
    let tls = Tls::load(options(&issued)).unwrap();
    let server = start(&tls).await;
    let mut before = Hello::new(&old)
        .connect(&server, Version::V5, "before")
        .await;

    let renewed = new.issue("server", &Subject::server("localhost"));
    std::fs::copy(&renewed.certificate, &issued.certificate).unwrap();
    // Between the two files they do not belong together: what was in force stays so.
    let failed = tls.reload();
    assert!(
        matches!(failed, Err(TlsError::Mismatch { .. })),
        "{failed:?}"
    );
    Hello::new(&old).is_let_in(&server).await.unwrap();
    Hello::new(&new).is_let_in(&server).await.unwrap_err();

    std::fs::copy(&renewed.key, &issued.key).unwrap();
    tls.reload().unwrap();
    Hello::new(&new).is_let_in(&server).await.unwrap();
    Hello::new(&old).is_let_in(&server).await.unwrap_err();
    before.ping().await;
}

#[tokio::test]
async fn handshakes_that_do_not_end_are_ended_and_disturb_nobody() {
    let authority = Authority::new("Test CA");
    let tls = Tls::load(options(
        &authority.issue("a", &Subject::server("localhost")),
    ))
    .unwrap();
    let patient = Interface::mqtt("127.0.0.1:0").tls(&tls);
    let server = Server::builder()
        .listen(patient.clone().max_connections(2))
        .listen(patient.handshake_timeout(Duration::from_millis(100)))
        .start()
        .await
        .unwrap();
    let [patient, short] = [0, 1].map(|number| server.local_addresses()[number]);
    // The start of a ClientHello.
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut half = TcpStream::connect(short).await.unwrap();
        half.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let read = within("the end", half.read_to_end(&mut rest)).await;
        // Reset, if what it has said was not read.
        assert!(read.is_err() || rest.is_empty(), "{rest:?}");
    }
    wait_for_connections(&server, 0).await;
    assert_eq!(server.network_counters().failed_handshakes, 2);

    // One that goes on counts as a connection, and holds up nobody.
    let _half = TcpStream::connect(patient).await.unwrap();
    let hello = Hello::new(&authority);
    let mut client = hello.connect(&server, Version::V5, "client").await;
    client.ping().await;
    assert_eq!(server.open_connections(), 2);
    hello.is_let_in(&server).await.unwrap_err();
    assert_eq!(server.network_counters().refused_connections, 1);
    drop(client);
    wait_for_connections(&server, 1).await;
    hello.is_let_in(&server).await.unwrap();
}

#[tokio::test]
async fn a_server_that_closes_ends_handshakes_and_tells_clients() {
    let authority = Authority::new("Test CA");
    let tls = Tls::load(options(
        &authority.issue("a", &Subject::server("localhost")),
    ))
    .unwrap();
    let server = start(&tls).await;
    let hello = Hello::new(&authority);
    let mut client = hello.connect(&server, Version::V5, "client").await;
    let mut half = TcpStream::connect(server.local_addresses()[0])
        .await
        .unwrap();
    within("both connections", async {
        while server.open_connections() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let closing = tokio::spawn(server.close(Duration::from_secs(20)));
    client
        .assert_ends_with(ReasonCode::ServerShuttingDown, "close")
        .await;
    drop(client);
    assert!(within("the end", half.read_u8()).await.is_err());
    assert_eq!(within("close", closing).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let authority = Authority::new("Test CA");
    let tls = Tls::load(options(
        &authority.issue("a", &Subject::server("localhost")),
    ))
    .unwrap();
    let server = start(&tls).await;
    let connect = Connect::new(Version::V311, "client");
    let plain = encoded(Packet::Connect(connect), Version::V311);
    for said in [
        &plain[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 100],
        &[0xFF; 100_000],
    ] {
        let mut stream = TcpStream::connect(server.local_addresses()[0])
            .await
            .unwrap();
        // It may be closed before all is said.
        let _written = stream.write_all(said).await;
        let mut answer = Vec::new();
        let _read = within("the end", stream.read_to_end(&mut answer)).await;
        // An alert or nothing; no CONNACK in any case.
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    wait_for_connections(&server, 0).await;
    assert_eq!(server.network_counters().failed_handshakes, 4);
    let plain = Server::builder().listen(Interface::mqtt("127.0.0.1:0"));
    let plain = plain.start().await.unwrap();
    let refused = Hello::new(&authority)
        .shake(plain.local_addresses()[0])
        .await;
    refused.unwrap_err();
}

#[tokio::test]
async fn websockets_are_served_over_tls() {
    let authority = Authority::new("Test CA");
    let tls = Tls::load(options(
        &authority.issue("a", &Subject::server("localhost")),
    ))
    .unwrap();
    let server = Server::builder()
        .listen(Interface::websocket("127.0.0.1:0").tls(&tls))
        .start()
        .await
        .unwrap();
    let hello = Hello::new(&authority);
    let mut stream = hello.shake(server.local_addresses()[0]).await.unwrap();
    let asked = request("/mqtt", &["mqtt"]);
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(within("response", stream.read_u8()).await.unwrap());
    }
    assert!(response.starts_with(b"HTTP/1.1 101 "), "{response:?}");
    let connect = Connect::new(Version::V311, "client");
    let connect = encoded(Packet::Connect(connect), Version::V311);
    stream.write_all(&frame(BINARY, &connect)).await.unwrap();
    let mut connack = [0; 6];
    let read = within("CONNACK", stream.read_exact(&mut connack)).await;
    read.unwrap();
    assert_eq!(connack, [BINARY, 4, 0x20, 2, 0, 0]);
    // Both ends of it are said: the WebSocket's, and that of TLS.
    stream.write_all(&frame(BINARY, &[0xE0, 0])).await.unwrap();
    let mut rest = Vec::new();
    let read = within("the end", stream.read_to_end(&mut rest)).await;
    read.unwrap();
    assert_eq!(rest, [0x88, 2, 0x03, 0xE8]);
}
