//! Section 3.1: CONNECT, what it is answered with, and what it begins.
//!
//! What only breaks the format of the packet is in the wire table, wills are in `wills.rs`, and what
//! CONNACK says of the server in `connack.rs`.

use std::time::{Duration, Instant};

use mosca::{Server, ServerBuilder};
use mqtt_codec::{OwnedPacket, Packet, Property, QoS, ReasonCode, Version};
use tokio::io::AsyncReadExt;

use crate::harness::{
    Client, Hello, Message, NUMBERED, VERSIONS, WillMessage, each, each_with, encoded, id, options,
    plain_server, start, wait_for_connections, within,
};

/// Leaves a session behind for the client: a subscription to `a`, and two messages that wait.
async fn leave_a_session(server: &Server, version: Version, client_id: &str) {
    let mut client = Hello::new(version, client_id)
        .persistent(1_000)
        .connect(server)
        .await;
    client.subscribe("a", QoS::ExactlyOnce).await;
    client.disconnect().await;
    let mut publisher = Client::connect(server, version, "publisher").await;
    publisher
        .publish_whole(&Message::new("a", b"1").qos1(1))
        .await;
    publisher
        .publish_whole(&Message::new("a", b"2").qos2(2))
        .await;
    publisher.disconnect().await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.2.0-1] [MQTT-3.2.2-2] [MQTT-3.1.4-3]
/// MQTT 5.0: [MQTT-3.1.2-5] [MQTT-3.1.2-23] [MQTT-3.2.0-1] [MQTT-3.2.2-3] [MQTT-3.1.4-4]
#[tokio::test]
async fn a_session_is_kept_and_resumed_with_what_came_for_it_meanwhile() {
    each(&NUMBERED, async |server, version| {
        leave_a_session(server, version, "client").await;
        let hello = Hello::new(version, "client").persistent(1_000);
        // CONNACK precedes the messages that wait.
        let (mut client, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
        client.take_publish("a", b"1", QoS::AtLeastOnce).await;
        client.take_publish("a", b"2", QoS::ExactlyOnce).await;
        // The subscription is there without being asked for again.
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher.publish_whole(&Message::new("a", b"3")).await;
        client.expect_publish("a", b"3", QoS::AtMostOnce).await;
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-4] [MQTT-3.2.2-3]
/// MQTT 5.0: [MQTT-3.1.2-6] [MQTT-3.2.2-3]
#[tokio::test]
async fn where_there_is_no_session_to_resume_one_begins() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "client").persistent(1_000);
        let (mut client, connack) = hello.connect_told(server).await;
        assert!(!connack.session_present);
        client.subscribe("a", QoS::AtLeastOnce).await;
        client
            .publish_whole(&Message::new("b", b"not subscribed to"))
            .await;
        client.disconnect().await;
        let (_client, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-6] [MQTT-3.2.2-1] [MQTT-3.1.4-3]
/// MQTT 5.0: [MQTT-3.1.2-4] [MQTT-3.2.2-2] [MQTT-3.1.4-4]
#[tokio::test]
async fn a_clean_start_discards_the_session_and_nothing_of_it_comes_back() {
    each(&NUMBERED, async |server, version| {
        leave_a_session(server, version, "client").await;
        let (mut client, connack) = Hello::new(version, "client").connect_told(server).await;
        assert!(!connack.session_present);
        // Neither the messages that waited nor the subscription.
        client.nothing_comes().await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher
            .publish_whole(&Message::new("a", b"3").qos1(1))
            .await;
        client.nothing_comes().await;
        client.disconnect().await;
        // Nor the session that the clean start began: it ended with its connection.
        let again = Hello::new(version, "client").persistent(1_000);
        let (mut client, connack) = again.connect_told(server).await;
        assert!(!connack.session_present);
        client.nothing_comes().await;
    })
    .await;
}

/// A clean start of a client whose session is in use discards it just as well.
///
/// MQTT 3.1.1: [MQTT-3.1.2-6] [MQTT-3.1.4-2]
/// MQTT 5.0: [MQTT-3.1.2-4] [MQTT-3.1.4-3]
#[tokio::test]
async fn a_clean_start_discards_the_session_of_a_connection_that_it_takes_over() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "client").persistent(1_000);
        let mut older = hello.connect(server).await;
        older.subscribe("a", QoS::AtLeastOnce).await;
        let (mut newer, connack) = Hello::new(version, "client").connect_told(server).await;
        assert!(!connack.session_present);
        older
            .assert_disconnected(ReasonCode::SessionTakenOver)
            .await;
        newer.publish_whole(&Message::new("a", b"x").qos1(1)).await;
        newer.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.2-7]
#[tokio::test]
async fn retained_messages_outlive_the_session_of_their_publisher() {
    each(&NUMBERED, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let message = Message::new("a", b"x").qos1(1).retain();
        publisher.publish_whole(&message).await;
        publisher.disconnect().await;
        // The client identifier again, so that its session is certainly discarded.
        let mut client = Client::connect(server, version, "publisher").await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        let publish = client.take_publish("a", b"x", QoS::AtLeastOnce).await;
        assert!(publish.retain);
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.1.2-23]
#[tokio::test]
async fn a_session_expiry_interval_above_zero_keeps_the_session_and_zero_does_not() {
    let server = plain_server().await;
    for (expiry, is_kept) in [(None, false), (Some(0), false), (Some(60), true)] {
        let mut hello = Hello::new(Version::V5, "client");
        if let Some(seconds) = expiry {
            hello = hello.property(Property::SessionExpiryInterval(seconds));
        }
        // Ended without DISCONNECT, as by a failure of the network.
        let client = hello.connect(&server).await;
        drop(client);
        wait_for_connections(&server, 0).await;
        let again = Hello::new(Version::V5, "client").persistent(60);
        let (client, connack) = again.connect_told(&server).await;
        assert_eq!(connack.session_present, is_kept, "{expiry:?}");
        client.disconnect().await;
    }
}

/// MQTT 3.1.1: [MQTT-3.1.2-24]
/// MQTT 5.0: [MQTT-3.1.2-22] [MQTT-3.2.2-22]
#[tokio::test]
async fn silence_for_one_and_a_half_times_the_keep_alive_is_a_lost_connection() {
    each(&NUMBERED, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("will", QoS::AtMostOnce).await;
        let hello = Hello::new(version, "client")
            .keep_alive(1)
            .will(WillMessage::new("will", b"lost"));
        let (mut client, connack) = hello.connect_told(server).await;
        assert_eq!(
            connack.properties.as_properties().server_keep_alive(),
            None,
            "the client's own value counts"
        );
        let since = Instant::now();
        client
            .assert_disconnected(ReasonCode::KeepAliveTimeout)
            .await;
        let took = since.elapsed();
        // Far from it, since others use the machine.
        let range = Duration::from_millis(1_400)..Duration::from_secs(30);
        assert!(range.contains(&took), "{took:?}");
        // As if the network had failed: with its will.
        witness
            .expect_publish("will", b"lost", QoS::AtMostOnce)
            .await;
    })
    .await;
}

/// The other half of the rule: whoever says something in time stays.
///
/// MQTT 3.1.1: [MQTT-3.1.2-24]
/// MQTT 5.0: [MQTT-3.1.2-22]
#[tokio::test]
async fn a_packet_of_any_kind_in_time_keeps_the_connection() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "talking").keep_alive(2);
        let mut talking = hello.connect(server).await;
        let mut silent = Hello::new(version, "silent")
            .keep_alive(2)
            .connect(server)
            .await;
        let end = silent.assert_disconnected(ReasonCode::KeepAliveTimeout);
        tokio::pin!(end);
        let mut number = 0;
        loop {
            tokio::select! {
                _ = &mut end => break,
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    number += 1;
                    talking.publish_whole(&Message::new("a", b"x").qos1(number)).await;
                }
            }
        }
        talking.nothing_comes().await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.3-2]
/// MQTT 5.0: [MQTT-3.1.3-2]
#[tokio::test]
async fn sessions_belong_to_client_identifiers_and_to_nothing_else() {
    each(&NUMBERED, async |server, version| {
        leave_a_session(server, version, "client").await;
        for other in ["Client", "client ", "client2", "clien"] {
            let hello = Hello::new(version, other).persistent(1_000);
            let (mut client, connack) = hello.connect_told(server).await;
            assert!(!connack.session_present, "{other:?}");
            client.nothing_comes().await;
        }
        // User name, keep alive and network connection do not matter.
        let hello = Hello::new(version, "client").persistent(1_000);
        let hello = hello.username("someone").keep_alive(77);
        let (mut client, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
        client.take_publish("a", b"1", QoS::AtLeastOnce).await;
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.3-5]
/// MQTT 5.0: [MQTT-3.1.3-5]
#[tokio::test]
async fn identifiers_of_1_to_23_letters_and_digits_are_accepted() {
    const CHARACTERS: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    each(&NUMBERED, async |server, version| {
        for length in 1..=23 {
            for start in [0, CHARACTERS.len() - length] {
                let identifier = &CHARACTERS[start..start + length];
                let mut client = Client::connect(server, version, identifier).await;
                client.ping().await;
                client.disconnect().await;
            }
        }
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.3-6]
/// MQTT 5.0: [MQTT-3.1.3-6] [MQTT-3.2.2-16]
#[tokio::test]
async fn clients_without_an_identifier_are_given_different_ones() {
    each(&NUMBERED, async |server, version| {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let (client, connack) = Hello::new(version, "").connect_told(server).await;
            let assigned = connack.properties.as_properties();
            let assigned = assigned.assigned_client_identifier().map(str::to_owned);
            assert_eq!(assigned.is_some(), version.is_v5());
            clients.push((client, assigned));
        }
        // Had two of them the same, one would have been taken over.
        for (client, _) in &mut clients {
            client.ping().await;
        }
        let names: std::collections::HashSet<_> = clients.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), if version.is_v5() { 3 } else { 1 });
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.1.3-7]
#[tokio::test]
async fn an_assigned_identifier_is_as_good_as_one_of_the_client() {
    let server = plain_server().await;
    let hello = Hello::new(Version::V5, "").persistent(1_000);
    let (mut client, connack) = hello.connect_told(&server).await;
    let assigned = connack.properties.as_properties();
    let assigned = assigned.assigned_client_identifier().unwrap();
    client.subscribe("a", QoS::AtLeastOnce).await;
    client.disconnect().await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    publisher
        .publish_whole(&Message::new("a", b"x").qos1(1))
        .await;
    let hello = Hello::new(Version::V5, assigned).persistent(1_000);
    let (mut client, connack) = hello.connect_told(&server).await;
    assert!(connack.session_present);
    let told = connack.properties.as_properties();
    assert_eq!(told.assigned_client_identifier(), None, "it was not needed");
    client.take_publish("a", b"x", QoS::AtLeastOnce).await;
}

fn short_identifiers() -> ServerBuilder {
    Server::builder().broker(|options| options.max_client_id_bytes = 30)
}

/// MQTT 3.1.1: [MQTT-3.1.3-9]
/// MQTT 5.0: [MQTT-3.1.3-8]
#[tokio::test]
async fn an_identifier_that_the_server_does_not_want_is_refused_as_such() {
    each_with(&NUMBERED, short_identifiers, async |server, version| {
        let longest = "a".repeat(30);
        drop(Client::connect(server, version, &longest).await);
        let connack = Hello::new(version, &"a".repeat(31)).refused(server).await;
        // What MQTT 3.1.1 calls 2, identifier rejected.
        assert_eq!(connack.reason_code, ReasonCode::ClientIdentifierNotValid);
        assert!(!connack.session_present);
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.1.4-2]
#[tokio::test]
async fn a_connect_that_fails_a_check_of_the_server_ends_its_connection() {
    let server = start(short_identifiers().broker(|options| options.max_sessions = 1)).await;
    let _first = Client::connect(&server, Version::V5, "first").await;
    for (hello, reason) in [
        (Hello::new(Version::V5, "second"), ReasonCode::QuotaExceeded),
        (
            Hello::new(Version::V5, &"a".repeat(31)),
            ReasonCode::ClientIdentifierNotValid,
        ),
        (
            // Only the server itself speaks on these topics.
            Hello::new(Version::V5, "first").will(WillMessage::new("$SYS/a", b"")),
            ReasonCode::NotAuthorized,
        ),
    ] {
        assert_eq!(hello.refused(&server).await.reason_code, reason);
    }
}

/// MQTT 3.1.1: [MQTT-3.1.4-2]
/// MQTT 5.0: [MQTT-3.1.4-3] [MQTT-3.14.0-1]
#[tokio::test]
async fn a_second_connection_of_a_client_ends_the_first() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "client").persistent(1_000);
        let mut first = hello.connect(server).await;
        first.subscribe("a", QoS::AtLeastOnce).await;
        let (mut second, connack) = hello.connect_told(server).await;
        assert!(connack.session_present);
        first
            .assert_disconnected(ReasonCode::SessionTakenOver)
            .await;
        // The session goes on with the second.
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher
            .publish_whole(&Message::new("a", b"x").qos1(1))
            .await;
        second.take_publish("a", b"x", QoS::AtLeastOnce).await;
    })
    .await;
}

/// Of different versions, too: the first is told in the words of its own.
///
/// MQTT 3.1.1: [MQTT-3.1.4-2]
/// MQTT 5.0: [MQTT-3.1.4-3]
#[tokio::test]
async fn a_connection_of_one_version_ends_that_of_another() {
    let server = plain_server().await;
    for older in VERSIONS {
        for newer in VERSIONS {
            let mut first = Client::connect(&server, older, "client").await;
            let mut second = Client::connect(&server, newer, "client").await;
            first
                .assert_disconnected(ReasonCode::SessionTakenOver)
                .await;
            second.ping().await;
            second.disconnect().await;
        }
    }
}

/// MQTT 3.1.1: [MQTT-3.1.4-4]
/// MQTT 5.0: [MQTT-3.1.4-5] [MQTT-3.2.0-2]
#[tokio::test]
async fn a_valid_connect_is_answered_by_one_connack_that_says_so() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::open(server, version).await;
        let hello = Hello::new(version, "client")
            .username("user")
            .password(b"\0\xFF")
            .keep_alive(10)
            .will(WillMessage::new("will", b"").qos(QoS::ExactlyOnce).retain());
        client.send(hello.packet()).await;
        let mut head = [0; 4];
        within("CONNACK", client.stream.read_exact(&mut head))
            .await
            .unwrap();
        assert_eq!((head[0], head[2], head[3]), (0x20, 0, 0));
        let mut properties = vec![0; usize::from(head[1]) - 2];
        within("CONNACK", client.stream.read_exact(&mut properties))
            .await
            .unwrap();
        assert_eq!(properties.is_empty(), !version.is_v5());
        // No second one, whatever the client does.
        client.subscribe("a", QoS::AtLeastOnce).await;
        client.nothing_comes().await;
    })
    .await;
}

/// A client may send more behind its CONNECT before it is answered (section 3.1.4).
///
/// MQTT 3.1.1: [MQTT-3.2.0-1]
/// MQTT 5.0: [MQTT-3.2.0-1] [MQTT-3.2.0-2]
#[tokio::test]
async fn connack_comes_before_the_answers_to_what_was_sent_behind_connect() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::open(server, version).await;
        let hello = Hello::new(version, "client");
        let mut bytes = encoded(hello.packet(), version);
        bytes.extend(encoded(Packet::PingReq, version));
        bytes.extend(encoded(Message::new("a", b"x").qos1(7).packet(), version));
        client.write(&bytes).await;
        let connack = client.expect_connack().await;
        assert_eq!(connack.reason_code, ReasonCode::Success);
        let mut answers = [client.receive().await, client.receive().await];
        answers.sort_by_key(|answer| matches!(answer, OwnedPacket::PubAck(_)));
        assert_eq!(answers[0], OwnedPacket::PingResp);
        assert!(matches!(&answers[1], OwnedPacket::PubAck(ack) if ack.packet_id == id(7)));
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.1.4-5] [MQTT-3.2.2-4] [MQTT-3.2.2-5]
/// MQTT 5.0: [MQTT-3.1.4-6] [MQTT-3.2.2-6] [MQTT-3.2.2-7]
#[tokio::test]
async fn what_follows_a_connect_that_is_refused_is_ignored() {
    each_with(&NUMBERED, short_identifiers, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("#", QoS::ExactlyOnce).await;
        let mut refused = Client::open(server, version).await;
        let hello = Hello::new(version, &"a".repeat(31)).will(WillMessage::new("will", b"no"));
        let mut bytes = encoded(hello.packet(), version);
        for message in [
            Message::new("a", b"no"),
            Message::new("a", b"no").qos1(1),
            Message::new("a", b"no").retain(),
        ] {
            bytes.extend(encoded(message.packet(), version));
        }
        refused.write(&bytes).await;
        let connack = refused.expect_connack().await;
        assert!(connack.reason_code.is_error());
        assert!(!connack.session_present);
        refused.assert_closed().await;
        witness.nothing_comes().await;
        assert_eq!(server.sizes().retained_messages, 0);
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.1.2-2]
#[tokio::test]
async fn a_version_that_nobody_knows_is_not_served() {
    let server = plain_server().await;
    for level in [0, 1, 6, 7, 0x7F, 0xFF] {
        let mut client = Client::open(&server, Version::V311).await;
        let mut bytes = b"\x10\x0D\0\x04MQTT".to_vec();
        bytes.extend([level, 2, 0, 60, 0, 1, b'a']);
        client.write(&bytes).await;
        // A word for it may come, in a form that older clients can read, and then the end.
        let words = client.last_words().await;
        let [OwnedPacket::ConnAck(connack)] = &words[..] else {
            panic!("level {level}: {words:?}");
        };
        assert_eq!(
            connack.reason_code,
            ReasonCode::UnsupportedProtocolVersion,
            "level {level}"
        );
    }
}

/// MQTT 5.0: [MQTT-3.1.2-24] [MQTT-3.1.2-25]
#[tokio::test]
async fn a_message_too_large_for_a_client_is_dropped_for_it_alone_and_done_with() {
    let server = plain_server().await;
    let mut small = Hello::new(Version::V5, "small")
        .property(Property::MaximumPacketSize(100))
        // One at a time, so that a message that is not done with would block the next.
        .property(Property::ReceiveMaximum(1))
        .persistent(1_000)
        .connect(&server)
        .await;
    let mut large = Client::connect(&server, Version::V5, "large").await;
    for client in [&mut small, &mut large] {
        client
            .subscribe_to(1, &[("a", options(QoS::AtLeastOnce))], &[])
            .await;
    }
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    // Fixed header, topic, packet identifier and property length take 8 bytes.
    let fits = vec![b'x'; 92];
    for payload in [&[b'x'; 93][..], &[b'x'; 1_000][..], &fits, b"last"] {
        let message = Message::new("a", payload).qos1(1);
        publisher.publish_whole(&message).await;
        large.take_publish("a", payload, QoS::AtLeastOnce).await;
    }
    small.take_publish("a", &fits, QoS::AtLeastOnce).await;
    small.take_publish("a", b"last", QoS::AtLeastOnce).await;
    small.disconnect().await;
    // Nor does it come to a connection that could take it.
    let hello = Hello::new(Version::V5, "small").persistent(1_000);
    let mut client = hello.connect(&server).await;
    client.nothing_comes().await;
}
