//! Where the server listens: one value per interface, and the loop that accepts connections there.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::connection::Driver;
use crate::shared::Shared;
use crate::websocket::WebSocket;

/// Connections that the system may hold ready for us to accept. The system's own limit applies too.
const BACKLOG: u32 = 4_096;

/// Connections at one time on an interface that says nothing else.
pub(crate) const MAX_CONNECTIONS: usize = 10_000_000;

/// How long to wait when no connection can be accepted, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted before those that were accepted get their turn: while they are answered their
/// clients go on, and the next ones come.
const ACCEPTS_PER_TURN: u32 = 16;

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
    transport: Transport,
    pub(crate) max_connections: usize,
}

/// What is between TCP and MQTT.
#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    WebSocket,
}

impl Interface {
    /// MQTT over TCP on `address`: `host:port`, the host being an IP address (IPv6 in brackets) or
    /// a name; port 0 takes any that is free. A name that stands for several addresses listens on
    /// the first that works.
    pub fn mqtt(address: impl Into<String>) -> Self {
        Self::new(Transport::Tcp, vec![address.into()])
    }

    /// MQTT over TCP on `port` of all the machine's addresses, IPv6 and IPv4; of IPv4 alone where
    /// the system has no IPv6. Port 0 takes any that is free.
    pub fn mqtt_on_all_addresses(port: u16) -> Self {
        Self::new(Transport::Tcp, all_addresses(port))
    }

    /// MQTT over WebSocket (MQTT 3.1.1 and 5.0, section 6) on `address`, which is read as that of
    /// [`mqtt`](Self::mqtt) is. 8083 is the port that many clients expect.
    ///
    /// Any path will do. A client has to offer the subprotocol `mqtt`, or `mqttv3.1`, which clients
    /// from before MQTT 3.1.1 ask for; one that offers neither is refused with 400, as EMQX does.
    /// Requests for anything but a WebSocket are refused, too: 405 if they are not GET, otherwise
    /// 426. No extension is agreed on, compression in particular, and the `Origin` of a web page is
    /// not looked at.
    ///
    /// The time for CONNECT begins with the connection, so it covers the request as well, which may
    /// have 8 KiB. A text frame ends the connection with the close code 1003, a broken rule of
    /// WebSocket with 1002, and everything that MQTT has its own words for with these words and
    /// 1000. Frames and messages may be of any size: they are not gathered, and the limits on
    /// packets apply to what they carry.
    ///
    /// ```
    /// use mosca::{Interface, Server};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = Server::builder()
    ///     .listen(Interface::mqtt("127.0.0.1:0"))
    ///     .listen(Interface::websocket("127.0.0.1:0").max_connections(1_000))
    ///     .start()
    ///     .await?;
    /// println!("browsers connect to ws://{}", server.local_addresses()[1]);
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn websocket(address: impl Into<String>) -> Self {
        Self::new(Transport::WebSocket, vec![address.into()])
    }

    /// MQTT over WebSocket on `port` of all the machine's addresses, which are those of
    /// [`mqtt_on_all_addresses`](Self::mqtt_on_all_addresses). Port 0 takes any that is free.
    pub fn websocket_on_all_addresses(port: u16) -> Self {
        Self::new(Transport::WebSocket, all_addresses(port))
    }

    fn new(transport: Transport, addresses: Vec<String>) -> Self {
        Self {
            addresses,
            transport,
            max_connections: MAX_CONNECTIONS,
        }
    }

    /// How the URL of such an interface begins: `mqtt` or `ws`.
    pub fn scheme(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => "mqtt",
            Transport::WebSocket => "ws",
        }
    }

    /// The address as it was given.
    pub(crate) fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// Connections at one time on this interface, with or without CONNECT; default 10,000,000. Further ones are closed as
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
    // Small packets are answered at once or not at all in time. What is accepted inherits it.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections for ever. `number` is that of the interface, by which its connections are
/// counted.
pub(crate) async fn accept(
    listener: TcpListener,
    interface: Interface,
    number: u32,
    shared: Arc<Shared>,
) {
    // What goes on for long is a warning when it begins, and only then.
    let (mut failing, mut full) = (false, false);
    let mut accepted = 0;
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
        if shared.open_on(number) >= interface.max_connections {
            let limit = interface.max_connections;
            if mem::replace(&mut full, true) {
                tracing::debug!(%peer, limit, "too many connections");
            } else {
                tracing::warn!(%peer, limit, "too many connections: new ones are closed");
            }
            continue;
        }
        full = false;
        // Elsewhere it may not be inherited.
        if cfg!(not(target_os = "linux"))
            && let Err(error) = stream.set_nodelay(true)
        {
            tracing::debug!(%peer, %error, "connection lost before it began");
            continue;
        }
        serve(&interface, stream, peer, &shared, number);
        accepted += 1;
        if accepted == ACCEPTS_PER_TURN {
            accepted = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Starts the task of a connection.
fn serve(
    interface: &Interface,
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    number: u32,
) {
    let shared = Arc::clone(shared);
    match interface.transport {
        Transport::Tcp => tokio::spawn(Driver::new(stream, peer.into(), shared, number)),
        Transport::WebSocket => tokio::spawn(Driver::new(
            WebSocket::new(stream),
            peer.into(),
            shared,
            number,
        )),
    };
}

fn all_addresses(port: u16) -> Vec<String> {
    vec![format!("[::]:{port}"), format!("0.0.0.0:{port}")]
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
