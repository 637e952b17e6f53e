//! How a server is put together before it starts.

use std::fmt::Write as _;
use std::sync::Arc;

use broker_core::BrokerOptions;
use broker_core::persistence::Persistence;

use crate::interface::{Interface, MAX_CONNECTIONS};
use crate::server::{Server, StartError};

/// Options of a [`Server`]; see [`Server::builder`].
#[derive(Clone)]
#[must_use]
pub struct ServerBuilder {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) max_streams: usize,
    pub(crate) broker: BrokerOptions,
    pub(crate) persistence: Option<Arc<dyn Persistence>>,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        let broker = BrokerOptions {
            assign_client_id: Arc::new(random_client_id),
            ..BrokerOptions::default()
        };
        Self {
            interfaces: Vec::new(),
            max_streams: MAX_CONNECTIONS,
            broker,
            persistence: None,
        }
    }

    /// Adds an interface to listen on. There may be any number, also none.
    pub fn listen(mut self, interface: Interface) -> Self {
        self.interfaces.push(interface);
        self
    }

    /// Streams served at one time through [`Server::streams`]; default 10,000,000.
    pub fn max_streams(mut self, max_streams: usize) -> Self {
        self.max_streams = max_streams;
        self
    }

    /// Changes limits and features.
    ///
    /// ```
    /// use mosca::Server;
    ///
    /// let builder = Server::builder().broker(|options| {
    ///     options.max_packet_size_bytes = 1 << 20;
    ///     options.max_inflight = 20;
    /// });
    /// ```
    pub fn broker(mut self, change: impl FnOnce(&mut BrokerOptions)) -> Self {
        change(&mut self.broker);
        self
    }

    /// Keeps sessions, retained messages and wills in this store, and loads what is in it at the
    /// start. Without a store they live as long as the server.
    pub fn persistence(mut self, store: Arc<dyn Persistence>) -> Self {
        self.persistence = Some(store);
        self
    }

    /// Loads what the store has, binds all interfaces, and starts to serve.
    ///
    /// # Errors
    /// When an address cannot be bound or the store cannot be read. Nothing is left running then.
    ///
    /// # Panics
    /// Outside a tokio runtime with IO and time enabled.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready starts nothing.
    pub async fn start(self) -> Result<Server, StartError> {
        Server::start(self).await
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("interfaces", &self.interfaces)
            .field("max_streams", &self.max_streams)
            .field("broker", &self.broker)
            .field("has_persistence", &self.persistence.is_some())
            .finish()
    }
}

/// A client identifier that nobody can guess: 128 random bits.
fn random_client_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // A system without randomness has worse problems; the hasher's keys are what is left.
        use std::hash::{BuildHasher, Hasher, RandomState};
        let random = || RandomState::new().build_hasher().finish().to_be_bytes();
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&random());
        low.copy_from_slice(&random());
    }
    let mut id = String::with_capacity(38);
    id.push_str("mosca-");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _written = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_client_ids_are_long_and_differ() {
        let ids: std::collections::HashSet<String> = (0..100).map(|_| random_client_id()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 38));
    }
}
