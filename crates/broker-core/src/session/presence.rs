//! What a session knows of the client that is connected, for those who look it up.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Link, Session};
use crate::Timestamp;
use crate::hooks::Client;

/// Who is connected, from where, and since when. Apart from the session, which is without it while its
/// client is away.
#[derive(Debug)]
pub(crate) struct Presence {
    /// The client as hooks know it, or because somebody has found out who it is. Mostly nobody has, and
    /// then the rest says it all.
    known: Option<Arc<Client>>,
    pub(crate) since: Timestamp,
    /// Without what IPv6 has besides address and port: 20 bytes instead of 32.
    address: Option<(IpAddr, u16)>,
    /// Of CONNECT.
    keep_alive_secs: u16,
    clean_start: bool,
}

impl Presence {
    pub(crate) fn new(
        since: Timestamp,
        known: Option<Arc<Client>>,
        address: Option<SocketAddr>,
        keep_alive_secs: u16,
        clean_start: bool,
    ) -> Self {
        Self {
            known,
            since,
            address: address.map(|address| (address.ip(), address.port())),
            keep_alive_secs,
            clean_start,
        }
    }
}

impl Link {
    /// The client that is connected with this session.
    pub(crate) fn client(&self, session: &Session) -> Arc<Client> {
        let presence = &self.presence;
        if let Some(known) = &presence.known {
            return Arc::clone(known);
        }
        let address = presence.address.map(SocketAddr::from);
        let client = Client::new(Arc::clone(session.client()), self.version);
        Arc::new(client.with_connection(address, presence.clean_start, presence.keep_alive_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paid for every connection.
    #[test]
    fn what_is_known_of_a_client_is_small() {
        assert_eq!(size_of::<Presence>(), 40);
    }
}
