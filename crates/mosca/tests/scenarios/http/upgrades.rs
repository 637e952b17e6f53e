//! From a request to a WebSocket, on the port that serves files.

use std::time::Duration;

use mosca::{Interface, Server, Tls, TlsOptions};
use mqtt_codec::{Connect, OwnedPacket, Packet, QoS, Version};
use test_servers::certificates::{Authority, Subject};

use super::{Browser, SCRIPT, folder, get, interface, start, start_with};
use crate::client::{Client, VERSIONS, encoded, wait_for_connections, within};
use crate::log::Log;
use crate::tls::Hello;
use crate::websocket_client::{BINARY, CLOSE, Ended, WebSocketClient, frame, request};

#[tokio::test]
async fn mqtt_over_websocket_is_served_beside_files() {
    let folder = folder(&[("index.html", "page")]);
    let interface = interface().static_folder(folder.path()).bundle(SCRIPT);
    let builder = Server::builder().listen(Interface::mqtt("127.0.0.1:0"));
    let server = start_with(builder, interface).await;
    for version in VERSIONS {
        let mut plain = Client::connect(&server, version, "plain").await;
        let mut web = WebSocketClient::connect(&server, version, "web").await;
        plain.subscribe("to/plain", QoS::AtLeastOnce).await;
        web.subscribe("to/web", QoS::AtLeastOnce).await;
        let payload = vec![7; 300_000];
        plain.publish("to/web", &payload).await;
        assert!(web.receive_publish().await.payload[..] == payload);
        web.publish("to/plain", &payload).await;
        assert!(plain.receive_publish().await.payload[..] == payload);
        web.write(&frame(CLOSE, &[])).await;
        assert_eq!(web.last_words().await, (vec![], Ended::Closed(None)));
        let page = Browser::ask_once(&server, &get("/", &[])).await;
        assert_eq!(page.text(), "page");
    }
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn any_path_will_do_unless_one_is_set() {
    let folder = folder(&[("page.html", "page")]);
    let any = start(interface().static_folder(folder.path())).await;
    for path in ["/", "/mqtt", "/page.html", "/a/b?token=c", "//"] {
        let mut client = WebSocketClient::bare(&any, Version::V311).await;
        let response = client.ask(&request(path, &["mqtt"])).await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{path}: {response}");
    }
    let interface = interface().static_folder(folder.path());
    let one = start(interface.websocket_path("/mqtt")).await;
    for (path, status) in [
        ("/mqtt", 101),
        ("/mqtt?a", 101),
        ("/", 404),
        ("/mqtt/", 404),
    ] {
        let mut client = Browser::open(&one).await;
        let response = client.ask(&request(path, &["mqtt"])).await;
        assert_eq!(response.status, status, "{path}");
    }
    // Who comes to the place for WebSockets and wants none hears that it is there.
    let response = Browser::ask_once(&one, &get("/mqtt", &[])).await;
    assert_eq!(response.status, 426);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(response.header("connection"), Some("upgrade"));
    assert_eq!(
        Browser::ask_once(&one, &get("/page.html", &[]))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn only_pages_of_known_origins_connect_where_there_are_such() {
    let interface = interface().bundle(SCRIPT);
    let server = start(interface.websocket_origins(["https://a.example"])).await;
    for (origin, status) in [
        ("https://a.example", 101),
        ("HTTPS://A.example", 101),
        ("https://b.example", 403),
        ("null", 403),
    ] {
        let origin = format!("\r\nOrigin: {origin}\r\nHost");
        let asked = request("/", &["mqtt"]).replace("\r\nHost", &origin);
        let mut browser = Browser::open(&server).await;
        assert_eq!(browser.ask(&asked).await.status, status, "{origin}");
    }
    // Files are for everybody.
    let asked = get("/mqtt.js", &["Origin: https://b.example"]);
    assert_eq!(Browser::ask_once(&server, &asked).await.status, 200);
}

/// The connection goes on, as it does behind any other answer.
#[tokio::test]
async fn who_gets_no_websocket_is_told_why() {
    let server = start(interface().bundle(SCRIPT)).await;
    let good = request("/", &["mqtt"]);
    let mut browser = Browser::open(&server).await;
    for (request, status, what) in [
        (request("/", &[]), 400, "no subprotocol"),
        (request("/", &["chat, MQTT"]), 400, "other subprotocols"),
        (
            good.replace("Version: 13", "Version: 8"),
            426,
            "an old version",
        ),
        (good.replace("dGhlIHNh", "dGhlI"), 400, "a short key"),
        (good.replace("Sec-WebSocket-Key", "Key"), 400, "no key"),
        (
            good.replace("keep-alive, Upgrade", "keep-alive"),
            426,
            "half of it",
        ),
        (good.replace("GET /", "POST /"), 405, "another method"),
    ] {
        let response = browser.ask(&request).await;
        assert_eq!(response.status, status, "{what}");
        assert!(response.text().ends_with('\n'), "{what}");
        match what {
            "an old version" => {
                assert_eq!(response.header("sec-websocket-version"), Some("13"));
            }
            "another method" => assert_eq!(response.header("allow"), Some("GET")),
            _ => {}
        }
    }
    browser.is_open().await;
    // An upgrade to something else is nobody's wish that could be met here, and is not to be.
    let other = get("/mqtt.js", &["Connection: upgrade", "Upgrade: h2c"]);
    assert_eq!(browser.ask(&other).await.status, 200);
    let with_length = good.replace("Host", "Content-Length: 4\r\nHost");
    let mut browser = Browser::open(&server).await;
    assert_eq!(browser.ask(&with_length).await.status, 400);
    browser.assert_ends().await;
}

/// A client that does not wait for the answer, which it should, and one that has asked for other things.
#[tokio::test]
async fn what_comes_behind_the_request_belongs_to_the_websocket() {
    let server = start(interface().bundle(SCRIPT)).await;
    for version in VERSIONS {
        let connect = encoded(Packet::Connect(Connect::new(version, "hasty")), version);
        let ping = encoded(Packet::PingReq, version);
        let before = get("/mqtt.js", &[]);
        for before in ["", &before] {
            let mut client = WebSocketClient::bare(&server, version).await;
            // More than is read at one time in front of the upgrade, and a frame that is cut there.
            let pings = frame(BINARY, &ping.repeat(20_000));
            let mut bytes = [before, &request("/", &["mqtt"])].concat().into_bytes();
            bytes.extend(frame(BINARY, &connect));
            bytes.extend(pings);
            let response = client.ask_bytes(&bytes).await;
            if !before.is_empty() {
                assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
                client.skip(SCRIPT.len()).await;
                let response = client.ask("").await;
                assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
            } else {
                assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
            }
            assert!(matches!(client.receive().await, OwnedPacket::ConnAck(_)));
            for _ in 0..20_000 {
                assert_eq!(client.receive().await, OwnedPacket::PingResp);
            }
        }
    }
}

#[tokio::test]
async fn the_time_for_connect_begins_with_the_websocket() {
    let builder =
        Server::builder().broker(|options| options.connect_timeout = Duration::from_millis(300));
    let server = start_with(builder, interface().bundle(SCRIPT)).await;
    let mut client = WebSocketClient::open(&server, Version::V5).await;
    // A close frame with the code 1000.
    assert_eq!(client.raw_until_the_end().await, b"\x88\x02\x03\xE8");
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn https_is_the_same_within_tls() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("a", &Subject::server("localhost"));
    let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
    let folder = folder(&[("page.html", "page")]);
    std::fs::write(folder.path().join("large"), vec![7; 3_000_000]).unwrap();
    let interface = interface().static_folder(folder.path()).tls(&tls);
    let server = start(interface).await;
    assert!(server.urls()[0].starts_with("https://127.0.0.1:"));
    let hello = Hello {
        alpn: vec!["h2", "http/1.1"],
        ..Hello::new(&authority)
    };
    let stream = hello.shake(server.local_addresses()[0]).await.unwrap();
    let mut browser = Browser::over(stream);
    assert_eq!(browser.ask(&get("/page.html", &[])).await.text(), "page");
    let large = browser.ask(&get("/large", &[])).await;
    assert!(large.body == vec![7; 3_000_000]);
    let response = browser.ask(&request("/", &["mqtt"])).await;
    assert_eq!(response.status, 101);
    let connect = Packet::Connect(Connect::new(Version::V311, "client"));
    let connect = frame(BINARY, &encoded(connect, Version::V311));
    browser.write(&connect).await;
    let mut connack = [0; 6];
    let read = tokio::io::AsyncReadExt::read_exact(&mut browser.stream, &mut connack);
    within("CONNACK", read).await.unwrap();
    assert_eq!(connack, [BINARY, 4, 0x20, 2, 0, 0]);
    drop(browser);
    wait_for_connections(&server, 0).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    let folder = folder(&[("page.html", "page")]);
    let path = folder.path().join("http.sock");
    let server = start(Interface::http_unix(&path).static_folder(folder.path())).await;
    assert_eq!(server.urls(), [format!("http+unix://{}", path.display())]);
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut browser = Browser::over(stream);
    assert_eq!(browser.ask(&get("/page.html", &[])).await.text(), "page");
    // It is there, and no file.
    assert_eq!(browser.ask(&get("/http.sock", &[])).await.status, 404);
    let response = browser.ask(&request("/", &["mqtt"])).await;
    assert_eq!(response.status, 101);
}

#[tokio::test]
async fn behind_a_load_balancer_the_log_has_the_clients_address() {
    let (log, _guard) = Log::begin();
    let server = start(interface().bundle(SCRIPT).proxy_protocol(true)).await;
    let mut browser = Browser::open(&server).await;
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n";
    browser.write(header).await;
    let asked = get("/mqtt.js?token=secret", &[]);
    assert_eq!(browser.ask(&asked).await.status, 200);
    let lines = log.take();
    let line = lines.iter().find(|line| line.contains("request answered"));
    let line = line.unwrap();
    for part in [
        "DEBUG",
        "peer=192.0.2.7:4711",
        "\"GET\"",
        "\"/mqtt.js\"",
        "200",
    ] {
        assert!(line.contains(part), "{line} has no {part}");
    }
    assert!(!line.contains("secret"), "{line}");
}

/// A path may be long, and have anything in it but what ends a line.
#[tokio::test]
async fn a_request_is_one_short_line_of_the_log() {
    let (log, _guard) = Log::begin();
    let server = start(interface().bundle(SCRIPT)).await;
    let mut browser = Browser::open(&server).await;
    for path in [
        format!("/{}", "a".repeat(5_000)),
        "/\u{202e}\u{9b}31m\"é".to_owned(),
        "/%0AERROR%20all%20is%20lost".to_owned(),
    ] {
        browser.ask(&get(&path, &[])).await;
    }
    let method = "M".repeat(3_000);
    browser
        .ask(&super::browser::request(&method, "/", &[]))
        .await;
    let lines = log.take();
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("answered"))
        .collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for line in lines {
        assert!(line.starts_with("DEBUG") && line.len() < 600, "{line}");
        assert!(
            !line.contains(|it: char| it.is_control() || it == '\u{202e}'),
            "{line}"
        );
    }
}
