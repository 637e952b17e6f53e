//! What is known of a connection before its first packet: from where it comes, and who the client is by
//! what carries it, such as the certificate of a TLS handshake. No packet can change it.

use core::net::SocketAddr;
use std::sync::Arc;

use mqtt_codec::Connect;

use super::admission::Admission;
use super::authenticate::Granted;
use super::{Connection, Phase};
use crate::Timestamp;
use crate::hooks::Client;
use crate::session::Presence;

/// What is known before CONNECT.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// Who the client is, if what carries the connection has shown it.
    pub(super) certified: Option<Arc<str>>,
    pub(super) address: Option<SocketAddr>,
}

impl Origin {
    /// What those see who look the client up that has come so.
    pub(super) fn presence(
        &self,
        now: Timestamp,
        connect: &Connect<'_>,
        client_id: &Arc<str>,
        admission: Option<&Admission>,
    ) -> Presence {
        let (keep_alive, clean_start) = (connect.keep_alive, connect.clean_start);
        let granted = admission.and_then(|admission| admission.granted.as_ref());
        let user = granted.and_then(Granted::user).or(self.certified.as_ref());
        let by_hooks = admission.and_then(|admission| admission.client.clone());
        let known = by_hooks.or_else(|| {
            let client = Client::new(Arc::clone(client_id), connect.version)
                .with_user(Arc::clone(user?))
                .with_connection(self.address, clean_start, keep_alive);
            Some(Arc::new(client))
        });
        Presence::new(now, known, self.address, keep_alive, clean_start)
    }
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
