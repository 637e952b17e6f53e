//! Where a server runs: in a runtime of the program's, with one thread or several, or on its own threads.

use std::future::IntoFuture;
use std::time::Duration;

use mosca::{
    BlockingServer, ConnectedClient, EventSet, Events, Interface, OwnedEvent, Publish, QoS,
    Received, Server, ServerBuilder, StartError, Streams, Subscription, WebSocketService,
};
use mqtt_codec::Version;
use tokio::runtime::{Builder, Runtime};

use crate::client::{Client, start, within};

fn is_send<T: Send + 'static>() {}
fn is_shared<T: Send + Sync + 'static>() {}
fn will_be_sent<F: Future + Send>(future: F) -> F {
    future
}

/// Compiles, or does not.
#[test]
fn what_a_program_holds_may_go_to_another_thread() {
    is_shared::<Server>();
    is_shared::<BlockingServer>();
    is_shared::<ServerBuilder>();
    is_shared::<Subscription>();
    is_shared::<Events>();
    is_shared::<Streams>();
    is_shared::<WebSocketService>();
    is_shared::<Interface>();
    is_shared::<ConnectedClient>();
    is_shared::<mosca::Client>();
    is_shared::<Received>();
    is_shared::<OwnedEvent>();
    is_shared::<StartError>();
    is_send::<<Publish<'static> as IntoFuture>::IntoFuture>();
}

/// A day in the life of a server, with futures that any runtime may take to another thread.
async fn live() {
    let server = will_be_sent(start(Server::builder())).await;
    let mut all = server.subscribe("#").unwrap();
    let mut client = Client::connect(&server, Version::V5, "client").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    will_be_sent(server.publish_to("a", "x").into_future())
        .await
        .unwrap();
    assert_eq!(client.receive_publish().await.topic, "a");
    let received = will_be_sent(within("the message", all.recv())).await;
    assert_eq!(received.unwrap().topic(), "a");
    let left = will_be_sent(server.close(Duration::from_secs(30))).await;
    assert_eq!(left, 0);
}

#[test]
fn a_server_lives_in_a_runtime_with_one_thread() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(live());
}

#[test]
fn a_server_lives_in_a_runtime_with_several_threads() {
    Runtime::new().unwrap().block_on(async {
        tokio::spawn(live()).await.unwrap();
    });
}

/// It cannot wait there, and does not panic either.
#[test]
fn a_server_on_its_own_threads_may_be_dropped_within_a_runtime() {
    let server = Server::builder().start_on_own_threads(1).unwrap();
    let mut all = server.subscribe("#").unwrap();
    server.block_on(server.publish_to("a", "x")).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move { drop(server) });
    assert_eq!(all.blocking_recv().unwrap().topic(), "a");
    assert!(all.blocking_recv().is_none());
}

#[test]
fn a_thread_that_waits_for_events_is_woken_by_them() {
    let server = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0"))
        .start_on_own_threads(1)
        .unwrap();
    let mut events = server.events(EventSet::CONNECTED);
    let heard = std::thread::spawn(move || events.blocking_recv());
    let client = Client::connect(&server, Version::V5, "client");
    let client = server.block_on(client);
    let event = heard.join().unwrap();
    assert!(
        matches!(event, Some(OwnedEvent::Connected { .. })),
        "{event:?}"
    );
    assert_eq!(server.clients().count(), 1);
    drop(client);
    assert_eq!(server.close(Duration::from_secs(30)), 0);
}
