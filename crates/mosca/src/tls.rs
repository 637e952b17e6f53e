//! TLS: keys and certificates from files, asked for and checked by rustls, and read anew without
//! anyone losing a connection.

mod error;
mod files;
mod handshake;
mod parts;
mod server_names;
mod subject;
mod thread;
mod validity;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::rustls::{SupportedProtocolVersion, version};

pub use self::error::TlsError;
pub(crate) use self::handshake::Protocol;
use self::server_names::ServerNames;
pub(crate) use self::thread::HandshakeThread;

/// What TLS is offered with: the server's certificates, and what is asked of clients.
///
/// Files are PEM. They are read by [`Tls::load`], and again by [`Tls::reload`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TlsOptions {
    certificates: Vec<CertificateFiles>,
    client_ca: Vec<PathBuf>,
    client_crl: Vec<PathBuf>,
    client_certificates: ClientCertificates,
    certificate_user: Option<CertificateUser>,
    min_version: TlsVersion,
}

#[derive(Clone, Debug)]
struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and may have none: mosca's `requestCert` without `rejectUnauthorized`. One that a
    /// client has must be valid all the same.
    Requested,
    /// Who has none, or one that is not valid, is refused during the handshake: mosca's `requestCert`
    /// with `rejectUnauthorized`.
    Required,
}

/// Which name in a client's certificate is its user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateUser {
    /// The common name of the subject; the certificate must have exactly one.
    CommonName,
    /// The first subject alternative name that is a DNS name, an e-mail address or a URI.
    SubjectAltName,
}

/// The versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), with forward secrecy and authenticated encryption alone.
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsOptions {
    /// The server's certificate, with those of the intermediate authorities behind it, and its private
    /// key, which must not be encrypted.
    pub fn new(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificates: Vec::new(),
            client_ca: Vec::new(),
            client_crl: Vec::new(),
            client_certificates: ClientCertificates::default(),
            certificate_user: None,
            min_version: TlsVersion::default(),
        }
        .add_certificate(chain, key)
    }

    /// A further certificate, with its key. Of several the client gets the first that is for the server
    /// name that it asks for (SNI) and whose kind of key it understands, or else the first that it
    /// understands.
    pub fn add_certificate(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificates.push(CertificateFiles {
            chain: chain.into(),
            key: key.into(),
        });
        self
    }

    /// Whether clients are asked for a certificate; default [`ClientCertificates::Off`].
    pub fn client_certificates(mut self, asked: ClientCertificates) -> Self {
        self.client_certificates = asked;
        self
    }

    /// Certificates of authorities that may issue the clients', which have to be of version 3 of X.509.
    /// There may be several such files; the system's own authorities do not count.
    pub fn add_client_ca(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_ca.push(path.into());
        self
    }

    /// Lists of clients' certificates that were revoked. With one of them each authority that has issued
    /// a client's certificate needs one.
    pub fn add_client_crl(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_crl.push(path.into());
        self
    }

    /// Takes a client's user name from its certificate; default no. A client whose certificate has no
    /// such name is refused during the handshake. One without a certificate, where it may have none,
    /// goes by the user name in its CONNECT.
    pub fn user_from_certificate(mut self, name: CertificateUser) -> Self {
        self.certificate_user = Some(name);
        self
    }

    /// The oldest version that is accepted; default 1.2. 1.3 is preferred where the client has it.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }
}

/// TLS that interfaces offer. Its clones are the same: a program keeps one to
/// [`reload`](Self::reload) the certificates of a running server.
///
/// ```no_run
/// use mosca::{ClientCertificates, Interface, Server, Tls, TlsOptions};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let options = TlsOptions::new("server.crt", "server.key")
///     .add_client_ca("clients-ca.crt")
///     .client_certificates(ClientCertificates::Required);
/// let tls = Tls::load(options)?;
/// let server = Server::builder()
///     .listen(Interface::mqtt_on_all_addresses(8883).tls(&tls))
///     .listen(Interface::websocket_on_all_addresses(443).tls(&tls))
///     .start()
///     .await?;
/// // The certificate was renewed:
/// tls.reload()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    options: TlsOptions,
    current: RwLock<Configs>,
}

/// One for each name that is agreed on by ALPN.
#[derive(Clone)]
struct Configs {
    mqtt: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

impl Tls {
    /// Reads all files. A certificate of the server's that has expired, will within 14 days, or is not valid yet
    /// is a warning in the log; it is used nevertheless.
    ///
    /// # Errors
    /// The first thing that is wrong, with the name of the file.
    pub fn load(options: TlsOptions) -> Result<Self, TlsError> {
        let current = RwLock::new(Configs::load(&options)?);
        Ok(Self {
            inner: Arc::new(Inner { options, current }),
        })
    }

    /// Reads all files again, on whose contents every handshake that begins later depends. Connections
    /// stay as they are.
    ///
    /// This reads files, and takes milliseconds.
    ///
    /// # Errors
    /// The first thing that is wrong. What was in force stays so.
    pub fn reload(&self) -> Result<(), TlsError> {
        let configs = Configs::load(&self.inner.options)?;
        let mut current = self.inner.current.write();
        **current
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = configs;
        Ok(())
    }

    /// The options as they were given.
    pub fn options(&self) -> &TlsOptions {
        &self.inner.options
    }

    fn current(&self) -> Configs {
        let current = self.inner.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.inner.options).finish()
    }
}

impl Configs {
    fn load(options: &TlsOptions) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mqtt = load(options, &provider)?;
        let mut http = mqtt.clone();
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            mqtt: Arc::new(mqtt),
            http: Arc::new(http),
        })
    }
}

fn load(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, TlsError> {
    let names = ServerNames::load(&options.certificates, provider)?;
    let versions: &[&SupportedProtocolVersion] = match options.min_version {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::unusable)?;
    let builder = match options.client_certificates {
        ClientCertificates::Off => builder.with_no_client_auth(),
        asked => {
            let verifier = client_verifier(options, asked, provider)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(names));
    // All come back at once after the network was away: that is much cheaper with tickets. They are
    // encrypted by keys that live in this configuration alone, so none outlives a reload.
    config.ticketer = ring::Ticketer::new().map_err(TlsError::unusable)?;
    config.send_tls13_tickets = 1;
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    Ok(config)
}

/// What checks the certificates of clients.
fn client_verifier(
    options: &TlsOptions,
    asked: ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(files::authorities(&options.client_ca)?);
    if roots.is_empty() {
        return Err(TlsError::NoClientCa);
    }
    let build = |lists| {
        let (roots, provider) = (Arc::clone(&roots), Arc::clone(provider));
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        match asked {
            ClientCertificates::Requested => builder.allow_unauthenticated(),
            _ => builder,
        }
        .with_crls(lists)
        .build()
    };
    let mut lists = Vec::new();
    for path in &options.client_crl {
        let here = files::revocation_lists(path)?;
        // For the name of the file, if one of them is none.
        build(here.clone()).map_err(|error| TlsError::in_file(path, error))?;
        lists.extend(here);
    }
    build(lists).map_err(|error| TlsError::Refused(error.to_string()))
}

#[cfg(test)]
mod tests;
