//! Brings clients up: connections are made, a bounded number at a time, and CONNECT is sent on each.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use mqtt_codec::{Connect, Disconnect, Packet, PropertiesBuf, Property, ReasonCode, Version};

use crate::cli::Common;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::latency::Latency;
use crate::net::{Handler, Net};

/// From so many connections on, more than one source address is used; each has some 28,000 ports.
const CONNECTIONS_PER_SOURCE: usize = 10_000;

/// How clients introduce themselves.
pub struct Login<'a> {
    common: &'a Common,
    prefix: String,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// Whether sessions end with their connections.
    pub clean: bool,
    /// Loopback addresses to connect from, by turns; 0 lets the kernel choose.
    pub sources: usize,
}

impl<'a> Login<'a> {
    /// Clients whose sessions end with their connections, with the longest keep alive there is.
    pub fn new(common: &'a Common) -> Self {
        Self {
            common,
            prefix: common.client_prefix(),
            // As good as none, which some brokers refuse.
            keep_alive: u16::MAX,
            clean: true,
            sources: 0,
        }
    }

    /// The same, with identifiers that begin so unless the command line says how.
    pub fn named(common: &'a Common, prefix: &str) -> Self {
        let prefix = common
            .client_prefix
            .as_deref()
            .map_or_else(|| prefix.to_owned(), |given| format!("{given}{prefix}"));
        Self {
            prefix,
            ..Self::new(common)
        }
    }

    /// The same with as many source addresses as so many connections need.
    pub fn for_connections(common: &'a Common, connections: usize) -> Self {
        let mut login = Self::new(common);
        if connections >= CONNECTIONS_PER_SOURCE && common.addr.ip().is_loopback() {
            login.sources = connections.div_ceil(CONNECTIONS_PER_SOURCE);
        }
        login
    }

    /// The address that client `number` connects from: 127.0.0.2 and up.
    pub fn source(&self, number: usize) -> Option<Ipv4Addr> {
        if self.sources == 0 || !matches!(self.common.addr.ip(), IpAddr::V4(_)) {
            return None;
        }
        let [_, _, high, low] = u32::try_from(2 + number % self.sources)
            .unwrap_or(2)
            .to_be_bytes();
        Some(Ipv4Addr::new(127, 0, high, low))
    }

    /// Queues CONNECT for client `number`.
    pub fn introduce(&self, connection: &mut Connection, number: usize) -> Result<(), Failure> {
        let client_id = format!("{}{number}", self.prefix);
        let mut properties = PropertiesBuf::new();
        let mut add = |property| properties.push(property).map_err(Failure::usage);
        if let Some(most) = self.common.receive_max {
            add(Property::ReceiveMaximum(most))?;
        }
        if !self.clean {
            add(Property::SessionExpiryInterval(u32::MAX))?;
        }
        let version = self.common.version();
        let mut connect = Connect::new(version, &client_id);
        if version == Version::V5 {
            connect.properties = properties.as_properties();
        }
        connect.clean_start = self.clean;
        connect.keep_alive = self.keep_alive;
        connect.username = self.common.username.as_deref();
        connect.password = self.common.password.as_deref().map(str::as_bytes);
        connection.queue(&Packet::Connect(connect))
    }
}

/// What the broker said to those who came.
#[derive(Debug, Clone, Copy)]
pub struct Welcome {
    /// Clients for whom a session was there.
    pub sessions_present: usize,
    /// The least Receive Maximum that any of them was given.
    pub receive_maximum: u16,
}

/// Receives CONNACKs, and passes on all else.
struct Arrivals<'a, H> {
    inner: &'a mut H,
    first: usize,
    /// When each began to connect.
    began_ns: Vec<u64>,
    latency: Option<&'a mut Latency>,
    arrived: usize,
    welcome: Welcome,
}

impl<H: Handler> Handler for Arrivals<'_, H> {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        let Packet::ConnAck(answer) = packet else {
            return self.inner.packet(connection, id, packet, now_ns);
        };
        if answer.reason_code.is_error() {
            let reason = answer.reason_code.as_str();
            return Err(Failure::Broken(format!("CONNECT was refused: {reason}")));
        }
        self.arrived += 1;
        self.welcome.sessions_present += usize::from(answer.session_present);
        if let Some(most) = answer.properties.receive_maximum() {
            self.welcome.receive_maximum = self.welcome.receive_maximum.min(most);
        }
        if let (Some(latency), Some(began_ns)) = (
            &mut self.latency,
            self.began_ns.get(id.wrapping_sub(self.first)),
        ) {
            latency.record(now_ns.saturating_sub(*began_ns));
        }
        Ok(())
    }

    fn closed(&mut self, id: usize, reason: &str) -> Result<(), Failure> {
        self.inner.closed(id, reason)
    }
}

/// Connects clients `ids` and returns when all have their CONNACK. Whatever else comes meanwhile
/// goes to `inner`; how long each took, to `latency`.
pub fn connect_all(
    net: &mut Net,
    login: &Login<'_>,
    ids: Range<usize>,
    inner: &mut impl Handler,
    latency: Option<&mut Latency>,
) -> Result<Welcome, Failure> {
    let mut arrivals = Arrivals {
        inner,
        first: ids.start,
        began_ns: Vec::with_capacity(ids.len()),
        latency,
        arrived: 0,
        welcome: Welcome {
            sessions_present: 0,
            receive_maximum: u16::MAX,
        },
    };
    let at_once = login.common.connect_concurrency as usize;
    let mut patience = Patience::new(login.common.timeout, net.now_ns());
    let mut next = ids.start;
    while arrivals.arrived < ids.len() {
        while next < ids.end && next - ids.start < arrivals.arrived + at_once {
            arrivals.began_ns.push(net.now_ns());
            net.open(next, login.source(next))?;
            if let Some(connection) = net.connection(next) {
                login.introduce(connection, next)?;
            }
            net.flush(next)?;
            next += 1;
        }
        net.turn(Duration::from_millis(100), &mut arrivals)?;
        patience.check(net.now_ns(), arrivals.arrived as u64, "CONNECT")?;
    }
    Ok(arrivals.welcome)
}

/// Says DISCONNECT on all of `ids` and closes them.
pub fn leave_all(net: &mut Net, ids: Range<usize>) -> Result<(), Failure> {
    for id in ids {
        if let Some(connection) = net.connection(id) {
            connection.queue(&Packet::Disconnect(Disconnect::new(
                ReasonCode::NORMAL_DISCONNECTION,
            )))?;
            // Whoever has already closed the connection does not miss it.
            let _ = connection.flush();
        }
        net.close(id);
    }
    Ok(())
}

/// For phases in which nothing but answers to our requests may come.
pub struct Nobody;

impl Handler for Nobody {
    fn packet(
        &mut self,
        _: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        _: u64,
    ) -> Result<(), Failure> {
        Err(Failure::Broken(format!(
            "connection {id}: the broker sent {packet:?}, which nobody waits for"
        )))
    }
}

/// Gives up when there has been no progress for too long.
pub struct Patience {
    limit: Duration,
    progress: u64,
    since_ns: u64,
}

impl Patience {
    pub fn new(limit: Duration, now_ns: u64) -> Self {
        Self {
            limit,
            progress: 0,
            since_ns: now_ns,
        }
    }

    /// How long `progress` has been the same.
    pub fn silence(&mut self, now_ns: u64, progress: u64) -> Duration {
        if progress != self.progress {
            self.progress = progress;
            self.since_ns = now_ns;
        }
        Duration::from_nanos(now_ns.saturating_sub(self.since_ns))
    }

    /// Fails when it has been the same for too long.
    pub fn check(&mut self, now_ns: u64, progress: u64, request: &str) -> Result<(), Failure> {
        if self.silence(now_ns, progress) < self.limit {
            return Ok(());
        }
        let seconds = self.limit.as_secs_f64();
        Err(Failure::Broken(format!(
            "{request} was not answered for {seconds} s"
        )))
    }
}
