//! What many connections to one server have in common, found out once.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::time;
use tokio_rustls::TlsConnector;

use crate::client::Client;
use crate::error::ClientError;
use crate::options::Options;

/// Connects many clients to one server: its name is looked up, and certificates are read, once. Sessions of TLS are
/// not resumed: each connection costs what that of a new client does.
///
/// ```no_run
/// use mqtt_client::{Connector, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = Options::new("mqtts://broker.example".parse()?);
/// let connector = Connector::new(&options).await?;
/// let (first, second) = (connector.connect(&options).await?, connector.connect(&options).await?);
/// # first.disconnect().await?;
/// # second.disconnect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connector {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Connector");
        shown
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// For the server at [`address`](Options::address), with [`tls`](Options::tls). Does not connect.
    ///
    /// # Errors
    /// The name of the server is not known, or not found within [`timeout`](Options::timeout); a file with
    /// certificates cannot be used.
    pub async fn new(options: &Options) -> Result<Self, ClientError> {
        let address = &options.address;
        let tls = if address.scheme.is_secure() {
            Some(TlsConnector::from(Arc::new(options.tls.config()?)))
        } else {
            None
        };
        let found = lookup_host((&*address.host, address.port));
        let found = time::timeout(options.timeout, found).await;
        let addresses = found.map_err(|_| ClientError::TimedOut)??.collect();
        Ok(Self { addresses, tls })
    }

    /// Connects, and waits for CONNACK (MQTT 5.0, section 3.1). Where the server is, and how TLS is spoken, is as
    /// it was when this was made; everything else is as in these options.
    ///
    /// # Errors
    /// The server cannot be reached, refuses the client, or does not answer within
    /// [`timeout`](Options::timeout).
    pub async fn connect(&self, options: &Options) -> Result<Client, ClientError> {
        let connected = time::timeout(options.timeout, Client::connected(self, options)).await;
        connected.unwrap_or(Err(ClientError::TimedOut))
    }
}
