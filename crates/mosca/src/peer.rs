//! Who is at the other end, for the log.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use broker_core::Escaped;

/// Who is at the other end of a connection.
pub(crate) trait Peer: Display + Send + Sync + Unpin {
    /// Its address and port on the network, if it has one.
    fn address(&self) -> Option<SocketAddr>;

    /// Its address alone, for the limits of addresses.
    fn ip(&self) -> Option<IpAddr> {
        self.address().map(|address| address.ip())
    }
}

/// The address of a client, without what IPv6 has besides address and port: 20 bytes instead of 32.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    ip: IpAddr,
    port: u16,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            // An IPv4 client of a socket for both is one whatever the socket is.
            ip: address.ip().to_canonical(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl Peer for Address {
    fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip, self.port))
    }
}

impl Peer for StreamPeer {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Address::from(*address).address(),
            Self::Name(_) => None,
        }
    }
}

/// Who is at the other end of a stream that does not come from a TCP socket of the server's own.
///
/// ```
/// use std::net::SocketAddr;
/// use mosca::StreamPeer;
///
/// let address: SocketAddr = "192.0.2.7:1883".parse().unwrap();
/// assert_eq!(StreamPeer::from(address).to_string(), "192.0.2.7:1883");
/// assert_eq!(StreamPeer::from("serial line 2").to_string(), "serial line 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamPeer {
    /// It has an address on the network.
    Address(SocketAddr),
    /// It is known by some other name, which is what the log shows, with all that cannot be printed
    /// escaped.
    Name(Arc<str>),
}

impl From<SocketAddr> for StreamPeer {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Address> for StreamPeer {
    fn from(address: Address) -> Self {
        Self::Address(SocketAddr::new(address.ip, address.port))
    }
}

impl From<&str> for StreamPeer {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for StreamPeer {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

impl fmt::Display for StreamPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => Address::from(*address).fmt(f),
            Self::Name(name) => Escaped(name).fmt(f),
        }
    }
}
