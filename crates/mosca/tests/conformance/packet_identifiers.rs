//! Packet identifiers: section 2.3.1 of 3.1.1, 2.2.1 of 5.0.

use std::collections::BTreeMap;

use mosca::Server;
use mqtt_codec::{OwnedPacket, PacketId, QoS};

use crate::harness::{Client, Message, NUMBERED, each_with, id};

/// How far a delivery has come, seen from the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// PUBLISH with QoS 1 has come.
    Puback,
    /// PUBLISH with QoS 2 has come.
    Pubrec,
    /// PUBREC has gone.
    Pubrel,
    /// PUBREL has come.
    Pubcomp,
}

/// Many deliveries at once, of both kinds and acknowledged in no order: no two of them have the same
/// identifier, from PUBLISH to PUBACK or PUBCOMP, and none has 0, which would not decode.
///
/// MQTT 3.1.1: [MQTT-2.3.1-1] [MQTT-2.3.1-4]
/// MQTT 5.0: [MQTT-2.2.1-4]
#[tokio::test]
async fn a_server_uses_no_packet_identifier_that_is_still_in_use() {
    const MESSAGES: u16 = 600;
    let narrow = || Server::builder().broker(|options| options.max_inflight = 7);
    each_with(&NUMBERED, narrow, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("a", QoS::ExactlyOnce).await;
        for number in 1..=MESSAGES {
            let message = Message::new("a", &number.to_be_bytes());
            let message = if number % 3 == 0 {
                message.qos1(number)
            } else {
                message.qos2(number)
            };
            publisher.publish_whole(&message).await;
        }
        let mut in_use: BTreeMap<PacketId, Stage> = BTreeMap::new();
        let (mut come, mut done, mut most) = (0, 0, 0);
        while done < MESSAGES {
            // Until nothing more comes without an acknowledgement.
            client.send(mqtt_codec::Packet::PingReq).await;
            loop {
                match client.receive().await {
                    OwnedPacket::Publish(publish) => {
                        let stage = match publish.qos {
                            QoS::AtLeastOnce => Stage::Puback,
                            _ => Stage::Pubrec,
                        };
                        let before = in_use.insert(publish.packet_id.unwrap(), stage);
                        assert_eq!(before, None, "{publish:?}");
                        come += 1;
                    }
                    OwnedPacket::PubRel(pubrel) => {
                        let before = in_use.insert(pubrel.packet_id, Stage::Pubcomp);
                        assert_eq!(before, Some(Stage::Pubrel));
                    }
                    OwnedPacket::PingResp => break,
                    other => panic!("{other:?}"),
                }
            }
            most = most.max(in_use.len());
            // One from the middle, one from the end.
            for place in [in_use.len() / 2, in_use.len().saturating_sub(1)] {
                let Some((&packet_id, &stage)) = in_use.iter().nth(place) else {
                    continue;
                };
                match stage {
                    Stage::Pubrec => {
                        client.send_pubrec(packet_id).await;
                        in_use.insert(packet_id, Stage::Pubrel);
                        continue;
                    }
                    Stage::Pubrel => continue,
                    Stage::Puback => client.send_puback(packet_id).await,
                    Stage::Pubcomp => client.send_pubcomp(packet_id).await,
                }
                in_use.remove(&packet_id);
                done += 1;
            }
        }
        assert_eq!((come, most), (MESSAGES, 7));
        client.nothing_comes().await;
    })
    .await;
}

/// Requests of one client that are answered at the same time, and the same numbers in the other
/// direction: each answer has the number of its request.
///
/// MQTT 3.1.1: [MQTT-2.3.1-6] [MQTT-2.3.1-7]
/// MQTT 5.0: [MQTT-2.2.1-5] [MQTT-2.2.1-6]
#[tokio::test]
async fn answers_have_the_packet_identifiers_of_their_requests() {
    each_with(&NUMBERED, Server::builder, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        let filters = [("other", crate::harness::options(QoS::AtMostOnce))];
        client.send_subscribe(300, &filters, &[]).await;
        client
            .send_message(&Message::new("a", b"").qos1(65_535))
            .await;
        client.send_message(&Message::new("a", b"").qos2(1)).await;
        client.send_unsubscribe(299, &["other"], &[]).await;
        client.send_message(&Message::new("a", b"").qos2(256)).await;
        client.send_subscribe(2, &filters, &[]).await;
        client.send_pubrel(id(256)).await;
        client.send_pubrel(id(1)).await;
        let mut answers = Vec::new();
        for _ in 0..8 {
            answers.push(match client.receive().await {
                OwnedPacket::SubAck(suback) => ("SUBACK", suback.packet_id.get()),
                OwnedPacket::UnsubAck(unsuback) => ("UNSUBACK", unsuback.packet_id.get()),
                OwnedPacket::PubAck(puback) => ("PUBACK", puback.packet_id.get()),
                OwnedPacket::PubRec(pubrec) => ("PUBREC", pubrec.packet_id.get()),
                OwnedPacket::PubComp(pubcomp) => ("PUBCOMP", pubcomp.packet_id.get()),
                other => panic!("{other:?}"),
            });
        }
        answers.sort_unstable();
        let expected = [
            ("PUBACK", 65_535),
            ("PUBCOMP", 1),
            ("PUBCOMP", 256),
            ("PUBREC", 1),
            ("PUBREC", 256),
            ("SUBACK", 2),
            ("SUBACK", 300),
            ("UNSUBACK", 299),
        ];
        assert_eq!(answers, expected);
        client.nothing_comes().await;
    })
    .await;
}
