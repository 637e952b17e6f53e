//! What a node is told of its parent.

use std::fmt;
use std::time::Duration;

use broker_core::backend::Prefix;
use mqtt_client::{Address, TlsOptions, Version};

/// Where the parent is, and how a node deals with it.
///
/// ```
/// use backend_mqtt::MqttBackendOptions;
/// use broker_core::backend::Prefix;
///
/// let mut options = MqttBackendOptions::new("mqtts://parent.example".parse()?);
/// options.user_name = Some("site-7".to_owned());
/// options.password = Some(b"secret".to_vec());
/// options.prefix = Prefix::new("/site/7")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct MqttBackendOptions {
    /// Where the parent is: over TCP, TLS or WebSocket. What it says of user name and password counts where
    /// the two below are `None`.
    pub address: Address,
    /// How TLS is spoken, where the address asks for it.
    pub tls: TlsOptions,
    /// The user name at the parent.
    pub user_name: Option<String>,
    /// The password at the parent.
    pub password: Option<Vec<u8>>,
    /// The client identifier at the parent. By default one of 23 letters and digits, which is another one
    /// after each start of the node. Two nodes with one identifier end each other's connection for ever.
    pub client_id: Option<String>,
    /// Seconds; PINGREQ is sent when nothing else was sent for three quarters of them, and the parent is lost
    /// when it has not answered for as long. 60 by default, 0 for none.
    pub keep_alive_secs: u16,
    /// What stands in front of this node's topics at the parent; by default nothing.
    pub prefix: Prefix,
    /// The version of MQTT. By default 5.0, and 3.1.1 with a parent that refuses 5.0; the page of the crate
    /// says what is weaker then.
    pub version: Option<Version>,
    /// For connecting as a whole, and then for each answer of the parent; 30 s by default.
    pub timeout: Duration,
    /// Whether other children of the parent that have the same prefix are nodes of one broker: they have
    /// retained messages in common, and one connection for each client identifier. True by default. If false
    /// they have their messages in common alone.
    pub nodes: bool,
    /// The longest topic filter that the parent takes, in bytes, with the prefix; 4,096 by default. Topics may be
    /// 256 shorter: those that a longer filter could match go by the topic of nodes alone, to nodes.
    pub max_topic_bytes: usize,
    /// The most levels of a topic filter that the parent takes, with those of the prefix; 128 by default, which is
    /// what EMQX takes (mosquitto 201). Topics may have one less, and others go to nodes alone.
    pub max_topic_levels: usize,
}

impl MqttBackendOptions {
    /// The parent at this address, and everything else as it is by default.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            tls: TlsOptions::default(),
            user_name: None,
            password: None,
            client_id: None,
            keep_alive_secs: 60,
            prefix: Prefix::default(),
            version: None,
            timeout: Duration::from_secs(30),
            nodes: true,
            max_topic_bytes: 4_096,
            max_topic_levels: 128,
        }
    }
}

/// Without the password.
impl fmt::Debug for MqttBackendOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MqttBackendOptions")
            .field("address", &self.address)
            .field("client_id", &self.client_id)
            .field("prefix", &self.prefix)
            .field("version", &self.version)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
