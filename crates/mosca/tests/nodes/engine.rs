//! Servers come to the engine, and leave it.

use std::sync::Arc;
use std::time::Duration;

use backend_memory::MemoryBackend;
use mosca::backend::Backend;
use mosca::backend::contract::Controlled;
use mosca::{QoS, Server, StartError, Version};

use crate::harness::Client;
use crate::node;

#[tokio::test]
async fn a_server_leaves_the_engine_when_it_closes_and_when_it_is_dropped() {
    let engine = MemoryBackend::new();
    let shared: Arc<dyn Backend> = Arc::new(engine.clone());
    let (a, b) = (node(&shared, "a").await, node(&shared, "b").await);
    let dropped = node(&shared, "dropped").await;
    assert_eq!(engine.members(), 3);
    let mut client = Client::connect(&a, Version::V5, "client").await;
    client.subscribe("last/words", QoS::AtLeastOnce).await;
    b.publish_to("last/words", "")
        .qos(QoS::AtLeastOnce)
        .await
        .unwrap();
    assert_eq!(b.close(Duration::from_secs(30)).await, 0);
    assert_eq!(engine.members(), 2);
    client
        .take_publish("last/words", b"", QoS::AtLeastOnce)
        .await;
    drop(dropped);
    crate::until("the dropped one to be gone", || engine.members() == 1).await;
    assert_eq!(a.backend_state().unwrap().to_string(), "connected");
    drop(client);
    assert_eq!(a.close(Duration::from_secs(30)).await, 0);
    assert_eq!(engine.members(), 0);
}

#[tokio::test]
async fn a_server_does_not_start_without_its_engine_or_with_topics_that_are_none() {
    let engine = Controlled::new(MemoryBackend::new());
    let builder = Server::builder().backend(Arc::new(engine.clone()));
    let wrong = builder
        .clone()
        .backend_options(|it| it.local_topics = vec!["a/#/b".to_owned()]);
    let error = wrong.start().await.unwrap_err();
    assert!(matches!(&error, StartError::LocalTopics { filter, .. } if filter == "a/#/b"));
    engine.lose();
    let error = builder.clone().start().await.unwrap_err();
    assert!(matches!(error, StartError::Backend(_)), "{error}");
    engine.restore();
    let server = builder.start().await.unwrap();
    assert!(
        Server::builder()
            .start()
            .await
            .unwrap()
            .backend_state()
            .is_none()
    );
    server.close(Duration::from_secs(5)).await;
}
