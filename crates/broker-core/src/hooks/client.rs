//! A client, as hooks see it.

use core::any::Any;
use core::net::SocketAddr;
use std::sync::Arc;

use mqtt_codec::Version;

/// Whatever the one who authenticates a client wants to find again at it.
pub type ClientData = Arc<dyn Any + Send + Sync>;

/// A client that has been let in: who it is, for as long as its connection lasts. A new connection of the
/// same client is a new value.
///
/// ```
/// use broker_core::Client;
/// use mqtt_codec::Version;
///
/// let client = Client::new("sensor-1", Version::V5).with_user("greenhouse");
/// assert_eq!(client.client_id().as_ref(), "sensor-1");
/// assert_eq!(client.user().map(AsRef::as_ref), Some("greenhouse"));
/// ```
#[derive(Clone)]
pub struct Client {
    client_id: Arc<str>,
    user: Option<Arc<str>>,
    version: Version,
    address: Option<SocketAddr>,
    clean_start: bool,
    keep_alive_secs: u16,
    data: Option<ClientData>,
}

impl Client {
    /// A client without a user's name: the start of one, and what tests of hooks need.
    #[must_use]
    pub fn new(client_id: impl Into<Arc<str>>, version: Version) -> Self {
        Self {
            client_id: client_id.into(),
            user: None,
            version,
            address: None,
            clean_start: true,
            keep_alive_secs: 0,
            data: None,
        }
    }

    /// The same, known to be this user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The same with data; see [`data`](Self::data).
    #[must_use]
    pub fn with_data(mut self, data: ClientData) -> Self {
        self.data = Some(data);
        self
    }

    pub(crate) fn with_connection(
        self,
        address: Option<SocketAddr>,
        clean_start: bool,
        keep_alive_secs: u16,
    ) -> Self {
        Self {
            address,
            clean_start,
            keep_alive_secs,
            ..self
        }
    }

    /// The client identifier; the one that was assigned if the client sent none.
    #[must_use]
    pub fn client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    /// Who the client is, as far as anybody has found out; see
    /// [`Connection::user`](crate::Connection::user).
    #[must_use]
    pub fn user(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    /// The version of MQTT that it speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// From where it has connected: behind a load balancer with the PROXY protocol what that says. `None`
    /// where there is no such thing, as on a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Clean start, or clean session, of its CONNECT.
    #[must_use]
    pub fn clean_start(&self) -> bool {
        self.clean_start
    }

    /// The keep alive of its CONNECT in seconds, 0 for none.
    #[must_use]
    pub fn keep_alive_secs(&self) -> u16 {
        self.keep_alive_secs
    }

    /// What [`Authentication::Accept`](crate::Authentication::Accept) has left at it, if it is of this
    /// type.
    #[must_use]
    pub fn data<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.data.as_ref()?.downcast_ref()
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .field("version", &self.version)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
