//! What the engine can be told: where RabbitMQ is, and how much of it a node may take.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use broker_core::backend::Prefix;
use url::Url;

/// Where RabbitMQ is, and how it is used. `Debug` does not show the password.
///
/// ```
/// use backend_amqp::AmqpBackendOptions;
///
/// let mut options = AmqpBackendOptions::new();
/// options.url = "amqp://mosca:secret@rabbit.example.org/site".to_owned();
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AmqpBackendOptions {
    /// `amqp://[user[:password]@]host[:port][/vhost]`, or `amqps://` for TLS; by default
    /// `amqp://127.0.0.1:5672`. Without a user it is `guest`, without a vhost `/`. What has a meaning in
    /// addresses is written as `%` and two hexadecimal digits: a vhost `/a` is `/%2Fa`.
    pub url: String,
    /// The topic exchange through which nodes talk, at most 127 bytes; by default `mosca`. One that is there
    /// is taken as it is; one that is not is made, without being durable.
    pub exchange: String,
    /// What stands in front of the node's topics; by default nothing. At most 180 bytes as a routing key.
    pub prefix: Prefix,
    /// File with the certificates, in PEM, of the authorities that are trusted with `amqps://`; by default
    /// those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long connecting may take, and each answer of the server; by default 30 s. The engine is lost when
    /// an answer takes longer.
    pub timeout: Duration,
    /// The largest payload that is sent, in bytes; by default 16 MiB, which is what RabbitMQ takes from
    /// version 4 (`max_message_size`; 128 MiB before). It closes the connection on a larger one, so this may
    /// be less than the server's and must not be more.
    pub max_message_bytes: usize,
    /// Messages that may wait for the node at the server; by default 100,000. Beyond that the oldest are
    /// dropped, and counted as [missed](broker_core::backend::Inbound::note_missed).
    pub max_queue_messages: u32,
    /// Bytes of them; by default 256 MiB.
    pub max_queue_bytes: u32,
}

impl AmqpBackendOptions {
    /// A server on this machine, and the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            url: "amqp://127.0.0.1:5672".to_owned(),
            exchange: "mosca".to_owned(),
            prefix: Prefix::default(),
            ca_file: None,
            timeout: Duration::from_secs(30),
            max_message_bytes: 16 << 20,
            max_queue_messages: 100_000,
            max_queue_bytes: 256 << 20,
        }
    }

    /// The address without its password and what stands behind a `?`.
    pub(crate) fn shown_url(&self) -> String {
        let Some(mut url) = Url::parse(&self.url).ok().filter(Url::has_host) else {
            return "an address that is none".to_owned();
        };
        url.set_query(None);
        url.set_fragment(None);
        if url.password().is_some() && url.set_password(None).is_err() {
            return format!("{}://…", url.scheme());
        }
        url.into()
    }
}

impl Default for AmqpBackendOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AmqpBackendOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBackendOptions")
            .field("url", &self.shown_url())
            .field("exchange", &self.exchange)
            .field("prefix", &self.prefix)
            .field("ca_file", &self.ca_file)
            .field("timeout", &self.timeout)
            .field("max_message_bytes", &self.max_message_bytes)
            .field("max_queue_messages", &self.max_queue_messages)
            .field("max_queue_bytes", &self.max_queue_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        for (url, shown) in [
            ("amqp://user:secret@host:1/v", "amqp://user@host:1/v"),
            ("amqps://host?password=secret", "amqps://host"),
            ("amqp://host/v#secret", "amqp://host/v"),
            ("amqp:user:secret@host", "an address that is none"),
            ("secret", "an address that is none"),
        ] {
            let options = AmqpBackendOptions {
                url: url.to_owned(),
                ..AmqpBackendOptions::new()
            };
            let is = format!("{options:?}");
            assert!(!is.contains("secret"), "{is}");
            assert_eq!(options.shown_url(), shown);
        }
    }
}
