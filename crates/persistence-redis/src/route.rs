//! The way to the server that may be written to: the one that is named, the primary that Sentinels
//! know, or the node of a Cluster that has the store's slot. It is looked for at each connection anew.

use std::path::Path;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, FromRedisValue,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisResult, TlsCertificates, Value,
};
use tokio::sync::watch;

use crate::RedisOptions;
use crate::error::ConnectError;

/// Answers that may be under way on one connection before its next request waits.
const REQUESTS_UNDER_WAY: usize = 1_024;

/// Connects to the server that holds the store.
#[derive(Debug)]
pub(crate) struct Route {
    options: RedisOptions,
    certificates: Option<TlsCertificates>,
    /// What the names of all keys begin with.
    base: String,
}

/// A connection, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) address: String,
    /// Its other end goes with the connection.
    alive: watch::Receiver<()>,
}

impl Route {
    pub(crate) fn new(options: RedisOptions) -> Result<Self, ConnectError> {
        check(&options)?;
        let certificates = match &options.tls {
            None => None,
            Some(tls) => {
                // An error if there is one already, which is as good.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client_tls = match &tls.client_certificate {
                    None => None,
                    Some((certificate, key)) => Some(ClientTlsConfig {
                        client_cert: read(certificate)?,
                        client_key: read(key)?,
                    }),
                };
                Some(TlsCertificates {
                    client_tls,
                    root_cert: tls.ca_file.as_deref().map(read).transpose()?,
                })
            }
        };
        let name = options.prefix.strip_suffix(':').unwrap_or(&options.prefix);
        Ok(Self {
            base: format!("{{{name}}}:"),
            options,
            certificates,
        })
    }

    pub(crate) fn options(&self) -> &RedisOptions {
        &self.options
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A new connection to the server that may be written to.
    pub(crate) async fn connect(&self) -> Result<Link, ConnectError> {
        let (host, port) = if self.options.sentinel.is_some() {
            self.ask_sentinels().await?
        } else if self.options.cluster.is_empty() {
            (self.options.host.clone(), self.options.port)
        } else {
            self.ask_cluster().await?
        };
        let options = &self.options;
        // The later protocol, for nothing but to be told when the connection is lost.
        let login = login(&options.username, &options.password)
            .set_db(i64::from(options.db))
            .set_protocol(ProtocolVersion::RESP3);
        let mut link = self.open(&host, port, login).await?;
        if options.sentinel.is_some() {
            // A Sentinel may not have heard yet that its primary is none any more.
            let role: Value = link.ask(redis::cmd("ROLE")).await?;
            let role = role
                .into_sequence()
                .ok()
                .and_then(|role| role.into_iter().next());
            let role = role.and_then(|role| String::from_redis_value(role).ok());
            if role.as_deref() != Some("master") {
                let reason = format!("it is no primary, but {role:?}");
                return Err(ConnectError::unreachable(&link.address, reason));
            }
        }
        Ok(link)
    }

    /// A connection to the server that is named, in the protocol that all versions speak.
    pub(crate) async fn connect_plainly(&self) -> Result<Link, ConnectError> {
        let options = &self.options;
        let login = login(&options.username, &options.password).set_db(i64::from(options.db));
        self.open(&options.host, options.port, login).await
    }

    async fn open(
        &self,
        host: &str,
        port: u16,
        login: RedisConnectionInfo,
    ) -> Result<Link, ConnectError> {
        let address = format!("{host}:{port}");
        let (other_end, alive) = watch::channel(());
        let is_told = login.protocol().supports_resp3();
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect_timeout()))
            .set_response_timeout(Some(self.options.response_timeout()))
            .set_pipeline_buffer_size(REQUESTS_UNDER_WAY);
        if is_told {
            // What the server tells unasked is nothing to us; that this is dropped is.
            config = config.set_push_sender(move |_| {
                let _kept = &other_end;
                Ok::<(), redis::aio::SendError>(())
            });
        }
        let connect = async {
            let client = self.client(host, port, login)?;
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        // The handshake has no timeout of its own.
        match tokio::time::timeout(self.options.connect_timeout(), connect).await {
            Ok(Ok(connection)) => Ok(Link {
                connection,
                address,
                alive,
            }),
            Ok(Err(error)) => Err(ConnectError::of(&address, &error)),
            Err(_) => Err(ConnectError::unreachable(&address, "it does not answer")),
        }
    }

    fn client(&self, host: &str, port: u16, login: RedisConnectionInfo) -> RedisResult<Client> {
        let host = host.to_owned();
        let address = match self.certificates {
            None => ConnectionAddr::Tcp(host, port),
            Some(_) => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
        };
        let info = address.into_connection_info()?;
        let settings = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(settings).set_redis_settings(login);
        match &self.certificates {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        }
    }

    /// The first Sentinel that knows a primary says where it is.
    async fn ask_sentinels(&self) -> Result<(String, u16), ConnectError> {
        let Some(sentinel) = &self.options.sentinel else {
            return Err(ConnectError::unreachable("no Sentinel", "none is named"));
        };
        let mut last = ConnectError::unreachable("no Sentinel", "none is named");
        for (host, port) in &sentinel.nodes {
            let link = self
                .open(host, *port, login(&None, &sentinel.password))
                .await;
            let mut link = match link {
                Ok(link) => link,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            let mut command = redis::cmd("SENTINEL");
            command
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(&sentinel.service);
            match link.ask::<Option<(String, u16)>>(command).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {
                    let reason = format!("it watches no primary named {:?}", sentinel.service);
                    last = ConnectError::unreachable(&link.address, reason);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The first node that answers says which one has the store's slot.
    async fn ask_cluster(&self) -> Result<(String, u16), ConnectError> {
        let mut last = ConnectError::unreachable("no node", "none is named");
        for (host, port) in &self.options.cluster {
            let login = login(&self.options.username, &self.options.password);
            match self.open(host, *port, login).await {
                Ok(mut link) => match self.owner_of_slot(&mut link, host).await {
                    Ok(found) => return Ok(found),
                    Err(error) => last = error,
                },
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn owner_of_slot(
        &self,
        link: &mut Link,
        host: &str,
    ) -> Result<(String, u16), ConnectError> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("KEYSLOT").arg(&self.base);
        let slot: u16 = link.ask(command).await?;
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let ranges: Vec<Vec<Value>> = link.ask(command).await?;
        for range in ranges {
            let mut parts = range.into_iter();
            let first = parts
                .next()
                .and_then(|value| u16::from_redis_value(value).ok());
            let last = parts
                .next()
                .and_then(|value| u16::from_redis_value(value).ok());
            let (Some(first), Some(last), Some(Value::Array(node))) = (first, last, parts.next())
            else {
                continue;
            };
            if !(first..=last).contains(&slot) {
                continue;
            }
            let mut node = node.into_iter();
            let name = node
                .next()
                .and_then(|value| String::from_redis_value(value).ok());
            let port = node
                .next()
                .and_then(|value| u16::from_redis_value(value).ok());
            if let Some(port) = port {
                // A node that does not know its own name is the one that we asked.
                let name = name.filter(|name| !name.is_empty());
                return Ok((name.unwrap_or_else(|| host.to_owned()), port));
            }
        }
        let reason = format!("no node of the Cluster has the slot {slot}");
        Err(ConnectError::unreachable(&link.address, reason))
    }
}

impl Link {
    /// Whether nothing that is sent can arrive any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.alive.has_changed().is_err()
    }

    /// Waits until the connection is lost.
    pub(crate) async fn lost(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    /// Sends one command while connecting.
    pub(crate) async fn ask<T: FromRedisValue>(
        &mut self,
        command: redis::Cmd,
    ) -> Result<T, ConnectError> {
        command
            .query_async(&mut self.connection)
            .await
            .map_err(|error| ConnectError::of(&self.address, &error))
    }
}

fn login(username: &Option<String>, password: &Option<String>) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default();
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    login
}

fn read(file: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(file).map_err(|reason| ConnectError::File {
        file: file.display().to_string(),
        reason,
    })
}

fn check(options: &RedisOptions) -> Result<(), ConnectError> {
    let wrong = |option, found: &dyn core::fmt::Debug, wanted| {
        Err(ConnectError::Option {
            option,
            found: format!("{found:?}"),
            wanted,
        })
    };
    let prefix = &options.prefix;
    if !(1..=64).contains(&prefix.chars().count()) || prefix == ":" || prefix.contains(['{', '}']) {
        return wrong("prefix", prefix, "1 to 64 characters without braces");
    }
    if options.response_timeout_ms == 0 || options.connect_timeout_ms == 0 {
        return wrong("a timeout", &0, "at least 1 ms");
    }
    if options.max_queued_batches == 0 {
        return wrong("max_queued_batches", &0, "at least 1");
    }
    if !options.cluster.is_empty() && options.db != 0 {
        return wrong("db", &options.db, "0: a Cluster has no other");
    }
    if !options.cluster.is_empty() && options.sentinel.is_some() {
        return wrong("cluster", &"given", "empty where there are Sentinels");
    }
    if let Some(sentinel) = &options.sentinel
        && sentinel.nodes.is_empty()
    {
        return wrong("sentinel", &"without nodes", "at least one of them");
    }
    Ok(())
}
