//! What comes of input that the specification forbids: the connection gets what the rules of its
//! version ask for and is closed, and others notice nothing.

use mosca::Server;
use mqtt_codec::{Connect, OwnedPacket, Packet, ReasonCode, Version};

use crate::client::{Client, Pair, VERSIONS, encoded, plain_server, start, wait_for_connections};

/// A packet with a fixed header that fits its body.
fn packet(first_byte: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 16_384);
    let mut bytes = vec![first_byte];
    match body.len() {
        length @ ..=127 => bytes.push(u8::try_from(length).unwrap()),
        length => bytes.extend([
            u8::try_from(length % 128).unwrap() | 0x80,
            u8::try_from(length / 128).unwrap(),
        ]),
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Bytes behind a two-byte length.
fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}

/// PUBLISH of any topic bytes; `properties` are there in MQTT 5 only.
fn publish(version: Version, flags: u8, topic: &[u8], id: &[u8], properties: &[u8]) -> Vec<u8> {
    let mut body = field(topic);
    body.extend_from_slice(id);
    if version.is_v5() {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(b"payload");
    packet(0x30 | flags, &body)
}

/// SUBSCRIBE or UNSUBSCRIBE, as `first_byte` says, with any entries.
fn subscribe(version: Version, first_byte: u8, id: u16, entries: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version.is_v5() {
        body.push(0);
    }
    body.extend_from_slice(entries);
    packet(first_byte, &body)
}

/// CONNECT with any protocol name, level, flags, and what follows the keep alive.
fn connect(name: &[u8], level: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = field(name);
    body.extend([level, flags, 0, 60]);
    body.extend_from_slice(rest);
    packet(0x10, &body)
}

/// The same in the form of a version, with these bytes as client identifier.
fn connect_as(version: Version, flags: u8, client_id: &[u8]) -> Vec<u8> {
    let mut rest = if version.is_v5() { vec![0] } else { vec![] };
    rest.extend(field(client_id));
    let name = version.protocol_name().as_bytes();
    connect(name, version.level(), flags, &rest)
}

/// Sends `bytes` as the first of a connection; everything that comes back until it ends.
async fn answer_to_first(server: &Server, version: Version, bytes: &[u8]) -> Vec<OwnedPacket> {
    let mut client = Client::open(server, version).await;
    client.write(bytes).await;
    client.last_words().await
}

fn refusal(words: &[OwnedPacket], what: &str) -> ReasonCode {
    let [OwnedPacket::ConnAck(connack)] = words else {
        panic!("{what}: CONNACK expected, not {words:?}");
    };
    // [MQTT-3.2.2-6] of 5.0.
    assert!(!connack.session_present, "{what}");
    connack.reason_code
}

/// [MQTT-3.1.0-1], [MQTT-3.1.4-1], and of 3.1.1 [MQTT-3.1.2-1], [MQTT-4.8.0-1].
#[tokio::test]
async fn what_is_not_a_connect_of_any_version_is_met_with_silence_and_a_close() {
    let server = plain_server().await;
    let pair = Pair::start(&server).await;
    let v311 = Version::V311;
    let first: &[(&str, Vec<u8>)] = &[
        (
            "another protocol",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xFF; 64]),
        ("reserved header flags", packet(0x11, &[0; 12])),
        ("PINGREQ", encoded(Packet::PingReq, v311)),
        ("PUBLISH", publish(v311, 0, b"topic", &[], &[])),
        (
            "half of a PUBLISH",
            publish(v311, 0, b"topic", &[], &[])[..7].to_vec(),
        ),
        ("SUBSCRIBE", subscribe(v311, 0x82, 1, &[0, 1, b'#', 0])),
        ("CONNACK", vec![0x20, 2, 0, 0]),
        (
            "a length of five bytes",
            vec![0x10, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        ),
        ("CONNECT without a body", vec![0x10, 0]),
        (
            "a CONNECT larger than any",
            vec![0x10, 0xFF, 0xFF, 0xFF, 0x7F, 0, 4],
        ),
        ("a protocol name", connect(b"MQTZ", 4, 2, &field(b"a"))),
        ("an empty protocol name", connect(b"", 4, 2, &field(b"a"))),
        (
            "a protocol name that is not UTF-8",
            connect(b"\xFF\xFE\xFD\xFC", 4, 2, &field(b"a")),
        ),
    ];
    for (what, bytes) in first {
        let words = answer_to_first(&server, v311, bytes).await;
        assert!(words.is_empty(), "{what}: {words:?}");
    }
    assert!(pair.stop().await > 0);
    assert_eq!(server.counters().protocol_errors.get(), first.len() as u64);
}

/// [MQTT-3.1.2-2] of 3.1.1, and of 5.0.
#[tokio::test]
async fn a_protocol_level_that_is_not_spoken_gets_return_code_1_and_a_close() {
    let server = plain_server().await;
    let pair = Pair::start(&server).await;
    let levels: [(&[u8], u8); 6] = [
        (b"MQTT", 0),
        (b"MQTT", 3),
        (b"MQTT", 6),
        (b"MQTT", 0x84),
        (b"MQIsdp", 4),
        (b"MQIsdp", 5),
    ];
    for (name, level) in levels {
        let mut client = Client::open(&server, Version::V311).await;
        client.write(&connect(name, level, 2, &field(b"a"))).await;
        let words = client.last_words().await;
        let what = format!("{name:?} {level}");
        assert_eq!(
            refusal(&words, &what),
            ReasonCode::UnsupportedProtocolVersion
        );
    }
    assert!(pair.stop().await > 0);
}

/// [MQTT-3.1.4-1], [MQTT-3.1.2-3], [MQTT-1.5.4-1], [MQTT-1.5.4-2] of 5.0; [MQTT-1.5.3-1],
/// [MQTT-1.5.3-2], [MQTT-3.1.2-22] of 3.1.1.
#[tokio::test]
async fn a_connect_that_breaks_the_format_is_closed_and_only_mqtt_5_is_told_why() {
    let server = plain_server().await;
    let pair = Pair::start(&server).await;
    for version in VERSIONS {
        let good = connect_as(version, 2, b"client");
        let mut malformed: Vec<(&str, Vec<u8>)> = vec![
            ("will QoS 3", connect_as(version, 0b1_1110, b"client")),
            (
                "a client identifier that is not UTF-8",
                connect_as(version, 2, b"\xC0\xAF"),
            ),
            ("a surrogate", connect_as(version, 2, b"\xED\xA0\x80")),
            ("the null character", connect_as(version, 2, b"a\0b")),
            (
                "no will although there is one",
                connect_as(version, 6, b"client"),
            ),
            ("a byte too many", {
                let mut bytes = good.clone();
                bytes[1] += 1;
                bytes.push(0);
                bytes
            }),
        ];
        if version != Version::V31 {
            // MQTT 3.1 leaves these bits to whoever wants them.
            malformed.push(("reserved flag", connect_as(version, 3, b"client")));
            malformed.push((
                "will QoS without a will",
                connect_as(version, 0b1010, b"client"),
            ));
        }
        for (what, bytes) in &malformed {
            let what = format!("{version:?}: {what}");
            let words = answer_to_first(&server, version, bytes).await;
            if version.is_v5() {
                assert_eq!(
                    refusal(&words, &what),
                    ReasonCode::MalformedPacket,
                    "{what}"
                );
            } else {
                assert!(words.is_empty(), "{what}: {words:?}");
            }
        }
    }
    // Errors that only MQTT 5 knows: they are in the properties.
    let with_properties = |properties: &[u8]| {
        let mut rest = vec![u8::try_from(properties.len()).unwrap()];
        rest.extend_from_slice(properties);
        rest.extend(field(b"client"));
        connect(b"MQTT", 5, 2, &rest)
    };
    let property_errors: &[(&str, Vec<u8>, ReasonCode)] = &[
        (
            "receive maximum 0",
            with_properties(&[0x21, 0, 0]),
            ReasonCode::ProtocolError,
        ),
        (
            "maximum packet size 0",
            with_properties(&[0x27, 0, 0, 0, 0]),
            ReasonCode::ProtocolError,
        ),
        (
            "a property twice",
            with_properties(&[0x21, 0, 1, 0x21, 0, 1]),
            ReasonCode::ProtocolError,
        ),
        (
            "an unknown property",
            with_properties(&[0x7E, 0]),
            ReasonCode::MalformedPacket,
        ),
        (
            "a property of PUBLISH",
            with_properties(&[0x23, 0, 1]),
            ReasonCode::MalformedPacket,
        ),
        (
            "an authentication method that is not known",
            with_properties(&[0x15, 0, 1, b'x']),
            ReasonCode::BadAuthenticationMethod,
        ),
    ];
    for (what, bytes, reason) in property_errors {
        let words = answer_to_first(&server, Version::V5, bytes).await;
        assert_eq!(refusal(&words, what), *reason, "{what}");
    }
    assert!(pair.stop().await > 0);
}

/// [MQTT-3.1.3-8] of 3.1.1, [MQTT-3.2.2-6] of 3.1.1, [MQTT-3.2.2-7] and [MQTT-3.1.4-6] of 5.0:
/// what stands behind a refused CONNECT is ignored.
#[tokio::test]
async fn a_connect_that_is_refused_is_told_so_where_its_version_has_a_word_for_it() {
    let server = start(Server::builder().broker(|options| options.max_client_id_bytes = 23)).await;
    let pair = Pair::start(&server).await;
    let mut witness = Client::connect(&server, Version::V5, "witness").await;
    witness
        .subscribe("behind", mqtt_codec::QoS::AtMostOnce)
        .await;
    for version in VERSIONS {
        let long = [b'a'; 24];
        for (clean, client_id) in [(2, &long[..]), (0, b"")] {
            if client_id.is_empty() && version.is_v5() {
                continue;
            }
            let mut bytes = connect_as(version, clean, client_id);
            bytes.extend(publish(version, 0, b"behind", &[], &[]));
            let words = answer_to_first(&server, version, &bytes).await;
            let reason = refusal(&words, "client identifier");
            assert_eq!(reason, ReasonCode::ClientIdentifierNotValid, "{version:?}");
        }
        let mut rest = if version.is_v5() { vec![0] } else { vec![] };
        rest.extend(field(b"client"));
        rest.extend(if version.is_v5() { vec![0] } else { vec![] });
        rest.extend([field(b"will/#"), field(b"payload")].concat());
        let name = version.protocol_name().as_bytes();
        let bytes = connect(name, version.level(), 6, &rest);
        let words = answer_to_first(&server, version, &bytes).await;
        if version.is_v5() {
            assert_eq!(refusal(&words, "will"), ReasonCode::MalformedPacket);
        } else {
            assert!(words.is_empty(), "{version:?}: {words:?}");
        }
    }
    witness.ping().await;
    assert!(pair.stop().await > 0);
}

/// What is wrong with a packet that comes after CONNECT, the packet, and MQTT 5's word for it.
type Wrong = (&'static str, Vec<u8>, ReasonCode);

fn wrong_in_every_version(version: Version) -> Vec<Wrong> {
    use ReasonCode::{MalformedPacket, PacketTooLarge, ProtocolError};
    let publish = |flags, topic: &[u8], id: &[u8]| publish(version, flags, topic, id, &[]);
    let subscribe = |first, id, entries: &[u8]| subscribe(version, first, id, entries);
    vec![
        // [MQTT-3.1.0-2]
        (
            "a second CONNECT",
            connect_as(version, 2, b"client"),
            ProtocolError,
        ),
        // [MQTT-2.2.2-2] of 3.1.1
        ("packet type 0", vec![0, 0], MalformedPacket),
        ("flags of PINGREQ", vec![0xC1, 0], MalformedPacket),
        // [MQTT-3.14.1-1]
        ("flags of DISCONNECT", vec![0xE1, 0], MalformedPacket),
        // [MQTT-3.8.1-1], [MQTT-3.10.1-1]
        (
            "flags of SUBSCRIBE",
            subscribe(0x80, 1, &[0, 1, b'a', 0]),
            MalformedPacket,
        ),
        (
            "flags of UNSUBSCRIBE",
            subscribe(0xA0, 1, &[0, 1, b'a']),
            MalformedPacket,
        ),
        (
            "a length of five bytes",
            vec![0x30, 0x80, 0x80, 0x80, 0x80, 1],
            MalformedPacket,
        ),
        ("PINGREQ with a body", vec![0xC0, 1, 0], MalformedPacket),
        // [MQTT-3.3.1-4]
        ("QoS 3", publish(0b0110, b"topic", &[0, 1]), MalformedPacket),
        // [MQTT-3.3.1-2]
        (
            "DUP on QoS 0",
            publish(0b1000, b"topic", &[]),
            MalformedPacket,
        ),
        // [MQTT-3.3.2-2]
        (
            "# in a topic name",
            publish(0, b"a/#", &[]),
            MalformedPacket,
        ),
        (
            "+ in a topic name",
            publish(0b0010, b"a/+/b", &[0, 1]),
            MalformedPacket,
        ),
        // [MQTT-4.7.3-1]
        ("no topic name", publish(0, b"", &[]), ProtocolError),
        // [MQTT-1.5.4-1] and [MQTT-1.5.4-2]; of 3.1.1 [MQTT-1.5.3-1] and [MQTT-1.5.3-2]
        (
            "a topic name that is not UTF-8",
            publish(0, b"a\xFF", &[]),
            MalformedPacket,
        ),
        (
            "an overlong form",
            publish(0, b"\xC0\x80", &[]),
            MalformedPacket,
        ),
        (
            "a surrogate",
            publish(0, b"\xED\xBF\xBF", &[]),
            MalformedPacket,
        ),
        (
            "the null character",
            publish(0, b"a\0", &[]),
            MalformedPacket,
        ),
        (
            "a topic name longer than its packet",
            vec![0x30, 3, 0, 9, b'a'],
            MalformedPacket,
        ),
        // [MQTT-2.2.1-3]; of 3.1.1 [MQTT-2.3.1-1]
        (
            "packet identifier 0 in PUBLISH",
            publish(0b0010, b"t", &[0, 0]),
            ProtocolError,
        ),
        (
            "packet identifier 0 in PUBACK",
            vec![0x40, 2, 0, 0],
            ProtocolError,
        ),
        (
            "packet identifier 0 in PUBREL",
            vec![0x62, 2, 0, 0],
            ProtocolError,
        ),
        (
            "packet identifier 0 in SUBSCRIBE",
            subscribe(0x82, 0, &[0, 1, b'a', 0]),
            ProtocolError,
        ),
        (
            "packet identifier 0 in UNSUBSCRIBE",
            subscribe(0xA2, 0, &[0, 1, b'a']),
            ProtocolError,
        ),
        // [MQTT-3.8.3-2], [MQTT-3.10.3-2]; of 3.1.1 [MQTT-3.8.3-3]
        (
            "SUBSCRIBE without a filter",
            subscribe(0x82, 1, &[]),
            ProtocolError,
        ),
        (
            "UNSUBSCRIBE without a filter",
            subscribe(0xA2, 1, &[]),
            ProtocolError,
        ),
        (
            "a filter that is not UTF-8",
            subscribe(0x82, 1, &[0, 1, 0xFF, 0]),
            MalformedPacket,
        ),
        (
            "a subscription at QoS 3",
            subscribe(0x82, 1, &[0, 1, b'a', 3]),
            ProtocolError,
        ),
        // What only a server sends, well-formed or not.
        ("CONNACK", vec![0x20, 2, 0, 0], ProtocolError),
        ("CONNACK with flags", vec![0x2F, 2, 0, 0], ProtocolError),
        ("an empty SUBACK", vec![0x90, 0], ProtocolError),
        (
            "UNSUBACK with a body",
            vec![0xB0, 4, 0, 1, 9, 9],
            ProtocolError,
        ),
        ("PINGRESP", vec![0xD0, 0], ProtocolError),
        ("PINGRESP with a body", vec![0xD0, 1, 0], ProtocolError),
        // [MQTT-3.2.2-15]: known from the fixed header alone.
        (
            "a packet that is too large",
            vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F],
            PacketTooLarge,
        ),
    ]
}

fn wrong_in_mqtt_5() -> Vec<Wrong> {
    use ReasonCode::{MalformedPacket, ProtocolError, TopicAliasInvalid};
    let publish = |properties: &[u8]| publish(Version::V5, 0, b"topic", &[], properties);
    vec![
        // [MQTT-1.5.5-1]
        (
            "a length that is not in its shortest form",
            vec![0xC0, 0x80, 0],
            MalformedPacket,
        ),
        ("an unknown property", publish(&[0x7F, 0]), MalformedPacket),
        (
            "a property of CONNECT",
            publish(&[0x21, 0, 1]),
            MalformedPacket,
        ),
        (
            "properties longer than the packet",
            vec![0x30, 4, 0, 1, b't', 9],
            MalformedPacket,
        ),
        (
            "a property twice",
            publish(&[0x01, 0, 0x01, 0]),
            ProtocolError,
        ),
        ("payload format 2", publish(&[0x01, 2]), ProtocolError),
        // [MQTT-3.3.2-8], [MQTT-3.3.2-9]
        ("topic alias 0", publish(&[0x23, 0, 0]), TopicAliasInvalid),
        (
            "topic alias above the maximum",
            publish(&[0x23, 0xFF, 0xFF]),
            TopicAliasInvalid,
        ),
        // [MQTT-3.3.4-6]
        (
            "a subscription identifier",
            publish(&[0x0B, 1]),
            ProtocolError,
        ),
        // [MQTT-4.12.0-7]
        ("AUTH", vec![0xF0, 0], ProtocolError),
        (
            "reserved subscription options",
            subscribe(Version::V5, 0x82, 1, &[0, 1, b'a', 0xC0]),
            MalformedPacket,
        ),
        (
            "retain handling 3",
            subscribe(Version::V5, 0x82, 1, &[0, 1, b'a', 0x30]),
            ProtocolError,
        ),
        (
            "a reason code that PUBACK does not have",
            vec![0x40, 3, 0, 1, 0x8B],
            MalformedPacket,
        ),
    ]
}

/// [MQTT-4.13.1-1] of 5.0, [MQTT-4.8.0-1] of 3.1.1; each row names its own statements.
#[tokio::test]
async fn a_wrong_packet_after_connect_closes_the_connection_and_mqtt_5_is_told_why() {
    let builder = Server::builder().broker(|options| options.max_packet_size_bytes = 1 << 20);
    let server = start(builder).await;
    let pair = Pair::start(&server).await;
    let mut errors = 0;
    for version in VERSIONS {
        let mut wrong = wrong_in_every_version(version);
        if version.is_v5() {
            wrong.extend(wrong_in_mqtt_5());
        } else {
            // AUTH came with MQTT 5.
            wrong.push(("packet type 15", vec![0xF0, 0], ReasonCode::MalformedPacket));
        }
        for (what, bytes, reason) in wrong {
            let mut client = Client::connect(&server, version, "client").await;
            client.write(&bytes).await;
            let what = format!("{version:?}: {what}");
            client.assert_ends_with(reason, &what).await;
            errors += 1;
        }
    }
    assert_eq!(server.counters().protocol_errors.get(), errors);
    assert!(pair.stop().await > 0);
    wait_for_connections(&server, 0).await;
    assert_eq!(server.sizes().sessions, 0, "no session is left behind");
}

/// [MQTT-3.14.0-1] of 5.0: DISCONNECT comes after CONNACK, even if both have the same cause to be
/// sent.
#[tokio::test]
async fn a_wrong_packet_in_one_segment_with_connect_is_answered_after_connack() {
    let server = plain_server().await;
    for version in VERSIONS {
        for (what, wrong, reason) in wrong_in_every_version(version).drain(..5) {
            let mut client = Client::open(&server, version).await;
            let hello = encoded(Packet::Connect(Connect::new(version, "client")), version);
            let ping = encoded(Packet::PingReq, version);
            client.write(&[hello, ping, wrong].concat()).await;
            let what = format!("{version:?}: {what}");
            let OwnedPacket::ConnAck(connack) = client.receive().await else {
                panic!("{what}: CONNACK comes first");
            };
            assert_eq!(connack.reason_code, ReasonCode::Success, "{what}");
            assert_eq!(client.receive().await, OwnedPacket::PingResp, "{what}");
            client.assert_ends_with(reason, &what).await;
        }
    }
}

/// The rest of a packet that was refused by its fixed header is still being sent when the server
/// has said its last words: they must not be lost to a reset.
#[tokio::test]
async fn the_last_words_arrive_although_more_input_is_on_its_way() {
    let builder = Server::builder().broker(|options| options.max_packet_size_bytes = 1_000);
    let server = start(builder).await;
    let pair = Pair::start(&server).await;
    for version in VERSIONS {
        let mut client = Client::connect(&server, version, "client").await;
        let payload = vec![0; 8 << 20];
        client.publish("topic", &payload).await;
        client
            .assert_ends_with(ReasonCode::PacketTooLarge, "too large")
            .await;
    }
    assert!(pair.stop().await > 0);
}
