//! Section 3.2: CONNACK, and what it tells the client of the server. What Session Present tells is shown
//! with the sessions, in `connect.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mosca::{ResponseInformation, Server, ServerBuilder};
use mqtt_codec::{OwnedConnAck, OwnedPacket, Property, QoS, ReasonCode, Version};
use tokio::io::AsyncReadExt;

use crate::harness::{
    Client, Hello, Message, NUMBERED, WillMessage, each_with, id, options, plain_server, start,
    within,
};

/// MQTT 5.0: [MQTT-3.2.2-1]
#[tokio::test]
async fn all_acknowledge_flags_but_session_present_are_0() {
    let server = plain_server().await;
    let kept = Hello::new(Version::V5, "client").persistent(100);
    let refused = Hello::new(Version::V5, "client").will(WillMessage::new("$SYS/a", b""));
    for (hello, flags) in [(&kept, 0), (&kept, 1), (&refused, 0)] {
        let mut client = Client::open(&server, Version::V5).await;
        client.send(hello.packet()).await;
        let mut head = [0; 3];
        within("CONNACK", client.stream.read_exact(&mut head))
            .await
            .unwrap();
        assert_eq!((head[0], head[2]), (0x20, flags));
    }
}

/// A server that takes nothing above its limits, and one more client at most.
fn narrow() -> ServerBuilder {
    Server::builder().broker(|options| {
        options.max_client_id_bytes = 10;
        options.max_sessions = 1;
        options.max_qos = QoS::AtLeastOnce;
        options.retain_available = false;
        options.max_connect_size_bytes = 1_000;
    })
}

/// Everything for which `narrow` refuses a client called `client`, who has a session there.
fn refusals(version: Version) -> Vec<(Hello, ReasonCode)> {
    let will = |topic: &str| WillMessage::new(topic, b"");
    let client = || Hello::new(version, "client").persistent(100);
    let mut refusals = vec![
        (
            Hello::new(version, "much-too-long"),
            ReasonCode::ClientIdentifierNotValid,
        ),
        (client().will(will("$SYS/a")), ReasonCode::NotAuthorized),
    ];
    if version.is_v5() {
        refusals.extend([
            (Hello::new(version, "second"), ReasonCode::QuotaExceeded),
            (client().will(will("a/#")), ReasonCode::MalformedPacket),
            (
                client().will(will("a").qos(QoS::ExactlyOnce)),
                ReasonCode::QosNotSupported,
            ),
            (
                client().will(will("a").retain()),
                ReasonCode::RetainNotSupported,
            ),
            (client().password(&[0; 1_000]), ReasonCode::PacketTooLarge),
            (
                client().property(Property::AuthenticationMethod("none-of-ours")),
                ReasonCode::BadAuthenticationMethod,
            ),
        ]);
    }
    refusals
}

/// MQTT 3.1.1: [MQTT-3.2.2-4] [MQTT-3.2.2-5]
/// MQTT 5.0: [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8] [MQTT-4.13.2-1]
#[tokio::test]
async fn a_refusal_has_its_code_and_no_session_and_ends_the_connection() {
    each_with(&NUMBERED, narrow, async |server, version| {
        let stored = Hello::new(version, "client").persistent(100);
        stored.connect(server).await.disconnect().await;
        for (hello, reason) in refusals(version) {
            // The close is checked in there.
            let connack = hello.refused(server).await;
            assert_eq!(connack.reason_code, reason);
            assert!(!connack.session_present, "{reason:?}");
        }
        // The session was there all the time.
        let (_, connack) = stored.connect_told(server).await;
        assert!(connack.session_present);
    })
    .await;
}

/// MQTT 3.1.1: [MQTT-3.2.2-6]
#[tokio::test]
async fn a_refusal_for_which_there_is_no_code_is_a_close_without_connack() {
    each_with(&[Version::V311], narrow, async |server, version| {
        let will = |topic: &str| WillMessage::new(topic, b"");
        for will in [
            will("a").qos(QoS::ExactlyOnce),
            will("a").retain(),
            will("a/#"),
        ] {
            let mut client = Client::open(server, version).await;
            let hello = Hello::new(version, "client").will(will);
            client.send(hello.packet()).await;
            client.assert_closed().await;
        }
    })
    .await;
}

fn told<T>(connack: &OwnedConnAck, get: impl FnOnce(mqtt_codec::Properties<'_>) -> T) -> T {
    get(connack.properties.as_properties())
}

/// MQTT 5.0: [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-11]
#[tokio::test]
async fn a_server_with_a_maximum_qos_says_so_grants_no_more_and_takes_no_more() {
    for (maximum, above) in [(QoS::AtMostOnce, &[1, 2][..]), (QoS::AtLeastOnce, &[2][..])] {
        let builder = Server::builder().broker(|options| options.max_qos = maximum);
        let server = start(builder).await;
        let hello = Hello::new(Version::V5, "client");
        let (mut client, connack) = hello.connect_told(&server).await;
        assert_eq!(told(&connack, |p| p.maximum_qos()), Some(maximum));
        let filters = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let filters = filters.map(|qos| ("a", options(qos)));
        let suback = client.subscribe_to(1, &filters, &[]).await;
        let granted = filters.map(|(_, options)| ReasonCode::granted(options.qos.min(maximum)));
        assert_eq!(suback.reason_codes, granted);
        for qos in above {
            let mut client = hello.connect(&server).await;
            let message = Message::new("b", b"x");
            let message = match qos {
                1 => message.qos1(1),
                _ => message.qos2(1),
            };
            client.send_message(&message).await;
            client
                .assert_disconnected(ReasonCode::QosNotSupported)
                .await;
        }
    }
    let server = plain_server().await;
    let (_, connack) = Hello::new(Version::V5, "client")
        .connect_told(&server)
        .await;
    assert_eq!(told(&connack, |p| p.maximum_qos()), None);
}

/// MQTT 5.0: [MQTT-3.2.2-12]
#[tokio::test]
async fn a_will_above_the_maximum_qos_is_refused() {
    let builder = Server::builder().broker(|options| options.max_qos = QoS::AtMostOnce);
    let server = start(builder).await;
    for (qos, is_refused) in [
        (QoS::AtMostOnce, false),
        (QoS::AtLeastOnce, true),
        (QoS::ExactlyOnce, true),
    ] {
        let will = WillMessage::new("a", b"").qos(qos);
        let hello = Hello::new(Version::V5, "client").will(will);
        if is_refused {
            let connack = hello.refused(&server).await;
            assert_eq!(connack.reason_code, ReasonCode::QosNotSupported);
        } else {
            hello.connect(&server).await.ping().await;
        }
    }
}

/// MQTT 5.0: [MQTT-3.2.2-13] [MQTT-3.2.2-14]
#[tokio::test]
async fn a_server_without_retained_messages_says_so_and_takes_none() {
    let builder = Server::builder().broker(|options| options.retain_available = false);
    let server = start(builder).await;
    let hello = Hello::new(Version::V5, "client");
    let (mut client, connack) = hello.connect_told(&server).await;
    assert_eq!(told(&connack, |p| p.retain_available()), Some(false));
    client.send_message(&Message::new("a", b"x").retain()).await;
    client
        .assert_disconnected(ReasonCode::RetainNotSupported)
        .await;
    let will = WillMessage::new("a", b"").retain();
    let connack = hello.clone().will(will).refused(&server).await;
    assert_eq!(connack.reason_code, ReasonCode::RetainNotSupported);
    assert_eq!(server.sizes().retained_messages, 0);
}

/// MQTT 5.0: [MQTT-3.2.2-15]
#[tokio::test]
async fn a_packet_above_the_maximum_packet_size_ends_the_connection() {
    let builder = Server::builder().broker(|options| options.max_packet_size_bytes = 100);
    let server = start(builder).await;
    let hello = Hello::new(Version::V5, "client");
    let (mut client, connack) = hello.connect_told(&server).await;
    assert_eq!(told(&connack, |p| p.maximum_packet_size()), Some(100));
    // Fixed header, topic, and property length take 6 bytes.
    let mut witness = Client::connect(&server, Version::V5, "witness").await;
    witness.subscribe("a", QoS::AtMostOnce).await;
    client.publish_whole(&Message::new("a", &[b'x'; 94])).await;
    witness
        .expect_publish("a", &[b'x'; 94], QoS::AtMostOnce)
        .await;
    client.send_message(&Message::new("a", &[b'x'; 95])).await;
    client.assert_disconnected(ReasonCode::PacketTooLarge).await;
    witness.nothing_comes().await;
}

/// MQTT 5.0: [MQTT-3.2.2-16]
#[tokio::test]
async fn an_assigned_identifier_is_none_that_a_session_has() {
    let server = plain_server().await;
    let mut sessions = std::collections::HashSet::new();
    for _ in 0..20 {
        let hello = Hello::new(Version::V5, "").persistent(100);
        let (client, connack) = hello.connect_told(&server).await;
        assert!(!connack.session_present);
        let assigned = told(&connack, |p| {
            p.assigned_client_identifier().map(str::to_owned)
        });
        assert!(sessions.insert(assigned.unwrap()));
        // Its session stays.
        client.disconnect().await;
    }
    assert_eq!(server.sizes().sessions, 20);
}

/// MQTT 5.0: [MQTT-3.2.2-19] [MQTT-3.2.2-20]
#[tokio::test]
async fn a_refusal_goes_without_its_explanation_where_the_client_takes_no_more() {
    let server = start(narrow()).await;
    let refused = Hello::new(Version::V5, "much-too-long");
    let whole = refused.refused(&server).await;
    let words = told(&whole, |p| p.reason_string().map(str::to_owned));
    assert!(words.is_some_and(|words| !words.is_empty()));
    let size = whole.as_connack().encoded_len(Version::V5).unwrap();
    let size = u32::try_from(size).unwrap();
    for (maximum, is_explained) in [(size, true), (size - 1, false), (20, false), (5, false)] {
        let hello = refused.clone();
        let hello = hello.property(Property::MaximumPacketSize(maximum));
        let connack = hello.refused(&server).await;
        let size = connack.as_connack().encoded_len(Version::V5).unwrap();
        assert!(size <= maximum as usize, "{connack:?}");
        assert_eq!(connack.reason_code, ReasonCode::ClientIdentifierNotValid);
        assert_eq!(
            told(&connack, |p| p.reason_string().is_some()),
            is_explained
        );
        assert_eq!(told(&connack, |p| p.user_properties().count()), 0);
    }
}

/// What a client has to know does not get lost for its size: such a client is refused.
///
/// MQTT 5.0: [MQTT-3.1.2-24]
#[tokio::test]
async fn a_client_that_takes_no_packet_as_large_as_its_connack_gets_none() {
    let server = plain_server().await;
    // Twenty bytes are not enough for an identifier that nobody can guess.
    let mut client = Client::open(&server, Version::V5).await;
    let hello = Hello::new(Version::V5, "").property(Property::MaximumPacketSize(20));
    client.send(hello.packet()).await;
    let words = client.last_words().await;
    for word in words {
        let OwnedPacket::ConnAck(connack) = word else {
            panic!("{word:?}");
        };
        assert!(connack.reason_code.is_error());
        let size = connack.as_connack().encoded_len(Version::V5).unwrap();
        assert!(size <= 20, "{connack:?}");
    }
}

/// A server that gives no keep alive of its own keeps to the client's, and one that does keeps to
/// what it said.
///
/// MQTT 5.0: [MQTT-3.2.2-22]
#[tokio::test]
async fn the_keep_alive_that_counts_is_the_one_that_both_know() {
    for (limit, wanted, told_secs) in [(u16::MAX, 1, None), (1, 600, Some(1)), (1, 0, Some(1))] {
        let builder = Server::builder().broker(|options| options.max_keep_alive_secs = limit);
        let server = start(builder).await;
        let hello = Hello::new(Version::V5, "client").keep_alive(wanted);
        let since = Instant::now();
        let (mut client, connack) = hello.connect_told(&server).await;
        assert_eq!(told(&connack, |p| p.server_keep_alive()), told_secs);
        client
            .assert_disconnected(ReasonCode::KeepAliveTimeout)
            .await;
        let took = since.elapsed();
        let range = Duration::from_millis(1_400)..Duration::from_secs(30);
        assert!(range.contains(&took), "{took:?}");
    }
}

/// MQTT 5.0: [MQTT-3.1.2-28]
#[tokio::test]
async fn response_information_is_for_those_who_ask_for_it() {
    let make: ResponseInformation = Arc::new(|client| format!("answers/{client}"));
    let server = start(Server::builder().broker(|o| o.response_information = Some(make))).await;
    for (asked, expected) in [
        (None, None),
        (Some(false), None),
        (Some(true), Some("answers/client")),
    ] {
        let mut hello = Hello::new(Version::V5, "client");
        if let Some(asked) = asked {
            hello = hello.property(Property::RequestResponseInformation(asked));
        }
        let (_client, connack) = hello.connect_told(&server).await;
        let properties = connack.properties.as_properties();
        assert_eq!(properties.response_information(), expected, "{asked:?}");
    }
}

/// MQTT 5.0: [MQTT-3.1.2-29]
#[tokio::test]
async fn who_asks_for_no_problem_information_gets_it_with_disconnect_at_most() {
    let server = plain_server().await;
    for (asked, expected) in [(None, true), (Some(true), true), (Some(false), false)] {
        let mut hello = Hello::new(Version::V5, "client");
        if let Some(asked) = asked {
            hello = hello.property(Property::RequestProblemInformation(asked));
        }
        let mut client = hello.connect(&server).await;
        // Only the server itself speaks on these topics.
        let message = |number| Message::new("$SYS/a", b"").qos1(number);
        client.send_message(&message(1)).await;
        client
            .send_message(&Message::new("$SYS/a", b"").qos2(2))
            .await;
        client.send_pubrel(id(3)).await;
        client.send_pubrec(id(4)).await;
        let mut explained = 0;
        for _ in 0..4 {
            let packet = client.receive().await;
            let properties = match &packet {
                OwnedPacket::PubAck(ack) => &ack.properties,
                OwnedPacket::PubRec(ack) => &ack.properties,
                OwnedPacket::PubRel(ack) => &ack.properties,
                OwnedPacket::PubComp(ack) => &ack.properties,
                other => panic!("{other:?}"),
            };
            let properties = properties.as_properties();
            assert_eq!(properties.user_properties().count(), 0);
            explained += usize::from(properties.reason_string().is_some());
        }
        assert_eq!(explained, if expected { 4 } else { 0 }, "{asked:?}");
        // More levels than the server takes.
        let deep = "/".repeat(201);
        let filters = [(&*deep, options(QoS::AtMostOnce))];
        let suback = client.subscribe_to(5, &filters, &[]).await;
        let unsuback = client.unsubscribe_from(6, &[&deep]).await;
        for properties in [&suback.properties, &unsuback.properties] {
            let properties = properties.as_properties();
            assert_eq!(properties.reason_string().is_some(), expected, "{asked:?}");
            assert_eq!(properties.user_properties().count(), 0);
        }
        // PUBLISH has its user properties in any case: they are not the server's.
        client.subscribe("a", QoS::AtMostOnce).await;
        let message = Message::new("a", b"").property(Property::UserProperty("n", "v"));
        client.send_message(&message).await;
        let publish = client.receive_publish().await;
        let properties = publish.properties.as_properties();
        assert!(properties.user_properties().eq([("n", "v")]));
    }
}
