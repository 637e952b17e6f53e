//! Servers below a parent that is another broker, with clients of each, over the loopback interface.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is a test"
)]

mod limits;
mod older;
mod retained;
mod tree;
mod trouble;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backend_mqtt::{MqttBackend, MqttBackendOptions, Version};
use broker_core::backend::Prefix;
use mosca::{Interface, Server, StartError};
use mqtt_client::{
    Client, Options, OwnedPublish, PropertiesBuf, Property, Publish, QoS, Subscription,
};
use test_servers::mosquitto::{Mosquitto, MosquittoBuilder};

/// What has not happened by then does not happen.
const DEADLINE: Duration = Duration::from_secs(60);

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// With the settings that the page of the crate asks for.
fn mosquitto() -> MosquittoBuilder {
    Mosquitto::new()
        .option("max_queued_messages", "1000000")
        .option("max_inflight_messages", "0")
}

/// A server below the parent at this address.
async fn child(parent: &str, change: impl FnOnce(&mut MqttBackendOptions)) -> Server {
    start(parent, change).await.unwrap()
}

async fn start(
    parent: &str,
    change: impl FnOnce(&mut MqttBackendOptions),
) -> Result<Server, StartError> {
    let mut options = MqttBackendOptions::new(parent.parse().unwrap());
    change(&mut options);
    Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0"))
        .backend(Arc::new(MqttBackend::new(options)))
        .start()
        .await
}

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).unwrap()
}

fn url(server: &Server) -> String {
    server.urls()[0].clone()
}

/// A client of any of these brokers.
struct Peer(Client);

impl Peer {
    /// One of MQTT 5.0.
    async fn connect(broker: &str, id: &str) -> Self {
        Self::connect_in(Version::V5, broker, id).await
    }

    async fn connect_in(version: Version, broker: &str, id: &str) -> Self {
        let mut options = Options::new(broker.parse().unwrap());
        options.client_id = id.to_owned();
        options.version = version;
        Self(within("CONNACK", Client::connect(&options)).await.unwrap())
    }

    /// One that has these filters, at QoS 2.
    async fn subscribed(broker: &str, id: &str, filters: &[&str]) -> Self {
        let mut peer = Self::connect(broker, id).await;
        peer.subscribe(filters).await;
        peer
    }

    async fn subscribe(&mut self, filters: &[&str]) {
        let filters = filters
            .iter()
            .map(|it| Subscription::new(*it, QoS::ExactlyOnce));
        let filters: Vec<_> = filters.collect();
        let codes = within("SUBACK", self.0.subscribe(&filters)).await.unwrap();
        assert!(codes.iter().all(|code| !code.is_error()), "{codes:?}");
    }

    async fn publish(&mut self, topic: &str, payload: &str) {
        self.publish_at(QoS::AtLeastOnce, topic, payload).await;
    }

    async fn publish_at(&mut self, qos: QoS, topic: &str, payload: &str) {
        let message = Publish {
            qos,
            ..Publish::new(topic, payload.as_bytes())
        };
        self.publish_whole(message).await;
    }

    async fn retain(&mut self, topic: &str, payload: &str) {
        let message = Publish {
            qos: QoS::AtLeastOnce,
            retain: true,
            ..Publish::new(topic, payload.as_bytes())
        };
        self.publish_whole(message).await;
    }

    async fn publish_with(&mut self, topic: &str, properties: &[Property<'_>]) {
        let mut all = PropertiesBuf::new();
        for property in properties {
            all.push(*property).unwrap();
        }
        let message = Publish {
            qos: QoS::AtLeastOnce,
            properties: all.as_properties(),
            ..Publish::new(topic, b"")
        };
        self.publish_whole(message).await;
    }

    async fn publish_whole(&mut self, message: Publish<'_>) {
        let published = self.0.publish(message.to_owned());
        within("PUBACK", published).await.unwrap();
    }

    async fn receive(&mut self) -> OwnedPublish {
        within("a message", self.0.receive()).await.unwrap()
    }

    /// The next message is this one.
    async fn hears(&mut self, topic: &str, payload: &str) -> OwnedPublish {
        let message = self.receive().await;
        let text = String::from_utf8_lossy(&message.payload);
        assert_eq!((&*message.topic, &*text), (topic, payload));
        message
    }
}
