//! The way in: what comes before MQTT on a connection that was accepted, and the start of its task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mqtt_websocket::WebSocket;

use super::proxied::read_header;
use super::{Interface, Transport};
use crate::connection::Driver;
use crate::network::{Boxed, Network};
use crate::peer::StreamPeer;
use crate::shared::Shared;
use crate::tls::Protocol;

/// One interface of a running server.
pub(crate) struct Door {
    interface: Interface,
    /// By which its connections are counted.
    number: u32,
    shared: Arc<Shared>,
}

/// Counts a connection that has no task of its own yet.
struct Counted<'a>(&'a Door);

/// A connection that is ready for MQTT.
enum Ready<S: Network> {
    Plain(S, S::Peer),
    Secure(Boxed, StreamPeer, Option<Arc<str>>),
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

    /// Whether it has as many connections as it may have, so that one is refused.
    pub(super) fn is_full(&self) -> bool {
        let is_full = self.shared.open_on(self.number) >= self.interface.max_connections;
        if is_full {
            self.shared.refused.note_full();
        }
        is_full
    }

    /// Whether connections may be [served](Self::serve) as they are, with nothing in front of MQTT.
    pub(super) fn is_open(&self) -> bool {
        self.interface.tls.is_none() && !self.interface.proxy_protocol
    }

    /// Starts the task of a connection.
    pub(super) fn serve<S: Network + 'static>(&self, stream: S, peer: S::Peer) {
        self.serve_user(stream, peer, None);
    }

    fn serve_user<S: Network + 'static>(&self, stream: S, peer: S::Peer, user: Option<Arc<str>>) {
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        match self.interface.transport {
            Transport::Mqtt => {
                tokio::spawn(Driver::new(stream, peer, shared, number).certified(user))
            }
            Transport::WebSocket => {
                let stream = WebSocket::new(stream, &self.interface.terms);
                tokio::spawn(Driver::new(stream, peer, shared, number).certified(user))
            }
        };
    }

    /// Deals with what comes before MQTT, and then starts the task of the connection.
    ///
    /// # Cancel safety
    /// If it is dropped the connection is closed, and not counted any more.
    pub(super) async fn admit<S>(self: Arc<Self>, stream: S, peer: S::Peer)
    where
        S: Network + 'static,
        S::Peer: From<SocketAddr> + Clone,
        StreamPeer: From<S::Peer>,
    {
        let _counted = Counted::new(&self);
        let limit = self.interface.handshake_timeout;
        let prepared = tokio::time::timeout(limit, self.prepare(stream, peer.clone())).await;
        let failure = match prepared {
            Ok(Ok(Ready::Plain(stream, peer))) => return self.serve(stream, peer),
            Ok(Ok(Ready::Secure(stream, peer, user))) => {
                return self.serve_user(stream, peer, user);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it is not over after {limit:?}"),
        };
        self.shared.refused.note_handshake();
        let interface = self.name();
        tracing::debug!(%peer, interface, "handshake failed: {failure}");
    }

    async fn prepare<S>(&self, mut stream: S, mut peer: S::Peer) -> io::Result<Ready<S>>
    where
        S: Network + 'static,
        S::Peer: From<SocketAddr>,
        StreamPeer: From<S::Peer>,
    {
        if self.interface.proxy_protocol
            && let Some(source) = read_header(&mut stream).await?
        {
            peer = source.into();
        }
        let Some(tls) = &self.interface.tls else {
            return Ok(Ready::Plain(stream, peer));
        };
        let protocol = match self.interface.transport {
            Transport::Mqtt => Protocol::Mqtt,
            Transport::WebSocket => Protocol::Http,
        };
        let (stream, user) = tls.accept(stream, protocol).await?;
        Ok(Ready::Secure(Box::new(stream), peer.into(), user))
    }
}

impl<'a> Counted<'a> {
    fn new(door: &'a Door) -> Self {
        door.shared.connection_opened(door.number);
        Self(door)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.shared.connection_ended(self.0.number);
    }
}
