//! The handshake of one connection, and the name that the client's certificate gives it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{CertificateUser, Tls, subject};
use crate::network::{Noted, Stream, part};

/// How long a client that was refused may go on before it is cut off.
const REFUSED_TIME: Duration = Duration::from_secs(1);

/// What is spoken inside of TLS, for ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Mqtt,
    Http,
}

impl Tls {
    /// Shakes hands. Returns the user name in the client's certificate as well, if it is asked for.
    ///
    /// # Errors
    /// When client and server do not come to terms; the client has been told why by then.
    pub(crate) async fn accept<S: Stream>(
        &self,
        stream: S,
        protocol: Protocol,
    ) -> io::Result<(TlsStream<Noted<S>>, Option<Arc<str>>)> {
        let configs = self.current();
        let acceptor = TlsAcceptor::from(match protocol {
            Protocol::Mqtt => configs.mqtt,
            Protocol::Http => configs.http,
        });
        let mut stream = match acceptor.accept(Noted::new(stream)).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                part(stream, REFUSED_TIME).await;
                return Err(error);
            }
        };
        match self.user(&stream) {
            Ok(user) => Ok((stream, user)),
            Err(error) => {
                // Inside of TLS there is a word for the end, and none for the reason.
                let _told = stream.shutdown().await;
                part(stream, REFUSED_TIME).await;
                Err(error)
            }
        }
    }

    fn user<S>(&self, stream: &TlsStream<S>) -> io::Result<Option<Arc<str>>> {
        let Some(which) = self.options().certificate_user else {
            return Ok(None);
        };
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        let Some(certificate) = chain.first() else {
            return Ok(None);
        };
        let name = match which {
            CertificateUser::CommonName => subject::common_name(certificate),
            CertificateUser::SubjectAltName => subject::alternative_name(certificate),
        };
        let no_name = "the client's certificate has no name that could be its user name";
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, no_name))?;
        Ok(Some(name.into()))
    }
}
