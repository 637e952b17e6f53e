//! From choices to interfaces, with the certificates and the script that they need.

use std::path::Path;

use mosca::{Escaped, Interface, Tls, TlsError, TlsOptions};

use crate::bundle::BundleError;
use crate::listening::{Credentials, InterfaceChoice};

/// Interfaces, and the TLS that they offer.
pub(crate) struct Interfaces {
    pub(crate) all: Vec<Interface>,
    pub(crate) certificates: Certificates,
}

/// The TLS of all interfaces; those with the same files have the same.
#[derive(Default)]
pub(crate) struct Certificates(Vec<(Credentials, Tls)>);

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InterfacesError {
    /// A certificate is missing or wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no script.
    #[error("cannot serve /mqtt.js")]
    Bundle(#[from] BundleError),
}

/// The file that a failure is about, if it is about one.
pub(crate) fn path_of(error: &anyhow::Error) -> Option<&Path> {
    match error.downcast_ref()? {
        InterfacesError::Tls(
            TlsError::Unreadable { path, .. }
            | TlsError::Missing { path, .. }
            | TlsError::Unusable { path, .. }
            | TlsError::Mismatch { key: path, .. },
        ) => Some(path),
        _ => None,
    }
}

impl Interfaces {
    /// Reads all certificates and scripts.
    pub(crate) fn new(choices: &[InterfaceChoice]) -> Result<Self, InterfacesError> {
        let mut certificates = Certificates::default();
        let interfaces = choices.iter().map(|choice| {
            let tls = choice.credentials.as_ref();
            let tls = tls.map(|it| certificates.load(it)).transpose()?;
            interface(choice, tls.as_ref())
        });
        let all = interfaces.collect::<Result<_, _>>()?;
        Ok(Self { all, certificates })
    }
}

impl Certificates {
    fn load(&mut self, credentials: &Credentials) -> Result<Tls, TlsError> {
        if let Some((_, tls)) = self.0.iter().find(|(known, _)| known == credentials) {
            return Ok(tls.clone());
        }
        let tls = Tls::load(options(credentials))?;
        self.0.push((credentials.clone(), tls.clone()));
        Ok(tls)
    }

    /// Reads all files again, and says how that went.
    pub(crate) fn reload(&self) {
        for (_, tls) in &self.0 {
            match tls.reload() {
                Ok(()) => tracing::info!("the certificates were read again"),
                Err(error) => {
                    tracing::error!(error = %Escaped(&error), "the certificates stay as they were");
                }
            }
        }
    }
}

fn options(credentials: &Credentials) -> TlsOptions {
    let mut pairs = credentials.certificates.iter();
    let (chain, key) = pairs.next().cloned().unwrap_or_default();
    let mut options = TlsOptions::new(chain, key)
        .client_certificates(credentials.client_certificates)
        .min_version(credentials.min_version);
    for (chain, key) in pairs {
        options = options.add_certificate(chain, key);
    }
    for path in &credentials.client_ca {
        options = options.add_client_ca(path);
    }
    for path in &credentials.client_crl {
        options = options.add_client_crl(path);
    }
    match credentials.certificate_user {
        Some(name) => options.user_from_certificate(name),
        None => options,
    }
}

fn interface(choice: &InterfaceChoice, tls: Option<&Tls>) -> Result<Interface, InterfacesError> {
    let (is_web, port) = (choice.kind.is_web(), choice.port);
    let has_files = !choice.files.is_none();
    let mut interface = match (&choice.socket, &choice.host) {
        (Some(path), _) if has_files => Interface::http_unix(path),
        (Some(path), _) if is_web => Interface::websocket_unix(path),
        (Some(path), _) => Interface::unix(path),
        (None, None) if has_files => Interface::http_on_all_addresses(port),
        (None, None) if is_web => Interface::websocket_on_all_addresses(port),
        (None, None) => Interface::mqtt_on_all_addresses(port),
        (None, Some(host)) => {
            let address = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            match (has_files, is_web) {
                (true, _) => Interface::http(address),
                (false, true) => Interface::websocket(address),
                (false, false) => Interface::mqtt(address),
            }
        }
    }
    .proxy_protocol(choice.proxy_protocol)
    .ipv6_only(choice.ipv6_only)
    .websocket_origins(&choice.origins);
    if let Some(path) = &choice.path {
        interface = interface.websocket_path(path);
    }
    if let Some(mode) = choice.socket_mode {
        interface = interface.socket_mode(mode);
    }
    if let Some(group) = choice.socket_group {
        interface = interface.socket_group(group);
    }
    if let Some(max_connections) = choice.max_connections {
        interface = interface.max_connections(max_connections);
    }
    if let Some(rate) = choice.connect_rate {
        interface = interface.connect_rate(rate);
    }
    if let Some(timeout) = choice.handshake_timeout {
        interface = interface.handshake_timeout(timeout);
    }
    if let Some(idle) = choice.tcp_keepalive {
        interface = interface.tcp_keepalive(idle);
    }
    if let Some(folder) = &choice.files.folder {
        interface = interface.static_folder(folder);
    }
    if let Some(bundle) = &choice.files.bundle {
        interface = interface.bundle(bundle.load()?);
    }
    if let Some(timeout) = choice.request_timeout {
        interface = interface.request_timeout(timeout);
    }
    if let Some(timeout) = choice.response_timeout {
        interface = interface.response_timeout(timeout);
    }
    Ok(match tls {
        Some(tls) => interface.tls(tls),
        None => interface,
    })
}
