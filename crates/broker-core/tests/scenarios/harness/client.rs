//! A scripted client: says what the scenario tells it to, and checks what it hears.

use std::cell::Cell;

use broker_core::CloseCause;
use mqtt_codec::{
    Connect, Disconnect, OwnedConnAck, OwnedConnect, OwnedPacket, OwnedPublish, OwnedWill, Packet,
    PacketId, PropertiesBuf, Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
    Version, Will,
};

use super::net::Net;

/// A message at QoS 0.
pub(crate) fn qos0<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish::new(topic, payload.as_bytes())
}

/// A message at QoS 1. The client fills its packet identifier in.
pub(crate) fn qos1<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        qos: QoS::AtLeastOnce,
        ..qos0(topic, payload)
    }
}

/// A message at QoS 2.
pub(crate) fn qos2<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        qos: QoS::ExactlyOnce,
        ..qos0(topic, payload)
    }
}

/// The same, to be retained.
pub(crate) fn retained(publish: Publish<'_>) -> Publish<'_> {
    Publish {
        retain: true,
        ..publish
    }
}

pub(crate) fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn quality(qos: u8) -> QoS {
    QoS::from_u8(qos).expect("0 to 2")
}

/// A CONNECT that is being put together.
#[derive(Clone)]
pub(crate) struct Dial {
    net: Net,
    connect: OwnedConnect,
}

/// A client on one network connection.
pub(crate) struct Client {
    net: Net,
    line: usize,
    next_id: Cell<u16>,
    pub(crate) connack: OwnedConnAck,
}

impl Net {
    /// Begins a CONNECT: MQTT 3.1.1, clean session.
    pub(crate) fn dial(&self, client_id: &str) -> Dial {
        let connect = Connect::new(Version::V311, client_id).to_owned();
        Dial {
            net: self.clone(),
            connect,
        }
    }

    /// A client with MQTT 3.1.1 and a clean session.
    pub(crate) fn connect(&self, client_id: &str) -> Client {
        self.dial(client_id).connect()
    }

    /// A client with MQTT 5 and a session that ends with the connection.
    pub(crate) fn connect_v5(&self, client_id: &str) -> Client {
        self.dial(client_id).v5().connect()
    }
}

impl Dial {
    pub(crate) fn v31(mut self) -> Self {
        self.connect.version = Version::V31;
        self
    }

    pub(crate) fn v5(mut self) -> Self {
        self.connect.version = Version::V5;
        self
    }

    /// Clean start 0, which is clean session 0 before MQTT 5.
    pub(crate) fn resuming(mut self) -> Self {
        self.connect.clean_start = false;
        self
    }

    pub(crate) fn clean(mut self) -> Self {
        self.connect.clean_start = true;
        self
    }

    pub(crate) fn keep_alive(mut self, secs: u16) -> Self {
        self.connect.keep_alive = secs;
        self
    }

    pub(crate) fn property(mut self, property: Property<'_>) -> Self {
        self.connect
            .properties
            .push(property)
            .expect("a property of CONNECT");
        self
    }

    /// MQTT 5 with a session that lasts.
    pub(crate) fn expiry(self, secs: u32) -> Self {
        self.v5().property(Property::SessionExpiryInterval(secs))
    }

    pub(crate) fn will(mut self, publish: Publish<'_>) -> Self {
        let will = Will {
            qos: publish.qos,
            retain: publish.retain,
            ..Will::new(publish.topic, publish.payload)
        };
        self.connect.will = Some(OwnedWill::from(will));
        self
    }

    pub(crate) fn will_property(mut self, property: Property<'_>) -> Self {
        let will = self.connect.will.as_mut().expect("there is a will");
        will.properties
            .push(property)
            .expect("a property of the will");
        self
    }

    /// MQTT 5 with aliases for topics up to this one.
    pub(crate) fn aliases(self, maximum: u16) -> Self {
        self.v5().property(Property::TopicAliasMaximum(maximum))
    }

    /// Sends CONNECT, which has to be accepted.
    pub(crate) fn connect(&self) -> Client {
        let client = self.send();
        match client.net.next(client.line) {
            Some(OwnedPacket::ConnAck(connack)) => {
                assert_eq!(connack.reason_code, ReasonCode::Success);
                Client { connack, ..client }
            }
            other => panic!("expected CONNACK, got {other:?}"),
        }
    }

    /// Sends CONNECT, which has to be refused: the reason, if one is told.
    pub(crate) fn refused(&self) -> (Option<ReasonCode>, CloseCause) {
        let client = self.send();
        let told = match client.net.next(client.line) {
            Some(OwnedPacket::ConnAck(connack)) => {
                assert!(connack.reason_code.is_error(), "it was accepted");
                assert!(!connack.session_present, "[MQTT-3.2.2-6]");
                Some(connack.reason_code)
            }
            None => None,
            other => panic!("expected CONNACK, got {other:?}"),
        };
        assert_eq!(
            client.net.next(client.line),
            None,
            "nothing follows a refusal"
        );
        (told, client.net.closed(client.line).expect("it is closed"))
    }

    /// Sends CONNECT.
    pub(crate) fn send(&self) -> Client {
        let line = self.net.open();
        self.net
            .send(line, &Packet::Connect(self.connect.as_connect()));
        let connack = OwnedConnAck {
            session_present: false,
            reason_code: ReasonCode::Success,
            properties: PropertiesBuf::new(),
        };
        Client {
            net: self.net.clone(),
            line,
            next_id: Cell::new(1),
            connack,
        }
    }
}

impl Client {
    /// The number of its network connection.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    pub(crate) fn send(&self, packet: Packet<'_>) {
        self.net.send(self.line, &packet);
    }

    pub(crate) fn send_raw(&self, bytes: &[u8]) {
        self.net.send_raw(self.line, bytes);
    }

    /// A packet identifier that this client has not used.
    pub(crate) fn take_id(&self) -> PacketId {
        let value = self.next_id.get();
        self.next_id
            .set(value.checked_add(1).expect("a short test"));
        id(value)
    }

    /// The next packet, which must have come.
    pub(crate) fn next(&self) -> OwnedPacket {
        self.try_next().expect("a packet should have come")
    }

    pub(crate) fn try_next(&self) -> Option<OwnedPacket> {
        self.net.next(self.line)
    }

    /// Messages that came without a topic name. Their topics are those that the aliases stand for.
    pub(crate) fn unnamed(&self) -> usize {
        self.net.unnamed(self.line)
    }

    /// Nothing has come, and the connection is open.
    pub(crate) fn expect_nothing(&self) {
        assert_eq!(self.try_next(), None);
        assert_eq!(self.closed(), None);
    }

    pub(crate) fn closed(&self) -> Option<CloseCause> {
        self.net.closed(self.line)
    }

    /// The broker has closed the connection without a word.
    pub(crate) fn expect_closed(&self, cause: CloseCause) {
        assert_eq!(self.try_next(), None);
        assert_eq!(self.closed(), Some(cause));
    }

    /// The broker has sent DISCONNECT and closed the connection.
    pub(crate) fn expect_disconnected(&self, reason: ReasonCode) {
        match self.try_next() {
            Some(OwnedPacket::Disconnect(disconnect)) => {
                assert_eq!(disconnect.reason_code, reason);
            }
            other => panic!("expected DISCONNECT, got {other:?}"),
        }
        assert_eq!(self.try_next(), None, "[MQTT-3.14.4-1]");
        assert!(self.closed().is_some());
    }

    pub(crate) fn lose(&self) {
        self.net.lose(self.line);
    }

    /// The driver of the connection is cancelled.
    pub(crate) fn cancel(&self) {
        self.net.cancel(self.line);
    }

    pub(crate) fn disconnect(&self) {
        self.disconnect_with(Disconnect::new(ReasonCode::Success));
    }

    pub(crate) fn disconnect_with(&self, disconnect: Disconnect<'_>) {
        self.send(Packet::Disconnect(disconnect));
        assert!(
            self.closed().is_some(),
            "the broker closes after DISCONNECT"
        );
    }

    pub(crate) fn stop_reading(&self) {
        self.net.set_reads(self.line, false);
    }

    pub(crate) fn read_on(&self) {
        self.net.set_reads(self.line, true);
    }

    pub(crate) fn ping(&self) {
        self.send(Packet::PingReq);
        assert_eq!(self.next(), OwnedPacket::PingResp);
    }

    /// Sends SUBSCRIBE and expects it to be granted as it is.
    pub(crate) fn subscribe(&self, filter: &str, qos: u8) {
        let code = self.subscribe_with(filter, SubscriptionOptions::new(quality(qos)), None);
        assert_eq!(code, ReasonCode::granted(quality(qos)));
    }

    /// Sends SUBSCRIBE for one filter; the reason code of SUBACK.
    pub(crate) fn subscribe_with(
        &self,
        filter: &str,
        options: SubscriptionOptions,
        identifier: Option<u32>,
    ) -> ReasonCode {
        let packet_id = self.take_id();
        self.send_subscribe(packet_id, filter, options, identifier);
        let suback = self.take(|packet| match packet {
            OwnedPacket::SubAck(suback) => Some(suback.clone()),
            _ => None,
        });
        assert_eq!(suback.packet_id, packet_id, "[MQTT-3.8.4-2]");
        assert_eq!(suback.reason_codes.len(), 1, "[MQTT-3.8.4-6]");
        suback.reason_codes[0]
    }

    pub(crate) fn send_subscribe(
        &self,
        packet_id: PacketId,
        filter: &str,
        options: SubscriptionOptions,
        identifier: Option<u32>,
    ) {
        let mut filters = SubscribeFiltersBuf::new();
        filters.push(filter, options).expect("a string");
        let mut properties = PropertiesBuf::new();
        if let Some(identifier) = identifier {
            properties
                .push(Property::SubscriptionIdentifier(identifier))
                .expect("in range");
        }
        self.send(Packet::Subscribe(Subscribe {
            packet_id,
            properties: properties.as_properties(),
            filters: filters.as_filters(),
        }));
    }

    /// Sends UNSUBSCRIBE for one filter; the reason code of UNSUBACK, `None` before MQTT 5.
    pub(crate) fn unsubscribe(&self, filter: &str) -> Option<ReasonCode> {
        let packet_id = self.take_id();
        self.send_unsubscribe(packet_id, filter);
        let unsuback = self.take(|packet| match packet {
            OwnedPacket::UnsubAck(unsuback) => Some(unsuback.clone()),
            _ => None,
        });
        assert_eq!(unsuback.packet_id, packet_id, "[MQTT-3.10.4-5]");
        unsuback.reason_codes.first().copied()
    }

    pub(crate) fn send_unsubscribe(&self, packet_id: PacketId, filter: &str) {
        let mut filters = UnsubscribeFiltersBuf::new();
        filters.push(filter).expect("a string");
        self.send(Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties: PropertiesBuf::new().as_properties(),
            filters: filters.as_filters(),
        }));
    }

    /// Publishes and goes through the whole handshake; the reason code of PUBACK or PUBREC.
    pub(crate) fn publish(&self, publish: Publish<'_>) -> ReasonCode {
        let Some(packet_id) = self.send_publish(publish) else {
            return ReasonCode::Success;
        };
        if publish.qos == QoS::AtLeastOnce {
            return self.expect_puback(packet_id);
        }
        let reason = self.expect_pubrec(packet_id);
        if !reason.is_error() {
            self.send(Packet::PubRel(PubRel::new(packet_id)));
            self.expect_pubcomp(packet_id);
        }
        reason
    }

    /// Sends PUBLISH with a new packet identifier where it needs one.
    pub(crate) fn send_publish(&self, publish: Publish<'_>) -> Option<PacketId> {
        let packet_id = (publish.qos != QoS::AtMostOnce).then(|| self.take_id());
        self.send(Packet::Publish(Publish {
            packet_id,
            ..publish
        }));
        packet_id
    }

    /// Sends PUBLISH with a topic alias, and a new packet identifier where it needs one.
    pub(crate) fn send_aliased(&self, alias: u16, publish: Publish<'_>) -> Option<PacketId> {
        let mut properties = PropertiesBuf::from(publish.properties);
        properties
            .push(Property::TopicAlias(alias))
            .expect("not zero");
        self.send_publish(Publish {
            properties: properties.as_properties(),
            ..publish
        })
    }

    pub(crate) fn expect_puback(&self, packet_id: PacketId) -> ReasonCode {
        self.take(|packet| match packet {
            OwnedPacket::PubAck(it) if it.packet_id == packet_id => Some(it.reason_code),
            _ => None,
        })
    }

    pub(crate) fn expect_pubrec(&self, packet_id: PacketId) -> ReasonCode {
        self.take(|packet| match packet {
            OwnedPacket::PubRec(it) if it.packet_id == packet_id => Some(it.reason_code),
            _ => None,
        })
    }

    pub(crate) fn expect_pubcomp(&self, packet_id: PacketId) -> ReasonCode {
        self.take(|packet| match packet {
            OwnedPacket::PubComp(it) if it.packet_id == packet_id => Some(it.reason_code),
            _ => None,
        })
    }

    /// The next packet is PUBREL for this identifier.
    pub(crate) fn expect_pubrel(&self, packet_id: PacketId) -> ReasonCode {
        match self.next() {
            OwnedPacket::PubRel(it) if it.packet_id == packet_id => it.reason_code,
            other => panic!("expected PUBREL, got {other:?}"),
        }
    }

    /// The next packet is this PUBLISH; it is not acknowledged.
    pub(crate) fn expect_unacknowledged(
        &self,
        qos: u8,
        topic: &str,
        payload: &str,
    ) -> OwnedPublish {
        match self.next() {
            OwnedPacket::Publish(publish) => {
                assert_eq!(publish.topic, topic);
                assert_eq!(String::from_utf8_lossy(&publish.payload), payload);
                assert_eq!(publish.qos, quality(qos));
                assert_eq!(publish.packet_id.is_some(), qos > 0, "[MQTT-2.2.1-2]");
                publish
            }
            other => panic!("expected PUBLISH {payload:?}, got {other:?}"),
        }
    }

    /// The next packet is this PUBLISH; it is acknowledged to the end.
    pub(crate) fn expect(&self, qos: u8, topic: &str, payload: &str) -> OwnedPublish {
        let publish = self.expect_unacknowledged(qos, topic, payload);
        self.acknowledge(&publish);
        publish
    }

    /// Goes through the handshake of a received message.
    pub(crate) fn acknowledge(&self, publish: &OwnedPublish) {
        let Some(packet_id) = publish.packet_id else {
            return;
        };
        if publish.qos == QoS::AtLeastOnce {
            self.puback(packet_id);
            return;
        }
        self.pubrec(packet_id);
        self.take(|packet| match packet {
            OwnedPacket::PubRel(it) if it.packet_id == packet_id => Some(()),
            _ => None,
        });
        self.pubcomp(packet_id);
    }

    pub(crate) fn puback(&self, packet_id: PacketId) {
        self.send(Packet::PubAck(PubAck::new(packet_id)));
    }

    pub(crate) fn pubrec(&self, packet_id: PacketId) {
        self.send(Packet::PubRec(PubRec::new(packet_id)));
    }

    pub(crate) fn pubrel(&self, packet_id: PacketId) {
        self.send(Packet::PubRel(PubRel::new(packet_id)));
    }

    pub(crate) fn pubcomp(&self, packet_id: PacketId) {
        self.send(Packet::PubComp(PubComp::new(packet_id)));
    }

    /// Takes the first packet that is wanted, and leaves those before it where they are.
    fn take<T>(&self, wanted: impl Fn(&OwnedPacket) -> Option<T>) -> T {
        self.net
            .take(self.line, wanted)
            .expect("a packet of this kind should have come")
    }
}
