//! Clients that take nothing of what is sent to them, on sockets of all kinds.

use std::time::Duration;

use mosca::{Interface, Server, Tls};
use mqtt_codec::{Connect, QoS, Version};
use test_servers::certificates::{Authority, Subject};
use tokio::io::duplex;

use crate::client::Client;
use crate::tls::{Hello, options};
use crate::websocket_client::WebSocketClient;

/// What should happen by then.
const DEADLINE: Duration = Duration::from_secs(60);

/// Publishes until nobody is connected but the publisher.
async fn flood_until_alone(server: &Server) {
    let mut publisher = Client::connect(server, Version::V5, "publisher").await;
    let flood = async {
        while server.open_connections() > 1 {
            publisher.publish("flood", &[0; 10_000]).await;
            publisher.ping().await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, flood).await;
    assert!(ended.is_ok(), "{} connections", server.open_connections());
}

#[tokio::test]
async fn who_takes_nothing_in_time_is_disconnected_whatever_carries_the_connection() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("a", &Subject::server("localhost"));
    let tls = Tls::load(options(&issued)).unwrap();
    let server = Server::builder()
        .broker(|options| {
            options.max_outbox_bytes = 64 << 10;
            options.write_timeout = Duration::from_millis(300);
        })
        .listen(Interface::mqtt("127.0.0.1:0"))
        .listen(Interface::mqtt("127.0.0.1:0").tls(&tls))
        .listen(Interface::websocket("127.0.0.1:0"));
    let server = server.start().await.unwrap();
    let addresses = server.local_addresses();
    let mut plain = Client::connect(&server, Version::V5, "plain").await;
    plain.subscribe("flood", QoS::AtMostOnce).await;
    let hello = Hello::new(&authority);
    let stream = hello.shake(addresses[1]).await.unwrap();
    let mut secure = Client::over_stream(stream, Version::V5);
    secure.say_hello(&Connect::new(Version::V5, "secure")).await;
    secure.subscribe("flood", QoS::AtMostOnce).await;
    let mut websocket = WebSocketClient::connect_at(addresses[2], Version::V5, "websocket").await;
    websocket.subscribe("flood", QoS::AtMostOnce).await;
    let (client, stream) = duplex(1_000);
    server.streams().serve(stream, "a pipe").unwrap();
    let mut piped = Client::over_stream(client, Version::V5);
    piped.say_hello(&Connect::new(Version::V5, "piped")).await;
    piped.subscribe("flood", QoS::AtMostOnce).await;

    flood_until_alone(&server).await;
    assert_eq!(server.counters().slow_readers_closed.get(), 4);
    assert!(server.counters().dropped_slow_reader.get() > 0);
}
