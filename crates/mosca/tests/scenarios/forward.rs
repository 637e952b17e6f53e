//! Hooks that decide on what is about to be sent, over sockets: one that takes its time, and one that
//! never comes to an end.

use std::sync::Arc;
use std::time::Duration;

use mosca::{
    AsyncHooks, Client as Receiver, ForwardVerdict, HookSet, Message, MessageParts, Server,
};
use mqtt_codec::{Packet, Publish, QoS, Version};
use tokio::sync::Semaphore;

use crate::client::{Client, encoded, start};

/// Lets nothing through to "slow" until a gate is opened, and says "changed" to everybody else.
struct Gate(Arc<Semaphore>);

impl AsyncHooks for Gate {
    fn wanted(&self) -> HookSet {
        HookSet {
            authorize_forward: true,
            ..HookSet::NONE
        }
    }

    async fn authorize_forward(
        &self,
        client: Arc<Receiver>,
        message: Arc<Message>,
    ) -> ForwardVerdict {
        if client.client_id().as_ref() == "slow" {
            let permit = self.0.acquire().await;
            permit.expect("it is never closed").forget();
        }
        match message.payload() {
            b"refused" => ForwardVerdict::Deny,
            b"never" => std::future::pending().await,
            b"panic" => panic!("as the test wants it"),
            b"1" => ForwardVerdict::Replace(Message::new(MessageParts {
                payload: b"changed",
                ..message.parts()
            })),
            _ => ForwardVerdict::Allow,
        }
    }
}

/// What is published in one piece, so that its receivers are woken once.
async fn publish_together(publisher: &mut Client, payloads: &[&str]) {
    let mut bytes = Vec::new();
    for payload in payloads {
        let publish = Packet::Publish(Publish::new("a", payload.as_bytes()));
        bytes.extend(encoded(publish, publisher.version()));
    }
    publisher.write(&bytes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_takes_its_time_holds_only_its_receiver() {
    let gate = Arc::new(Semaphore::new(0));
    let server = start(Server::builder().async_hooks(Gate(Arc::clone(&gate)))).await;
    let mut slow = Client::connect(&server, Version::V5, "slow").await;
    let mut quick = Client::connect(&server, Version::V311, "quick").await;
    slow.subscribe("a", QoS::AtLeastOnce).await;
    quick.subscribe("a", QoS::AtLeastOnce).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    for (number, payload) in [(1, "1"), (2, "refused"), (3, "3")] {
        publisher
            .publish_at_least_once(number, "a", payload.as_bytes())
            .await;
        publisher.publish("a", payload.as_bytes()).await;
    }
    for payload in ["changed", "changed", "3", "3"] {
        assert_eq!(quick.receive_publish().await.payload, payload.as_bytes());
    }
    // It is heard and answered meanwhile, and gets nothing else.
    slow.ping().await;
    gate.add_permits(6);
    for payload in ["changed", "changed", "3", "3"] {
        assert_eq!(slow.receive_publish().await.payload, payload.as_bytes());
    }
    slow.ping().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_never_comes_costs_that_one_message() {
    let builder = Server::builder().broker(|options| {
        options.hook_timeout = Duration::from_millis(100);
    });
    let hooks = Gate(Arc::new(Semaphore::new(0)));
    let server = start(builder.async_hooks(hooks)).await;
    let mut receiver = Client::connect(&server, Version::V5, "receiver").await;
    receiver.subscribe("a", QoS::AtMostOnce).await;
    let mut publisher = Client::connect(&server, Version::V5, "publisher").await;
    // Nothing else wakes the receiver's task than the end of that time.
    publish_together(&mut publisher, &["never", "2", "panic", "never", "3"]).await;
    for payload in ["2", "3"] {
        assert_eq!(receiver.receive_publish().await.payload, payload.as_bytes());
    }
    assert_eq!(server.counters().hook_failures.get(), 3);
}
