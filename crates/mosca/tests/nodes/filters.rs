//! A node asks the engine for what it needs, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backend_memory::MemoryBackend;
use mosca::backend::Backend;
use mosca::backend::contract::Controlled;
use mosca::{QoS, SubscribeOptions, Version};
use persistence_memory::MemoryPersistence;

use crate::harness::{Client, Hello};
use crate::{node, node_with};

fn set(filters: &[&str]) -> BTreeSet<String> {
    filters.iter().map(|it| (*it).to_owned()).collect()
}

#[tokio::test]
async fn filters_come_with_the_first_who_needs_them_and_go_with_the_last() {
    let engine = Controlled::new(MemoryBackend::new());
    let shared: Arc<dyn Backend> = Arc::new(engine.clone());
    let server = node(&shared, "a").await;
    let mut one = Client::connect(&server, Version::V5, "one").await;
    let mut other = Client::connect(&server, Version::V5, "other").await;
    // When SUBACK is there, the engine has the filter.
    one.subscribe("t/+", QoS::AtMostOnce).await;
    assert_eq!(engine.filters("a"), set(&["t/+"]));
    for filter in ["t/+", "$SYS/x", "$share/group/u", "only/other"] {
        other.subscribe(filter, QoS::AtLeastOnce).await;
    }
    other.subscribe("t/+", QoS::AtMostOnce).await;
    assert_eq!(engine.filters("a"), set(&["t/+", "u", "only/other"]));
    let program = server
        .subscribe_with(["u", "p"], SubscribeOptions::default())
        .unwrap();
    crate::until("filters of the program", || {
        engine.filters("a") == set(&["t/+", "u", "only/other", "p"])
    })
    .await;

    one.unsubscribe_from(2, &["t/+"]).await;
    other.disconnect().await;
    crate::until("filters to go", || engine.filters("a") == set(&["u", "p"])).await;
    drop(program);
    crate::until("the last to go", || engine.filters("a").is_empty()).await;
}

#[tokio::test]
async fn sessions_that_a_store_has_kept_are_asked_for_when_the_server_starts() {
    let engine = Controlled::new(MemoryBackend::new());
    let shared: Arc<dyn Backend> = Arc::new(engine.clone());
    let store = Arc::new(MemoryPersistence::new());
    let keep = |builder: mosca::ServerBuilder| builder.persistence(store.clone());
    let server = node_with(&shared, "first", keep).await;
    let hello = Hello::new(Version::V5, "client").persistent(3_600);
    let mut client = hello.connect(&server).await;
    client.subscribe("t/#", QoS::AtLeastOnce).await;
    client.subscribe("$share/group/s", QoS::AtLeastOnce).await;
    client.disconnect().await;
    assert_eq!(server.close(Duration::from_secs(30)).await, 0);

    let server = node_with(&shared, "second", keep).await;
    assert_eq!(engine.filters("second"), set(&["s", "t/#"]));
    let other = node(&shared, "other").await;
    other
        .publish_to("t/1", "waits")
        .qos(QoS::AtLeastOnce)
        .await
        .unwrap();
    crate::until("the message", || {
        server.counters().received_from_nodes.get() == 1
    })
    .await;
    let mut client = hello.connect(&server).await;
    client.take_publish("t/1", b"waits", QoS::AtLeastOnce).await;
}
