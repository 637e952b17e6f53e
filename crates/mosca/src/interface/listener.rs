//! The sockets on which an interface listens.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
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

/// A socket that is bound.
pub(crate) enum Listener {
    Tcp(TcpListener),
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
    /// Binds the first address that works.
    pub(super) async fn bind(location: &Location) -> io::Result<Self> {
        match location {
            Location::Network {
                addresses,
                ipv6_only,
            } => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                for address in addresses {
                    for address in lookup_host(address).await? {
                        match bind(address, *ipv6_only) {
                            Ok(listener) => return Ok(Self::Tcp(listener)),
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
            Self::Tcp(listener) => listener.local_addr().map(Some),
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
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Elsewhere it may not be inherited.
                if cfg!(not(target_os = "linux")) {
                    // If that fails the connection does, too.
                    let _set = stream.set_nodelay(true);
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

fn bind(address: SocketAddr, ipv6_only: bool) -> io::Result<TcpListener> {
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
    // Small packets are answered at once or not at all in time. What is accepted inherits it.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
