//! Where the broker listens, as options have it.

use std::path::PathBuf;
use std::time::Duration;

use mosca::{CertificateUser, ClientCertificates, Rate, TlsVersion};

use crate::bundle::Bundle;

/// What TLS is offered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Certificates with their chains, and their keys.
    pub(crate) certificates: Vec<(PathBuf, PathBuf)>,
    /// Authorities that may issue the clients' certificates.
    pub(crate) client_ca: Vec<PathBuf>,
    /// Lists of revoked ones.
    pub(crate) client_crl: Vec<PathBuf>,
    /// Whether clients are asked.
    pub(crate) client_certificates: ClientCertificates,
    /// Where their user names come from.
    pub(crate) certificate_user: Option<CertificateUser>,
    /// The oldest version.
    pub(crate) min_version: TlsVersion,
}

/// What is spoken on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// MQTT.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// MQTT over WebSocket.
    Http,
    /// MQTT over WebSocket over TLS.
    Https,
}

impl Kind {
    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Mqtts | Self::Https)
    }

    pub(crate) fn is_web(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceChoice {
    pub(crate) kind: Kind,
    /// All addresses if nothing is said.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    /// A Unix socket, instead of host and port.
    pub(crate) socket: Option<PathBuf>,
    /// Permissions of its file.
    pub(crate) socket_mode: Option<u32>,
    /// The number of its file's group.
    pub(crate) socket_group: Option<u32>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) connect_rate: Option<Option<Rate>>,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) tcp_keepalive: Option<Option<Duration>>,
    pub(crate) proxy_protocol: bool,
    pub(crate) ipv6_only: bool,
    /// Of WebSockets; any if nothing is said.
    pub(crate) path: Option<String>,
    /// Of pages that may open WebSockets; all if there are none.
    pub(crate) origins: Vec<String>,
    pub(crate) credentials: Option<Credentials>,
    /// Served beside WebSockets.
    pub(crate) files: Files,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
}

/// Mosca's `static` and `bundle`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// A folder.
    pub(crate) folder: Option<PathBuf>,
    /// The script `/mqtt.js`.
    pub(crate) bundle: Option<Bundle>,
}

impl Files {
    /// Whether nothing is served.
    pub(crate) fn is_none(&self) -> bool {
        self.folder.is_none() && self.bundle.is_none()
    }
}
