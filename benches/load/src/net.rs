//! All connections of the run and the one loop that serves them.
//!
//! Edge-triggered: each connection is registered once, for both directions, and never again. A read
//! that does not fill the buffer has emptied the socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use mqtt_codec::{Packet, Version};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::{Connection, Rest};
use crate::failure::Failure;

/// Read at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Events taken at a time.
const EVENTS: usize = 1024;

/// What a scenario does with what comes in.
pub trait Handler {
    /// A packet came in. What is queued on `connection` is sent when all that was read is handled.
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure>;

    /// The connection is over.
    fn closed(&mut self, id: usize, reason: &str) -> Result<(), Failure> {
        Err(Failure::Broken(format!("connection {id}: {reason}")))
    }
}

/// The connections, by numbers that the scenario chooses.
pub struct Net {
    poll: Poll,
    events: Events,
    address: SocketAddr,
    version: Version,
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    started: Instant,
}

impl Net {
    pub fn new(address: SocketAddr, version: Version) -> Result<Self, Failure> {
        Ok(Self {
            poll: Poll::new().map_err(Failure::broken)?,
            events: Events::with_capacity(EVENTS),
            address,
            version,
            connections: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            started: Instant::now(),
        })
    }

    /// Nanoseconds since the start of the run.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// The version that all connections speak.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where timers can be registered. Their tokens are to be [`Net::TIMER`].
    pub fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// The token of what is no connection; its events only end a wait.
    pub const TIMER: Token = Token(usize::MAX);

    /// Begins to connect as number `id`, from `source` if given.
    pub fn open(&mut self, id: usize, source: Option<Ipv4Addr>) -> Result<(), Failure> {
        let mut stream = dial(self.address, source).map_err(|error| {
            Failure::Broken(format!("cannot connect to {}: {error}", self.address))
        })?;
        self.poll
            .registry()
            .register(
                &mut stream,
                Token(id),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(Failure::broken)?;
        if self.connections.len() <= id {
            self.connections.resize_with(id + 1, || None);
        }
        self.connections[id] = Some(Connection::new(stream, self.version));
        Ok(())
    }

    /// The connection of this number, if it is open.
    #[inline]
    pub fn connection(&mut self, id: usize) -> Option<&mut Connection> {
        self.connections.get_mut(id)?.as_mut()
    }

    /// Closes a connection.
    pub fn close(&mut self, id: usize) {
        if let Some(connection) = self.connections.get_mut(id) {
            *connection = None;
        }
    }

    /// Sends what is queued on a connection.
    pub fn flush(&mut self, id: usize) -> Result<(), Failure> {
        let Some(connection) = self.connection(id) else {
            return Ok(());
        };
        connection
            .flush()
            .map_err(|error| Failure::Broken(format!("connection {id}: {error}")))
    }

    /// Hears nothing of a connection any more; the kernel goes on to receive for it.
    pub fn mute(&mut self, id: usize) -> Result<(), Failure> {
        if let Some(Some(connection)) = self.connections.get_mut(id) {
            self.poll
                .registry()
                .deregister(&mut connection.stream)
                .map_err(Failure::broken)?;
        }
        Ok(())
    }

    /// Waits for events, for at most `timeout`, and handles them. Returns whether a timer was among
    /// them.
    pub fn turn(&mut self, timeout: Duration, handler: &mut impl Handler) -> Result<bool, Failure> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Failure::broken(error));
            }
            _ => {}
        }
        let mut timer = false;
        for event in &self.events {
            timer |= event.token() == Self::TIMER;
            let id = event.token().0;
            let Some(Some(connection)) = self.connections.get_mut(id) else {
                continue;
            };
            if event.is_writable() {
                connection.unblock();
            }
            let mut over = None;
            if event.is_readable() || event.is_error() || event.is_read_closed() {
                loop {
                    let now_ns = self.started.elapsed().as_nanos() as u64;
                    let rest = connection.read(&mut self.buffer, |connection, packet| {
                        handler.packet(connection, id, packet, now_ns)
                    })?;
                    match rest {
                        Rest::More => {}
                        Rest::Nothing => break,
                        Rest::Closed(reason) => {
                            over = Some(reason);
                            break;
                        }
                    }
                }
            }
            if over.is_none()
                && let Err(error) = connection.flush()
            {
                over = Some(error.to_string());
            }
            if let Some(reason) = over {
                self.connections[id] = None;
                handler.closed(id, &reason)?;
            }
        }
        Ok(timer)
    }
}

/// Begins to connect, from `source` if given.
pub fn dial(address: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        // Otherwise a port is searched that no connection from this address has, whatever its
        // other end, and each that was closed in the last minute makes the search longer.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(nix::errno::Errno::EINPROGRESS as i32) => {
            Err(error)
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
