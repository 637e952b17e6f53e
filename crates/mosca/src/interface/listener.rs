//! The sockets on which an interface listens.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::Location;
use crate::network::{Boxed, Noted};
use crate::peer::{Address, Peer as _, StreamPeer};

#[cfg(unix)]
use super::socket_file::SocketFile;

/// Connections that the system may hold ready for us to accept. The system's own limit applies too.
const BACKLOG: u32 = 4_096;

/// How often a host that is silent is asked whether it is there.
const PROBES: u32 = 5;

/// Seconds between two such questions, and before the first: what systems take.
const PROBE_SECS_MAX: u64 = 32_767;

/// A socket that is bound.
pub(crate) enum Listener {
    Tcp {
        listener: TcpListener,
        /// How connections find out that the other end is gone.
        keepalive: Option<TcpKeepalive>,
    },
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        /// Removed with it.
        _file: SocketFile,
    },
}

/// A connection that was accepted, and who is at its other end.
pub(super) enum Accepted {
    Tcp(TcpStream, Address),
    /// From a Unix socket.
    Other(Boxed, StreamPeer),
}

impl Accepted {
    /// Who is at the other end.
    pub(super) fn peer(&self) -> &dyn Display {
        match self {
            Self::Tcp(_, peer) => peer,
            Self::Other(_, peer) => peer,
        }
    }

    /// Its address on the network, if it has one.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => peer.ip(),
            Self::Other(_, peer) => peer.ip(),
        }
    }
}

impl Listener {
    /// Binds the first address that works. Hosts that are silent for so long as `tcp_keepalive` says are asked
    /// whether they are there.
    pub(super) async fn bind(
        location: &Location,
        tcp_keepalive: Option<Duration>,
    ) -> io::Result<Self> {
        match location {
            Location::Network {
                addresses,
                ipv6_only,
            } => {
                let keepalive = tcp_keepalive.map(keepalive);
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                for address in addresses {
                    for address in lookup_host(address).await? {
                        match bind(address, *ipv6_only, keepalive.as_ref()) {
                            Ok(listener) => {
                                return Ok(Self::Tcp {
                                    listener,
                                    keepalive,
                                });
                            }
                            Err(error) => last = error,
                        }
                    }
                }
                Err(last)
            }
            #[cfg(unix)]
            Location::Unix { path, permissions } => {
                let (listener, file) = SocketFile::bind(path, *permissions, BACKLOG)?;
                Ok(Self::Unix {
                    listener,
                    _file: file,
                })
            }
        }
    }

    /// The address on the network, with the port that the system chose.
    pub(crate) fn local_address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp { listener, .. } => listener.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix { .. } => Ok(None),
        }
    }

    /// The next connection.
    ///
    /// # Cancel safety
    /// No connection is lost if the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp {
                listener,
                keepalive,
            } => {
                let (stream, peer) = listener.accept().await?;
                // Elsewhere they may not be inherited.
                if cfg!(not(target_os = "linux")) {
                    // If that fails the connection does, too.
                    let _set = set_options(SockRef::from(&stream), keepalive.as_ref());
                }
                Ok(Accepted::Tcp(stream, peer.into()))
            }
            #[cfg(unix)]
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred().map_or_else(
                    |_| "a process of this machine".to_owned(),
                    |peer| format!("a process of the user {}", peer.uid()),
                );
                Ok(Accepted::Other(Box::new(Noted::new(stream)), peer.into()))
            }
        }
    }
}

/// A host that has been silent for so long is asked whether it is there, and is gone if it was silent for half as long
/// again.
fn keepalive(idle: Duration) -> TcpKeepalive {
    let whole = |secs: u64| Duration::from_secs(secs.clamp(1, PROBE_SECS_MAX));
    let secs = idle.as_secs();
    TcpKeepalive::new()
        .with_time(whole(secs))
        .with_interval(whole(secs / u64::from(2 * PROBES)))
        .with_retries(PROBES)
}

/// What connections are to have.
fn set_options(socket: SockRef<'_>, keepalive: Option<&TcpKeepalive>) -> io::Result<()> {
    // Small packets are answered at once or not at all in time.
    socket.set_tcp_nodelay(true)?;
    match keepalive {
        Some(keepalive) => socket.set_tcp_keepalive(keepalive),
        None => socket.set_keepalive(false),
    }
}

fn bind(
    address: SocketAddr,
    ipv6_only: bool,
    keepalive: Option<&TcpKeepalive>,
) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if address.is_ipv6() {
        // What it is otherwise depends on the machine.
        SockRef::from(&socket).set_only_v6(ipv6_only)?;
    }
    // Without it a restart would have to wait for the old connections' last packets to die out.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // What is accepted inherits them.
    set_options(SockRef::from(&socket), keepalive)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interface;

    /// What the system does about a connection that was accepted: after how many seconds it asks, how many
    /// are between two questions, and how many it asks.
    async fn accepted(interface: Interface) -> Option<(u64, u64, u32)> {
        let listener = interface.bind().await.unwrap();
        let address = listener.local_address().unwrap().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_client, Accepted::Tcp(stream, _)) = (client.unwrap(), accepted.unwrap()) else {
            panic!("it came over TCP");
        };
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        socket.keepalive().unwrap().then(|| {
            (
                socket.tcp_keepalive_time().unwrap().as_secs(),
                socket.tcp_keepalive_interval().unwrap().as_secs(),
                socket.tcp_keepalive_retries().unwrap(),
            )
        })
    }

    #[tokio::test]
    async fn hosts_of_clients_are_asked_whether_they_are_there() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let interface = || Interface::mqtt(address);
            assert_eq!(accepted(interface()).await, Some((600, 60, 5)));
            let never = interface().tcp_keepalive(None);
            assert_eq!(accepted(never).await, None);
            for (idle, found) in [
                (Duration::from_secs(60), (60, 6, 5)),
                (Duration::from_millis(1_500), (1, 1, 5)),
                (Duration::ZERO, (1, 1, 5)),
                (Duration::from_secs(32_767), (32_767, 3_276, 5)),
                (Duration::MAX, (32_767, 32_767, 5)),
            ] {
                let some = interface().tcp_keepalive(idle);
                assert_eq!(accepted(some).await, Some(found), "{idle:?}");
            }
        }
    }
}
