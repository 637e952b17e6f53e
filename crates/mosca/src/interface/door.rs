//! The way in: what an interface does with a connection that it has accepted.

use std::sync::Arc;

use super::{Interface, Transport};
use crate::connection::Driver;
use crate::network::Network;
use crate::shared::Shared;
use crate::websocket::WebSocket;

/// One interface of a running server.
pub(crate) struct Door {
    interface: Interface,
    /// By which its connections are counted.
    number: u32,
    shared: Arc<Shared>,
}

impl Door {
    pub(crate) fn new(interface: Interface, number: u32, shared: Arc<Shared>) -> Self {
        Self {
            interface,
            number,
            shared,
        }
    }

    /// What the log calls it: its URL as it was given.
    pub(super) fn name(&self) -> String {
        self.interface.url(None)
    }

    pub(super) fn max_connections(&self) -> usize {
        self.interface.max_connections
    }

    /// Whether it has as many connections as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.shared.open_on(self.number) >= self.interface.max_connections
    }

    /// Starts the task of a connection.
    pub(super) fn serve<S: Network + 'static>(&self, stream: S, peer: S::Peer) {
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        match self.interface.transport {
            Transport::Mqtt => tokio::spawn(Driver::new(stream, peer, shared, number)),
            Transport::WebSocket => {
                tokio::spawn(Driver::new(WebSocket::new(stream), peer, shared, number))
            }
        };
    }
}
