//! Sections 3.15 and 4.12 of MQTT 5.0: AUTH and enhanced authentication, which MQTT 3.1.1 does not have.

use std::sync::Arc;

use mosca::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Server, ServerBuilder, Verdict,
};
use mqtt_codec::{
    OwnedAuth, OwnedConnAck, OwnedPacket, Packet, PropertiesBuf, Property, PubRel, QoS, ReasonCode,
    Version,
};

use crate::harness::{Client, Hello, Message, WillMessage, each_with, encoded, id};

const V5: [Version; 1] = [Version::V5];

const METHOD: &str = "WORDS";

/// A method that does what the client's words say.
struct Words;

impl AuthenticationMethod for Words {
    fn name(&self) -> &str {
        METHOD
    }

    fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        Box::new(Self)
    }
}

impl AuthenticationExchange for Words {
    fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        let ask = |data: Vec<u8>| AuthenticationStep::Continue {
            data: Some(data),
            next: Box::new(Self),
        };
        Verdict::Ready(match data.as_deref() {
            None => ask(b"who?".to_vec()),
            Some(b"more") => ask(b"more?".to_vec()),
            Some(b"much") => ask(vec![b'?'; 300]),
            Some(b"pass") => AuthenticationStep::Accept {
                data: Some(b"welcome".to_vec()),
                user: Some("somebody".into()),
            },
            Some(_) => AuthenticationStep::Refuse(AuthenticationRefusal {
                reason_code: ReasonCode::NotAuthorized,
                reason_string: Some("not you".to_owned()),
            }),
        })
    }
}

fn with_method() -> ServerBuilder {
    Server::builder().broker(|options| options.authentication_methods.push(Arc::new(Words)))
}

/// CONNECT with the method and, unless it is empty, a word.
fn hello(client_id: &str, word: &str) -> Hello {
    let hello = Hello::new(Version::V5, client_id).property(Property::AuthenticationMethod(METHOD));
    if word.is_empty() {
        hello
    } else {
        hello.property(Property::AuthenticationData(word.as_bytes()))
    }
}

fn auth(reason_code: ReasonCode, method: &str, word: &str) -> OwnedAuth {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod(method))
        .unwrap();
    if !word.is_empty() {
        properties
            .push(Property::AuthenticationData(word.as_bytes()))
            .unwrap();
    }
    OwnedAuth {
        reason_code,
        properties,
    }
}

impl Client {
    async fn send_auth(&mut self, reason_code: ReasonCode, word: &str) {
        let auth = auth(reason_code, METHOD, word);
        self.send(Packet::Auth(auth.as_auth())).await;
    }

    /// AUTH of this reason comes next, with the method, this word, and nothing more.
    async fn expect_auth(&mut self, reason_code: ReasonCode, word: &str) {
        let expected = auth(reason_code, METHOD, word);
        assert_eq!(self.receive().await, OwnedPacket::Auth(expected));
    }
}

/// A client that has sent CONNECT and is asked who it is.
async fn asked(server: &Server, hello: &Hello) -> Client {
    let mut client = Client::open(server, Version::V5).await;
    client.send(hello.packet()).await;
    client.expect_auth(CONTINUE, "who?").await;
    client
}

const CONTINUE: ReasonCode = ReasonCode::ContinueAuthentication;

fn assert_welcome(connack: &OwnedConnAck) {
    assert_eq!(connack.reason_code, ReasonCode::Success);
    let properties = connack.properties.as_properties();
    assert_eq!(properties.authentication_method(), Some(METHOD));
    assert_eq!(properties.authentication_data(), Some(&b"welcome"[..]));
}

/// The last packet of the connection is a CONNACK of this reason.
async fn refused(client: &mut Client, reason: ReasonCode) -> OwnedConnAck {
    let connack = client.expect_connack().await;
    assert_eq!(connack.reason_code, reason);
    assert!(!connack.session_present);
    client.assert_closed().await;
    connack
}

/// MQTT 5.0: [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] [MQTT-3.15.2-1] [MQTT-3.2.0-1]
#[tokio::test]
async fn auth_goes_to_and_fro_until_connack_and_each_names_the_method() {
    each_with(&V5, with_method, async |server, _| {
        let mut client = asked(server, &hello("client", "")).await;
        for _ in 0..3 {
            client.send_auth(CONTINUE, "more").await;
            client.expect_auth(CONTINUE, "more?").await;
        }
        assert_eq!(server.sizes().sessions, 0, "it is not decided");
        client.send_auth(CONTINUE, "pass").await;
        assert_welcome(&client.expect_connack().await);
        client.nothing_comes().await;
        // Where the first word is enough there is no AUTH.
        let (mut client, connack) = hello("client", "pass").connect_told(server).await;
        assert_welcome(&connack);
        client.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.12.0-1]
#[tokio::test]
async fn a_method_that_the_server_does_not_have_ends_the_connection() {
    each_with(&V5, with_method, async |server, version| {
        for method in ["", "WORD", "WORDS ", "words", "SCRAM-SHA-256"] {
            let hello = Hello::new(version, "client");
            let hello = hello.property(Property::AuthenticationMethod(method));
            let hello = hello.property(Property::AuthenticationData(b"pass"));
            let connack = hello.refused(server).await;
            assert_eq!(connack.reason_code, ReasonCode::BadAuthenticationMethod);
        }
        assert_eq!(server.sizes().sessions, 0);
    })
    .await;
}

/// What stands behind the refused packet is not looked at.
///
/// MQTT 5.0: [MQTT-4.12.0-4] [MQTT-3.1.4-6] [MQTT-3.2.2-7]
#[tokio::test]
async fn an_authentication_that_fails_ends_the_connection() {
    each_with(&V5, with_method, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("#", QoS::AtMostOnce).await;
        let will = WillMessage::new("will", b"no");
        let behind = encoded(Message::new("a", b"no").packet(), version);
        for is_asked in [false, true] {
            let word = if is_asked { "" } else { "wrong" };
            let hello = hello("client", word).will(will.clone());
            let (mut client, mut bytes) = if is_asked {
                let answer = auth(CONTINUE, METHOD, "wrong");
                let bytes = encoded(Packet::Auth(answer.as_auth()), version);
                (asked(server, &hello).await, bytes)
            } else {
                let bytes = encoded(hello.packet(), version);
                (Client::open(server, version).await, bytes)
            };
            bytes.extend_from_slice(&behind);
            client.write(&bytes).await;
            let connack = refused(&mut client, ReasonCode::NotAuthorized).await;
            let words = connack.properties.as_properties().reason_string();
            assert_eq!(words, Some("not you"));
            witness.nothing_comes().await;
            assert_eq!(server.sizes().sessions, 1, "that of the witness");
        }
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.1.2-30] [MQTT-3.14.0-1]
#[tokio::test]
async fn between_connect_and_connack_there_is_nothing_but_auth_and_disconnect() {
    each_with(&V5, with_method, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("#", QoS::AtMostOnce).await;
        let accepted = hello("client", "pass");
        let hello = hello("client", "").will(WillMessage::new("will", b"no"));
        let publish = Message::new("a", b"no");
        let acknowledged = publish.clone().qos1(1);
        for packet in [
            publish.packet(),
            acknowledged.packet(),
            Packet::PingReq,
            Packet::PubRel(PubRel::new(id(1))),
            hello.packet(),
        ] {
            let mut client = asked(server, &hello).await;
            client.send(packet).await;
            refused(&mut client, ReasonCode::ProtocolError).await;
        }
        // Behind CONNECT, when the client cannot have seen the CONNACK.
        let mut bytes = encoded(accepted.packet(), version);
        bytes.extend(encoded(publish.packet(), version));
        let mut client = Client::open(server, version).await;
        client.write(&bytes).await;
        assert_welcome(&client.expect_connack().await);
        client.assert_disconnected(ReasonCode::ProtocolError).await;
        // A client may change its mind.
        asked(server, &hello).await.disconnect().await;
        witness.nothing_comes().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.12.0-5] [MQTT-3.15.2-1]
#[tokio::test]
async fn auth_of_another_method_or_at_the_wrong_time_is_an_error() {
    each_with(&V5, with_method, async |server, version| {
        let bytes = |auth: OwnedAuth| encoded(Packet::Auth(auth.as_auth()), version);
        let wrong = [
            bytes(auth(CONTINUE, "OTHER", "pass")),
            bytes(auth(CONTINUE, "", "pass")),
            bytes(auth(ReasonCode::Success, METHOD, "pass")),
            // Without a method.
            b"\xF0\x02\x18\x00".to_vec(),
            b"\xF0\x00".to_vec(),
        ];
        for auth in &wrong {
            let mut client = asked(server, &hello("client", "")).await;
            client.write(auth).await;
            refused(&mut client, ReasonCode::ProtocolError).await;
            let mut client = hello("client", "pass").connect(server).await;
            client.write(auth).await;
            client.assert_disconnected(ReasonCode::ProtocolError).await;
        }
        // Nothing is to be continued on a live connection, nor begun anew before it lives.
        let mut client = hello("client", "pass").connect(server).await;
        client.send_auth(CONTINUE, "pass").await;
        client.assert_disconnected(ReasonCode::ProtocolError).await;
        let mut client = asked(server, &hello("client", "")).await;
        client.send_auth(ReasonCode::ReAuthenticate, "pass").await;
        refused(&mut client, ReasonCode::ProtocolError).await;
        Client::connect(server, version, "other").await.ping().await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.12.0-6] [MQTT-4.12.0-7]
#[tokio::test]
async fn who_connects_without_a_method_hears_nothing_of_it_and_may_not_use_it() {
    each_with(&V5, with_method, async |server, version| {
        for reason_code in [CONTINUE, ReasonCode::ReAuthenticate, ReasonCode::Success] {
            let hello = Hello::new(version, "client");
            let hello = hello.username("user").password(b"pass");
            let (mut client, connack) = hello.connect_told(server).await;
            let properties = connack.properties.as_properties();
            assert_eq!(properties.authentication_method(), None);
            assert_eq!(properties.authentication_data(), None);
            client.nothing_comes().await;
            client.send_auth(reason_code, "pass").await;
            client.assert_disconnected(ReasonCode::ProtocolError).await;
        }
        // Nor is one that is refused told of a method.
        let refused = Hello::new(version, "client").will(WillMessage::new("$SYS/a", b""));
        let connack = refused.refused(server).await;
        let properties = connack.properties.as_properties();
        assert_eq!(properties.authentication_method(), None);
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.12.1-1] [MQTT-4.12.0-5]
#[tokio::test]
async fn a_re_authentication_keeps_its_method_and_disturbs_nothing() {
    each_with(&V5, with_method, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut client = hello("client", "pass").connect(server).await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        for number in 1..=3 {
            client.send_auth(ReasonCode::ReAuthenticate, "").await;
            client.expect_auth(CONTINUE, "who?").await;
            let message = Message::new("a", b"x").qos1(number);
            publisher.publish_whole(&message).await;
            client.take_publish("a", b"x", QoS::AtLeastOnce).await;
            client.publish_whole(&Message::new("b", b"x").qos2(1)).await;
            client.send_auth(CONTINUE, "pass").await;
            client.expect_auth(ReasonCode::Success, "welcome").await;
            client.nothing_comes().await;
        }
        // With another method it is none.
        let other = auth(ReasonCode::ReAuthenticate, "OTHER", "pass");
        client.send(Packet::Auth(other.as_auth())).await;
        client.assert_disconnected(ReasonCode::ProtocolError).await;
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.12.1-2]
#[tokio::test]
async fn a_re_authentication_that_fails_ends_the_connection() {
    each_with(&V5, with_method, async |server, version| {
        let mut witness = Client::connect(server, version, "witness").await;
        witness.subscribe("will", QoS::AtMostOnce).await;
        for is_asked in [false, true] {
            let hello = hello("client", "pass").will(WillMessage::new("will", b"gone"));
            let mut client = hello.connect(server).await;
            if is_asked {
                client.send_auth(ReasonCode::ReAuthenticate, "").await;
                client.expect_auth(CONTINUE, "who?").await;
                client.send_auth(CONTINUE, "wrong").await;
            } else {
                client.send_auth(ReasonCode::ReAuthenticate, "wrong").await;
            }
            let told = client.assert_disconnected(ReasonCode::NotAuthorized).await;
            let words = told.unwrap().properties;
            assert_eq!(words.as_properties().reason_string(), Some("not you"));
            witness
                .expect_publish("will", b"gone", QoS::AtMostOnce)
                .await;
        }
    })
    .await;
}

/// AUTH has what the method said and nothing that could be left out; where even that is too much there
/// is no AUTH.
///
/// MQTT 5.0: [MQTT-3.15.2-2] [MQTT-3.15.2-3] [MQTT-3.1.2-24]
#[tokio::test]
async fn auth_is_never_larger_than_the_client_takes() {
    each_with(&V5, with_method, async |server, _| {
        let question = "?".repeat(300);
        let much = auth(CONTINUE, METHOD, &question);
        let size = u32::try_from(much.as_auth().encoded_len(Version::V5).unwrap()).unwrap();
        for (maximum, fits) in [(size, true), (size - 1, false)] {
            let maximum = Property::MaximumPacketSize(maximum);
            let mut client = Client::open(server, Version::V5).await;
            let connecting = hello("client", "much").property(maximum);
            client.send(connecting.packet()).await;
            if fits {
                client.expect_auth(CONTINUE, &question).await;
            } else {
                refused(&mut client, ReasonCode::PacketTooLarge).await;
            }
            let live = hello("live", "pass").property(maximum);
            let mut client = live.connect(server).await;
            client.send_auth(ReasonCode::ReAuthenticate, "much").await;
            if fits {
                client.expect_auth(CONTINUE, &question).await;
            } else {
                client.assert_disconnected(ReasonCode::PacketTooLarge).await;
            }
        }
    })
    .await;
}
