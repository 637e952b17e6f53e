//! Sections 3.4 to 3.7: PUBACK, PUBREC, PUBREL and PUBCOMP.

use mosca::Server;
use mqtt_codec::{
    OwnedPacket, Packet, PropertiesBuf, Property, PubAck, PubComp, PubRec, PubRel, QoS, ReasonCode,
    Version,
};

use crate::harness::{Client, Hello, Message, NUMBERED, each, encoded, id};

const V5: [Version; 1] = [Version::V5];

/// An acknowledgement as it came.
#[derive(Debug, PartialEq)]
struct Acknowledgement {
    name: &'static str,
    packet_id: u16,
    reason_code: ReasonCode,
    properties: PropertiesBuf,
    size_bytes: usize,
}

/// The next packet, which has to be an acknowledgement. The codec takes none with a reason code of
/// another packet.
async fn next(client: &mut Client) -> Acknowledgement {
    let packet = client.receive().await;
    let size_bytes = encoded(packet.as_packet(), client.version()).len();
    let (name, packet_id, reason_code, properties) = match packet {
        OwnedPacket::PubAck(ack) => ("PUBACK", ack.packet_id, ack.reason_code, ack.properties),
        OwnedPacket::PubRec(ack) => ("PUBREC", ack.packet_id, ack.reason_code, ack.properties),
        OwnedPacket::PubRel(ack) => ("PUBREL", ack.packet_id, ack.reason_code, ack.properties),
        OwnedPacket::PubComp(ack) => ("PUBCOMP", ack.packet_id, ack.reason_code, ack.properties),
        other => panic!("an acknowledgement expected, not {other:?}"),
    };
    Acknowledgement {
        name,
        packet_id: packet_id.get(),
        reason_code,
        properties,
        size_bytes,
    }
}

/// Has one acknowledgement of each kind sent, all with an error: a topic that is the server's own,
/// and packet identifiers that are not under way.
async fn refusals(client: &mut Client) -> [Acknowledgement; 4] {
    let message = Message::new("$SYS/x", b"x");
    client.send_message(&message.clone().qos1(1)).await;
    let puback = next(client).await;
    client.send_message(&message.qos2(2)).await;
    let pubrec = next(client).await;
    client.send_pubrec(id(3)).await;
    let pubrel = next(client).await;
    client.send_pubrel(id(4)).await;
    let pubcomp = next(client).await;
    client.nothing_comes().await;
    [puback, pubrec, pubrel, pubcomp]
}

async fn with_maximum(server: &Server, bytes: usize) -> Client {
    let bytes = Property::MaximumPacketSize(u32::try_from(bytes).unwrap());
    let hello = Hello::new(Version::V5, "client").property(bytes);
    hello.connect(server).await
}

/// With room for them the reason comes in words, with a byte less it does not, and the packet comes
/// in either case.
///
/// MQTT 5.0: [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
/// MQTT 5.0: [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3]
#[tokio::test]
async fn properties_are_left_out_where_they_would_make_the_packet_too_large() {
    each(&V5, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let explained = refusals(&mut client).await;
        for (place, whole) in explained.iter().enumerate() {
            let properties = whole.properties.as_properties();
            let words = properties.reason_string();
            assert!(words.is_some_and(|words| !words.is_empty()), "{whole:?}");
            let mut client = with_maximum(server, whole.size_bytes).await;
            assert_eq!(&refusals(&mut client).await[place], whole);
            let mut client = with_maximum(server, whole.size_bytes - 1).await;
            let short = &refusals(&mut client).await[place];
            assert!(short.properties.is_empty(), "{short:?}");
            let parts = |ack: &Acknowledgement| (ack.name, ack.packet_id, ack.reason_code);
            assert_eq!(parts(short), parts(whole));
        }
        // The smallest that CONNACK leaves possible: 8 or more bytes, an acknowledgement has 5.
        let mut client = with_maximum(server, 20).await;
        for short in refusals(&mut client).await {
            assert!(
                short.properties.is_empty() && short.size_bytes == 5,
                "{short:?}"
            );
        }
    })
    .await;
}

/// The codes of success, and those of what can go wrong.
///
/// MQTT 5.0: [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
#[tokio::test]
async fn acknowledgements_have_the_reason_codes_of_their_kind() {
    each(&V5, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let reasons = refusals(&mut client)
            .await
            .map(|ack| (ack.name, ack.reason_code));
        let expected = [
            ("PUBACK", ReasonCode::NotAuthorized),
            ("PUBREC", ReasonCode::NotAuthorized),
            ("PUBREL", ReasonCode::PacketIdentifierNotFound),
            ("PUBCOMP", ReasonCode::PacketIdentifierNotFound),
        ];
        assert_eq!(reasons, expected);
        for (subscribed, reason) in [
            (false, ReasonCode::NoMatchingSubscribers),
            (true, ReasonCode::Success),
        ] {
            let mut subscriber = Client::connect(server, version, "subscriber").await;
            if subscribed {
                subscriber.subscribe("a", QoS::ExactlyOnce).await;
            }
            client.send_message(&Message::new("a", b"x").qos1(1)).await;
            assert_eq!(client.expect_puback(id(1)).await, reason);
            client.send_message(&Message::new("a", b"x").qos2(2)).await;
            assert_eq!(client.expect_pubrec(id(2)).await, reason);
            client.send_pubrel(id(2)).await;
            assert_eq!(client.expect_pubcomp(id(2)).await, ReasonCode::Success);
        }
    })
    .await;
}

/// Every code that the specification gives a client, with a reason string and user properties.
///
/// MQTT 5.0: [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
#[tokio::test]
async fn every_reason_code_of_a_client_is_understood() {
    use ReasonCode as Code;
    const OF_A_MESSAGE: [ReasonCode; 9] = [
        Code::Success,
        Code::NoMatchingSubscribers,
        Code::UnspecifiedError,
        Code::ImplementationSpecificError,
        Code::NotAuthorized,
        Code::TopicNameInvalid,
        Code::PacketIdentifierInUse,
        Code::QuotaExceeded,
        Code::PayloadFormatInvalid,
    ];
    const OF_AN_IDENTIFIER: [ReasonCode; 2] = [Code::Success, Code::PacketIdentifierNotFound];
    each(&V5, async |server, version| {
        let mut words = PropertiesBuf::new();
        words.push(Property::ReasonString("as it is")).unwrap();
        words.push(Property::UserProperty("name", "value")).unwrap();
        let properties = words.as_properties();
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        for reason_code in OF_A_MESSAGE {
            publisher
                .publish_whole(&Message::new("a", b"x").qos1(1))
                .await;
            let publish = client.expect_publish("a", b"x", QoS::AtLeastOnce).await;
            let packet_id = publish.packet_id.unwrap();
            client
                .send(Packet::PubAck(PubAck {
                    packet_id,
                    reason_code,
                    properties,
                }))
                .await;
            client.nothing_comes().await;
            publisher
                .publish_whole(&Message::new("a", b"x").qos2(1))
                .await;
            let publish = client.expect_publish("a", b"x", QoS::ExactlyOnce).await;
            let packet_id = publish.packet_id.unwrap();
            client
                .send(Packet::PubRec(PubRec {
                    packet_id,
                    reason_code,
                    properties,
                }))
                .await;
            if !reason_code.is_error() {
                client.expect_pubrel(packet_id).await;
                client.send_pubcomp(packet_id).await;
            }
            client.nothing_comes().await;
        }
        for reason_code in OF_AN_IDENTIFIER {
            client.send_message(&Message::new("b", b"x").qos2(1)).await;
            client.expect_pubrec(id(1)).await;
            let pubrel = PubRel {
                packet_id: id(1),
                reason_code,
                properties,
            };
            client.send(Packet::PubRel(pubrel)).await;
            client.expect_pubcomp(id(1)).await;
            publisher
                .publish_whole(&Message::new("a", b"x").qos2(1))
                .await;
            let publish = client.expect_publish("a", b"x", QoS::ExactlyOnce).await;
            let packet_id = publish.packet_id.unwrap();
            client.send_pubrec(packet_id).await;
            client.expect_pubrel(packet_id).await;
            client
                .send(Packet::PubComp(PubComp {
                    packet_id,
                    reason_code,
                    properties,
                }))
                .await;
            client.nothing_comes().await;
        }
    })
    .await;
}

/// What the server sends of them has these bytes and no others.
///
/// MQTT 3.1.1: [MQTT-2.2.2-1] [MQTT-2.3.1-6] [MQTT-3.6.1-1]
/// MQTT 5.0: [MQTT-2.1.3-1] [MQTT-2.2.1-5] [MQTT-3.6.1-1]
#[tokio::test]
async fn acknowledgements_have_the_flags_of_their_kind_and_the_identifier_of_their_message() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        client
            .send_message(&Message::new("b", b"x").qos1(0x0102))
            .await;
        let reason: &[u8] = if version.is_v5() { &[0x10] } else { &[] };
        let length = u8::try_from(2 + reason.len()).unwrap();
        client
            .expect_bytes(&[&[0x40, length, 1, 2], reason].concat())
            .await;
        client
            .send_message(&Message::new("b", b"x").qos2(0xFFFF))
            .await;
        client
            .expect_bytes(&[&[0x50, length, 0xFF, 0xFF], reason].concat())
            .await;
        client.send_pubrel(id(0xFFFF)).await;
        client.expect_bytes(&[0x70, 2, 0xFF, 0xFF]).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher
            .publish_whole(&Message::new("a", b"x").qos2(1))
            .await;
        let publish = client.expect_publish("a", b"x", QoS::ExactlyOnce).await;
        let packet_id = publish.packet_id.unwrap();
        client.send_pubrec(packet_id).await;
        let [high, low] = packet_id.get().to_be_bytes();
        client.expect_bytes(&[0x62, 2, high, low]).await;
    })
    .await;
}

/// A PUBREL of a message that is not known is answered: nobody is to wait for ever. Only MQTT 5 has
/// words for it.
///
/// MQTT 3.1.1: [MQTT-4.3.3-2]
/// MQTT 5.0: [MQTT-4.3.3-11]
#[tokio::test]
async fn pubrel_of_an_unknown_message_is_answered_too() {
    each(&NUMBERED, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        client.send_pubrel(id(7)).await;
        let expected = if version.is_v5() {
            ReasonCode::PacketIdentifierNotFound
        } else {
            ReasonCode::Success
        };
        assert_eq!(client.expect_pubcomp(id(7)).await, expected);
        client.nothing_comes().await;
    })
    .await;
}
