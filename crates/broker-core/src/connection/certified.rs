//! Who the client is by what carries the connection: the certificate that it has shown in the TLS
//! handshake, say. That is settled before CONNECT, and no packet can change it.

use std::sync::Arc;

use super::{Connection, Phase};

impl Connection {
    /// What carries the connection has shown that the client is this user. To be called before CONNECT;
    /// later it changes nothing.
    ///
    /// The user name in CONNECT is then of no importance. An authentication method is told of it
    /// ([`AuthenticationRequest::user`](crate::AuthenticationRequest::user)), and may still come to
    /// another name.
    pub fn certify(&mut self, user: Arc<str>) {
        if let Phase::Awaiting(awaiting) = &mut self.phase {
            awaiting.certified = Some(user);
        }
    }

    /// Takes it out, for the next phase.
    pub(super) fn take_certified(&mut self) -> Option<Arc<str>> {
        match &mut self.phase {
            Phase::Awaiting(awaiting) => awaiting.certified.take(),
            _ => None,
        }
    }
}
