//! Which of the server's certificates a client gets (RFC 6066, section 3).

use std::sync::Arc;

use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};

use super::{CertificateFiles, TlsError, files, validity};

/// The server's certificates in their order.
#[derive(Debug)]
pub(super) struct ServerNames {
    certificates: Vec<Arc<CertifiedKey>>,
}

impl ServerNames {
    pub(super) fn load(
        all: &[CertificateFiles],
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let certificates = all.iter().map(|one| load(one, provider));
        Ok(Self {
            certificates: certificates.collect::<Result<_, _>>()?,
        })
    }
}

fn load(
    CertificateFiles { chain, key }: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificates = files::certificates(chain)?;
    let private = files::private_key(key)?;
    let private = provider.key_provider.load_private_key(private);
    let private = private.map_err(|error| TlsError::in_file(key, error))?;
    let certified = CertifiedKey::new(certificates, private);
    match certified.keys_match() {
        // There are keys that do not say which one they belong to.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            for certificate in &certified.cert {
                validity::warn(chain, certificate);
            }
            Ok(Arc::new(certified))
        }
        Err(Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
            chain: chain.clone(),
            key: key.clone(),
        }),
        Err(error) => Err(TlsError::in_file(chain, error)),
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = certified.end_entity_cert();
    let parsed = certificate.and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

impl ResolvesServerCert for ServerNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let understood = |certified: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            certified.key.choose_scheme(schemes).is_some()
        };
        let usable = || self.certificates.iter().filter(understood);
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| usable().find(|certified| is_for(certified, &name)));
        named.or_else(|| usable().next()).cloned()
    }
}
