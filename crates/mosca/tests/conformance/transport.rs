//! Section 4.2 (3.1.1 also 7.1.1): a network connection carries bytes in order and loses none, both
//! ways.

use mosca::Server;
use mqtt_codec::{OwnedPacket, QoS};

use crate::harness::{Client, Message, NUMBERED, each, each_with, encoded, id};

/// Bytes that are different at every place for longer than any buffer.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 4);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend((state >> 16).to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// MQTT 3.1.1: [MQTT-7.1.1-1]
/// MQTT 5.0: [MQTT-4.2.0-1]
#[tokio::test]
async fn a_stream_of_bytes_arrives_in_order_and_whole_however_it_is_cut() {
    each(&NUMBERED, async |server, version| {
        let mut subscriber = Client::connect(server, version, "subscriber").await;
        subscriber.subscribe("#", QoS::AtMostOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        let lengths: Vec<usize> = (0..500).map(|number| (number * number) % 3_001).collect();
        let mut stream = Vec::new();
        for (number, length) in (0..).zip(&lengths) {
            let payload = noise(number, *length);
            let message = Message::new(&format!("t/{number}"), &payload);
            stream.extend(encoded(message.packet(), version));
        }
        // First single bytes, then more and more, so that every packet is cut somewhere.
        let (mut rest, mut piece) = (&stream[..], 1);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            publisher.write(now).await;
            rest = later;
            if rest.len() < stream.len() - 500 {
                piece = (piece * 5 / 4 + 1).min(60_000);
            }
        }
        for (number, length) in (0..).zip(&lengths) {
            let topic = format!("t/{number}");
            let payload = noise(number, *length);
            subscriber
                .expect_publish(&topic, &payload, QoS::AtMostOnce)
                .await;
        }
        subscriber.nothing_comes().await;
    })
    .await;
}

/// 8 MiB in one packet, and 2,000 packets at once, both ways at the same time.
///
/// MQTT 3.1.1: [MQTT-7.1.1-1]
/// MQTT 5.0: [MQTT-4.2.0-1]
#[tokio::test]
async fn both_directions_carry_much_at_the_same_time() {
    let allow = || Server::builder().broker(|options| options.max_packet_size_bytes = 16 << 20);
    each_with(&NUMBERED, allow, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        client.subscribe("echo", QoS::AtMostOnce).await;
        let large = noise(1, 8 << 20);
        client.send_message(&Message::new("echo", &large)).await;
        client.expect_publish("echo", &large, QoS::AtMostOnce).await;
        let mut stream = Vec::new();
        for number in 1..=2_000_u16 {
            let message = Message::new("echo", &number.to_be_bytes()).qos1(number);
            stream.extend(encoded(message.packet(), version));
        }
        client.write(&stream).await;
        // Its own messages and their acknowledgements, each kind in its order.
        let (mut published, mut acknowledged) = (0_u16, 0_u16);
        while published < 2_000 || acknowledged < 2_000 {
            match client.receive().await {
                OwnedPacket::Publish(publish) => {
                    published += 1;
                    assert_eq!(&publish.payload[..], published.to_be_bytes());
                }
                OwnedPacket::PubAck(puback) => {
                    acknowledged += 1;
                    assert_eq!(puback.packet_id, id(acknowledged));
                }
                other => panic!("{other:?}"),
            }
        }
        client.nothing_comes().await;
    })
    .await;
}
