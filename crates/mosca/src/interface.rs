//! Where the server listens: one value per interface, and the loop that accepts connections there.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::connection::Driver;
use crate::shared::Shared;

/// Connections that the system may hold ready for us to accept. The system's own limit applies too.
const BACKLOG: u32 = 4_096;

/// Connections at one time on an interface that says nothing else.
const MAX_CONNECTIONS: usize = 10_000_000;

/// How long to wait when no connection can be accepted, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One address on which the server listens, and its limits.
///
/// ```
/// use mosca::Interface;
///
/// let interface = Interface::mqtt("[::1]:1883").max_connections(1_000);
/// ```
#[derive(Clone, Debug)]
pub struct Interface {
    /// Tried one after the other.
    addresses: Vec<String>,
    pub(crate) max_connections: usize,
}

impl Interface {
    /// MQTT over TCP on `address`: `host:port`, the host being an IP address (IPv6 in brackets) or
    /// a name; port 0 takes any that is free. A name that stands for several addresses listens on
    /// the first that works.
    pub fn mqtt(address: impl Into<String>) -> Self {
        Self {
            addresses: vec![address.into()],
            max_connections: MAX_CONNECTIONS,
        }
    }

    /// MQTT over TCP on `port` of all the machine's addresses, IPv6 and IPv4; of IPv4 alone where
    /// the system has no IPv6. Port 0 takes any that is free.
    pub fn mqtt_on_all_addresses(port: u16) -> Self {
        let addresses = vec![format!("[::]:{port}"), format!("0.0.0.0:{port}")];
        Self {
            addresses,
            max_connections: MAX_CONNECTIONS,
        }
    }

    /// The address as it was given.
    pub(crate) fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// Connections at one time on this interface; default 10,000,000. Further ones are closed as
    /// soon as they are accepted; the first of them is logged as a warning.
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Binds the address.
    pub(crate) async fn bind(&self) -> io::Result<TcpListener> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in &self.addresses {
            for address in lookup_host(address).await? {
                match bind(address) {
                    Ok(listener) => return Ok(listener),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Without it a restart would have to wait for the old connections' last packets to die out.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections for ever.
pub(crate) async fn accept(listener: TcpListener, interface: Interface, shared: Arc<Shared>) {
    let open = Arc::new(());
    // What goes on for long is a warning when it begins, and only then.
    let (mut failing, mut full) = (false, false);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => {
                tracing::debug!(%error, "connection lost before it was accepted");
                continue;
            }
            Err(error) => {
                if !mem::replace(&mut failing, true) {
                    let address = interface.address();
                    tracing::warn!(address, %error, "cannot accept connections for now");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        failing = false;
        // Every connection holds a clone; one is ours.
        if Arc::strong_count(&open) > interface.max_connections {
            let limit = interface.max_connections;
            if mem::replace(&mut full, true) {
                tracing::debug!(%peer, limit, "too many connections");
            } else {
                tracing::warn!(%peer, limit, "too many connections: new ones are closed");
            }
            continue;
        }
        full = false;
        // Small packets are answered at once or not at all in time.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "connection lost before it began");
            continue;
        }
        let driver = Driver::new(stream, peer, Arc::clone(&shared), Arc::clone(&open));
        tokio::spawn(driver);
    }
}

/// Whether only this one connection could not be accepted: its client has left already.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
