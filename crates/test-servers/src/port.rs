//! Ports that nobody uses, and one that nobody can use.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// Below the ports that the system gives to outgoing connections, so that a server that is started
/// again finds its port free; above those of well-known services. Twenty thousand and more.
const PORTS: std::ops::Range<u16> = 10_240..32_768;

/// A port of the loopback address on which nobody listens at this moment.
///
/// Somebody else may take it before the server does. Tests that run at the same time draw their
/// ports, so that is rare; whoever starts a server tries again with another.
///
/// # Panics
/// If none is free.
pub fn free_port() -> u16 {
    for _ in 0..1_000 {
        let drawn = RandomState::new().build_hasher().finish() % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(drawn).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free in {PORTS:?}");
}

/// A port of the loopback address that refuses connections, and that nobody else gets, for as long as
/// this is there: it is taken, and nobody listens.
pub struct RefusingPort {
    number: u16,
    _taken: OwnedFd,
}

impl RefusingPort {
    /// Takes one.
    ///
    /// # Panics
    /// If none is free.
    #[expect(clippy::unwrap_used, reason = "a test without a port cannot go on")]
    pub fn take() -> Self {
        let taken = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&taken, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = SocketAddrV4::try_from(getsockname(&taken).unwrap()).unwrap();
        Self {
            number: address.port(),
            _taken: taken,
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
