//! What the log says of a connection that ends: one line, at debug, that a client cannot multiply.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use broker_core::persistence::contract::{Behaviour, FailingPersistence};
use mosca::Server;
use mqtt_codec::{Connect, Packet, Publish, QoS, Version};
use persistence_memory::MemoryPersistence;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level};

use crate::client::{Client, encoded, start, wait_for_connections, within};
use crate::websocket_client::{self, BINARY, CLOSE, TEXT, WebSocketClient, frame};

/// Collects what is logged on this thread. The tests run their server on it too.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        // While there is only one subscriber, what another thread says first would be switched off
        // for this one too.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .without_time()
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn assert_one_debug_line(lines: &[String], cause: &str) {
    let [line] = lines else {
        panic!("{cause}: one line expected, not {lines:#?}");
    };
    assert!(line.starts_with("DEBUG"), "{line}");
    assert!(line.contains("connection closed: "), "{line}");
    assert!(line.contains(cause), "{line} has nothing of {cause:?}");
    assert!(line.contains("peer=127.0.0.1:"), "{line}");
}

#[tokio::test]
async fn a_bad_beginning_leaves_one_line_at_debug() {
    let (log, _guard) = Log::begin();
    let server = start(Server::builder()).await;
    let impatient =
        Server::builder().broker(|options| options.connect_timeout = Duration::from_millis(50));
    let impatient = start(impatient).await;
    let no_connect = "no CONNECT in time";
    let beginnings: [(&[u8], &str); 6] = [
        (b"GET / HTTP/1.1\r\n\r\n", "the first packet is not CONNECT"),
        (b"\x11\0", "malformed packet: reserved flags"),
        (b"\x10\x0C\0\x04MQTT\x09\x02\0\0\0\0", "protocol level"),
        (
            b"\x10\x0C\0\x04MQTT\x04\0\0\0\0\0",
            "connection refused: client identifier",
        ),
        (b"\x10\x0C\0\x04MQ", no_connect),
        (b"\x10\xFF\xFF\xFF\x7F", "larger than the maximum"),
    ];
    for (bytes, cause) in beginnings {
        // The others have all the time they need, however busy the machine is.
        let server = if cause == no_connect {
            &impatient
        } else {
            &server
        };
        let mut client = Client::open(server, Version::V311).await;
        client.write(bytes).await;
        client.last_words().await;
        drop(client);
        wait_for_connections(server, 0).await;
        assert_one_debug_line(&log.take(), cause);
    }
    let mut vanishing = Client::open(&server, Version::V311).await;
    vanishing.write(b"\x10\x0C\0\x04MQ").await;
    drop(vanishing);
    within("a line", async {
        while log.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    wait_for_connections(&server, 0).await;
    assert_one_debug_line(&log.take(), "connection lost");
}

#[tokio::test]
async fn a_websocket_that_ends_badly_leaves_one_line_at_debug() {
    let (log, _guard) = Log::begin();
    let server = websocket_client::start(Server::builder()).await;
    let refused = "GET / HTTP/1.1\r\n\r\n".to_owned();
    let good = websocket_client::request("/", &["mqtt"]);
    for (request, bytes, cause) in [
        (refused, vec![], "nothing here but MQTT over WebSocket"),
        (
            good.clone(),
            frame(TEXT, b"text"),
            "a WebSocket frame of text",
        ),
        (
            good.clone(),
            frame(CLOSE, &[]),
            "the client has closed the WebSocket",
        ),
        (
            good,
            frame(BINARY, b"\x11\0"),
            "malformed packet: reserved flags",
        ),
    ] {
        let mut client = WebSocketClient::bare(&server, Version::V311).await;
        client.ask(&request).await;
        client.write(&bytes).await;
        client.raw_until_the_end().await;
        drop(client);
        wait_for_connections(&server, 0).await;
        assert_one_debug_line(&log.take(), cause);
    }
}

#[tokio::test]
async fn a_bad_packet_leaves_one_line_at_debug_with_the_client_in_it() {
    let (log, _guard) = Log::begin();
    let builder = Server::builder().broker(|options| options.max_packet_size_bytes = 1_000);
    let server = start(builder).await;
    for version in crate::client::VERSIONS {
        let second = encoded(Packet::Connect(Connect::new(version, "again")), version);
        let publish = encoded(Packet::Publish(Publish::new("a/+", b"")), version);
        let large = encoded(Packet::Publish(Publish::new("a", &[0; 1_000])), version);
        let bad: [(&[u8], &str); 4] = [
            (&second, "second CONNECT"),
            (&publish, "malformed topic name"),
            (&large, "larger than the maximum"),
            (&[0xFF; 5], "malformed packet"),
        ];
        for (bytes, cause) in bad {
            let mut client = Client::connect(&server, version, "the-client").await;
            let lines = log.take();
            assert_eq!(lines.len(), 1, "{lines:#?}");
            assert!(lines[0].starts_with("INFO"), "{lines:#?}");
            // More of the same in the same segment makes no second line.
            client.write(&bytes.repeat(3)).await;
            client.last_words().await;
            drop(client);
            wait_for_connections(&server, 0).await;
            let lines = log.take();
            assert_one_debug_line(&lines, cause);
            assert!(lines[0].contains("client=\"the-client\""), "{lines:#?}");
        }
    }
}

#[tokio::test]
async fn a_long_client_identifier_makes_no_long_line() {
    let (log, _guard) = Log::begin();
    let builder = Server::builder().broker(|options| options.max_client_id_bytes = 65_535);
    let server = start(builder).await;
    let client_id = "x".repeat(65_535);
    drop(Client::connect(&server, Version::V311, &client_id).await);
    wait_for_connections(&server, 0).await;
    let lines = log.take();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in lines {
        assert!(line.contains(&format!("client=\"{}\"", &client_id[..256])));
        assert!(line.len() < 500, "{} bytes", line.len());
    }
}

#[tokio::test]
async fn too_many_connections_are_one_warning_and_then_lines_at_debug() {
    let (log, _guard) = Log::begin();
    let interface = mosca::Interface::mqtt("127.0.0.1:0").max_connections(0);
    let server = Server::builder().listen(interface).start().await.unwrap();
    for _ in 0..5 {
        let mut client = Client::open(&server, Version::V311).await;
        assert!(client.last_words().await.is_empty());
    }
    let lines = log.take();
    let warnings = lines.iter().filter(|line| line.starts_with("WARN"));
    assert_eq!(warnings.count(), 1, "{lines:#?}");
    let debug = lines.iter().filter(|line| line.starts_with("DEBUG"));
    assert_eq!(debug.count(), 4, "{lines:#?}");
}

#[tokio::test]
async fn the_log_says_once_that_the_store_fails_and_once_that_it_is_back() {
    let (log, _guard) = Log::begin();
    let store = Arc::new(FailingPersistence::new(MemoryPersistence::new()));
    let server = start(Server::builder().persistence(Arc::clone(&store) as _)).await;
    let hello = Connect {
        clean_start: false,
        ..Connect::new(Version::V311, "away")
    };
    let mut subscriber = Client::connect_with(&server, &hello).await;
    subscriber.subscribe("a", QoS::AtLeastOnce).await;
    drop(subscriber);
    wait_for_connections(&server, 0).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    for _ in 0..2 {
        log.take();
        store.set_commits(Behaviour::Fail);
        for number in 1..=5 {
            publisher.publish_at_least_once(number, "a", b"x").await;
            publisher.receive().await;
        }
        store.heal();
        for number in 1..=5 {
            publisher.publish_at_least_once(number, "a", b"x").await;
            publisher.receive_puback().await;
        }
        let lines = log.take();
        let of = |level: &str| lines.iter().filter(|line| line.starts_with(level)).count();
        assert_eq!(
            (of("ERROR"), of("INFO"), of("DEBUG")),
            (1, 1, 4),
            "{lines:#?}"
        );
        assert!(lines[0].contains("told to fail by a test"), "{lines:#?}");
    }
    assert_eq!(server.counters().failed_commits.get(), 10);
}
