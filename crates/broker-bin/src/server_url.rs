//! Addresses of stores and engines on the network. What their own parsers do not say is said here: which part is
//! wrong. And no password gets into a log.

use std::fmt;
use std::str::FromStr;

/// The address of a server, `scheme://[user[:password]@]host[:port][,…][/path][?options]`.
///
/// What is displayed has `***` in place of the password; so has what is printed for debugging.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(String);

impl ServerUrl {
    /// The whole address with the password in it, for who connects there alone.
    #[cfg_attr(
        all(
            not(test),
            not(any(feature = "redis", feature = "mongodb", feature = "backend-amqp"))
        ),
        expect(dead_code, reason = "nothing that is built in has an address")
    )]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// How the server is spoken to: in lower case, without `://`.
    pub(crate) fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// An address put together from its parts, which may contain any character.
    pub(crate) fn from_parts(
        scheme: &str,
        user: &str,
        password: Option<&str>,
        hosts: &str,
        path: &str,
    ) -> Result<Self, UrlError> {
        let mut url = format!("{scheme}://");
        if !user.is_empty() || password.is_some() {
            url.push_str(&percent_encoded(user));
            if let Some(password) = password {
                url.push(':');
                url.push_str(&percent_encoded(password));
            }
            url.push('@');
        }
        url.push_str(hosts);
        url.push_str(path);
        url.parse()
    }
}

/// All but what RFC 3986 calls unreserved.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// An IPv6 address in the brackets that it needs in front of a port.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Why a text is not the address of a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// `redis:host` and the like.
    #[error("`{0}:` is to be followed by `//` and a host, as in {0}://127.0.0.1")]
    NoSlashes(String),
    /// Nothing where the host should be.
    #[error("`{0}` lacks a host, as in {1}://127.0.0.1")]
    NoHost(String, String),
    /// A port that is no port.
    #[error("`{port}` in `{url}` is not a port: a number from 1 to 65,535 is expected")]
    Port {
        /// The address without the password.
        url: String,
        /// What stands for the port.
        port: String,
    },
    /// A database of Redis is a number.
    #[error("`{database}` in `{url}` is not a database of Redis: a number is expected")]
    Database {
        /// The address without the password.
        url: String,
        /// What stands for the database.
        database: String,
    },
    /// Sentinels are asked for a service by its name.
    #[error("`{0}` lacks the name of the service, as in redis+sentinel://127.0.0.1:26379/mymaster")]
    NoService(String),
    /// A space, a line break, or the like.
    #[error("`{0}` contains a space or a control character; write it as %20 and the like")]
    Character(String),
}

/// The parts of an address that are looked at.
struct Parts<'a> {
    scheme: &'a str,
    /// User and password.
    credentials: Option<&'a str>,
    hosts: &'a str,
    /// Behind the hosts: empty, or it begins with `/` or `?`.
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password that is not encoded may contain any of these; the last `@` ends it.
        let (credentials, hosts) = match rest.rsplit_once('@') {
            Some((credentials, behind)) => (Some(credentials), behind),
            None => (None, rest),
        };
        let end = match credentials {
            Some(_) => hosts.find(['/', '?', '#']).unwrap_or(hosts.len()),
            None => end,
        };
        let (hosts, rest) = hosts.split_at_checked(end)?;
        Some(Self {
            scheme,
            credentials,
            hosts,
            rest,
        })
    }
}

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let scheme = text.split(':').next().unwrap_or_default();
        let Some(parts) = Parts::of(text) else {
            return Err(UrlError::NoSlashes(scheme.to_owned()));
        };
        let shown = || redacted(text);
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Character(shown()));
        }
        for host in parts.hosts.split(',') {
            let port = match host.rsplit_once(':') {
                // An IPv6 address without a port.
                _ if host.ends_with(']') => None,
                Some(("", _)) => {
                    return Err(UrlError::NoHost(shown(), scheme.to_owned()));
                }
                Some((_, port)) => Some(port),
                None if host.is_empty() => {
                    return Err(UrlError::NoHost(shown(), scheme.to_owned()));
                }
                None => None,
            };
            if let Some(port) = port
                && !port.parse().is_ok_and(|port: u16| port > 0)
            {
                let port = port.to_owned();
                return Err(UrlError::Port { url: shown(), port });
            }
        }
        check_rest(&parts, &shown)?;
        // Schemes are the same in any case; what parses the address later may not know.
        let lower = parts.scheme.to_ascii_lowercase();
        let behind = text.get(scheme.len()..).unwrap_or_default();
        Ok(Self(lower + behind))
    }
}

/// What is special to one scheme.
fn check_rest(parts: &Parts<'_>, shown: &dyn Fn() -> String) -> Result<(), UrlError> {
    let path = parts.rest.split(['?', '#']).next().unwrap_or_default();
    let mut levels = path.trim_start_matches('/').split('/');
    let scheme = parts.scheme.to_ascii_lowercase();
    let database = match scheme.as_str() {
        "redis" | "rediss" => levels.next(),
        "redis+sentinel" | "rediss+sentinel" => {
            if levels.next().is_none_or(str::is_empty) {
                return Err(UrlError::NoService(shown()));
            }
            levels.next()
        }
        _ => None,
    };
    match database.filter(|database| !database.is_empty()) {
        Some(database) if database.parse::<u32>().is_err() => Err(UrlError::Database {
            url: shown(),
            database: database.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The address with `***` for the password.
fn redacted(url: &str) -> String {
    let Some(parts) = Parts::of(url) else {
        return url.to_owned();
    };
    let Some(credentials) = parts.credentials else {
        return url.to_owned();
    };
    let user = credentials
        .split_once(':')
        .map_or(credentials, |(user, _)| user);
    let password = if credentials.contains(':') {
        ":***"
    } else {
        ""
    };
    format!(
        "{}://{user}{password}@{}{}",
        parts.scheme, parts.hosts, parts.rest
    )
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_shapes_are_taken_as_they_are() {
        for url in [
            "redis://localhost",
            "redis://localhost:6379/0",
            "redis://:secret@10.0.0.1:6379/15",
            "redis://user:p%40ss@host",
            "rediss://host:6380/2?timeout=3",
            "redis://[::1]:6379",
            "redis://[::1]",
            "redis://host/",
            "redis+sentinel://a:26379,b:26379,c/mymaster",
            "redis+sentinel://:secret@a/mymaster/3",
            "mongodb://localhost",
            "mongodb://a:27017,b:27018,c/mosca?replicaSet=rs0",
            "mongodb://user:secret@a/mosca",
        ] {
            assert_eq!(url.parse::<ServerUrl>().unwrap().reveal(), url);
        }
        let url: ServerUrl = "REDIS://Host".parse().unwrap();
        assert_eq!(url.reveal(), "redis://Host");
    }

    #[test]
    fn each_mistake_is_named_by_the_part_that_is_wrong() {
        for (url, said) in [
            ("redis:localhost", "followed by `//`"),
            ("redis:/localhost", "followed by `//`"),
            ("redis://", "lacks a host"),
            ("redis:///3", "lacks a host"),
            ("redis://:6379", "lacks a host"),
            ("mongodb://a,,b", "lacks a host"),
            (
                "redis://host:port",
                "`port` in `redis://host:port` is not a port",
            ),
            ("redis://host:0", "`0` in"),
            ("redis://host:65536", "`65536` in"),
            ("redis://host:", "`` in"),
            ("mongodb://a:1,b:x", "`x` in"),
            ("redis://host/first", "`first` in"),
            ("redis://host/-1", "`-1` in"),
            ("redis+sentinel://a:1,b:2", "name of the service"),
            ("redis+sentinel://a/", "name of the service"),
            ("redis+sentinel://a/main/x", "`x` in"),
            ("redis://my host", "contains a space"),
        ] {
            let error = url.parse::<ServerUrl>().unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("redis://:secret@host/1", "redis://:***@host/1"),
            ("redis://me:secret@host", "redis://me:***@host"),
            ("mongodb://me:se/cr@et@a,b/db", "mongodb://me:***@a,b/db"),
            ("mongodb://me@a", "mongodb://me@a"),
            ("redis://host", "redis://host"),
        ] {
            let url: ServerUrl = url.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
        for wrong in [
            "redis://:secret@host:x",
            "redis://:secret@",
            "redis://:secret@ho st",
        ] {
            let error = wrong.parse::<ServerUrl>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn parts_are_encoded_where_they_must_be() {
        let url = ServerUrl::from_parts("redis", "", Some("p@ss/w:rd é"), "host:1", "/3").unwrap();
        assert_eq!(url.reveal(), "redis://:p%40ss%2Fw%3Ard%20%C3%A9@host:1/3");
        let url = ServerUrl::from_parts("rediss", "me", None, "host", "").unwrap();
        assert_eq!(url.reveal(), "rediss://me@host");
        assert!(ServerUrl::from_parts("redis", "", None, "", "").is_err());
    }
}
