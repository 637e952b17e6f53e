//! What a client asks of the server: publications, subscriptions, acknowledgements.

use mqtt_codec::{
    Disconnect, OwnedPacket, OwnedPublish, OwnedSubAck, OwnedUnsubAck, Packet, PacketId,
    PropertiesBuf, Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, Subscribe,
    SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
};

use super::client::{Client, id};

/// A PUBLISH, put together piece by piece. QoS 0 until it is told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Message(OwnedPublish);

impl Message {
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        Self(Publish::new(topic, payload).to_owned())
    }

    pub(crate) fn qos1(mut self, packet_id: u16) -> Self {
        self.0.qos = QoS::AtLeastOnce;
        self.0.packet_id = Some(id(packet_id));
        self
    }

    pub(crate) fn qos2(mut self, packet_id: u16) -> Self {
        self.0.qos = QoS::ExactlyOnce;
        self.0.packet_id = Some(id(packet_id));
        self
    }

    pub(crate) fn dup(mut self) -> Self {
        self.0.dup = true;
        self
    }

    pub(crate) fn retain(mut self) -> Self {
        self.0.retain = true;
        self
    }

    /// One more property; MQTT 5 only.
    pub(crate) fn property(mut self, property: Property<'_>) -> Self {
        self.0.properties.push(property).unwrap();
        self
    }

    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::Publish(self.0.as_publish())
    }
}

/// Subscription options with nothing but a QoS.
pub(crate) fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions::new(qos)
}

impl Client {
    /// PUBLISH, and nothing more.
    pub(crate) async fn send_message(&mut self, message: &Message) {
        self.send(message.packet()).await;
    }

    /// PUBLISH, and the whole handshake of its QoS; for QoS 0 a round trip. When this returns the
    /// message is on its way to everyone who gets it.
    pub(crate) async fn publish_whole(&mut self, message: &Message) {
        self.send_message(message).await;
        match (message.0.qos, message.0.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                self.expect_puback(id).await;
            }
            (QoS::ExactlyOnce, Some(id)) => {
                self.expect_pubrec(id).await;
                self.send_pubrel(id).await;
                self.expect_pubcomp(id).await;
            }
            _ => self.ping().await,
        }
    }

    pub(crate) async fn send_puback(&mut self, id: PacketId) {
        self.send(Packet::PubAck(PubAck::new(id))).await;
    }

    pub(crate) async fn send_pubrec(&mut self, id: PacketId) {
        self.send(Packet::PubRec(PubRec::new(id))).await;
    }

    pub(crate) async fn send_pubrel(&mut self, id: PacketId) {
        self.send(Packet::PubRel(PubRel::new(id))).await;
    }

    pub(crate) async fn send_pubcomp(&mut self, id: PacketId) {
        self.send(Packet::PubComp(PubComp::new(id))).await;
    }

    /// SUBSCRIBE with these filters, and its SUBACK, which has to be the next packet.
    pub(crate) async fn subscribe_to(
        &mut self,
        packet_id: u16,
        filters: &[(&str, SubscriptionOptions)],
        properties: &[Property<'_>],
    ) -> OwnedSubAck {
        self.send_subscribe(packet_id, filters, properties).await;
        match self.next().await {
            Some(OwnedPacket::SubAck(suback)) => {
                assert_eq!(suback.packet_id, id(packet_id));
                suback
            }
            other => panic!("SUBACK expected, not {other:?}"),
        }
    }

    pub(crate) async fn send_subscribe(
        &mut self,
        packet_id: u16,
        filters: &[(&str, SubscriptionOptions)],
        properties: &[Property<'_>],
    ) {
        let properties = list(properties);
        let mut entries = SubscribeFiltersBuf::new();
        for &(filter, options) in filters {
            entries.push(filter, options).unwrap();
        }
        let subscribe = Subscribe {
            packet_id: id(packet_id),
            properties: properties.as_properties(),
            filters: entries.as_filters(),
        };
        self.send(Packet::Subscribe(subscribe)).await;
    }

    /// UNSUBSCRIBE from these filters, and its UNSUBACK, which has to be the next packet.
    pub(crate) async fn unsubscribe_from(
        &mut self,
        packet_id: u16,
        filters: &[&str],
    ) -> OwnedUnsubAck {
        self.send_unsubscribe(packet_id, filters, &[]).await;
        match self.next().await {
            Some(OwnedPacket::UnsubAck(unsuback)) => {
                assert_eq!(unsuback.packet_id, id(packet_id));
                unsuback
            }
            other => panic!("UNSUBACK expected, not {other:?}"),
        }
    }

    pub(crate) async fn send_unsubscribe(
        &mut self,
        packet_id: u16,
        filters: &[&str],
        properties: &[Property<'_>],
    ) {
        let properties = list(properties);
        let mut entries = UnsubscribeFiltersBuf::new();
        for filter in filters {
            entries.push(filter).unwrap();
        }
        let unsubscribe = Unsubscribe {
            packet_id: id(packet_id),
            properties: properties.as_properties(),
            filters: entries.as_filters(),
        };
        self.send(Packet::Unsubscribe(unsubscribe)).await;
    }

    /// DISCONNECT without an error, and the close that follows.
    pub(crate) async fn disconnect(self) {
        self.disconnect_with(ReasonCode::NORMAL_DISCONNECTION, &[])
            .await;
    }

    /// DISCONNECT with a reason and properties, which only MQTT 5 has, and the close that follows:
    /// when this returns the server has dealt with it.
    pub(crate) async fn disconnect_with(mut self, reason: ReasonCode, properties: &[Property<'_>]) {
        let properties = list(properties);
        let disconnect = Disconnect {
            reason_code: reason,
            properties: properties.as_properties(),
        };
        self.send(Packet::Disconnect(disconnect)).await;
        self.assert_closed().await;
    }
}

fn list(properties: &[Property<'_>]) -> PropertiesBuf {
    let mut list = PropertiesBuf::new();
    for &property in properties {
        list.push(property).unwrap();
    }
    list
}
