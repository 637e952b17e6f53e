//! Who the client is, and what it asks for when it connects.

use std::fmt;
use std::time::Duration;

use mqtt_codec::{OwnedWill, PropertiesBuf, Version};

use crate::address::Address;
use crate::tls::TlsOptions;

/// What [`Client::connect`](crate::Client::connect) needs to know.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where the server is. What it says of user name and password counts where the two below are `None`.
    pub address: Address,
    /// How TLS is spoken, where the address asks for it.
    pub tls: TlsOptions,
    /// The version of MQTT; 5.0 if it is not changed.
    pub version: Version,
    /// The client identifier; empty, as it is at first, asks the server for one.
    pub client_id: String,
    /// Whether a session that the server has of this client ends now; `true` at first.
    pub clean_start: bool,
    /// Seconds for which the session outlives the connection (MQTT 5.0); 0 at first.
    pub session_expiry_secs: u32,
    /// Seconds; the client sends PINGREQ when nothing else was sent for three quarters of them. 60 at
    /// first, 0 for none.
    pub keep_alive_secs: u16,
    /// The user name.
    pub user_name: Option<String>,
    /// The password.
    pub password: Option<Vec<u8>>,
    /// What is published if the connection is lost.
    pub will: Option<OwnedWill>,
    /// Further properties of CONNECT (MQTT 5.0).
    pub properties: PropertiesBuf,
    /// For connecting as a whole, and then for each answer of the server; 30 s at first.
    pub timeout: Duration,
}

impl Options {
    /// A clean start with MQTT 5.0 and an identifier of the server's choice.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            tls: TlsOptions::default(),
            version: Version::V5,
            client_id: String::new(),
            clean_start: true,
            session_expiry_secs: 0,
            keep_alive_secs: 60,
            user_name: None,
            password: None,
            will: None,
            properties: PropertiesBuf::new(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("address", &self.address)
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
