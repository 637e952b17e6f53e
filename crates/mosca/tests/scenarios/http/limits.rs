//! What a client can take of the server, and how long.

use std::time::Duration;

use mosca::Server;
use mqtt_codec::Version;

use super::browser::{LONG, request};
use super::{Browser, SCRIPT, folder, get, interface, start};
use crate::client::{wait_for_connections, within};
use crate::websocket_client::WebSocketClient;

/// More than the system keeps for a client that does not read.
const LARGE: u64 = 64 << 20;

#[tokio::test]
async fn requests_come_one_after_the_other_on_one_connection() {
    let server = start(interface().bundle(SCRIPT)).await;
    let mut browser = Browser::open(&server).await;
    for _ in 0..100 {
        assert_eq!(browser.ask(&get("/mqtt.js", &[])).await.text(), SCRIPT);
    }
    // Several at once are answered in their order.
    let several = [get("/mqtt.js", &[]), get("/nothing", &[])].concat();
    assert_eq!(browser.ask(&several).await.status, 200);
    assert_eq!(browser.response(false).await.status, 404);
    assert_eq!(server.open_connections(), 1);
    assert_eq!(server.network_counters().http_requests, 102);
    let last = browser.ask(&get("/mqtt.js", &["Connection: close"])).await;
    assert_eq!(last.header("connection"), Some("close"));
    browser.assert_ends().await;
    // HTTP/1.0 needs no `Host`, and has one request for each connection.
    let mut old = Browser::open(&server).await;
    old.write(b"GET /mqtt.js HTTP/1.0\r\n\r\n").await;
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut old.stream, &mut answer);
    within("the end", read).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(SCRIPT), "{answer}");
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn what_is_no_request_ends_its_own_connection() {
    let server = start(interface().bundle(SCRIPT)).await;
    let mut other = Browser::open(&server).await;
    other.is_open().await;
    let many = "a: b\r\n".repeat(101);
    let long = "l".repeat(9_000);
    let bad = [
        (get("/mqtt.js", &[many.trim_end()]), 431, "many headers"),
        (
            get("/mqtt.js", &[&format!("a: {long}")]),
            431,
            "a large one",
        ),
        (get(&format!("/{long}"), &[]), 431, "a long path"),
        (
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(),
            400,
            "a space",
        ),
        ("GET\r\n\r\n".to_owned(), 400, "half a line"),
        ("\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0".to_owned(), 400, "MQTT"),
        (get("/", &["Content-Length: 1x"]), 400, "no length"),
        (
            get("/", &["Content-Length: 1", "Transfer-Encoding: gzip"]),
            400,
            "two lengths",
        ),
    ];
    let count = bad.len() as u64;
    for (request, status, what) in bad {
        let mut browser = Browser::open(&server).await;
        let response = browser.ask(&request).await;
        assert_eq!(response.status, status, "{what}");
        browser.assert_ends().await;
    }
    wait_for_connections(&server, 1).await;
    assert_eq!(server.network_counters().http_bad_requests, count);
    other.is_open().await;
}

/// RFC 9112, section 3.2.
#[tokio::test]
async fn a_request_names_one_host() {
    let server = start(interface().bundle(SCRIPT)).await;
    let mut browser = Browser::open(&server).await;
    for request in [
        "GET /mqtt.js HTTP/1.1\r\n\r\n".to_owned(),
        get("/mqtt.js", &["Host: another"]),
    ] {
        assert_eq!(browser.ask(&request).await.status, 400, "{request}");
    }
    browser.is_open().await;
}

#[tokio::test]
async fn what_a_request_carries_is_not_read() {
    let server = start(interface().bundle(SCRIPT)).await;
    for headers in [
        &["Content-Length: 1000000000000"][..],
        &["Transfer-Encoding: chunked"],
        // No `100 Continue` comes in front of the answer.
        &["Content-Length: 10", "Expect: 100-continue"],
    ] {
        for (method, status) in [("POST", 405), ("GET", 200)] {
            let mut browser = Browser::open(&server).await;
            let head = request(method, "/mqtt.js", headers);
            assert_eq!(browser.ask(&head).await.status, status, "{headers:?}");
            browser.assert_ends().await;
        }
    }
    // Who sends something on regardless still gets to see the answer.
    let mut browser = Browser::open(&server).await;
    let head = request("POST", "/mqtt.js", &["Content-Length: 40000"]);
    browser
        .write(&[head.as_bytes(), &[b'a'; 40_000]].concat())
        .await;
    assert_eq!(browser.response(false).await.status, 405);
    browser.assert_ends().await;
}

#[tokio::test]
async fn a_request_has_to_come_in_time() {
    let interface = interface().request_timeout(Duration::from_millis(300));
    let server = start(interface.bundle(SCRIPT)).await;
    let mut silent = Browser::open(&server).await;
    let mut half = Browser::open(&server).await;
    half.write(b"GET / HTTP/1.1\r\nHo").await;
    let mut slow = Browser::open(&server).await;
    let dripping = async {
        use tokio::io::AsyncWriteExt as _;
        // It may be cut off at any byte.
        for byte in get("/mqtt.js", &[&"a: b\r\n".repeat(100)]).bytes() {
            if slow.stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("all of a slow request was taken");
    };
    tokio::join!(
        silent.assert_ends(),
        half.assert_ends(),
        within("cut", dripping)
    );
    wait_for_connections(&server, 0).await;
    assert_eq!(server.network_counters().http_timeouts, 3);
    // Nobody is blamed for having nothing more to ask for.
    let mut idle = Browser::open(&server).await;
    assert_eq!(idle.ask(&get("/mqtt.js", &[])).await.status, 200);
    idle.assert_ends().await;
    assert_eq!(server.network_counters().http_timeouts, 3);
}

#[tokio::test]
async fn connections_are_counted_whatever_they_are_for() {
    let server = start(interface().bundle(SCRIPT).max_connections(2)).await;
    let mut browser = Browser::open(&server).await;
    browser.is_open().await;
    let mut client = WebSocketClient::connect(&server, Version::V5, "client").await;
    assert_eq!(server.open_connections(), 2);
    let mut third = Browser::open(&server).await;
    third.assert_ends().await;
    assert_eq!(server.network_counters().refused_connections, 1);
    browser.is_open().await;
    client.ping().await;
    drop(browser);
    wait_for_connections(&server, 1).await;
    Browser::open(&server).await.is_open().await;
}

/// A server with a large file, a client that asks for it and does not read, and the folder.
async fn unread(response_timeout: Duration) -> (Server, Browser, tempfile::TempDir) {
    let folder = folder(&[]);
    let file = std::fs::File::create(folder.path().join("large")).unwrap();
    // It takes no room.
    file.set_len(LARGE).unwrap();
    let interface = interface().static_folder(folder.path());
    let server = start(interface.response_timeout(response_timeout)).await;
    let mut browser = Browser::open(&server).await;
    browser.write(get("/large", &[]).as_bytes()).await;
    (server, browser, folder)
}

#[tokio::test]
async fn who_does_not_take_what_he_has_asked_for_is_cut_off() {
    let (server, browser, _folder) = unread(Duration::from_millis(300)).await;
    within("the cut", async {
        while server.network_counters().http_timeouts < 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    wait_for_connections(&server, 0).await;
    drop(browser);
}

#[tokio::test]
async fn a_large_file_comes_whole() {
    let (server, mut browser, _folder) = unread(LONG).await;
    let response = browser.response(false).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.body.len() as u64, LARGE);
    browser.is_open().await;
    assert_eq!(server.network_counters().http_timeouts, 0);
}

#[tokio::test]
async fn connections_end_with_the_server_within_its_time() {
    let (server, _slow, _folder) = unread(LONG).await;
    let mut idle = Browser::open(&server).await;
    idle.is_open().await;
    let mut fresh = Browser::open(&server).await;
    let mut half = Browser::open(&server).await;
    half.write(b"GET /la").await;
    while server.open_connections() < 4 {
        tokio::task::yield_now().await;
    }
    let closing = tokio::spawn(server.close(Duration::from_secs(20)));
    idle.assert_ends().await;
    fresh.assert_ends().await;
    assert_eq!(within("the close", closing).await.unwrap(), 0);
}

/// One that is not read at all, and clients of MQTT beside it.
#[tokio::test]
async fn others_do_not_notice() {
    let (server, _slow, _folder) = unread(LONG).await;
    let mut pair = [
        WebSocketClient::connect(&server, Version::V5, "one").await,
        WebSocketClient::connect(&server, Version::V311, "two").await,
    ];
    let bad: Vec<u8> = (0..=255).collect();
    for _ in 0..50 {
        let mut browser = Browser::open(&server).await;
        browser.write(&bad).await;
        for client in &mut pair {
            client.ping().await;
        }
    }
}
