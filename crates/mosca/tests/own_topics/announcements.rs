//! Who comes and goes, and who subscribes to what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mosca::{
    Client as Known, HookSet, Hooks, PublishRequest, PublishVerdict, Server, ServerBuilder,
    StartError, Verdict,
};
use mqtt_codec::{OwnedPacket, QoS, Version};

use crate::harness::{Client, Hello, VERSIONS, each_with, options, silent, start};

fn builder() -> ServerBuilder {
    Server::builder().id("here")
}

/// Who has subscribed to these topics, and may have seen itself do so.
async fn witness(server: &Server, version: Version, filter: &str) -> Client {
    let mut witness = Client::connect(server, version, "witness").await;
    let filters = [(filter, options(QoS::ExactlyOnce))];
    witness.send_subscribe(1, &filters, &[]).await;
    // What comes for a subscription may come before it is acknowledged.
    while !matches!(witness.receive().await, OwnedPacket::SubAck(_)) {}
    witness
}

async fn hears(witness: &mut Client, topic: &str, payload: &str) {
    let publish = witness.receive_publish().await;
    let topic = format!("$SYS/here/{topic}");
    let heard = (&*publish.topic, &*publish.payload);
    assert_eq!(heard, (&*topic, payload.as_bytes()));
    assert_eq!((publish.qos, publish.retain), (QoS::AtMostOnce, false));
}

fn pair(client: &str, filter: &str) -> String {
    format!(r#"{{"clientId":"{client}","topic":"{filter}"}}"#)
}

#[tokio::test]
async fn clients_of_every_version_are_announced_with_what_they_subscribe_to() {
    each_with(&VERSIONS, builder, async |server, version| {
        let mut witness = witness(server, version, "$SYS/here/#").await;
        let mut client = Client::connect(server, version, "client").await;
        hears(&mut witness, "new/clients", "client").await;
        client.subscribe("a/+", QoS::AtLeastOnce).await;
        hears(&mut witness, "new/subscribes", &pair("client", "a/+")).await;
        client.subscribe("b", QoS::AtLeastOnce).await;
        hears(&mut witness, "new/subscribes", &pair("client", "b")).await;
        client.unsubscribe_from(2, &["a/+"]).await;
        hears(&mut witness, "new/unsubscribes", &pair("client", "a/+")).await;
        client.disconnect().await;
        hears(&mut witness, "new/unsubscribes", &pair("client", "b")).await;
        hears(&mut witness, "disconnect/clients", "client").await;
        witness.nothing_comes().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_announced_too() {
    let server = start(builder()).await;
    let mut witness = witness(&server, Version::V5, "$SYS/here/disconnect/clients").await;
    drop(Client::connect(&server, Version::V311, "client").await);
    hears(&mut witness, "disconnect/clients", "client").await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_announced() {
    let server = start(silent()).await;
    let mut witness = witness(&server, Version::V5, "$SYS/#").await;
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("a", QoS::AtMostOnce).await;
    client.unsubscribe_from(2, &["a"]).await;
    client.disconnect().await;
    witness.nothing_comes().await;
}

#[tokio::test]
async fn nothing_is_kept_for_a_session_whose_client_is_away() {
    let away = || builder().broker(|options| options.queue_qos_0 = true);
    each_with(&VERSIONS, away, async |server, version| {
        let lasting = Hello::new(version, "away").persistent(1_000);
        let mut client = lasting.connect(server).await;
        let filters = [("$SYS/#", options(QoS::ExactlyOnce))];
        client.send_subscribe(1, &filters, &[]).await;
        while !matches!(client.receive().await, OwnedPacket::SubAck(_)) {}
        client.disconnect().await;
        for _ in 0..3 {
            let other = Client::connect(server, version, "other").await;
            other.disconnect().await;
        }
        let mut client = lasting.connect(server).await;
        // It sees itself come back, and nothing of what was before.
        hears(&mut client, "new/clients", "away").await;
        client.nothing_comes().await;
    })
    .await;
}

/// Counts what it is asked, and denies all of it.
#[derive(Clone, Default)]
struct Denies(Arc<AtomicUsize>);

impl Hooks for Denies {
    fn wanted(&self) -> HookSet {
        HookSet {
            authorize_publish: true,
            ..HookSet::NONE
        }
    }

    fn authorize_publish(&self, _: &Arc<Known>, _: &PublishRequest<'_>) -> Verdict<PublishVerdict> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Verdict::Ready(PublishVerdict::DENY)
    }
}

#[tokio::test]
async fn hooks_are_not_asked_whether_the_server_may_speak() {
    let denies = Denies::default();
    let server = start(builder().hooks(denies.clone())).await;
    let mut witness = witness(&server, Version::V5, "$SYS/here/new/clients").await;
    let _client = Client::connect(&server, Version::V5, "client").await;
    hears(&mut witness, "new/clients", "client").await;
    assert_eq!(denies.0.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn two_servers_of_one_process_speak_each_for_themselves() {
    let servers = [
        start(Server::builder().id("one")).await,
        start(Server::builder().id("other")).await,
    ];
    for server in &servers {
        let mut witness = witness(server, Version::V5, "$SYS/+/new/clients").await;
        for (number, other) in servers.iter().enumerate() {
            Client::connect(other, Version::V5, &number.to_string()).await;
        }
        let publish = witness.receive_publish().await;
        assert_eq!(publish.topic, format!("$SYS/{}/new/clients", server.id()));
        witness.nothing_comes().await;
    }
}

#[tokio::test]
async fn a_server_has_an_id_of_its_own_or_the_one_that_it_is_given() {
    let server = Server::builder().start().await.unwrap();
    let other = Server::builder().start().await.unwrap();
    assert_ne!(server.id(), other.id());
    for wrong in ["", "a/#", "broker"] {
        let refused = Server::builder().id(wrong).start().await;
        assert!(matches!(refused, Err(StartError::Id { .. })), "{wrong:?}");
    }
}
