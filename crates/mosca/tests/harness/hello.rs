//! CONNECT, put together piece by piece, and what came of it.

use mosca::Server;
use mqtt_codec::{
    OwnedConnAck, OwnedConnect, OwnedPacket, OwnedWill, Packet, PropertiesBuf, Property, QoS,
    ReasonCode, Version,
};

use super::client::Client;

/// A CONNECT. It asks for a clean start and no keep alive until it is told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Hello(OwnedConnect);

/// The will of a [`Hello`]: QoS 0 and not retained until it is told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct WillMessage(OwnedWill);

impl Hello {
    pub(crate) fn new(version: Version, client_id: &str) -> Self {
        Self(mqtt_codec::Connect::new(version, client_id).to_owned())
    }

    /// Clean Start (Clean Session before MQTT 5) 0: resumes the session if there is one.
    pub(crate) fn resume(mut self) -> Self {
        self.0.clean_start = false;
        self
    }

    /// Resumes the session if there is one, and keeps it for `seconds` behind the connection. In
    /// MQTT 3 there is no such number, and no end.
    pub(crate) fn persistent(self, seconds: u32) -> Self {
        if self.0.version.is_v5() {
            self.resume()
                .property(Property::SessionExpiryInterval(seconds))
        } else {
            self.resume()
        }
    }

    /// Seconds.
    pub(crate) fn keep_alive(mut self, seconds: u16) -> Self {
        self.0.keep_alive = seconds;
        self
    }

    pub(crate) fn username(mut self, name: &str) -> Self {
        self.0.username = Some(name.to_owned());
        self
    }

    pub(crate) fn password(mut self, password: &[u8]) -> Self {
        self.0.password = Some(password.to_vec());
        self
    }

    pub(crate) fn will(mut self, will: WillMessage) -> Self {
        self.0.will = Some(will.0);
        self
    }

    /// One more property; MQTT 5 only.
    pub(crate) fn property(mut self, property: Property<'_>) -> Self {
        assert!(self.0.version.is_v5(), "no properties before MQTT 5");
        self.0.properties.push(property).unwrap();
        self
    }

    /// Another version.
    pub(crate) fn version(mut self, version: Version) -> Self {
        self.0.version = version;
        self
    }

    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::Connect(self.0.as_connect())
    }

    /// A client that has been let in.
    pub(crate) async fn connect(&self, server: &Server) -> Client {
        self.connect_told(server).await.0
    }

    /// A client that has been let in, and what it was told.
    pub(crate) async fn connect_told(&self, server: &Server) -> (Client, OwnedConnAck) {
        let mut client = Client::open(server, self.0.version).await;
        client.send(self.packet()).await;
        let connack = client.expect_connack().await;
        assert_eq!(connack.reason_code, ReasonCode::Success);
        (client, connack)
    }

    /// A client that has been refused: the CONNACK that said so was the last of the connection.
    pub(crate) async fn refused(&self, server: &Server) -> OwnedConnAck {
        let mut client = Client::open(server, self.0.version).await;
        client.send(self.packet()).await;
        let connack = client.expect_connack().await;
        assert!(connack.reason_code.is_error(), "{connack:?}");
        client.assert_closed().await;
        connack
    }
}

impl WillMessage {
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        Self(OwnedWill {
            qos: QoS::AtMostOnce,
            retain: false,
            topic: topic.to_owned(),
            payload: payload.to_vec().into(),
            properties: PropertiesBuf::new(),
        })
    }

    pub(crate) fn qos(mut self, qos: QoS) -> Self {
        self.0.qos = qos;
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
}

impl Client {
    /// The next packet is CONNACK.
    pub(crate) async fn expect_connack(&mut self) -> OwnedConnAck {
        match self.next().await {
            Some(OwnedPacket::ConnAck(connack)) => connack,
            other => panic!("CONNACK expected, not {other:?}"),
        }
    }
}
