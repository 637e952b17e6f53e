//! RabbitMQ as the engine between nodes, by AMQP 0-9-1.
//!
//! Nodes publish to a topic exchange, with the confirmations of the server as its acceptance. Each has a queue of
//! its own, which ends with its connection, and whose bindings are the topic filters that the node needs. Payloads
//! are the bodies of messages, so programs that know AMQP alone take part; the page of the crate says how.

mod carried;
mod connecting;
mod failure;
mod keys;
mod link;
mod membership;
mod options;
mod publishing;
mod receiving;
mod stream;

use std::sync::Arc;

use broker_core::backend::{Answer, Backend, Inbound, Membership, NodeId};

pub use options::AmqpBackendOptions;

/// RabbitMQ as the engine between nodes. Each node that joins has two connections to it.
///
/// Joining needs a tokio runtime with time and network enabled, as servers do; the membership is a task in it,
/// and two threads of lapin's.
#[derive(Clone, Debug)]
pub struct AmqpBackend {
    options: AmqpBackendOptions,
}

impl AmqpBackend {
    /// The engine at a server. Does not connect yet.
    #[must_use]
    pub fn new(options: AmqpBackendOptions) -> Self {
        Self { options }
    }
}

impl Backend for AmqpBackend {
    /// Connects, and fails if that does not succeed at once: the server cannot be reached, or does not let this
    /// user in; there is no such vhost; the exchange is of another type; a file cannot be read.
    fn join(&self, node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let options = self.options.clone();
        Box::pin(async move {
            let member = membership::join(options, node, inbound).await?;
            Ok(Arc::new(member) as Arc<dyn Membership>)
        })
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
