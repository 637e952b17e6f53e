//! SCRAM-SHA-256 over sockets, with a client that was written apart from the server's side.

use std::collections::HashMap;
use std::sync::Arc;

use mosca::{ScramCredential, ScramSha256, Server};
use mqtt_codec::{
    Connect, OwnedAuth, OwnedPacket, Packet, PropertiesBuf, Property, ReasonCode, Version,
};

use crate::client::{Client, Pair, encoded, start, wait_for_connections};
use crate::scram_client::{ScramClient, question};

const METHOD: &str = "SCRAM-SHA-256";

/// A server that lets in `user` with `pencil`, and nobody without SCRAM.
async fn server() -> Server {
    let credential = ScramCredential::from_password("pencil", 4_096).unwrap();
    let users = HashMap::from([("user".to_owned(), credential)]);
    let method = Arc::new(ScramSha256::new(users).unwrap());
    start(Server::builder().broker(|options| options.authentication_methods.push(method))).await
}

fn properties(data: &str) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod(METHOD))
        .unwrap();
    properties
        .push(Property::AuthenticationData(data.as_bytes()))
        .unwrap();
    properties
}

async fn send_connect(client: &mut Client, scram: &ScramClient) {
    let properties = properties(&scram.first());
    let connect = Connect {
        properties: properties.as_properties(),
        // What it says here is its own affair.
        username: Some("whatever"),
        ..Connect::new(Version::V5, "client")
    };
    client
        .write(&encoded(Packet::Connect(connect), Version::V5))
        .await;
}

async fn send_auth(client: &mut Client, reason_code: ReasonCode, data: &str) {
    let auth = OwnedAuth {
        reason_code,
        properties: properties(data),
    };
    client.send(Packet::Auth(auth.as_auth())).await;
}

/// AUTH from the server, and what it says.
async fn receive_auth(client: &mut Client, reason_code: ReasonCode) -> String {
    let OwnedPacket::Auth(auth) = client.receive().await else {
        panic!("AUTH expected");
    };
    assert_eq!(auth.reason_code, reason_code);
    let properties = auth.properties.as_properties();
    assert_eq!(properties.authentication_method(), Some(METHOD));
    let data = properties.authentication_data().unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

/// The client's part up to its proof; what the server has to prove itself with.
async fn prove(client: &mut Client, scram: &ScramClient) -> String {
    let challenge = receive_auth(client, ReasonCode::ContinueAuthentication).await;
    let (last, verifier) = scram.last(&challenge);
    send_auth(client, ReasonCode::ContinueAuthentication, &last).await;
    verifier
}

async fn authenticated(server: &Server, scram: &ScramClient) -> Client {
    let mut client = Client::open(server, Version::V5).await;
    send_connect(&mut client, scram).await;
    let verifier = prove(&mut client, scram).await;
    let OwnedPacket::ConnAck(connack) = client.receive().await else {
        panic!("CONNACK expected");
    };
    assert_eq!(connack.reason_code, ReasonCode::Success);
    let properties = connack.properties.as_properties();
    assert_eq!(properties.authentication_method(), Some(METHOD));
    assert_eq!(properties.authentication_data(), Some(verifier.as_bytes()));
    client
}

/// MQTT 5.0: [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5]
#[tokio::test]
async fn who_knows_the_password_is_let_in_and_sees_that_the_server_knows_it_too() {
    let server = server().await;
    let mut client = authenticated(&server, &ScramClient::new("user", "pencil")).await;
    client.ping().await;
    assert_eq!(server.counters().authentication_failures.get(), 0);
}

/// MQTT 5.0: [MQTT-4.12.0-4]
#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let server = server().await;
    let pair = Pair::start(&server).await;
    let mut told = Vec::new();
    for (user, password) in [("user", "pen"), ("nobody", "pencil"), ("nobody", "pencil")] {
        let scram = ScramClient::new(user, password);
        let mut client = Client::open(&server, Version::V5).await;
        send_connect(&mut client, &scram).await;
        prove(&mut client, &scram).await;
        told.push(client.last_words().await);
    }
    assert_eq!(told[0], told[1]);
    let [OwnedPacket::ConnAck(connack)] = &told[0][..] else {
        panic!("CONNACK expected, not {told:?}");
    };
    assert_eq!(connack.reason_code, ReasonCode::NotAuthorized);
    assert_eq!(server.counters().authentication_failures.get(), 3);
    assert!(pair.stop().await > 0);
}

/// MQTT 5.0: [MQTT-4.12.1-1] [MQTT-4.12.1-2]
#[tokio::test]
async fn a_client_proves_itself_again_on_its_live_connection() {
    let server = server().await;
    let scram = ScramClient::new("user", "pencil");
    let mut client = authenticated(&server, &scram).await;
    for _ in 0..2 {
        send_auth(&mut client, ReasonCode::ReAuthenticate, &scram.first()).await;
        let verifier = prove(&mut client, &scram).await;
        let told = receive_auth(&mut client, ReasonCode::Success).await;
        assert_eq!(told, verifier);
        client.ping().await;
    }
    let forgetful = ScramClient::new("user", "pen");
    send_auth(&mut client, ReasonCode::ReAuthenticate, &forgetful.first()).await;
    prove(&mut client, &forgetful).await;
    client
        .assert_ends_with(ReasonCode::NotAuthorized, "forgotten")
        .await;
}

/// A proof that was heard on the line is worth nothing the next time.
#[tokio::test]
async fn an_exchange_cannot_be_played_again() {
    let server = server().await;
    let scram = ScramClient::new("user", "pencil");
    let mut heard = Vec::new();
    for round in 0..2 {
        let mut client = Client::open(&server, Version::V5).await;
        send_connect(&mut client, &scram).await;
        let challenge = receive_auth(&mut client, ReasonCode::ContinueAuthentication).await;
        heard.push((question(&challenge).nonce, scram.last(&challenge).0));
        let (_, proof) = &heard[0];
        send_auth(&mut client, ReasonCode::ContinueAuthentication, proof).await;
        let OwnedPacket::ConnAck(connack) = client.receive().await else {
            panic!("CONNACK expected");
        };
        assert_eq!(connack.reason_code.is_error(), round == 1);
    }
    assert_ne!(heard[0].0, heard[1].0, "the nonces");
}

#[tokio::test]
async fn an_exchange_that_is_abandoned_leaves_nothing() {
    let server = server().await;
    let scram = ScramClient::new("user", "pencil");
    for _ in 0..20 {
        let mut client = Client::open(&server, Version::V5).await;
        send_connect(&mut client, &scram).await;
        receive_auth(&mut client, ReasonCode::ContinueAuthentication).await;
    }
    wait_for_connections(&server, 0).await;
    assert_eq!(server.sizes().sessions, 0);
}
