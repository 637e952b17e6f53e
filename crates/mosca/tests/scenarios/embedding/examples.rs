//! The examples as they stand; that of axum is in `websocket_service.rs`, that of a store in
//! `tests/custom_persistence.rs`, and that of a test in `tests/leftovers.rs`.

use std::collections::HashMap;

use mosca::SubscribeOptions;
use mqtt_codec::{Connect, OwnedPacket, Packet, QoS, ReasonCode, Version};
use tokio::net::UdpSocket;

use crate::client::{Client, plain_server, start, within};

#[path = "../../../examples/authenticate.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod authenticate;
#[path = "../../../examples/gateway.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod gateway;
#[path = "../../../examples/rule_engine.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod rule_engine;

#[tokio::test]
async fn a_function_says_who_comes_in() {
    let users = HashMap::from([("eve".to_owned(), "pencil".to_owned())]);
    let server = start(authenticate::guarded(users)).await;
    let cases = [
        (Some("eve"), Some("pencil"), ReasonCode::Success),
        (Some("eve"), Some("pen"), ReasonCode::BadUserNameOrPassword),
        (
            Some("adam"),
            Some("pencil"),
            ReasonCode::BadUserNameOrPassword,
        ),
        (None, None, ReasonCode::NotAuthorized),
    ];
    for (username, password, expected) in cases {
        let mut client = Client::open(&server, Version::V5).await;
        let connect = Connect {
            username,
            password: password.map(str::as_bytes),
            ..Connect::new(Version::V5, "client")
        };
        client.send(Packet::Connect(connect)).await;
        let OwnedPacket::ConnAck(connack) = client.receive().await else {
            panic!("CONNACK comes first");
        };
        assert_eq!(connack.reason_code, expected, "{username:?} {password:?}");
    }
}

#[tokio::test]
async fn rules_turn_readings_into_others_and_raise_alarms() {
    let server = plain_server().await;
    let mut client = Client::connect(&server, Version::V5, "display").await;
    client.subscribe("room/+/fahrenheit", QoS::AtMostOnce).await;
    client.subscribe("alarm/#", QoS::AtMostOnce).await;
    let readings = server.subscribe("room/+/celsius").unwrap();
    let rules = rule_engine::apply(&server, readings);
    let look = async {
        for (celsius, fahrenheit, alarm) in [("31", "87.8", "too hot"), ("20.5", "68.9", "")] {
            client.publish("room/7/celsius", b"not a number").await;
            client.publish("room/7/celsius", celsius.as_bytes()).await;
            for (topic, payload) in [("room/7/fahrenheit", fahrenheit), ("alarm/7", alarm)] {
                let publish = client.receive_publish().await;
                assert_eq!(publish.topic, topic);
                assert_eq!(publish.payload[..], *payload.as_bytes());
            }
            let retained = usize::from(!alarm.is_empty());
            assert_eq!(server.sizes().retained_messages, retained);
        }
    };
    tokio::select! {
        result = rules => panic!("the rules hold until the server closes: {result:?}"),
        () = look => {}
    }
}

#[tokio::test]
async fn datagrams_become_messages_or_are_answered_with_the_reason() {
    let server = plain_server().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut messages = server
        .subscribe_with(["udp/#"], SubscribeOptions::default())
        .unwrap();
    let look = async {
        sender
            .send_to(b"boiler/pressure 1.7\n", address)
            .await
            .unwrap();
        let message = within("the message", messages.recv()).await.unwrap();
        assert_eq!(
            (message.topic(), message.payload()),
            ("udp/boiler/pressure", &b"1.7"[..])
        );
        assert!(message.retain());

        sender.send_to(b"boiler/# 1.7", address).await.unwrap();
        let mut answer = [0; 200];
        let received = within("the answer", sender.recv(&mut answer))
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&answer[..received]);
        assert!(answer.starts_with("not a topic name"), "{answer}");
    };
    tokio::select! {
        result = gateway::forward(&server, &socket) => panic!("it goes on for ever: {result:?}"),
        () = look => {}
    }
}
