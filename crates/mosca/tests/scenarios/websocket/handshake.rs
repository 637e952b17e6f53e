//! Who gets a WebSocket, and how long that may take.

use std::time::Duration;

use mosca::{Interface, Server};
use mqtt_codec::{Connect, Packet, QoS, Version};

use crate::client::{Client, encoded, wait_for_connections, within};
use crate::websocket_client::{WebSocketClient, request, start};

#[tokio::test]
async fn any_path_will_do() {
    let server = start(Server::builder()).await;
    for path in ["/", "/mqtt", "/a/b?token=c"] {
        let mut client = WebSocketClient::bare(&server, Version::V311).await;
        let response = client.ask(&request(path, &["mqtt"])).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{path}: {response}");
    }
}

#[tokio::test]
async fn a_path_may_be_set() {
    let interface = Interface::websocket("127.0.0.1:0").websocket_path("/mqtt");
    let server = Server::builder().listen(interface).start().await.unwrap();
    for (path, status) in [
        ("/mqtt", "101"),
        ("/mqtt?token=c", "101"),
        ("/", "404"),
        ("/mqtt/", "404"),
        ("/MQTT", "404"),
        ("/%6Dqtt", "404"),
    ] {
        let mut client = WebSocketClient::bare(&server, Version::V311).await;
        let response = client.ask(&request(path, &["mqtt"])).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{path}: {response}");
    }
}

#[tokio::test]
async fn only_pages_of_known_origins_connect_where_there_are_such() {
    let interface = Interface::websocket("127.0.0.1:0")
        .websocket_origins(["https://a.example", "http://localhost:8080"]);
    let server = Server::builder().listen(interface).start().await.unwrap();
    let anyone = start(Server::builder()).await;
    for (origin, status) in [
        (None, "101"),
        (Some("https://a.example"), "101"),
        (Some("HTTPS://A.example"), "101"),
        (Some("http://localhost:8080"), "101"),
        (Some("http://localhost"), "403"),
        (Some("http://a.example"), "403"),
        (Some("https://a.example.org"), "403"),
        (Some("null"), "403"),
        (Some(""), "403"),
    ] {
        let mut asked = request("/", &["mqtt"]);
        if let Some(origin) = origin {
            asked = asked.replace("\r\nHost", &format!("\r\nOrigin: {origin}\r\nHost"));
        }
        let mut client = WebSocketClient::bare(&server, Version::V311).await;
        let response = client.ask(&asked).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{origin:?}: {response}");
        let mut client = WebSocketClient::bare(&anyone, Version::V311).await;
        let response = client.ask(&asked).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{origin:?}");
    }
}

#[tokio::test]
async fn compression_is_not_agreed_on() {
    let server = start(Server::builder()).await;
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nHost";
    let asked = request("/", &["mqtt"]).replace("\r\nHost", offer);
    let mut client = WebSocketClient::bare(&server, Version::V311).await;
    let response = client.ask(&asked).await;
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    assert!(
        !response.to_lowercase().contains("extensions"),
        "{response}"
    );
}

#[tokio::test]
async fn whoever_does_not_ask_for_mqtt_over_websocket_is_told_why_not() {
    let server = start(Server::builder()).await;
    let good = request("/", &["mqtt"]);
    let connect = encoded(
        Packet::Connect(Connect::new(Version::V5, "lost")),
        Version::V5,
    );
    let connect = String::from_utf8(connect).unwrap();
    let mut refused = 0;
    for (request, status, what) in [
        (request("/", &[]), "400", "no subprotocol"),
        (
            request("/", &["chat, MQTT", "mqtt5"]),
            "400",
            "other subprotocols",
        ),
        (good.replace("GET", "POST"), "405", "another method"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), "400", "an old HTTP"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "426",
            "no upgrade",
        ),
        (
            good.replace("Upgrade: websocket\r\n", ""),
            "426",
            "half an upgrade",
        ),
        (
            good.replace("Version: 13", "Version: 8"),
            "426",
            "an old version",
        ),
        (good.replace("dGhlIHNh", "dGhlI"), "400", "a short key"),
        (good.replace("Sec-WebSocket-Key", "Key"), "400", "no key"),
        (good.clone() + "\x02\0", "400", "frames before the answer"),
        (
            good.replace("localhost", &"h".repeat(9_000)),
            "431",
            "a large request",
        ),
        (connect, "400", "MQTT"),
        ("\r\n\0".to_owned(), "400", "nonsense"),
    ] {
        let mut client = WebSocketClient::bare(&server, Version::V5).await;
        let response = client.ask(&request).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {response}"
        );
        assert!(response.contains("close\r\n"), "{what}: {response}");
        if what == "an old version" {
            assert!(
                response.contains("Sec-WebSocket-Version: 13\r\n"),
                "{response}"
            );
        }
        // The rest is the reason in words, and then the connection ends.
        let mut rest = client.raw_until_the_end().await;
        assert_eq!(rest.pop(), Some(b'\n'), "{what}");
        let length = format!("Content-Length: {}\r\n", rest.len() + 1);
        assert!(response.contains(&length), "{what}: {response}");
        refused += 1;
    }
    wait_for_connections(&server, 0).await;
    assert_eq!(server.network_counters().transport_errors, refused);
}

#[tokio::test]
async fn the_time_for_connect_includes_the_handshake() {
    let builder =
        Server::builder().broker(|options| options.connect_timeout = Duration::from_secs(1));
    let server = start(builder).await;
    let good = request("/", &["mqtt"]);
    for (request, what) in [
        ("", "nothing"),
        (&good[..good.len() - 2], "half a request"),
        (&good[..], "no CONNECT"),
    ] {
        let mut client = WebSocketClient::bare(&server, Version::V5).await;
        client.write(request.as_bytes()).await;
        let end = client.raw_until_the_end().await;
        if what == "no CONNECT" {
            // Behind the response, a close frame with the code 1000.
            assert!(end.ends_with(b"\r\n\r\n\x88\x02\x03\xE8"), "{end:?}");
        } else {
            assert_eq!(end, b"", "{what}");
        }
    }
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn handshakes_count_among_the_connections_of_an_interface() {
    let interface = Interface::websocket("127.0.0.1:0").max_connections(2);
    let server = Server::builder().listen(interface).start().await.unwrap();
    let mut half = WebSocketClient::bare(&server, Version::V5).await;
    half.write(b"GET / HT").await;
    let mut whole = WebSocketClient::connect(&server, Version::V5, "client").await;
    assert_eq!(server.open_connections(), 2);
    let mut third = WebSocketClient::bare(&server, Version::V5).await;
    assert_eq!(third.raw_until_the_end().await, b"");
    whole.ping().await;
    drop(half);
    wait_for_connections(&server, 1).await;
    WebSocketClient::connect(&server, Version::V5, "another")
        .await
        .ping()
        .await;
}

#[tokio::test]
async fn mqtt_and_websocket_are_one_broker() {
    let mqtt = Interface::mqtt("127.0.0.1:0");
    let websocket = Interface::websocket_on_all_addresses(0);
    assert_eq!((mqtt.scheme(), websocket.scheme()), ("mqtt", "ws"));
    let server = Server::builder()
        .listen(mqtt)
        .listen(websocket)
        .start()
        .await
        .unwrap();
    let port = server.local_addresses()[1].port();
    assert_ne!(port, server.local_addresses()[0].port());
    let mut plain = Client::connect(&server, Version::V5, "plain").await;
    let mut web = WebSocketClient::connect(&server, Version::V311, "web").await;
    plain.subscribe("to/plain", QoS::AtLeastOnce).await;
    web.subscribe("to/web", QoS::AtLeastOnce).await;
    within("both ways", async {
        plain.publish("to/web", b"hello").await;
        assert_eq!(&web.receive_publish().await.payload[..], b"hello");
        web.publish("to/plain", b"hello yourself").await;
        assert_eq!(
            &plain.receive_publish().await.payload[..],
            b"hello yourself"
        );
    })
    .await;
}
