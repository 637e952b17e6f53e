//! Where a server listens, and what the program around it can do with it.

use std::io;

use mosca::{Interface, Message, MessageParts, PublishError, Server, StartError, Timestamp};
use mqtt_codec::{QoS, Version};
use tokio::net::TcpStream;

use crate::client::{Client, plain_server, within};

#[tokio::test]
async fn a_port_that_is_taken_is_named_in_the_error() {
    let first = plain_server().await;
    let address = first.local_addresses()[0].to_string();
    let second = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0"))
        .listen(Interface::mqtt(address.as_str()))
        .start()
        .await;
    match second {
        Err(StartError::Listen {
            interface: named,
            source,
        }) => {
            assert_eq!(named, format!("mqtt://{address}"));
            assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
        }
        other => panic!("{other:?}"),
    }
    Client::connect(&first, Version::V5, "client")
        .await
        .ping()
        .await;
}

#[tokio::test]
async fn an_address_without_a_port_is_an_error_and_not_a_panic() {
    for address in ["127.0.0.1", "", "127.0.0.1:99999", "256.1.1.1:0"] {
        let started = Server::builder()
            .listen(Interface::mqtt(address))
            .start()
            .await;
        assert!(
            matches!(started, Err(StartError::Listen { .. })),
            "{address:?}"
        );
    }
}

#[tokio::test]
async fn all_addresses_are_ipv4_and_where_there_is_one_ipv6() {
    let server = Server::builder()
        .listen(Interface::mqtt_on_all_addresses(0))
        .start()
        .await
        .unwrap();
    let port = server.local_addresses()[0].port();
    let mut hosts = vec!["127.0.0.1"];
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        hosts.push("::1");
    }
    for host in hosts {
        let stream = within(host, TcpStream::connect((host, port)))
            .await
            .unwrap();
        let mut client = Client::over(stream, Version::V311);
        client
            .say_hello(&mqtt_codec::Connect::new(Version::V311, host))
            .await;
        client.ping().await;
    }
}

#[tokio::test]
async fn ipv6_and_ipv4_may_be_interfaces_of_their_own_on_one_port() {
    let Ok(free) = std::net::TcpListener::bind("[::1]:0") else {
        return;
    };
    drop(free);
    // The port is free for IPv6, and for IPv4 it may be somebody else's: tests run beside this one.
    let mut tries = 0;
    let (first, second, port) = loop {
        let first = Server::builder()
            .listen(Interface::mqtt("[::]:0").ipv6_only(true))
            .start()
            .await
            .unwrap();
        let port = first.local_addresses()[0].port();
        let second = Server::builder()
            .listen(Interface::mqtt(format!("127.0.0.1:{port}")))
            .start()
            .await;
        tries += 1;
        match second {
            Ok(second) => break (first, second, port),
            Err(error) => assert!(tries < 100, "{error}"),
        }
    };
    for (server, host) in [(&first, "::1"), (&second, "127.0.0.1")] {
        let stream = within(host, TcpStream::connect((host, port))).await;
        let mut client = Client::over(stream.unwrap(), Version::V311);
        client
            .say_hello(&mqtt_codec::Connect::new(Version::V311, host))
            .await;
        assert_eq!(server.open_connections(), 1, "{host}");
    }
}

#[tokio::test]
async fn an_ipv6_address_is_for_both_unless_it_says_otherwise() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let server = Server::builder()
        .listen(Interface::mqtt("[::]:0"))
        .start()
        .await
        .unwrap();
    let port = server.local_addresses()[0].port();
    for host in ["127.0.0.1", "::1"] {
        let stream = within(host, TcpStream::connect((host, port))).await;
        let mut client = Client::over(stream.unwrap(), Version::V5);
        client
            .say_hello(&mqtt_codec::Connect::new(Version::V5, host))
            .await;
    }
}

#[tokio::test]
async fn one_server_listens_on_several_interfaces() {
    let server = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0"))
        .listen(Interface::mqtt("127.0.0.1:0"))
        .start()
        .await
        .unwrap();
    let mut clients = Vec::new();
    for (number, address) in server.local_addresses().iter().enumerate() {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = Client::over(stream, Version::V5);
        let name = format!("client-{number}");
        client
            .say_hello(&mqtt_codec::Connect::new(Version::V5, &name))
            .await;
        clients.push(client);
    }
    assert_eq!(clients.len(), 2);
    clients[0].subscribe("topic", QoS::AtMostOnce).await;
    clients[1].publish("topic", b"across").await;
    assert_eq!(&clients[0].receive_publish().await.payload[..], b"across");
}

fn message(topic: &str, qos: QoS, retain: bool) -> std::sync::Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: b"from the program",
        qos,
        retain,
        expires: Timestamp::MAX,
    })
}

#[tokio::test]
async fn the_program_publishes_like_any_client() {
    let server = plain_server().await;
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("news/#", QoS::AtLeastOnce).await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        server
            .publish(&message("news/a", qos, false))
            .await
            .unwrap();
        let publish = client.receive_publish().await;
        assert_eq!(publish.topic, "news/a");
        assert_eq!(publish.qos, qos);
        assert_eq!(&publish.payload[..], b"from the program");
    }
    let refused = server
        .publish(&message("news/#", QoS::AtMostOnce, false))
        .await;
    assert!(
        matches!(refused, Err(PublishError::Topic(_))),
        "{refused:?}"
    );

    server
        .publish(&message("kept", QoS::AtMostOnce, true))
        .await
        .unwrap();
    assert_eq!(server.sizes().retained_messages, 1);
    client.subscribe("$SYS/broker/#", QoS::AtMostOnce).await;
    server
        .publish(&message("$SYS/broker/load", QoS::AtMostOnce, false))
        .await
        .unwrap();
    assert_eq!(client.receive_publish().await.topic, "$SYS/broker/load");
    client.subscribe("kept", QoS::AtMostOnce).await;
    assert!(client.receive_publish().await.retain);
}
