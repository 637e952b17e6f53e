//! How connections end that the client does not end: time, another connection, the server's end.

use std::time::{Duration, Instant};

use mosca::{Interface, Server};
use mqtt_codec::{Connect, OwnedPacket, QoS, ReasonCode, Version};

use crate::client::{
    Client, Pair, VERSIONS, encoded, plain_server, start, wait_for_connections, within,
};
use crate::stream::narrow;

/// Section 3.1.4 of both versions: CONNECT has to come within a reasonable time.
#[tokio::test]
async fn without_a_whole_connect_in_time_a_connection_is_closed_without_a_word() {
    let limit = Duration::from_secs(1);
    let server = start(Server::builder().broker(|options| options.connect_timeout = limit)).await;
    let pair = Pair::start(&server).await;
    let hello = encoded(
        mqtt_codec::Packet::Connect(Connect::new(Version::V5, "client")),
        Version::V5,
    );
    for beginning in [&b""[..], &hello[..1], &hello[..hello.len() - 1]] {
        let since = Instant::now();
        let mut client = Client::open(&server, Version::V5).await;
        client.write(beginning).await;
        assert!(client.last_words().await.is_empty());
        let took = since.elapsed();
        // The server's clock counts whole milliseconds.
        let earliest = limit - Duration::from_millis(1);
        assert!((earliest..limit * 30).contains(&took), "{took:?}");
    }
    assert!(pair.stop().await > 0);
}

/// Bytes that keep coming do not help.
#[tokio::test]
async fn a_connect_that_drips_is_closed_in_time_too() {
    let limit = Duration::from_secs(1);
    let server = start(Server::builder().broker(|options| options.connect_timeout = limit)).await;
    let mut client = Client::open(&server, Version::V5).await;
    client.write(&[0x10, 0xFF, 0x7F, 0, 4]).await;
    let dripping = async {
        while client.stream.try_write(b"M").is_ok() && server.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the end of a client that drips", dripping).await;
    wait_for_connections(&server, 0).await;
}

/// [MQTT-3.1.2-24] of 3.1.1, [MQTT-3.1.2-22] of 5.0.
#[tokio::test]
async fn silence_for_one_and_a_half_times_the_keep_alive_ends_a_connection() {
    let server = plain_server().await;
    let ends = VERSIONS.map(|version| {
        let server = &server;
        async move {
            let name = format!("silent-{version:?}");
            let mut hello = Connect::new(version, &name);
            hello.keep_alive = 1;
            let mut client = Client::connect_with(server, &hello).await;
            let since = Instant::now();
            client
                .assert_ends_with(ReasonCode::KeepAliveTimeout, "keep alive")
                .await;
            let took = since.elapsed();
            let allowed = Duration::from_millis(1_450)..Duration::from_secs(30);
            assert!(allowed.contains(&took), "{version:?}: {took:?}");
        }
    });
    let [first, second, third] = ends;
    tokio::join!(first, second, third);
    assert_eq!(server.counters().keep_alive_timeouts.get(), 3);
}

/// [MQTT-3.1.4-2] of 3.1.1, [MQTT-3.1.4-3] of 5.0.
#[tokio::test]
async fn a_second_connection_of_a_client_ends_the_first_and_mqtt_5_is_told_why() {
    let server = plain_server().await;
    for clean in [true, false] {
        for version in VERSIONS {
            let mut hello = Connect::new(version, "client");
            hello.clean_start = clean;
            let mut first = Client::connect_with(&server, &hello).await;
            let mut second = Client::connect_with(&server, &hello).await;
            first
                .assert_ends_with(ReasonCode::SessionTakenOver, "takeover")
                .await;
            second.ping().await;
            drop(second);
            wait_for_connections(&server, 0).await;
        }
    }
    assert_eq!(server.counters().takeovers.get(), 6);
}

#[tokio::test]
async fn closing_the_server_tells_every_client_and_ends_every_connection() {
    let server = plain_server().await;
    let mut clients = Vec::new();
    for version in VERSIONS {
        let name = format!("client-{version:?}");
        clients.push(Client::connect(&server, version, &name).await);
    }
    let mut nameless = Client::open(&server, Version::V5).await;
    nameless.write(&[0x10]).await;
    wait_for_accepted(&server, 4).await;
    let address = server.local_addresses()[0];
    let close = server.close(Duration::from_secs(10));
    let watch = async {
        for client in &mut clients {
            client
                .assert_ends_with(ReasonCode::ServerShuttingDown, "close")
                .await;
        }
        assert!(nameless.last_words().await.is_empty());
        // The server waits for the clients to close their side.
        clients.clear();
        drop(nameless);
    };
    let (left, ()) = within("close", async { tokio::join!(close, watch) }).await;
    assert_eq!(left, 0);
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn closing_the_server_takes_no_longer_than_its_limit_with_clients_that_do_nothing() {
    let limit = Duration::from_secs(1);
    for (max_outbox_bytes, what) in [(64 << 10, "never reads"), (1 << 20, "never closes")] {
        let builder =
            Server::builder().broker(|options| options.max_outbox_bytes = max_outbox_bytes);
        let server = start(builder).await;
        let mut idle = Client::over(narrow(&server, 2_048).await, Version::V311);
        idle.say_hello(&Connect::new(Version::V311, "idle")).await;
        if what == "never reads" {
            idle.subscribe("flood", QoS::AtMostOnce).await;
            let mut publisher = Client::connect(&server, Version::V311, "publisher").await;
            while server.counters().dropped_slow_reader.get() == 0 {
                publisher.publish("flood", &[0; 1_000]).await;
                publisher.ping().await;
            }
        }
        let since = Instant::now();
        let left = within("close", server.close(limit)).await;
        assert!(since.elapsed() < limit * 2, "{what}: {:?}", since.elapsed());
        assert_eq!(left, 0, "{what}");
    }
}

#[tokio::test]
async fn dropping_the_server_ends_its_connections_with_the_same_words() {
    let server = plain_server().await;
    let mut clients = Vec::new();
    for version in VERSIONS {
        let name = format!("client-{version:?}");
        clients.push(Client::connect(&server, version, &name).await);
    }
    drop(server);
    for client in &mut clients {
        client
            .assert_ends_with(ReasonCode::ServerShuttingDown, "drop")
            .await;
    }
}

/// A CONNECT that comes while the server closes is refused, not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_while_the_server_closes_is_told_or_closed() {
    for _ in 0..20 {
        let server = start(Server::builder()).await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(Client::open(&server, Version::V5).await);
        }
        wait_for_accepted(&server, 4).await;
        let tasks: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, mut client)| {
                tokio::spawn(async move {
                    let name = format!("client-{number}");
                    let hello = Connect::new(Version::V5, &name);
                    let hello = encoded(mqtt_codec::Packet::Connect(hello), Version::V5);
                    // The server may have ended the connection by now.
                    let _sent = client.stream.try_write(&hello);
                    let words = client.last_words().await;
                    for (at, word) in words.iter().enumerate() {
                        match word {
                            OwnedPacket::ConnAck(_) => assert_eq!(at, 0),
                            OwnedPacket::Disconnect(end) => {
                                assert_eq!(end.reason_code, ReasonCode::ServerShuttingDown);
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        let left = within("close", server.close(Duration::from_secs(10))).await;
        assert_eq!(left, 0);
        for task in tasks {
            within("client", task).await.unwrap();
        }
    }
}

async fn wait_for_accepted(server: &Server, number: usize) {
    within("connections", async {
        while server.open_connections() < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_interface_takes_no_more_connections_than_it_may_and_takes_new_ones_when_some_end() {
    let interface = Interface::mqtt("127.0.0.1:0").max_connections(2);
    let server = Server::builder().listen(interface).start().await.unwrap();
    let mut first = Client::connect(&server, Version::V5, "first").await;
    let second = Client::connect(&server, Version::V5, "second").await;
    for _ in 0..3 {
        let mut third = Client::open(&server, Version::V5).await;
        assert!(third.last_words().await.is_empty());
    }
    drop(second);
    wait_for_connections(&server, 1).await;
    let mut third = Client::connect(&server, Version::V5, "third").await;
    third.ping().await;
    first.ping().await;
}
