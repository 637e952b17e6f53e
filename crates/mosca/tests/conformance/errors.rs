//! Handling errors: section 4.8 of 3.1.1, 4.13 of 5.0.
//!
//! What a single packet may get wrong stands in the wire table. Here is what an error does to the
//! connection it comes on, to what was sent behind it, and to everybody else.

use mosca::Server;
use mqtt_codec::{ConnAck, Packet, Property, QoS, ReasonCode, Version};

use crate::harness::{
    Client, Hello, Message, NUMBERED, each, each_with, encoded, plain_server, wait_for_connections,
};

/// What a client must not do, and the reason that MQTT 5 has for it.
struct Breach {
    what: &'static str,
    bytes: Vec<u8>,
    reason: ReasonCode,
}

fn breaches(version: Version) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut add = |what, bytes: Vec<u8>, reason| {
        breaches.push(Breach {
            what,
            bytes,
            reason,
        });
    };
    use ReasonCode::{MalformedPacket, ProtocolError};
    let connect = Hello::new(version, "client");
    add(
        "a second CONNECT",
        encoded(connect.packet(), version),
        ProtocolError,
    );
    let connack = ConnAck::new(false, ReasonCode::Success);
    add(
        "CONNACK",
        encoded(Packet::ConnAck(connack), version),
        ProtocolError,
    );
    add("PINGRESP", vec![0xD0, 0x00], ProtocolError);
    add("packet type 0", vec![0x00, 0x00], MalformedPacket);
    add("flags of PINGREQ", vec![0xC1, 0x00], MalformedPacket);
    add(
        "a remaining length of five bytes",
        vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        MalformedPacket,
    );
    add(
        "PUBLISH of QoS 3",
        vec![0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01],
        MalformedPacket,
    );
    add(
        "a topic name beyond the end",
        vec![0x30, 0x03, 0x00, 0x05, b'a'],
        MalformedPacket,
    );
    add(
        "a topic name that is not UTF-8",
        vec![0x30, 0x04, 0x00, 0x02, 0xC3, 0x28],
        MalformedPacket,
    );
    add(
        "a wildcard in a topic name",
        vec![0x30, 0x04, 0x00, 0x01, b'#', 0x00],
        MalformedPacket,
    );
    let zero: &[u8] = &[0x32, 0x06, 0x00, 0x01, b'a', 0x00, 0x00, 0x00];
    add("packet identifier 0", zero.to_vec(), ProtocolError);
    add(
        "flags of SUBSCRIBE",
        vec![0x80, 0x02, 0x00, 0x01],
        MalformedPacket,
    );
    let nothing = if version.is_v5() {
        vec![0x82, 0x03, 0x00, 0x01, 0x00]
    } else {
        vec![0x82, 0x02, 0x00, 0x01]
    };
    add("SUBSCRIBE to nothing", nothing, ProtocolError);
    if version.is_v5() {
        let cut = vec![0xE0, 0x04, 0x00, 0x02, 0x1F, 0x00];
        add("a property cut off", cut, MalformedPacket);
        let alias = Message::new("a", b"").property(Property::TopicAlias(65_535));
        add(
            "a topic alias that is too high",
            encoded(alias.packet(), version),
            ReasonCode::TopicAliasInvalid,
        );
    }
    breaches
}

/// Whatever the error is, the connection ends: in MQTT 5 after its reason was told. What the client had
/// sent before is done, what it sent behind is not, and another client notices nothing.
///
/// MQTT 3.1.1: [MQTT-4.8.0-1]
/// MQTT 5.0: [MQTT-4.13.1-1] [MQTT-4.13.2-1]
#[tokio::test]
async fn an_error_closes_its_connection_and_no_other() {
    each(&NUMBERED, async |server, version| {
        let mut other = Client::connect(server, version, "other").await;
        other.subscribe("#", QoS::AtMostOnce).await;
        for breach in breaches(version) {
            println!("{}", breach.what);
            let mut client = Client::connect(server, version, "client").await;
            let mut stream = encoded(Message::new("before", b"").packet(), version);
            stream.extend(breach.bytes);
            stream.extend(encoded(Message::new("behind", b"").packet(), version));
            client.write(&stream).await;
            client.assert_disconnected(breach.reason).await;
            other.expect_publish("before", b"", QoS::AtMostOnce).await;
            other.nothing_comes().await;
        }
    })
    .await;
}

/// An error that a CONNACK or DISCONNECT could tell closes the connection where it is told and where it
/// is not.
///
/// MQTT 5.0: [MQTT-4.13.2-1]
#[tokio::test]
async fn a_reason_code_of_an_error_means_a_close_whether_or_not_it_can_be_sent() {
    let short = || Server::builder().broker(|options| options.max_client_id_bytes = 8);
    each_with(&[Version::V5], short, async |server, version| {
        let mut other = Client::connect(server, version, "other").await;
        let too_long = Hello::new(version, "too long for it");
        let connack = too_long.refused(server).await;
        assert_eq!(connack.reason_code, ReasonCode::ClientIdentifierNotValid);
        // A CONNACK takes five bytes at least.
        let too_long = too_long.property(Property::MaximumPacketSize(4));
        let mut client = Client::open(server, version).await;
        client.send(too_long.packet()).await;
        client.assert_closed().await;

        // DISCONNECT of the server, and of the client.
        let hello = Hello::new(version, "client");
        let mut client = hello.connect(server).await;
        let _next = hello.connect(server).await;
        client
            .assert_disconnected(ReasonCode::SessionTakenOver)
            .await;
        for reason in [ReasonCode::UnspecifiedError, ReasonCode::QuotaExceeded] {
            hello
                .connect(server)
                .await
                .disconnect_with(reason, &[])
                .await;
        }
        other.nothing_comes().await;
    })
    .await;
}

/// Clients that do not read what waits for them cannot be told why.
///
/// MQTT 3.1.1: [MQTT-4.8.0-1]
/// MQTT 5.0: [MQTT-4.13.1-1] [MQTT-4.13.2-1]
#[tokio::test]
async fn an_error_closes_the_connection_of_a_client_that_does_not_read() {
    let server = plain_server().await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    let mut clients = Vec::new();
    for (version, name) in NUMBERED.into_iter().zip(["a", "b"]) {
        let mut client = Client::connect(&server, version, name).await;
        client.subscribe("flood", QoS::AtMostOnce).await;
        clients.push(client);
    }
    // More than sockets take, and less than would end the reading of what the clients send.
    let flood = vec![0; 1 << 20];
    for _ in 0..12 {
        let message = Message::new("flood", &flood);
        publisher.publish_whole(&message).await;
    }
    assert_eq!(server.open_connections(), 3);
    for client in &mut clients {
        // PUBLISH with QoS 3.
        client.write(&[0x36, 0x00]).await;
    }
    wait_for_connections(&server, 1).await;
    publisher.ping().await;
}
