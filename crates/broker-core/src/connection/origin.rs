//! What is known of a connection before its first packet: from where it comes, and who the client is by
//! what carries it, such as the certificate of a TLS handshake. No packet can change it.

use core::net::SocketAddr;
use std::sync::Arc;

use super::{Connection, Phase};

/// What is known before CONNECT.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// Who the client is, if what carries the connection has shown it.
    pub(super) certified: Option<Arc<str>>,
    pub(super) address: Option<SocketAddr>,
}

impl Connection {
    /// What carries the connection has shown that the client is this user. To be called before CONNECT;
    /// later it changes nothing.
    ///
    /// The user name in CONNECT is then of no importance. An authentication method and
    /// [hooks](crate::Hooks::authenticate) are told of it, and may still come to another name.
    pub fn certify(&mut self, user: Arc<str>) {
        if let Phase::Awaiting(awaiting) = &mut self.phase {
            awaiting.origin.certified = Some(user);
        }
    }

    /// The client connects from this address, which hooks are told
    /// ([`Client::address`](crate::Client::address)). To be called before CONNECT; later it changes nothing.
    pub fn locate(&mut self, address: SocketAddr) {
        if let Phase::Awaiting(awaiting) = &mut self.phase {
            awaiting.origin.address = Some(address);
        }
    }

    /// Takes it out, for the next phase.
    pub(super) fn take_origin(&mut self) -> Origin {
        match &mut self.phase {
            Phase::Awaiting(awaiting) => core::mem::take(&mut awaiting.origin),
            _ => Origin::default(),
        }
    }
}
