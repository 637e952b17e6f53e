//! A client that speaks TLS, with what it is told to offer.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mosca::{Interface, Server, Tls, TlsOptions};
use mqtt_codec::{Connect, Version};
use test_servers::certificates::{Authority, Issued};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use crate::client::{Client, within};

/// What a client offers, and whom it trusts.
#[derive(Clone)]
pub(crate) struct Hello<'a> {
    pub(crate) trusts: &'a Path,
    pub(crate) server_name: &'a str,
    pub(crate) certificate: Option<&'a Issued>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) alpn: Vec<&'static str>,
}

impl<'a> Hello<'a> {
    pub(crate) fn new(authority: &'a Authority) -> Self {
        Self {
            trusts: &authority.certificate,
            server_name: "localhost",
            certificate: None,
            versions: vec![&version::TLS13, &version::TLS12],
            alpn: Vec::new(),
        }
    }

    pub(crate) fn with(&self, certificate: &'a Issued) -> Self {
        Self {
            certificate: Some(certificate),
            ..self.clone()
        }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.trusts).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some(Issued { certificate, key }) => {
                let chain = CertificateDer::pem_file_iter(certificate).unwrap();
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        config
    }

    /// Shakes hands. In TLS 1.3 the server may still refuse the client's certificate behind that.
    pub(crate) async fn shake(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = within("TCP connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        self.shake_over(stream).await
    }

    /// The same on a connection that is there.
    pub(crate) async fn shake_over(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.server_name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(self.config()));
        within("TLS handshake", connector.connect(name, stream)).await
    }

    /// A client that has been let in.
    pub(crate) async fn connect(
        &self,
        server: &Server,
        version: Version,
        name: &str,
    ) -> Client<TlsStream<TcpStream>> {
        let stream = self.shake(server.local_addresses()[0]).await.unwrap();
        let mut client = Client::over_stream(stream, version);
        client.say_hello(&Connect::new(version, name)).await;
        client
    }

    /// Whether the server lets such a client in; otherwise what the client hears of it.
    pub(crate) async fn is_let_in(&self, server: &Server) -> Result<(), String> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let shake = self.shake(server.local_addresses()[0]).await;
        let mut stream = shake.map_err(|error| error.to_string())?;
        let connect = crate::client::encoded(
            mqtt_codec::Packet::Connect(Connect::new(Version::V311, "client")),
            Version::V311,
        );
        // It may have been refused by now.
        let _written = stream.write_all(&connect).await;
        let mut connack = [0; 4];
        let read = within("CONNACK", stream.read_exact(&mut connack)).await;
        read.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// A server with one interface for MQTT over TLS.
pub(crate) async fn start(tls: &Tls) -> Server {
    let interface = Interface::mqtt("127.0.0.1:0").tls(tls);
    Server::builder().listen(interface).start().await.unwrap()
}

/// TLS with this certificate.
pub(crate) fn options(issued: &Issued) -> TlsOptions {
    TlsOptions::new(&issued.certificate, &issued.key)
}
