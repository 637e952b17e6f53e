//! Topics of the server's own, `$SYS`, and others that begin with a dollar: who may write to them, and
//! which filters see them.

use mosca::{MessageParts, Server, Timestamp};
use mqtt_codec::{OwnedPacket, Property, QoS, ReasonCode, Version};

use crate::harness::{
    Client, Hello, Message, VERSIONS, WillMessage, each, each_with, id, options, silent,
};

const OWN: [&str; 4] = ["$SYS", "$SYS/", "$SYS/x", "$SYS/x/y"];

/// What the acknowledgement of a refused message says; before MQTT 5 it cannot say anything.
fn refusal(version: Version) -> ReasonCode {
    match version {
        Version::V5 => ReasonCode::NotAuthorized,
        _ => ReasonCode::Success,
    }
}

/// Somebody to whom everything in `$SYS` would come, several times over.
async fn witness(server: &Server, version: Version) -> Client {
    let mut witness = Client::connect(server, version, "witness").await;
    let filters = ["#", "$SYS/#", "$SYS", "$SYS/x", "$share/g/$SYS/#"];
    for filter in filters {
        witness.subscribe(filter, QoS::ExactlyOnce).await;
    }
    witness
}

/// A publisher that wants to hear why in codes alone.
async fn publisher(server: &Server, version: Version) -> Client {
    let hello = Hello::new(version, "publisher");
    let hello = match version {
        Version::V5 => hello.property(Property::RequestProblemInformation(false)),
        _ => hello,
    };
    hello.connect(server).await
}

/// At each QoS the message is acknowledged, and refused where that can be said.
async fn is_refused(client: &mut Client, message: Message) {
    let told = refusal(client.version());
    client.publish_whole(&message).await;
    client.send_message(&message.clone().qos1(7)).await;
    match client.receive().await {
        OwnedPacket::PubAck(puback) => {
            assert_eq!((puback.packet_id, puback.reason_code), (id(7), told));
        }
        other => panic!("PUBACK expected, not {other:?}"),
    }
    client.send_message(&message.qos2(8)).await;
    match client.receive().await {
        OwnedPacket::PubRec(pubrec) => {
            assert_eq!((pubrec.packet_id, pubrec.reason_code), (id(8), told));
        }
        other => panic!("PUBREC expected, not {other:?}"),
    }
    // A message that was refused is over.
    if !told.is_error() {
        client.send_pubrel(id(8)).await;
        client.expect_pubcomp(id(8)).await;
    }
}

#[tokio::test]
async fn no_client_writes_to_the_topics_of_the_server() {
    each_with(&VERSIONS, silent, async |server, version| {
        let mut witness = witness(server, version).await;
        let mut publisher = publisher(server, version).await;
        for topic in OWN {
            is_refused(&mut publisher, Message::new(topic, b"x")).await;
            is_refused(&mut publisher, Message::new(topic, b"x").retain()).await;
            // Nor is one cleared that the server has retained.
            is_refused(&mut publisher, Message::new(topic, b"").retain()).await;
        }
        witness.nothing_comes().await;
        assert_eq!(server.sizes().retained_messages, 0);
    })
    .await;
}

#[tokio::test]
async fn an_alias_does_not_hide_a_topic_of_the_server() {
    each_with(&[Version::V5], silent, async |server, version| {
        let mut witness = witness(server, version).await;
        let mut publisher = publisher(server, version).await;
        let with_alias =
            |topic| Message::new(topic, b"x").property(Property::TopicAlias(1.try_into().unwrap()));
        is_refused(&mut publisher, with_alias("$SYS/x")).await;
        is_refused(&mut publisher, with_alias("")).await;
        // The same alias for a topic that is anybody's.
        publisher.publish_whole(&with_alias("a")).await;
        publisher.publish_whole(&with_alias("")).await;
        for _ in 0..2 {
            witness.expect_publish("a", b"x", QoS::AtMostOnce).await;
        }
        witness.nothing_comes().await;
    })
    .await;
}

#[tokio::test]
async fn no_will_goes_to_the_topics_of_the_server() {
    each(&VERSIONS, async |server, version| {
        for topic in OWN {
            for will in [
                WillMessage::new(topic, b"x"),
                WillMessage::new(topic, b"x").qos(QoS::ExactlyOnce).retain(),
            ] {
                let hello = Hello::new(version, "client").will(will);
                let connack = hello.refused(server).await;
                assert_eq!(connack.reason_code, ReasonCode::NotAuthorized, "{topic}");
            }
        }
        assert_eq!(server.sizes().sessions, 0);
    })
    .await;
}

#[tokio::test]
async fn topics_that_only_look_like_those_of_the_server_are_anybodys() {
    each(&VERSIONS, async |server, version| {
        let mut publisher = publisher(server, version).await;
        let mut client = Client::connect(server, version, "client").await;
        for topic in [
            "$SYSx",
            "$SYSTEM/x",
            "$sys/x",
            "$/SYS",
            "/$SYS/x",
            "a/$SYS/x",
            " $SYS",
        ] {
            client.subscribe(topic, QoS::AtMostOnce).await;
            publisher.publish_whole(&Message::new(topic, b"x")).await;
            client.expect_publish(topic, b"x", QoS::AtMostOnce).await;
        }
        // A topic name has no share: this is one of three levels more, for nobody who shares `$SYS/x`.
        client.subscribe("$share/g/$SYS/x", QoS::AtMostOnce).await;
        let topic = "$share/g/$SYS/x";
        publisher.publish_whole(&Message::new(topic, b"x")).await;
        client.nothing_comes().await;
        let filter = "$share/g/$share/g/$SYS/x";
        client.subscribe(filter, QoS::AtMostOnce).await;
        publisher.publish_whole(&Message::new(topic, b"x")).await;
        client.expect_publish(topic, b"x", QoS::AtMostOnce).await;
        client.nothing_comes().await;
    })
    .await;
}

#[tokio::test]
async fn what_the_server_says_of_itself_comes_to_those_who_ask_for_it_alone() {
    let blind = [
        "#",
        "+",
        "+/#",
        "+/x",
        "+/+",
        "/#",
        "$share/g/#",
        "$share/g/+/x",
    ];
    let seeing = [
        "$SYS/#",
        "$SYS/+",
        "$SYS/x",
        "$share/g/$SYS/#",
        "$share/g/$SYS/+",
    ];
    each_with(&VERSIONS, silent, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let filters = blind.iter().map(|filter| (filter, false));
        for (filter, sees) in filters.chain(seeing.iter().map(|filter| (filter, true))) {
            let granted = client
                .subscribe_to(1, &[(filter, options(QoS::AtMostOnce))], &[])
                .await;
            assert!(granted.reason_codes.iter().all(|code| !code.is_error()));
            let message = mosca::Message::new(MessageParts {
                topic: "$SYS/x",
                properties: &[],
                payload: b"1",
                qos: QoS::AtMostOnce,
                retain: false,
                expires: Timestamp::MAX,
            });
            server.publish(&message).await.unwrap();
            if sees {
                client.expect_publish("$SYS/x", b"1", QoS::AtMostOnce).await;
            }
            client.nothing_comes().await;
            client.unsubscribe_from(2, &[filter]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_malformed_share_ends_the_connection_of_every_version() {
    each(&VERSIONS, async |server, version| {
        for filter in [
            "$share/",
            "$share//a",
            "$share/g",
            "$share/g/",
            "$share/+/a",
            "$share/#",
        ] {
            let mut client = Client::connect(server, version, "client").await;
            let filters = [(filter, options(QoS::AtMostOnce))];
            client.send_subscribe(1, &filters, &[]).await;
            client
                .assert_disconnected(ReasonCode::MalformedPacket)
                .await;
        }
        // Without the slash it is a topic like others that begin with a dollar.
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("$share", QoS::AtMostOnce).await;
        client.send_message(&Message::new("$share", b"x")).await;
        client.expect_publish("$share", b"x", QoS::AtMostOnce).await;
    })
    .await;
}
