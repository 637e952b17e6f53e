//! Section 3.14: DISCONNECT, from the client and from the server.
//!
//! What it does to the will is in `wills.rs`.

use mosca::Server;
use mqtt_codec::{OwnedDisconnect, OwnedPacket, Packet, Property, QoS, ReasonCode, Version};

use crate::harness::{
    Client, Hello, Message, NUMBERED, WillMessage, each, encoded, plain_server,
    wait_for_connections,
};

/// The codes that table 3-13 gives a server.
const SERVER_CODES: [u8; 28] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1,
];

/// Packets for which the server disconnects a client.
fn offences() -> Vec<Vec<u8>> {
    let version = Version::V5;
    let message = |topic| Message::new(topic, b"x");
    vec![
        // Malformed in various ways.
        b"\xC1\0".to_vec(),
        b"\x36\x06\0\x01a\0\x01\0".to_vec(),
        b"\x30\x04\0\x01\xFF\0".to_vec(),
        // Not allowed.
        encoded(Hello::new(version, "client").packet(), version),
        encoded(Packet::PingResp, version),
        encoded(message("a/#").packet(), version),
        encoded(
            message("a").property(Property::TopicAlias(65_535)).packet(),
            version,
        ),
        encoded(
            message("a")
                .property(Property::SubscriptionIdentifier(1))
                .packet(),
            version,
        ),
        b"\x82\x03\0\x01\0".to_vec(),
    ]
}

/// Sends an offence; the DISCONNECT that comes of it, as the only packet before the close.
async fn disconnected_for(server: &Server, hello: &Hello, offence: &[u8]) -> OwnedDisconnect {
    let mut client = hello.connect(server).await;
    client.write(offence).await;
    let mut words = client.last_words().await;
    match (words.pop(), words.is_empty()) {
        (Some(OwnedPacket::Disconnect(disconnect)), true) => disconnect,
        other => panic!("{offence:02X?}: DISCONNECT alone expected, not {other:?}"),
    }
}

/// MQTT 5.0: [MQTT-3.14.2-1] [MQTT-3.14.2-2] [MQTT-3.14.4-2] [MQTT-4.13.1-1] [MQTT-4.13.2-1]
#[tokio::test]
async fn a_server_disconnects_with_a_code_of_its_own_and_without_a_session_expiry_and_closes() {
    let server = plain_server().await;
    let hello = Hello::new(Version::V5, "client").persistent(1_000);
    for offence in offences() {
        let disconnect = disconnected_for(&server, &hello, &offence).await;
        let code = disconnect.reason_code;
        assert!(code.is_error(), "{offence:02X?}: {code:?}");
        assert!(
            SERVER_CODES.contains(&code.as_u8()),
            "{offence:02X?}: {code:?}"
        );
        let properties = disconnect.properties.as_properties();
        assert_eq!(properties.session_expiry_interval(), None);
    }
}

/// MQTT 5.0: [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.1.2-24]
#[tokio::test]
async fn a_disconnect_goes_without_its_explanation_where_the_client_takes_no_more() {
    let server = plain_server().await;
    let hello = Hello::new(Version::V5, "client");
    for offence in offences() {
        let disconnect = disconnected_for(&server, &hello, &offence).await;
        let properties = disconnect.properties.as_properties();
        assert!(
            properties
                .reason_string()
                .is_some_and(|words| !words.is_empty())
        );
        let whole = disconnect.as_disconnect().encoded_len(Version::V5).unwrap();
        let narrow = hello.clone().property(Property::MaximumPacketSize(
            u32::try_from(whole - 1).unwrap(),
        ));
        let disconnect = disconnected_for(&server, &narrow, &offence).await;
        let size = disconnect.as_disconnect().encoded_len(Version::V5).unwrap();
        assert!(size < whole, "{disconnect:?}");
        let properties = disconnect.properties.as_properties();
        assert_eq!(properties.reason_string(), None);
        assert_eq!(properties.user_properties().count(), 0);
    }
}

/// MQTT 5.0: [MQTT-3.14.0-1]
#[tokio::test]
async fn before_connack_there_is_no_disconnect() {
    let server = plain_server().await;
    let refused = Hello::new(Version::V5, "client").will(WillMessage::new("$SYS/a", b""));
    let mut first = offences();
    // The offence is a second CONNECT there, and as the first none.
    first.remove(3);
    first.extend([
        encoded(refused.packet(), Version::V5),
        b"\x10\x0E\0\x04MQTT\x05\x03\0\x3C\0\0\x01a".to_vec(),
    ]);
    for bytes in first {
        let mut client = Client::open(&server, Version::V5).await;
        client.write(&bytes).await;
        for word in client.last_words().await {
            let is_refusal =
                matches!(&word, OwnedPacket::ConnAck(connack) if connack.reason_code.is_error());
            assert!(is_refusal, "{bytes:02X?}: {word:?}");
        }
    }
}

/// MQTT 5.0: [MQTT-3.14.4-1] [MQTT-3.14.4-2]
#[tokio::test]
async fn nothing_follows_a_disconnect_of_the_server() {
    let server = plain_server().await;
    let mut subscriber = Client::connect(&server, Version::V5, "subscriber").await;
    subscriber.subscribe("a", QoS::AtMostOnce).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    let messages: Vec<u8> = (0..1_000_u16)
        .flat_map(|number| {
            let message = Message::new("a", &number.to_be_bytes());
            encoded(message.packet(), Version::V5)
        })
        .collect();
    publisher.write(&messages).await;
    subscriber.write(b"\xC1\0").await;
    publisher.write(&messages).await;
    let words = subscriber.last_words().await;
    let (last, rest) = words.split_last().unwrap();
    assert!(matches!(last, OwnedPacket::Disconnect(_)), "{last:?}");
    assert!(
        rest.iter()
            .all(|word| matches!(word, OwnedPacket::Publish(_))),
        "{rest:?}"
    );
    publisher.ping().await;
}

/// MQTT 5.0: [MQTT-3.14.4-1]
#[tokio::test]
async fn what_a_client_sends_behind_its_disconnect_counts_for_nothing() {
    each(&NUMBERED, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("#", QoS::AtMostOnce).await;
        let mut client = Client::connect(server, version, "client").await;
        let mut bytes = encoded(Message::new("a", b"before").packet(), version);
        bytes.extend_from_slice(b"\xE0\0");
        bytes.extend(encoded(Message::new("a", b"behind").packet(), version));
        client.write(&bytes).await;
        client.assert_closed().await;
        wait_for_connections(server, 1).await;
        witness
            .expect_publish("a", b"before", QoS::AtMostOnce)
            .await;
        witness.nothing_comes().await;
    })
    .await;
}

/// Sections 3.14.2.2.2 and 3.1.2.11.2: DISCONNECT may change how long the session is kept.
#[tokio::test]
async fn disconnect_changes_the_session_expiry_interval() {
    let server = plain_server().await;
    for (at_connect, at_disconnect, is_kept) in [(1_000, 0, false), (1_000, 2_000, true)] {
        let hello = Hello::new(Version::V5, "client").persistent(at_connect);
        let client = hello.connect(&server).await;
        let change = [Property::SessionExpiryInterval(at_disconnect)];
        client
            .disconnect_with(ReasonCode::NORMAL_DISCONNECTION, &change)
            .await;
        let (client, connack) = hello.connect_told(&server).await;
        assert_eq!(connack.session_present, is_kept);
        client.disconnect().await;
    }
}
