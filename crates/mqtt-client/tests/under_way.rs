//! Several messages under way at a time, before a server that answers as the test says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use bytes::{Buf as _, BytesMut};
use mqtt_client::{
    Client, ClientEvent, Options, Property, Publish, QoS, ReasonCode, Subscription, Version,
};
use mqtt_codec::{
    ConnAck, Decoded, OwnedPacket, Packet, PacketId, PropertiesBuf, PubAck, PubComp, PubRec,
    SubAck, UnsubAck, decode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The server's end of a connection of MQTT 5.0.
struct Server {
    stream: TcpStream,
    input: BytesMut,
}

impl Server {
    /// With a client that has connected to it, and that it allows so many messages under way.
    async fn with_client(receive_maximum: u16) -> (Self, Client) {
        Self::with(&[Property::ReceiveMaximum(receive_maximum)]).await
    }

    /// With a client that has connected to it, and that it tells this in CONNACK.
    async fn with(connack: &[Property<'_>]) -> (Self, Client) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options::new(format!("mqtt://127.0.0.1:{port}").parse().unwrap());
        let serve = async {
            let mut server = Self {
                stream: listener.accept().await.unwrap().0,
                input: BytesMut::new(),
            };
            let OwnedPacket::Connect(_) = server.receive().await else {
                panic!("no CONNECT");
            };
            let mut properties = PropertiesBuf::new();
            for property in connack {
                properties.push(*property).unwrap();
            }
            let connack = ConnAck {
                properties: properties.as_properties(),
                ..ConnAck::new(false, ReasonCode::Success)
            };
            server.send(Packet::ConnAck(connack)).await;
            server
        };
        let (server, client) = tokio::join!(serve, Client::connect(&options));
        (server, client.unwrap())
    }

    async fn receive(&mut self) -> OwnedPacket {
        loop {
            let decoded = decode(&self.input, Version::V5, 1 << 20).unwrap();
            if let Decoded::Packet { packet, size } = decoded {
                let packet = packet.to_owned();
                self.input.advance(size);
                return packet;
            }
            let read = self.stream.read_buf(&mut self.input).await.unwrap();
            assert!(read > 0, "the client has gone");
        }
    }

    /// The packet identifier of the PUBLISH that comes next.
    async fn publish(&mut self) -> PacketId {
        match self.receive().await {
            OwnedPacket::Publish(message) => message.packet_id.unwrap(),
            other => panic!("no PUBLISH: {other:?}"),
        }
    }

    async fn send(&mut self, packet: Packet<'_>) {
        let mut output = BytesMut::new();
        packet.encode(Version::V5, &mut output).unwrap();
        self.stream.write_all(&output).await.unwrap();
    }
}

fn message(qos: QoS) -> Publish<'static> {
    Publish {
        qos,
        ..Publish::new("a", b"x")
    }
}

#[tokio::test]
async fn acknowledgements_are_told_in_the_order_of_the_server() {
    let (mut server, mut client) = Server::with_client(3).await;
    assert_eq!(client.receive_maximum(), 3);
    let mut begun = Vec::new();
    for _ in 0..3 {
        let id = client.begin_publish(&message(QoS::AtLeastOnce)).await;
        begun.push(id.unwrap().unwrap());
        assert_eq!(Some(&server.publish().await), begun.last());
    }
    begun.reverse();
    for &packet_id in &begun {
        let reason_code = ReasonCode::NotAuthorized;
        let puback = PubAck {
            reason_code,
            ..PubAck::new(packet_id)
        };
        server.send(Packet::PubAck(puback)).await;
        let acknowledged = ClientEvent::Acknowledged {
            packet_id,
            reason_code,
        };
        assert_eq!(client.event().await.unwrap(), acknowledged);
    }
}

#[tokio::test]
async fn a_message_at_qos_2_is_released_before_it_is_done() {
    let (mut server, mut client) = Server::with_client(10).await;
    let begun = client.begin_publish(&message(QoS::ExactlyOnce)).await;
    let packet_id = begun.unwrap().unwrap();
    assert_eq!(server.publish().await, packet_id);
    server.send(Packet::PubRec(PubRec::new(packet_id))).await;
    let serve = async {
        match server.receive().await {
            OwnedPacket::PubRel(release) => assert_eq!(release.packet_id, packet_id),
            other => panic!("no PUBREL: {other:?}"),
        }
        server.send(Packet::PubComp(PubComp::new(packet_id))).await;
    };
    let (event, ()) = tokio::join!(client.event(), serve);
    let reason_code = ReasonCode::Success;
    let acknowledged = ClientEvent::Acknowledged {
        packet_id,
        reason_code,
    };
    assert_eq!(event.unwrap(), acknowledged);
}

#[tokio::test]
async fn a_message_that_is_waited_for_takes_no_identifier_of_those_under_way() {
    let (mut server, mut client) = Server::with_client(10).await;
    let begun = client.begin_publish(&message(QoS::AtLeastOnce)).await;
    let first = begun.unwrap().unwrap();
    let serve = async {
        assert_eq!(server.publish().await, first);
        let second = server.publish().await;
        assert_ne!(first, second);
        for packet_id in [first, second] {
            server.send(Packet::PubAck(PubAck::new(packet_id))).await;
        }
    };
    let waited_for = message(QoS::AtLeastOnce).to_owned();
    let (published, ()) = tokio::join!(client.publish(waited_for), serve);
    assert_eq!(published.unwrap(), ReasonCode::Success);
    // The answer to the other one came in between, and is not lost.
    let acknowledged = ClientEvent::Acknowledged {
        packet_id: first,
        reason_code: ReasonCode::Success,
    };
    assert_eq!(client.event().await.unwrap(), acknowledged);
}

#[tokio::test]
async fn what_the_server_has_said_of_itself_is_known() {
    let (_server, client) = Server::with(&[]).await;
    let limits = *client.limits();
    assert_eq!(limits, mqtt_client::ServerLimits::default());
    assert_eq!(
        (limits.receive_maximum, limits.maximum_qos),
        (u16::MAX, QoS::ExactlyOnce)
    );
    assert!(limits.retain_available && limits.subscription_identifiers_available);
    let (_server, client) = Server::with(&[
        Property::MaximumQos(QoS::AtLeastOnce),
        Property::MaximumPacketSize(1_000),
        Property::RetainAvailable(false),
        Property::SubscriptionIdentifiersAvailable(false),
    ])
    .await;
    let limits = client.limits();
    assert_eq!(limits.maximum_qos, QoS::AtLeastOnce);
    assert_eq!(limits.maximum_packet_size, Some(1_000));
    assert!(!limits.retain_available && !limits.subscription_identifiers_available);
}

#[tokio::test]
async fn what_is_queued_is_sent_in_its_order_and_each_answer_is_an_event() {
    let (mut server, mut client) = Server::with_client(10).await;
    let subscriptions = [Subscription::new("a/#", QoS::ExactlyOnce)];
    let subscribe = client.queue_subscribe(&subscriptions, Some(7)).unwrap();
    let unsubscribe = client.queue_unsubscribe(&["b"]).unwrap();
    assert_eq!(
        client.queue_publish(&message(QoS::AtMostOnce)).unwrap(),
        None
    );
    client.queue_ping().unwrap();
    let publish = client
        .queue_publish(&message(QoS::AtLeastOnce))
        .unwrap()
        .unwrap();
    assert!(client.queued_bytes() > 0);
    assert_eq!(client.event().await.unwrap(), ClientEvent::Sent);
    assert_eq!(client.queued_bytes(), 0);

    let OwnedPacket::Subscribe(packet) = server.receive().await else {
        panic!("no SUBSCRIBE");
    };
    let mut ids = packet.as_subscribe().properties.subscription_identifiers();
    assert_eq!((packet.packet_id, ids.next()), (subscribe, Some(7)));
    assert!(
        matches!(server.receive().await, OwnedPacket::Unsubscribe(it) if it.packet_id == unsubscribe)
    );
    assert!(matches!(server.receive().await, OwnedPacket::Publish(it) if it.packet_id.is_none()));
    assert_eq!(server.receive().await, OwnedPacket::PingReq);
    assert_eq!(server.publish().await, publish);

    let granted = [ReasonCode::GrantedQos1];
    server.send(Packet::PingResp).await;
    server
        .send(Packet::UnsubAck(UnsubAck::new(
            unsubscribe,
            &[ReasonCode::Success],
        )))
        .await;
    server.send(Packet::PubAck(PubAck::new(publish))).await;
    server
        .send(Packet::SubAck(SubAck::new(subscribe, &granted)))
        .await;
    let (packet_id, reason_code) = (publish, ReasonCode::Success);
    for event in [
        ClientEvent::Pong,
        ClientEvent::Unsubscribed {
            packet_id: unsubscribe,
        },
        ClientEvent::Acknowledged {
            packet_id,
            reason_code,
        },
        ClientEvent::Subscribed {
            packet_id: subscribe,
            reason_codes: granted.to_vec(),
        },
    ] {
        assert_eq!(client.event().await.unwrap(), event);
    }
}

/// A server that reads nothing until it has said all, which is more than sockets hold.
#[tokio::test]
async fn who_has_much_to_say_listens_meanwhile() {
    const MESSAGES: usize = 64;
    let (mut server, mut client) = Server::with_client(10).await;
    let payload = vec![0; 256 << 10];
    let message = Publish::new("a", &payload);
    for _ in 0..MESSAGES {
        client.queue_publish(&message).unwrap();
    }
    let serve = async {
        for _ in 0..MESSAGES {
            server.send(Packet::Publish(message)).await;
        }
        for _ in 0..MESSAGES {
            assert!(matches!(server.receive().await, OwnedPacket::Publish(_)));
        }
    };
    let talk = async {
        let (mut received, mut is_sent) = (0, false);
        while received < MESSAGES || !is_sent {
            match client.event().await.unwrap() {
                ClientEvent::Sent => is_sent = true,
                ClientEvent::Message(it) => {
                    received += usize::from(it.payload.len() == payload.len())
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(serve, talk);
}
