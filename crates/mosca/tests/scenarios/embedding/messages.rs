//! Messages and events that the program takes, and messages that it publishes.

use std::time::Duration;

use mosca::{EventSet, OwnedEvent, PublishError, QoS, Server, SubscribeOptions};
use mqtt_codec::Version;

use crate::client::{Client, plain_server, within};

#[tokio::test]
async fn the_program_receives_what_clients_publish_and_clients_what_it_publishes() {
    let server = plain_server().await;
    let mut readings = server.subscribe("plant/+/pressure").unwrap();
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("answer", QoS::AtLeastOnce).await;
    client
        .publish_at_least_once(1, "plant/2/pressure", b"1013")
        .await;
    client.receive_puback().await;

    let reading = within("the reading", readings.recv()).await.unwrap();
    assert_eq!(reading.payload(), b"1013");
    assert_eq!(
        (reading.qos(), reading.is_retained),
        (QoS::AtLeastOnce, false)
    );
    let answer = server
        .publish_to("answer", "high")
        .qos(QoS::AtLeastOnce)
        .content_type("text/plain")
        .utf8()
        .response_topic("answer/to", Some(b"7"))
        .user_property("a", "1")
        .user_property("a", "2")
        .expires_after_secs(60);
    answer.await.unwrap();
    let received = client.receive_publish().await;
    assert_eq!(&received.payload[..], b"high");
    let properties = received.properties.as_properties();
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.response_topic(), Some("answer/to"));
    assert_eq!(properties.correlation_data(), Some(&b"7"[..]));
    assert_eq!(properties.user_properties().count(), 2);
    assert_eq!(properties.message_expiry_interval(), Some(60));
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_and_nobody_receives_it() {
    let server = plain_server().await;
    let mut all = server.subscribe("#").unwrap();
    let bad = server.publish_to("a/#", "x").await;
    assert!(matches!(bad, Err(PublishError::Topic(_))), "{bad:?}");
    let bad = server
        .publish_to("a", "x")
        .response_topic("b/+", None)
        .await;
    assert!(matches!(bad, Err(PublishError::Topic(_))), "{bad:?}");
    let bad = server.publish_to("a", "x").content_type("\0").await;
    assert!(matches!(bad, Err(PublishError::Property(_))), "{bad:?}");
    assert!(all.try_recv().is_none());
}

/// An empty retained message, as clients do it [MQTT-3.3.1-6].
#[tokio::test]
async fn the_program_retains_and_clears() {
    let server = plain_server().await;
    server.publish_to("a", "x").retain().await.unwrap();
    let options = SubscribeOptions {
        retained: true,
        ..SubscribeOptions::default()
    };
    let mut state = server.subscribe_with(["a"], options).unwrap();
    assert!(within("retained", state.recv()).await.unwrap().is_retained);
    server.publish_to("a", "").retain().await.unwrap();
    assert_eq!(server.sizes().retained_messages, 0);
}

#[tokio::test]
async fn what_has_come_can_be_taken_after_the_server_has_closed_and_then_it_is_over() {
    let server = plain_server().await;
    let mut all = server.subscribe("#").unwrap();
    let mut events = server.events(EventSet::DISCONNECTED);
    server.publish_to("a", "x").await.unwrap();
    let mut client = Client::connect(&server, Version::V311, "client").await;
    assert_eq!(server.close(Duration::from_secs(30)).await, 0);
    assert!(client.last_words().await.is_empty());

    assert_eq!(
        within("the message", all.recv()).await.unwrap().topic(),
        "a"
    );
    assert!(within("the end", all.recv()).await.is_none());
    let event = within("the event", events.recv()).await;
    assert!(
        matches!(&event, Some(OwnedEvent::Disconnected { client, .. })
            if client.client_id().as_ref() == "client"),
        "{event:?}"
    );
    assert!(within("the end", events.recv()).await.is_none());
}

/// Each has its own, and neither knows of the other.
#[tokio::test]
async fn several_servers_in_one_process_have_nothing_in_common() {
    let one = plain_server().await;
    let store = std::sync::Arc::new(persistence_memory::MemoryPersistence::new());
    let other = Server::builder().persistence(store);
    let other =
        crate::client::start(other.broker(|options| options.max_qos = QoS::AtMostOnce)).await;
    let mut of_one = one.subscribe("#").unwrap();
    let mut of_other = other.subscribe("#").unwrap();
    let _same_name = Client::connect(&one, Version::V5, "client").await;
    let mut client = Client::connect(&other, Version::V5, "client").await;
    client.publish("a", b"x").await;
    client.ping().await;
    assert_eq!(
        within("the message", of_other.recv())
            .await
            .unwrap()
            .topic(),
        "a"
    );
    assert!(of_one.try_recv().is_none());
    assert!(one.client("client").is_some() && other.client("client").is_some());
    one.close(Duration::from_secs(30)).await;
    client.ping().await;
}
