//! Where the server listens: one value per interface, and all that happens to a connection before it is
//! served.

mod accept;
mod door;
mod listener;
mod proxied;
#[cfg(unix)]
mod socket_file;

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker_core::Rate;
use mqtt_websocket::Terms;

use crate::admission::MAX_CONNECTIONS;
use crate::tls::Tls;

pub(crate) use self::accept::accept;
pub(crate) use self::door::Door;
pub(crate) use self::listener::Listener;

/// How fast connections may come on an interface that says nothing else.
const CONNECT_RATE: Rate = Rate::per_sec(2_000).with_burst(10_000);

/// Time for what comes before MQTT, on an interface that says nothing else.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// One address on which the server listens, and its limits.
///
/// ```
/// use mosca::Interface;
///
/// let interface = Interface::mqtt("[::1]:1883").max_connections(1_000);
/// ```
#[derive(Clone, Debug)]
pub struct Interface {
    location: Location,
    transport: Transport,
    max_connections: usize,
    connect_rate: Option<Rate>,
    tls: Option<Tls>,
    handshake_timeout: Duration,
    proxy_protocol: bool,
    terms: Arc<Terms>,
}

/// What is between the stream of bytes and MQTT.
#[derive(Clone, Copy, Debug)]
enum Transport {
    Mqtt,
    WebSocket,
}

impl Interface {
    /// MQTT over TCP on `address`: `host:port`, the host being an IP address (IPv6 in brackets) or
    /// a name; port 0 takes any that is free. A name that stands for several addresses listens on
    /// the first that works.
    pub fn mqtt(address: impl Into<String>) -> Self {
        Self::new(Transport::Mqtt, Location::network(address.into()))
    }

    /// MQTT over TCP on `port` of all the machine's addresses, IPv6 and IPv4; of IPv4 alone where
    /// the system has no IPv6. Port 0 takes any that is free.
    pub fn mqtt_on_all_addresses(port: u16) -> Self {
        Self::new(Transport::Mqtt, Location::all_addresses(port))
    }

    /// MQTT over WebSocket (MQTT 3.1.1 and 5.0, section 6) on `address`, which is read as that of
    /// [`mqtt`](Self::mqtt) is. 8083 is the port that many clients expect.
    ///
    /// Any path will do ([`websocket_path`](Self::websocket_path) sets one), and pages of any origin may
    /// connect ([`websocket_origins`](Self::websocket_origins)). A client has to offer the subprotocol `mqtt`, or `mqttv3.1`, which clients
    /// from before MQTT 3.1.1 ask for; one that offers neither is refused with 400, as EMQX does.
    /// Requests for anything but a WebSocket are refused, too: 405 if they are not GET, otherwise
    /// 426. No extension is agreed on: compression (`permessage-deflate`) is never offered.
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
        Self::new(Transport::WebSocket, Location::network(address.into()))
    }

    /// MQTT over WebSocket on `port` of all the machine's addresses, which are those of
    /// [`mqtt_on_all_addresses`](Self::mqtt_on_all_addresses). Port 0 takes any that is free.
    pub fn websocket_on_all_addresses(port: u16) -> Self {
        Self::new(Transport::WebSocket, Location::all_addresses(port))
    }

    /// MQTT on a Unix socket, whose file is made at `path` and removed when the server closes. Who may
    /// connect is what the permissions of its folder say. A socket that a process has left there without
    /// removing it is replaced.
    ///
    /// ```
    /// use mosca::{Interface, Server};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("mqtt.sock");
    /// let server = Server::builder().listen(Interface::unix(&path)).start().await?;
    /// assert_eq!(server.urls(), [format!("mqtt+unix://{}", path.display())]);
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Transport::Mqtt, Location::Unix(path.into()))
    }

    /// MQTT over WebSocket on a Unix socket: for a web server on this machine that passes requests on.
    #[cfg(unix)]
    pub fn websocket_unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Transport::WebSocket, Location::Unix(path.into()))
    }

    fn new(transport: Transport, location: Location) -> Self {
        Self {
            location,
            transport,
            max_connections: MAX_CONNECTIONS,
            connect_rate: Some(CONNECT_RATE),
            tls: None,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            proxy_protocol: false,
            terms: Arc::default(),
        }
    }

    /// TLS below MQTT or WebSocket. Several interfaces may have the same, and one
    /// [`reload`](Tls::reload) does for all of them.
    ///
    /// A client that uses ALPN has to offer `mqtt`, or `http/1.1` for a WebSocket.
    pub fn tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// The path that requests for a WebSocket have to be for, such as `/mqtt`; default any. What stands
    /// behind `?` is not looked at. Requests for another one are refused with 404.
    pub fn websocket_path(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.terms).path = Some(path.into());
        self
    }

    /// The origins whose pages may connect, as browsers write them: `https://example.org`, without a
    /// slash at the end; upper and lower case are the same. Pages of others are refused with 403.
    /// Default all. Clients that name no origin are no browsers, and always let through.
    pub fn websocket_origins<O: Into<String>>(
        mut self,
        origins: impl IntoIterator<Item = O>,
    ) -> Self {
        let origins = origins.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.terms).origins = origins;
        self
    }

    /// For an interface behind a load balancer that says who has connected to it, by the PROXY protocol
    /// of version 1 or 2; default no. It stands in front of everything else, TLS included, and is
    /// required then: no client should be able to come past the load balancer, for the header is
    /// believed. The log has the address that it names.
    pub fn proxy_protocol(mut self, expected: bool) -> Self {
        self.proxy_protocol = expected;
        self
    }

    /// Time from being accepted to the end of what comes before MQTT and WebSocket: the header of the
    /// PROXY protocol and the TLS handshake; default 10 seconds. Then the connection is closed. The
    /// time for CONNECT begins after it.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How the URL of such an interface begins: `mqtt` or `ws`, `mqtts` or `wss` with TLS; with `+unix`
    /// behind it for a Unix socket.
    pub fn scheme(&self) -> &'static str {
        let is_unix = !matches!(self.location, Location::Network { .. });
        match (self.transport, self.tls.is_some(), is_unix) {
            (Transport::Mqtt, false, false) => "mqtt",
            (Transport::Mqtt, true, false) => "mqtts",
            (Transport::WebSocket, false, false) => "ws",
            (Transport::WebSocket, true, false) => "wss",
            (Transport::Mqtt, false, true) => "mqtt+unix",
            (Transport::Mqtt, true, true) => "mqtts+unix",
            (Transport::WebSocket, false, true) => "ws+unix",
            (Transport::WebSocket, true, true) => "wss+unix",
        }
    }

    /// Whether an IPv6 address is for IPv6 alone; default no: `[::]` is all of the machine's addresses,
    /// IPv4 ones as well, whatever the system's own default is.
    pub fn ipv6_only(mut self, only: bool) -> Self {
        if let Location::Network { ipv6_only, .. } = &mut self.location {
            *ipv6_only = only;
        }
        self
    }

    /// Connections at one time on this interface, with or without CONNECT; default 200,000. Further ones are closed as
    /// soon as they are accepted; the first of a series is logged as a warning. How many there may be on all
    /// interfaces together, and from one address, is the server's
    /// ([`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections)).
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// How fast connections may come on this interface; `None` for as fast as they like. Default 2,000 in a
    /// second and 10,000 at once. Further ones are closed and counted
    /// ([`refused_connect_rate`](crate::NetworkCounters::refused_connect_rate)). It does not hold for
    /// [exempt networks](crate::ServerBuilder::exempt_networks), Unix sockets and streams.
    ///
    /// ```
    /// use mosca::{Interface, Rate};
    ///
    /// // Handshakes of TLS are work.
    /// let interface = Interface::mqtt("[::]:8883").connect_rate(Rate::per_sec(300));
    /// ```
    pub fn connect_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.connect_rate = rate.into();
        self
    }

    /// Binds the address.
    pub(crate) async fn bind(&self) -> io::Result<Listener> {
        Listener::bind(&self.location).await
    }

    /// Its URL, with the port that the system chose, if that is known.
    pub(crate) fn url(&self, bound: Option<SocketAddr>) -> String {
        match bound {
            Some(bound) => format!("{}://{bound}", self.scheme()),
            None => format!("{}://{}", self.scheme(), self.location),
        }
    }
}

/// Where an interface is.
#[derive(Clone, Debug)]
enum Location {
    /// Tried one after the other.
    Network {
        addresses: Vec<String>,
        ipv6_only: bool,
    },
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Location {
    fn network(address: String) -> Self {
        Self::Network {
            addresses: vec![address],
            ipv6_only: false,
        }
    }

    fn all_addresses(port: u16) -> Self {
        let any = Ipv6Addr::UNSPECIFIED;
        Self::Network {
            addresses: vec![format!("[{any}]:{port}"), format!("0.0.0.0:{port}")],
            ipv6_only: false,
        }
    }
}

/// As it was given.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { addresses, .. } => {
                f.write_str(addresses.first().map_or("", String::as_str))
            }
            #[cfg(unix)]
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
