//! Streams that a program hands to the running server: what it accepted itself, wherever that was.

mod websocket_service;

use std::fmt;
use std::sync::Arc;

use mqtt_websocket::{Terms, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

pub use self::websocket_service::WebSocketService;
use crate::admission::Refusal;
use crate::connection::Driver;
use crate::network::{Boxed, Noted};
use crate::peer::{Peer as _, StreamPeer};
use crate::shared::Shared;

/// Hands streams of bytes to a running server; made by [`Server::streams`](crate::Server::streams).
///
/// It may be cloned, sent to other tasks, and kept for as long as one likes: it does not hold the
/// server open.
///
/// ```
/// use std::time::Duration;
/// use mosca::Server;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let server = Server::builder().start().await?;
/// let (mut client, stream) = tokio::io::duplex(1024);
/// server.streams().serve(stream, "a pipe in this process")?;
///
/// // CONNECT of MQTT 3.1.1, and CONNACK.
/// client.write_all(b"\x10\x0D\0\x04MQTT\x04\x02\0\x3C\0\x01a").await?;
/// let mut connack = [0; 4];
/// client.read_exact(&mut connack).await?;
/// assert_eq!(connack, [0x20, 2, 0, 0]);
/// server.close(Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
    runtime: Handle,
    /// By which their connections are counted.
    number: u32,
    max: usize,
    terms: Arc<Terms>,
}

/// Why a stream is not served. It has been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamRefused {
    /// The server closes, or has been closed.
    #[error("the server is closing")]
    Closing,
    /// There are as many of them as there may be; see
    /// [`ServerBuilder::max_streams`](crate::ServerBuilder::max_streams).
    #[error("there are {0} streams, and no more may be served")]
    TooMany(usize),
    /// The server has as many connections as it may have; see
    /// [`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections).
    #[error("there are {0} connections, and no more may be served")]
    ServerFull(usize),
    /// The peer is an address that has as many connections as it may have; see
    /// [`ServerBuilder::max_connections_per_address`](crate::ServerBuilder::max_connections_per_address).
    #[error("the address has {0} connections, and no more may be served")]
    AddressFull(usize),
    /// The peer is an address from which connections come too fast; see
    /// [`ServerBuilder::connect_rate_per_address`](crate::ServerBuilder::connect_rate_per_address).
    #[error("connections come too fast from the address")]
    TooFast,
}

impl Streams {
    /// To be called within the runtime that is to serve them.
    pub(crate) fn new(shared: Arc<Shared>, number: u32, max: usize) -> Self {
        Self {
            shared,
            runtime: Handle::current(),
            number,
            max,
            terms: Arc::default(),
        }
    }

    /// Serves MQTT on `stream`, from CONNECT on, as on a connection that was accepted from an
    /// interface: the same limits hold, the same time for CONNECT, and `close` ends it. `peer` is what
    /// the log calls it.
    ///
    /// Returns at once; the connection has a task of its own on the server's runtime. When it is over
    /// the stream is shut down, and dropped. What is written to it is flushed before the task waits,
    /// so it may gather. Where `peer` is an address, the limits of addresses hold for it. A stream that takes several buffers in one write
    /// ([`is_write_vectored`](AsyncWrite::is_write_vectored)) is written to less often.
    ///
    /// # Errors
    /// If the server closes or has too many streams already.
    pub fn serve<S>(&self, stream: S, peer: impl Into<StreamPeer>) -> Result<(), StreamRefused>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let peer = peer.into();
        self.check(&peer)?;
        let stream: Boxed = Box::new(Noted::new(stream));
        let driver = Driver::new(stream, peer, Arc::clone(&self.shared), self.number);
        self.runtime.spawn(driver);
        Ok(())
    }

    /// The same for a stream that begins with the HTTP request for a WebSocket, which is answered as
    /// on an interface made by [`Interface::websocket`](crate::Interface::websocket).
    ///
    /// # Errors
    /// Those of [`serve`](Self::serve).
    pub fn serve_websocket<S>(
        &self,
        stream: S,
        peer: impl Into<StreamPeer>,
    ) -> Result<(), StreamRefused>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let peer = peer.into();
        self.check(&peer)?;
        let stream: Boxed = Box::new(Noted::new(stream));
        let stream = WebSocket::new(stream, &self.terms);
        let driver = Driver::new(stream, peer, Arc::clone(&self.shared), self.number);
        self.runtime.spawn(driver);
        Ok(())
    }

    /// How many of them are open.
    pub fn open(&self) -> usize {
        self.shared.open_on(self.number)
    }

    fn check(&self, peer: &StreamPeer) -> Result<(), StreamRefused> {
        if self.shared.broker.is_shutting_down() {
            return Err(StreamRefused::Closing);
        }
        let now = self.shared.clock.now();
        let checked = if self.open() < self.max {
            self.shared.check_connection(peer.ip(), now)
        } else {
            Err(Refusal::InterfaceFull(self.max))
        };
        let Err(refusal) = checked else {
            return Ok(());
        };
        let refused = &self.shared.refused.connections;
        refused.note(refusal, peer, &"streams of the program", now);
        Err(match refusal {
            Refusal::InterfaceFull(max) => StreamRefused::TooMany(max),
            Refusal::ServerFull(max) => StreamRefused::ServerFull(max),
            Refusal::AddressFull(max) => StreamRefused::AddressFull(max),
            Refusal::AddressRate(_) | Refusal::InterfaceRate(_) => StreamRefused::TooFast,
        })
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("open", &self.open())
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}
