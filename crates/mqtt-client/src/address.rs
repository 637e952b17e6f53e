//! Where a server is: `mqtt://`, `mqtts://`, `ws://` or `wss://`, with who asks if that is said there.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// MQTT over TCP; also written `tcp`.
    Mqtt,
    /// MQTT over TLS; also written `ssl` or `tls`.
    Mqtts,
    /// MQTT over WebSocket.
    Ws,
    /// MQTT over WebSocket over TLS.
    Wss,
}

impl Scheme {
    /// The port where no other is said: 1883, 8883, 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// The address of a server. Shown with `{}` it names no user and no password.
///
/// ```
/// use mqtt_client::{Address, Scheme};
///
/// let address: Address = "wss://eve:p%40ss@broker.example/mqtt".parse()?;
/// assert_eq!((address.scheme, address.port), (Scheme::Wss, 443));
/// assert_eq!(address.password.as_deref(), Some("p@ss"));
/// assert_eq!(address.to_string(), "wss://broker.example:443/mqtt");
/// # Ok::<(), mqtt_client::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its name or IP address; one of IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path of the request for a WebSocket, with what is behind it; begins with `/`.
    pub path: String,
    /// User name, if the address says one.
    pub user_name: Option<String>,
    /// Password, if the address says one.
    pub password: Option<String>,
}

/// Why a text is no address. None of these shows the text, which may have a password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no URL.
    #[error("no URL: {0}")]
    Syntax(url::ParseError),
    /// A scheme that is none of the four.
    #[error("`{0}` is not spoken: mqtt, mqtts, ws and wss are")]
    Scheme(String),
    /// There is no host in it.
    #[error("it names no host")]
    NoHost,
    /// User name or password, with their `%`, are not UTF-8.
    #[error("user name and password have to be UTF-8")]
    NotUtf8,
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `scheme://[user[:password]@]host[:port][/path]`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(AddressError::Syntax)?;
        let scheme = match url.scheme() {
            "mqtt" | "tcp" => Scheme::Mqtt,
            "mqtts" | "ssl" | "tls" => Scheme::Mqtts,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(AddressError::NoHost)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let (user_name, password) = (url.username(), url.password());
        Ok(Self {
            scheme,
            host: bare.unwrap_or(host).to_owned(),
            port: url.port().unwrap_or(scheme.default_port()),
            path: path(&url),
            user_name: (!user_name.is_empty())
                .then(|| decoded(user_name))
                .transpose()?,
            password: password.map(decoded).transpose()?,
        })
    }
}

fn path(url: &Url) -> String {
    let path = if url.path().is_empty() {
        "/"
    } else {
        url.path()
    };
    match url.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// With each `%` and its two digits replaced by what they stand for.
fn decoded(text: &str) -> Result<String, AddressError> {
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    String::from_utf8(bytes).map_err(|_| AddressError::NotUtf8)
}

impl Address {
    /// What a URL has behind its scheme: the host, in brackets if it is of IPv6, and the port.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.as_str(), self.authority())?;
        match self.scheme {
            Scheme::Ws | Scheme::Wss => formatter.write_str(&self.path),
            Scheme::Mqtt | Scheme::Mqtts => Ok(()),
        }
    }
}

/// As [`Display`](fmt::Display): a password is nothing for a log.
impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_usual() {
        for (text, shown) in [
            ("mqtt://a", "mqtt://a:1883"),
            ("tcp://a:1", "mqtt://a:1"),
            ("ssl://a", "mqtts://a:8883"),
            ("ws://a", "ws://a:80/"),
            ("wss://a:1/b?c", "wss://a:1/b?c"),
            ("mqtt://[::1]", "mqtt://[::1]:1883"),
            ("mqtt://u:p@127.0.0.1", "mqtt://127.0.0.1:1883"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(format!("{address:?}"), shown, "{text}");
        }
    }

    #[test]
    fn who_asks_may_be_in_it() {
        let of = |text: &str| {
            let address: Address = text.parse().unwrap();
            (address.user_name, address.password)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("mqtt://a"), (None, None));
        assert_eq!(of("mqtt://eve@a"), (some("eve"), None));
        assert_eq!(of("mqtt://e%3Ae:%C3%A9@a"), (some("e:e"), some("é")));
    }

    #[test]
    fn what_is_no_address_is_said_without_showing_it() {
        for text in [
            "",
            "a",
            "mqtt://",
            "http://a",
            "mqtt://u:secret@",
            "mqtt://u:%FF@a",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
