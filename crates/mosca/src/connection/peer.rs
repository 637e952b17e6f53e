//! Who is at the other end, for the log.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The address of a client, without what IPv6 has besides address and port: 20 bytes instead of 32.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    address: IpAddr,
    port: u16,
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}
