//! The engine of the example keeps what every engine promises, and carries messages between servers.

use std::sync::Arc;

use mosca::backend::Backend;
use mosca::backend::contract::Factory;
use mosca::{QoS, Version};
use tokio::runtime::Runtime;

use crate::harness::Client;
use crate::node;
use custom_backend::Channel;

#[path = "../../examples/custom_backend.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod custom_backend;

struct Channels(Runtime);

impl Factory for Channels {
    type Engine = Arc<Channel>;
    type Backend = Arc<Channel>;

    fn create(&self) -> Self::Engine {
        Arc::new(Channel::new(10_000))
    }

    fn open(&self, engine: &Self::Engine) -> Self::Backend {
        Arc::clone(engine)
    }

    fn around(&self, case: &mut dyn FnMut()) {
        let _entered = self.0.enter();
        case();
    }
}

broker_core::backend_contract!(Channels(Runtime::new().unwrap()));

#[tokio::test]
async fn servers_that_share_a_channel_stand_for_one_another() {
    let engine: Arc<dyn Backend> = Arc::new(Channel::new(10_000));
    let (one, other) = (node(&engine, "one").await, node(&engine, "other").await);
    let mut receiver = Client::connect(&one, Version::V311, "receiver").await;
    receiver.subscribe("lamp", QoS::AtLeastOnce).await;
    let mut publisher = Client::connect(&other, Version::V311, "publisher").await;
    publisher.publish_at_least_once(1, "lamp", b"on").await;
    publisher.receive_puback().await;
    receiver.take_publish("lamp", b"on", QoS::AtLeastOnce).await;
    receiver.nothing_comes().await;
}
