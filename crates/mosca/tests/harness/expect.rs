//! What a test expects to come, or not to come.

use std::panic::Location;

use mqtt_codec::{OwnedDisconnect, OwnedPacket, OwnedPublish, PacketId, QoS, ReasonCode};

use tokio::io::AsyncReadExt;

use super::client::{Client, within};

impl Client {
    /// The server has closed the network connection, and has said nothing before it did.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let words = self.last_words().await;
            assert!(words.is_empty(), "at {caller}: {words:?} before the close");
        }
    }

    /// The server has closed the network connection: in MQTT 5 with a DISCONNECT of this reason as
    /// its only word, before without any.
    #[track_caller]
    pub(crate) fn assert_disconnected(
        &mut self,
        reason: ReasonCode,
    ) -> impl Future<Output = Option<OwnedDisconnect>> {
        let caller = Location::caller();
        async move {
            let mut words = self.last_words().await;
            if !self.version().is_v5() {
                assert!(words.is_empty(), "at {caller}: {words:?} before the close");
                return None;
            }
            match words.pop() {
                Some(OwnedPacket::Disconnect(disconnect)) if words.is_empty() => {
                    assert_eq!(disconnect.reason_code, reason, "at {caller}");
                    Some(disconnect)
                }
                last => panic!("at {caller}: DISCONNECT alone expected, not {words:?} {last:?}"),
            }
        }
    }

    /// Nothing is on its way to this client: the answer to a PINGREQ is the next packet.
    ///
    /// What others cause is on its way when they have been answered: let the publisher wait for its
    /// PUBACK, or [`ping`](Self::ping), before asking this.
    #[track_caller]
    pub(crate) fn nothing_comes(&mut self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.send(mqtt_codec::Packet::PingReq).await;
            let packet = self.next().await;
            assert_eq!(packet, Some(OwnedPacket::PingResp), "at {caller}");
        }
    }

    /// The next bytes are exactly these. Only where every packet before them has been looked at.
    #[track_caller]
    pub(crate) fn expect_bytes(&mut self, bytes: &[u8]) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let mut got = vec![0; bytes.len()];
            let read = self.stream.read_exact(&mut got);
            within("bytes", read).await.unwrap();
            assert_eq!(got, bytes, "at {caller}");
        }
    }

    /// Every PUBLISH that is on its way, under the conditions of
    /// [`nothing_comes`](Self::nothing_comes); none is acknowledged.
    #[track_caller]
    pub(crate) fn all_that_comes(&mut self) -> impl Future<Output = Vec<OwnedPublish>> {
        let caller = Location::caller();
        async move {
            self.send(mqtt_codec::Packet::PingReq).await;
            let mut publishes = Vec::new();
            loop {
                match self.next().await {
                    Some(OwnedPacket::Publish(publish)) => publishes.push(publish),
                    Some(OwnedPacket::PingResp) => return publishes,
                    other => panic!("at {caller}: PUBLISH or PINGRESP expected, not {other:?}"),
                }
            }
        }
    }

    /// The next packet is a PUBLISH of this topic, payload and QoS; it is not acknowledged.
    #[track_caller]
    pub(crate) fn expect_publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
    ) -> impl Future<Output = OwnedPublish> {
        self.publish_expected_at(Location::caller(), topic, payload, qos)
    }

    /// [`expect_publish`](Self::expect_publish), and the whole handshake of its QoS.
    #[track_caller]
    pub(crate) fn take_publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
    ) -> impl Future<Output = OwnedPublish> {
        let caller = Location::caller();
        async move {
            let publish = self.publish_expected_at(caller, topic, payload, qos).await;
            self.complete(&publish).await;
            publish
        }
    }

    async fn publish_expected_at(
        &mut self,
        caller: &Location<'_>,
        topic: &str,
        payload: &[u8],
        qos: QoS,
    ) -> OwnedPublish {
        match self.next().await {
            Some(OwnedPacket::Publish(publish)) => {
                let got = (&*publish.topic, &publish.payload[..], publish.qos);
                assert_eq!(got, (topic, payload, qos), "at {caller}: {publish:?}");
                publish
            }
            other => panic!("at {caller}: PUBLISH expected, not {other:?}"),
        }
    }

    /// The handshake of this PUBLISH; that of QoS 2 without anything in between.
    #[track_caller]
    pub(crate) fn complete(&mut self, publish: &OwnedPublish) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            match (publish.qos, publish.packet_id) {
                (QoS::AtMostOnce, _) => {}
                (QoS::AtLeastOnce, Some(id)) => self.send_puback(id).await,
                (QoS::ExactlyOnce, Some(id)) => {
                    self.send_pubrec(id).await;
                    self.expect_pubrel(id).await;
                    self.send_pubcomp(id).await;
                }
                (_, None) => panic!("at {caller}: no packet identifier"),
            }
        }
    }

    /// The next packet is a PUBACK of this identifier, and not a refusal.
    #[track_caller]
    pub(crate) fn expect_puback(&mut self, id: PacketId) -> impl Future<Output = ReasonCode> {
        let caller = Location::caller();
        async move {
            match self.next().await {
                Some(OwnedPacket::PubAck(ack)) if ack.packet_id == id => {
                    assert!(!ack.reason_code.is_error(), "at {caller}: {ack:?}");
                    ack.reason_code
                }
                other => panic!("at {caller}: PUBACK of {id:?} expected, not {other:?}"),
            }
        }
    }

    /// The next packet is a PUBREC of this identifier, and not a refusal.
    #[track_caller]
    pub(crate) fn expect_pubrec(&mut self, id: PacketId) -> impl Future<Output = ReasonCode> {
        let caller = Location::caller();
        async move {
            match self.next().await {
                Some(OwnedPacket::PubRec(ack)) if ack.packet_id == id => {
                    assert!(!ack.reason_code.is_error(), "at {caller}: {ack:?}");
                    ack.reason_code
                }
                other => panic!("at {caller}: PUBREC of {id:?} expected, not {other:?}"),
            }
        }
    }

    /// The next packet is a PUBREL of this identifier, and not a refusal.
    #[track_caller]
    pub(crate) fn expect_pubrel(&mut self, id: PacketId) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            match self.next().await {
                Some(OwnedPacket::PubRel(ack)) if ack.packet_id == id => {
                    assert!(!ack.reason_code.is_error(), "at {caller}: {ack:?}");
                }
                other => panic!("at {caller}: PUBREL of {id:?} expected, not {other:?}"),
            }
        }
    }

    /// The next packet is a PUBCOMP of this identifier.
    #[track_caller]
    pub(crate) fn expect_pubcomp(&mut self, id: PacketId) -> impl Future<Output = ReasonCode> {
        let caller = Location::caller();
        async move {
            match self.next().await {
                Some(OwnedPacket::PubComp(ack)) if ack.packet_id == id => ack.reason_code,
                other => panic!("at {caller}: PUBCOMP of {id:?} expected, not {other:?}"),
            }
        }
    }
}
