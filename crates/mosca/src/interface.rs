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
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker_core::Rate;
use bytes::Bytes;
use mqtt_websocket::Terms;

use crate::admission::{MAX_CONNECTIONS, MAX_LARGE_CONNECTIONS};
use crate::http::Site;
use crate::server::StartError;
use crate::tls::Tls;

pub(crate) use self::accept::accept;
pub(crate) use self::door::Door;
pub(crate) use self::listener::Listener;

/// How fast connections may come on an interface that says nothing else.
const CONNECT_RATE: Rate = Rate::per_sec(2_000).with_burst(10_000);

/// Time for what comes before MQTT, on an interface that says nothing else.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client's host may be silent before it is asked whether it is there, on an interface that says
/// nothing else.
const TCP_KEEPALIVE: Duration = Duration::from_secs(600);

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
    max_connections: Option<usize>,
    connect_rate: Option<Rate>,
    tls: Option<Tls>,
    handshake_timeout: Duration,
    tcp_keepalive: Option<Duration>,
    proxy_protocol: bool,
    terms: Arc<Terms>,
    site: Arc<Site>,
}

/// What is between the stream of bytes and MQTT.
#[derive(Clone, Copy, Debug)]
enum Transport {
    Mqtt,
    WebSocket,
    /// Files, and WebSockets for who asks for them.
    Http,
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
        Self::new(Transport::Mqtt, Location::unix(path.into()))
    }

    /// MQTT over WebSocket on a Unix socket: for a web server on this machine that passes requests on.
    #[cfg(unix)]
    pub fn websocket_unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Transport::WebSocket, Location::unix(path.into()))
    }

    /// Files for browsers, and MQTT over WebSocket beside them: mosca's `http`. `address` is read as that
    /// of [`mqtt`](Self::mqtt) is; with [`tls`](Self::tls) it is https.
    ///
    /// A request for a WebSocket becomes one as on an interface made by [`websocket`](Self::websocket),
    /// whatever its path is, unless [`websocket_path`](Self::websocket_path) sets one. `/mqtt.js` is the
    /// script of [`bundle`](Self::bundle), if there is one; everything else is a file of
    /// [`static_folder`](Self::static_folder), or else 404. Methods other than GET and HEAD get 405.
    ///
    /// mosca had 404 for these, and served files whose names begin with a dot.
    ///
    /// Requests of HTTP/1.1 and 1.0 are answered one after the other, with up to 8 KiB and 100 headers
    /// each (431 for more); what a request carries is not read. Each is logged with its path, without
    /// what stands behind `?`, at the level of `debug`. [`request_timeout`](Self::request_timeout) and
    /// [`response_timeout`](Self::response_timeout) are the times for both. The time for CONNECT begins
    /// when a WebSocket is there.
    ///
    /// ```
    /// use mosca::{Interface, Server};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let folder = folder.path();
    /// # let script = "/* the browser build of MQTT.js */";
    /// let interface = Interface::http("127.0.0.1:0")
    ///     .static_folder(folder)
    ///     .bundle(script)
    ///     .websocket_origins(["https://example.org"]);
    /// let server = Server::builder().listen(interface).start().await?;
    /// assert!(server.urls()[0].starts_with("http://127.0.0.1:"));
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn http(address: impl Into<String>) -> Self {
        Self::new(Transport::Http, Location::network(address.into()))
    }

    /// The same on `port` of all the machine's addresses, which are those of
    /// [`mqtt_on_all_addresses`](Self::mqtt_on_all_addresses). Port 0 takes any that is free.
    pub fn http_on_all_addresses(port: u16) -> Self {
        Self::new(Transport::Http, Location::all_addresses(port))
    }

    /// The same on a Unix socket: for a web server on this machine that passes requests on.
    #[cfg(unix)]
    pub fn http_unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Transport::Http, Location::unix(path.into()))
    }

    fn new(transport: Transport, location: Location) -> Self {
        Self {
            location,
            transport,
            max_connections: None,
            connect_rate: Some(CONNECT_RATE),
            tls: None,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            tcp_keepalive: Some(TCP_KEEPALIVE),
            proxy_protocol: false,
            terms: Arc::default(),
            site: Arc::default(),
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

    /// Serves the files of this folder, and of those in it, on an interface made by [`http`](Self::http);
    /// others have no files. `/` and other paths with a slash at the end are the `index.html` there.
    ///
    /// Files and folders whose name begins with a dot are not there for anybody, and neither is what is
    /// no regular file. Links are followed as long as what they lead to is in the folder. Files may be
    /// replaced at any time, and so may the folder if `path` is a link. Browsers may keep a file for ten
    /// minutes (`Cache-Control: public, max-age=600`), and ask then whether it has changed.
    ///
    /// The server does not start if there is no such folder.
    pub fn static_folder(mut self, path: impl Into<PathBuf>) -> Self {
        Arc::make_mut(&mut self.site).set_folder(path.into());
        self
    }

    /// Serves this script as `/mqtt.js` on an interface made by [`http`](Self::http), instead of a file of
    /// that name. It is meant to be the browser build of MQTT.js, `dist/mqtt.min.js` of the npm package
    /// `mqtt`, which is not a part of this crate.
    pub fn bundle(mut self, script: impl Into<Bytes>) -> Self {
        Arc::make_mut(&mut self.site).set_bundle(script.into());
        self
    }

    /// Time for the whole head of an HTTP request on an interface made by [`http`](Self::http), from
    /// being accepted or from the end of the response before it; default 10 seconds. So it is also how
    /// long a connection may be idle. Then it is closed.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.site).request_timeout = timeout;
        self
    }

    /// Time for which a response on an interface made by [`http`](Self::http) may wait for the client to
    /// take it; default 30 seconds. It begins anew with every 32 KiB that have been taken. Then the
    /// connection is cut off.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.site).response_timeout = timeout;
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

    /// How long nothing may come from a client's host before the system asks whether it is still there
    /// (`SO_KEEPALIVE`); default 600 seconds, `None` for never. It is asked five times, a tenth of that time apart,
    /// so the connection of a host that answers nothing is lost after one and a half times that time. MQTT's own keep
    /// alive is the client's choice, and may be 0: without this such a client would stay connected for ever when its
    /// host has gone without a word. A program that is stuck is not noticed, since it is the host that answers.
    ///
    /// In whole seconds, from 1 to 32,767. Unix sockets and streams have none; behind a load balancer it is the load
    /// balancer that is asked.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use mosca::Interface;
    ///
    /// let interface = Interface::mqtt("[::]:1883").tcp_keepalive(Duration::from_secs(120));
    /// ```
    pub fn tcp_keepalive(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.tcp_keepalive = idle.into();
        self
    }

    /// How the URL of such an interface begins: `mqtt`, `ws` or `http`, `mqtts`, `wss` or `https` with TLS; with `+unix`
    /// behind it for a Unix socket.
    pub fn scheme(&self) -> &'static str {
        let is_unix = !matches!(self.location, Location::Network { .. });
        match (self.transport, self.tls.is_some(), is_unix) {
            (Transport::Mqtt, false, false) => "mqtt",
            (Transport::Mqtt, true, false) => "mqtts",
            (Transport::WebSocket, false, false) => "ws",
            (Transport::WebSocket, true, false) => "wss",
            (Transport::Http, false, false) => "http",
            (Transport::Http, true, false) => "https",
            (Transport::Http, false, true) => "http+unix",
            (Transport::Http, true, true) => "https+unix",
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

    /// Who may connect to a Unix socket, as the permissions of its file: `0o660` for its owner and its group.
    /// Default: what the process's umask leaves of `0o777`. They hold before anybody can connect. Whoever may not
    /// write to the file is refused by the system (`EACCES`). No other kind of interface has them.
    ///
    /// ```
    /// use mosca::Interface;
    ///
    /// let interface = Interface::unix("/run/mosca/mqtt.sock").socket_mode(0o660);
    /// ```
    #[cfg(unix)]
    pub fn socket_mode(mut self, bits: u32) -> Self {
        if let Location::Unix { permissions, .. } = &mut self.location {
            permissions.mode = Some(bits);
        }
        self
    }

    /// The group of a Unix socket's file, by its number. Default: that of the process, or of the folder. The
    /// process has to be a member of it, or privileged; otherwise the server does not start. No other kind of
    /// interface has one.
    #[cfg(unix)]
    pub fn socket_group(mut self, id: u32) -> Self {
        if let Location::Unix { permissions, .. } = &mut self.location {
            permissions.group = Some(id);
        }
        self
    }

    /// Connections at one time on this interface, with or without CONNECT; default 200,000, and 50,000 where they
    /// take more memory, with [`tls`](Self::tls) or made by [`http`](Self::http). Further ones are closed as
    /// soon as they are accepted; the first of a series is logged as a warning. How many there may be on all
    /// interfaces together, and from one address, is the server's
    /// ([`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections)).
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = Some(max_connections);
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

    /// Connections that there may be at one time.
    fn connections(&self) -> usize {
        let is_large = self.tls.is_some() || matches!(self.transport, Transport::Http);
        let default = if is_large {
            MAX_LARGE_CONNECTIONS
        } else {
            MAX_CONNECTIONS
        };
        self.max_connections.unwrap_or(default)
    }

    /// Looks whether there is a folder where files are to be served from one.
    pub(crate) fn check_folder(&self) -> Result<(), StartError> {
        let Some(folder) = self.site.folder() else {
            return Ok(());
        };
        let found = std::fs::metadata(folder).and_then(|found| match found.is_dir() {
            true => Ok(()),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        found.map_err(|source| StartError::Folder {
            folder: folder.to_owned(),
            source,
        })
    }

    /// Binds the address.
    pub(crate) async fn bind(&self) -> io::Result<Listener> {
        Listener::bind(&self.location, self.tcp_keepalive).await
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
    Unix {
        path: PathBuf,
        permissions: Permissions,
    },
}

/// Who may connect to a Unix socket; what is not said is as the system has it for new files.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, Default)]
struct Permissions {
    mode: Option<u32>,
    group: Option<u32>,
}

impl Location {
    fn network(address: String) -> Self {
        Self::Network {
            addresses: vec![address],
            ipv6_only: false,
        }
    }

    #[cfg(unix)]
    fn unix(path: PathBuf) -> Self {
        Self::Unix {
            path,
            permissions: Permissions::default(),
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
            Self::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_connection_takes_more_memory_there_may_be_fewer() {
        let plain = [Interface::mqtt("a:1"), Interface::websocket("a:1")];
        assert_eq!(plain.map(|it| it.connections()), [200_000; 2]);
        let files = Interface::http("a:1");
        assert_eq!(files.connections(), 50_000);
        assert_eq!(files.max_connections(100_000).connections(), 100_000);
    }
}
