//! What a store in Redis can be told: where it is, how to get in, and how long to wait.

use core::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the store is, and how it is to be used. Every field has a default.
///
/// ```
/// use persistence_redis::RedisOptions;
///
/// let options = RedisOptions {
///     host: "redis.example.org".to_owned(),
///     password: Some("secret".to_owned()),
///     ..RedisOptions::default()
/// };
/// let same = RedisOptions::from_url("redis://:secret@redis.example.org:6379/0").unwrap();
/// assert_eq!(options, same);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// The server's name or address; by default `127.0.0.1`. Not asked for where there is
    /// [`sentinel`](Self::sentinel) or [`cluster`](Self::cluster).
    pub host: String,
    /// The server's port; by default 6,379.
    pub port: u16,
    /// The number of the database; by default 0. A Cluster has no other.
    pub db: u32,
    /// The user, where Redis knows users (`ACL SETUSER`); by default none, which is `default`.
    pub username: Option<String>,
    /// The password (`requirepass`, or the user's); by default none.
    pub password: Option<String>,
    /// Speak TLS, with all servers; by default not.
    pub tls: Option<RedisTls>,
    /// Ask Sentinels where the primary is; by default not.
    pub sentinel: Option<RedisSentinel>,
    /// Nodes of a Cluster, any of them, as names and ports; by default none: no Cluster. The store is in
    /// one slot of it, whose node is found and followed.
    pub cluster: Vec<(String, u16)>,
    /// What the names of all keys begin with, in braces, so that all are in one slot of a Cluster:
    /// `mosca:`, the default, makes keys such as `{mosca}:session`. Stores with different prefixes
    /// share nothing. One to 64 characters without braces.
    pub prefix: String,
    /// Milliseconds for which connecting may take; by default 5,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds for which an answer may take before the connection is given up for a new one; by
    /// default 10,000.
    pub response_timeout_ms: u64,
    /// Milliseconds for which a batch or a lookup waits for Redis to come back before it fails; by
    /// default 30,000. A batch that may have been applied already waits longer, until that is known.
    pub unavailable_timeout_ms: u64,
    /// Batches that may wait to be written, at least 1; by default 10,000. What is committed beyond that
    /// waits for room, for as long as somebody awaits its answer.
    pub max_queued_batches: usize,
    /// Bytes of them, payloads mostly; by default 67,108,864 (64 MiB). One batch is let in however large
    /// it is.
    pub max_queued_bytes: usize,
    /// Replicas that must have a batch before it counts as committed; by default 0. With one or more,
    /// a fail-over to one of them loses nothing; batches wait for as long as there are fewer.
    pub wait_replicas: u32,
}

/// How TLS is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// A file with the certificates, in PEM, of the authorities that are trusted; by default those of
    /// the system.
    pub ca_file: Option<PathBuf>,
    /// Files with the certificate and the key, in PEM, by which Redis knows the client
    /// (`tls-auth-clients`); by default none.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// Where Sentinels are, and what to ask them for. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSentinel {
    /// Their names and ports; they are asked in turn until one answers.
    pub nodes: Vec<(String, u16)>,
    /// The name of the primary that they watch (`sentinel monitor NAME …`).
    pub service: String,
    /// The password of the Sentinels themselves; by default none.
    pub password: Option<String>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: DEFAULT_PORT,
            db: 0,
            username: None,
            password: None,
            tls: None,
            sentinel: None,
            cluster: Vec::new(),
            prefix: "mosca:".to_owned(),
            connect_timeout_ms: 5_000,
            response_timeout_ms: 10_000,
            unavailable_timeout_ms: 30_000,
            max_queued_batches: 10_000,
            max_queued_bytes: 64 << 20,
            wait_replicas: 0,
        }
    }
}

const DEFAULT_PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

impl RedisOptions {
    /// Options from an address:
    ///
    /// | address | means |
    /// | --- | --- |
    /// | `redis://[[user]:password@]host[:port][/db]` | one server |
    /// | `redis+sentinel://[[user]:password@]host[:port],…/service[/db]` | the primary of this name, found by asking these Sentinels |
    /// | `redis+cluster://[[user]:password@]host[:port],…` | a Cluster, found by asking these nodes |
    /// | `rediss…` in place of `redis…` | the same over TLS |
    ///
    /// Behind a `?` may follow, separated by `&`: `prefix=…`, `ca=FILE`, `wait_replicas=N`. What has a
    /// meaning in addresses is written as `%` and two hexadecimal digits.
    ///
    /// # Errors
    /// If it is not such an address; the text says which part is not.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| UrlError::scheme(url))?;
        let (kind, tls) = match scheme {
            "redis" => (Kind::Single, false),
            "rediss" => (Kind::Single, true),
            "redis+sentinel" => (Kind::Sentinel, false),
            "rediss+sentinel" => (Kind::Sentinel, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            _ => return Err(UrlError::scheme(scheme)),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut options = Self {
            tls: tls.then(RedisTls::default),
            ..Self::default()
        };
        options.set_user(user)?;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        match kind {
            Kind::Single => {
                let mut nodes = parse_nodes(hosts, DEFAULT_PORT)?.into_iter();
                if let (Some((host, port)), None) = (nodes.next(), nodes.next()) {
                    (options.host, options.port) = (host, port);
                } else {
                    return Err(UrlError::new("host", hosts, "one name and port"));
                }
                options.set_db(parts.next())?;
            }
            Kind::Sentinel => {
                let service = parts
                    .next()
                    .ok_or_else(|| UrlError::new("service", "", "the name of the primary"))?;
                options.sentinel = Some(RedisSentinel {
                    nodes: parse_nodes(hosts, SENTINEL_PORT)?,
                    service: decode(service)?,
                    password: None,
                });
                options.set_db(parts.next())?;
            }
            Kind::Cluster => options.cluster = parse_nodes(hosts, DEFAULT_PORT)?,
        }
        if let Some(part) = parts.next() {
            return Err(UrlError::new("path", part, "nothing more"));
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            options.set_query(pair)?;
        }
        Ok(options)
    }

    fn set_user(&mut self, user: &str) -> Result<(), UrlError> {
        if user.is_empty() {
            return Ok(());
        }
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        if !name.is_empty() {
            self.username = Some(decode(name)?);
        }
        self.password = password.map(decode).transpose()?;
        Ok(())
    }

    fn set_db(&mut self, text: Option<&str>) -> Result<(), UrlError> {
        if let Some(text) = text {
            self.db = text
                .parse()
                .map_err(|_| UrlError::new("database", text, "a number"))?;
        }
        Ok(())
    }

    fn set_query(&mut self, pair: &str) -> Result<(), UrlError> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value)?;
        match name {
            "prefix" => self.prefix = value,
            "ca" => match &mut self.tls {
                Some(tls) => tls.ca_file = Some(value.into()),
                None => return Err(UrlError::new("option", name, "given with rediss:// only")),
            },
            "wait_replicas" => {
                self.wait_replicas = value
                    .parse()
                    .map_err(|_| UrlError::new("wait_replicas", &value, "a number"))?;
            }
            _ => {
                let known = "prefix, ca or wait_replicas";
                return Err(UrlError::new("option", name, known));
            }
        }
        Ok(())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(crate) fn unavailable_timeout(&self) -> Duration {
        Duration::from_millis(self.unavailable_timeout_ms)
    }
}

impl fmt::Debug for RedisSentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSentinel")
            .field("nodes", &self.nodes)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisOptions {
    /// Without the passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("db", &self.db)
            .field("username", &self.username)
            .field("tls", &self.tls)
            .field("sentinel", &self.sentinel)
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

enum Kind {
    Single,
    Sentinel,
    Cluster,
}

/// Why an address is not one of Redis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {part} of the address of Redis is {found:?}, and has to be {wanted}")]
pub struct UrlError {
    part: &'static str,
    found: String,
    wanted: &'static str,
}

impl UrlError {
    fn new(part: &'static str, found: &str, wanted: &'static str) -> Self {
        Self {
            part,
            found: found.to_owned(),
            wanted,
        }
    }

    fn scheme(found: &str) -> Self {
        let wanted = "redis://, rediss://, redis+sentinel:// or redis+cluster://";
        Self::new("scheme", found, wanted)
    }
}

fn parse_nodes(text: &str, default_port: u16) -> Result<Vec<(String, u16)>, UrlError> {
    text.split(',')
        .map(|node| parse_node(node, default_port))
        .collect()
}

fn parse_node(text: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    // An address of IPv6 stands in brackets.
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(UrlError::new("host", text, "a name and a port"));
    }
    let port = match port {
        Some(port) => port
            .parse()
            .map_err(|_| UrlError::new("port", port, "a number from 0 to 65535"))?,
        None => default_port,
    };
    Ok((decode(host)?, port))
}

/// Takes `%41` for `A`.
fn decode(text: &str) -> Result<String, UrlError> {
    let wrong = || {
        UrlError::new(
            "text",
            text,
            "UTF-8, with % before two hexadecimal digits only",
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(wrong());
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let default = RedisOptions::default;
        let node = |name: &str, port| (name.to_owned(), port);
        let cases = [
            (
                "redis://h",
                RedisOptions {
                    host: "h".into(),
                    ..default()
                },
            ),
            (
                "redis://u:p%40%2F@h:1/3",
                RedisOptions {
                    host: "h".into(),
                    port: 1,
                    db: 3,
                    username: Some("u".into()),
                    password: Some("p@/".into()),
                    ..default()
                },
            ),
            (
                "redis://[::1]:7/",
                RedisOptions {
                    host: "::1".into(),
                    port: 7,
                    ..default()
                },
            ),
            (
                "rediss://h?ca=%2Fa%20b&prefix=x&wait_replicas=2",
                RedisOptions {
                    host: "h".into(),
                    tls: Some(RedisTls {
                        ca_file: Some("/a b".into()),
                        client_certificate: None,
                    }),
                    prefix: "x".into(),
                    wait_replicas: 2,
                    ..default()
                },
            ),
            (
                "redis+sentinel://:p@a,b:2/main/4",
                RedisOptions {
                    password: Some("p".into()),
                    db: 4,
                    sentinel: Some(RedisSentinel {
                        nodes: vec![node("a", 26_379), node("b", 2)],
                        service: "main".into(),
                        password: None,
                    }),
                    ..default()
                },
            ),
            (
                "redis+cluster://a:1,b",
                RedisOptions {
                    cluster: vec![node("a", 1), node("b", 6_379)],
                    ..default()
                },
            ),
        ];
        for (url, options) in cases {
            assert_eq!(RedisOptions::from_url(url), Ok(options), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_named() {
        let cases = [
            ("localhost", "scheme"),
            ("mongodb://h", "scheme"),
            ("redis://", "host"),
            ("redis://a,b", "host"),
            ("redis://h:port", "port"),
            ("redis://h:65536", "port"),
            ("redis://h/db", "database"),
            ("redis://h/1/2", "path"),
            ("redis://h?x=1", "option"),
            ("redis://h?ca=x", "option"),
            ("redis://h?wait_replicas=x", "wait_replicas"),
            ("redis+sentinel://h", "service"),
            ("redis://:%4@h", "text"),
            ("redis://:%ff@h", "text"),
        ];
        for (url, part) in cases {
            let error = RedisOptions::from_url(url).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("the {part} of")),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let options = RedisOptions::from_url("redis://:secret@h").unwrap();
        assert!(!format!("{options:?}").contains("secret"));
        let sentinel = RedisSentinel {
            nodes: Vec::new(),
            service: "main".to_owned(),
            password: Some("secret".to_owned()),
        };
        assert!(!format!("{sentinel:?}").contains("secret"));
    }
}
