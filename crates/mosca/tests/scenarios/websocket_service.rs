//! The broker in somebody else's web application: the example of axum as it stands, and hyper alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mosca::{Server, ServerBuilder, StreamPeer, WebSocketService};
use mqtt_codec::{Connect, OwnedPacket, Packet, QoS, Version};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_service::Service as _;

use crate::client::{Client, VERSIONS, encoded, start, wait_for_connections, within};
use crate::http::browser::{Browser, get};
use crate::log::Log;
use crate::websocket_client::{BINARY, CLOSE, Ended, WebSocketClient, frame, request};

#[path = "../../examples/axum.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod example;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn the_example_of_axum_has_its_own_routes_and_a_broker() {
    let server = Arc::new(start(Server::builder()).await);
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(example::serve(listener, Arc::clone(&server), stopped));
    let mut browser = Browser::open_at(address).await;
    assert_eq!(browser.ask(&get("/sessions", &[])).await.text(), "0\n");

    for version in VERSIONS {
        let lamp = "POST /lamp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\non";
        assert_eq!(browser.ask(lamp).await.status, 200);
        let mut client = WebSocketClient::connect_at(address, version, "page").await;
        client.subscribe("lamp/#", QoS::AtLeastOnce).await;
        let publish = client.receive_publish().await;
        assert_eq!(
            (&publish.topic[..], &publish.payload[..]),
            ("lamp/state", &b"on"[..])
        );
        // It is one broker with what comes over TCP.
        let mut plain = Client::connect(&server, version, "plain").await;
        plain.publish("lamp/7", &[7; 300_000]).await;
        assert!(client.receive_publish().await.payload[..] == [7; 300_000]);
        assert_eq!(server.streams().open(), 1);
        assert_eq!(browser.ask(&get("/sessions", &[])).await.text(), "2\n");
        client.write(&frame(CLOSE, &[])).await;
        assert_eq!(client.last_words().await.1, Ended::Closed(None));
        drop(plain);
        wait_for_connections(&server, 0).await;
    }
    // A page of another site, somebody who wants no WebSocket, and a path that is not the broker's.
    let evil =
        request("/mqtt", &["mqtt"]).replace("\r\nHost", "\r\nOrigin: http://evil.example\r\nHost");
    assert_eq!(Browser::open_at(address).await.ask(&evil).await.status, 403);
    let response = browser.ask(&get("/mqtt", &[])).await;
    assert_eq!(response.status, 426);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    let elsewhere = request("/elsewhere", &["mqtt"]);
    assert_eq!(
        Browser::open_at(address).await.ask(&elsewhere).await.status,
        404
    );
    drop(browser);
    stop.send(()).unwrap();
    within("the end", serving).await.unwrap().unwrap();
}

/// A server of hyper's with one service, and without anything of axum's.
async fn hyper_server(service: WebSocketService, upgrades: bool) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = service.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(StreamPeer::from(peer));
                let mut service = service.clone();
                async move {
                    match request.uri().path() {
                        "/own" => Ok(Response::new("own\n".to_owned())),
                        _ => service.call(request).await,
                    }
                }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                match upgrades {
                    true => connection.with_upgrades().await,
                    false => connection.await,
                }
            });
        }
    });
    address
}

async fn attached(builder: ServerBuilder) -> (Server, SocketAddr) {
    let server = builder.start().await.unwrap();
    let address = hyper_server(server.websocket_service(), true).await;
    (server, address)
}

#[tokio::test]
async fn hyper_hands_websockets_over_as_well() {
    let (server, address) = attached(Server::builder()).await;
    assert!(server.urls().is_empty(), "it has no port of its own");
    let mut browser = Browser::open_at(address).await;
    assert_eq!(browser.ask(&get("/own", &[])).await.text(), "own\n");
    for (version, path) in VERSIONS.into_iter().zip(["/", "/mqtt", "/a/b?c"]) {
        let mut client = WebSocketClient::bare_at(address, version).await;
        // Without waiting for the answer.
        let mut bytes = request(path, &["mqtt"]).into_bytes();
        let connect = Packet::Connect(Connect::new(version, "client"));
        bytes.extend(frame(BINARY, &encoded(connect, version)));
        let response = client.ask_bytes(&bytes).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{path}: {response}");
        assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
        client.subscribe("a", QoS::ExactlyOnce).await;
        client.publish("a", &[7; 1_000_000]).await;
        assert!(client.receive_publish().await.payload[..] == [7; 1_000_000]);
    }
    wait_for_connections(&server, 0).await;
}

/// In mosca the others would wait for ever.
#[tokio::test]
async fn with_a_path_other_requests_are_not_for_the_broker() {
    let server = Server::builder().start().await.unwrap();
    let service = server.websocket_service().path("/mqtt");
    let address = hyper_server(service, true).await;
    for (path, status) in [
        ("/mqtt", 101),
        ("/mqtt?a", 101),
        ("/", 404),
        ("/mqtt/", 404),
    ] {
        let mut browser = Browser::open_at(address).await;
        let response = browser.ask(&request(path, &["mqtt"])).await;
        assert_eq!(response.status, status, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_request_for_mqtt_is_refused() {
    let (server, address) = attached(Server::builder()).await;
    let good = request("/", &["mqtt"]);
    let mut browser = Browser::open_at(address).await;
    for (request, status, what) in [
        (get("/", &[]), 426, "no upgrade"),
        (request("/", &[]), 400, "no subprotocol"),
        (
            good.replace("Version: 13", "Version: 8"),
            426,
            "an old version",
        ),
        (good.replace("dGhlIHNh", "dGhlI"), 400, "a short key"),
        (good.replace("GET /", "POST /"), 405, "another method"),
    ] {
        let response = browser.ask(&request).await;
        assert_eq!(response.status, status, "{what}");
        assert!(response.text().ends_with('\n'), "{what}");
    }
    assert_eq!(server.streams().open(), 0);
    let mut old = Request::new(String::new());
    *old.version_mut() = http::Version::HTTP_2;
    let response = server.websocket_service().call(old).await.unwrap();
    assert_eq!(response.status(), 505);
}

#[tokio::test]
async fn websockets_count_among_the_streams() {
    let (server, address) = attached(Server::builder().max_streams(2)).await;
    let mut first = WebSocketClient::connect_at(address, Version::V5, "first").await;
    // Without CONNECT it is one as well.
    let second = WebSocketClient::open_at(address, Version::V5).await;
    assert_eq!(server.streams().open(), 2);
    let asked = request("/", &["mqtt"]);
    let mut browser = Browser::open_at(address).await;
    let response = browser.ask(&asked).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.text(), "there are too many connections\n");
    first.ping().await;
    drop(second);
    wait_for_connections(&server, 1).await;
    assert_eq!(browser.ask(&asked).await.status, 101);
}

#[tokio::test]
async fn the_limits_of_addresses_hold_for_those_that_are_told() {
    let builder = Server::builder()
        .exempt_networks([])
        .max_connections_per_address(1);
    let (server, address) = attached(builder).await;
    let _first = WebSocketClient::connect_at(address, Version::V5, "first").await;
    let mut browser = Browser::open_at(address).await;
    assert_eq!(browser.ask(&request("/", &["mqtt"])).await.status, 503);
    assert_eq!(server.network_counters().refused_per_address, 1);
}

#[tokio::test]
async fn they_end_with_the_server() {
    let (server, address) = attached(Server::builder()).await;
    let service = server.websocket_service();
    let mut client = WebSocketClient::connect_at(address, Version::V5, "client").await;
    let mut silent = WebSocketClient::open_at(address, Version::V5).await;
    let closing = tokio::spawn(server.close(Duration::from_secs(20)));
    let (words, ended) = client.last_words().await;
    assert!(
        matches!(words[..], [OwnedPacket::Disconnect(_)]),
        "{words:?}"
    );
    assert_eq!(ended, Ended::Closed(Some(1000)));
    assert_eq!(
        silent.last_words().await,
        (vec![], Ended::Closed(Some(1000)))
    );
    drop((client, silent));
    assert_eq!(within("the close", closing).await.unwrap(), 0);
    let address = hyper_server(service, true).await;
    let response = Browser::open_at(address)
        .await
        .ask(&request("/", &["mqtt"]))
        .await;
    assert_eq!(
        (response.status, response.text()),
        (503, "the server is closing\n")
    );
}

/// It would be a connection that nobody ever serves.
#[tokio::test]
async fn a_server_that_does_not_let_go_of_connections_is_told_so() {
    let (log, _guard) = Log::begin();
    let server = Server::builder().start().await.unwrap();
    let mut service = server.websocket_service();
    let asked = Request::get("/")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Protocol", "mqtt")
        .body(String::new())
        .unwrap();
    let response = service.call(asked).await.unwrap();
    assert_eq!(response.status(), 500);
    let lines = log.take();
    assert!(
        lines.iter().any(|line| line.contains("with_upgrades")),
        "{lines:?}"
    );
    // Nor is one that promises it and does not keep that.
    let address = hyper_server(service, false).await;
    let mut browser = Browser::open_at(address).await;
    browser.ask(&request("/", &["mqtt"])).await;
    wait_for_connections(&server, 0).await;
    assert_eq!(server.network_counters().failed_handshakes, 1);
}
