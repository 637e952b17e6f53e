//! Which engine connects this broker with others, as chosen by the command line or a config file.

mod open;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mosca::Version;
use mosca::backend::Prefix;
use mqtt_client::{Address, TlsError, TlsOptions};

use crate::server_url::ServerUrl;

/// An engine and what it needs to be joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum EngineChoice {
    /// None: the broker stands alone.
    #[default]
    Alone,
    /// Another broker, the parent.
    Mqtt(Box<MqttChoice>),
    /// A server of AMQP 0-9-1, such as RabbitMQ.
    Amqp(AmqpChoice),
}

/// Another broker. What is `None` is as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MqttChoice {
    /// Where it is, with user and password.
    pub(crate) address: Address,
    /// Authorities in place of those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// This broker's own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether any certificate is taken.
    pub(crate) insecure: bool,
    /// The client identifier there.
    pub(crate) client_id: Option<String>,
    /// Keep alive of the connection.
    pub(crate) keep_alive_secs: Option<u16>,
    /// The one version that is spoken.
    pub(crate) version: Option<Version>,
    /// Whether brokers of one prefix below one parent are one.
    pub(crate) nodes: bool,
    /// The longest topic filter that is taken there.
    pub(crate) max_topic_bytes: Option<usize>,
    /// The most levels of one.
    pub(crate) max_topic_levels: Option<usize>,
    /// Stands before topics there.
    pub(crate) prefix: Prefix,
    /// For connecting, and for answers.
    pub(crate) timeout: Option<Duration>,
}

/// A server of AMQP. What is `None` is as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AmqpChoice {
    /// Where it is, with user and password.
    pub(crate) url: ServerUrl,
    /// The exchange through which messages go.
    pub(crate) exchange: Option<String>,
    /// Authorities in place of those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Stands before topics there.
    pub(crate) prefix: Prefix,
    /// For connecting, and for answers.
    pub(crate) timeout: Option<Duration>,
    /// The largest payload.
    pub(crate) max_message_bytes: Option<usize>,
    /// What may wait for this broker there: messages.
    pub(crate) max_queue_messages: Option<u32>,
    /// Bytes of them.
    pub(crate) max_queue_bytes: Option<u32>,
}

impl EngineChoice {
    /// Reads the files with certificates that it names, to say what is wrong with them before anything starts.
    ///
    /// # Errors
    /// One of them is none of PEM, or has no certificate or key in it.
    pub(crate) fn check_files(&self) -> Result<(), TlsError> {
        let mut tls = TlsOptions::default();
        match self {
            Self::Alone => return Ok(()),
            Self::Mqtt(choice) => {
                tls.ca_file.clone_from(&choice.ca_file);
                tls.identity.clone_from(&choice.identity);
            }
            Self::Amqp(choice) => tls.ca_file.clone_from(&choice.ca_file),
        }
        tls.check_files()
    }

    /// What stands before topics there; empty for nothing.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Alone => "",
            Self::Mqtt(choice) => choice.prefix.as_str(),
            Self::Amqp(choice) => choice.prefix.as_str(),
        }
    }
}

/// The file that a failure is about, if it is about one.
pub(crate) fn path_of(error: &anyhow::Error) -> Option<&Path> {
    match error.downcast_ref()? {
        TlsError::File { path, .. } => Some(path),
        _ => None,
    }
}

/// For the log and for complaints: without passwords.
impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("none"),
            Self::Mqtt(choice) => choice.address.fmt(f),
            Self::Amqp(choice) => choice.url.fmt(f),
        }
    }
}
