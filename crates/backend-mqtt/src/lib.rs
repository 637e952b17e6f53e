//! An engine between nodes that is another MQTT broker, the *parent*: mosquitto, a mosca, or any other one.
//!
//! A node is a client of its parent. What its own clients publish it publishes there below a [`Prefix`], and
//! it subscribes there to what its own clients subscribe to; so clients of the parent and of all its children
//! talk to each other, and a parent may have a parent itself. The page of the crate says what crosses, in which
//! form, and what a parent needs to be told.
//!
//! [`Prefix`]: broker_core::backend::Prefix

mod connecting;
mod delivery;
mod echoes;
mod filters;
mod incoming;
mod kept;
mod membership;
mod note;
mod options;
mod outgoing;
mod publishing;
mod session;
mod task;
mod terms;

use std::sync::Arc;

use broker_core::backend::{Answer, Backend, Inbound, Membership, NodeId};

pub use mqtt_client::{Address, TlsOptions, Version};
pub use options::MqttBackendOptions;

/// The parent as the engine between nodes. Each node that joins is one client of it.
///
/// Joining needs a tokio runtime with time and network enabled, as servers do; the membership is a task in it.
#[derive(Clone, Debug)]
pub struct MqttBackend {
    options: Arc<MqttBackendOptions>,
}

impl MqttBackend {
    /// For a parent. Does not connect yet.
    #[must_use]
    pub fn new(options: MqttBackendOptions) -> Self {
        Self {
            options: Arc::new(options),
        }
    }
}

impl Backend for MqttBackend {
    /// Connects, and fails if that does not succeed at once.
    fn join(&self, node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let options = Arc::clone(&self.options);
        Box::pin(async move {
            let connected = connecting::connect(&options, &node, None).await;
            let connected = connected.map_err(|error| connecting::said(&options, &error))?;
            let membership = membership::begin(options, node, inbound, connected);
            Ok(Arc::new(membership) as Arc<dyn Membership>)
        })
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
