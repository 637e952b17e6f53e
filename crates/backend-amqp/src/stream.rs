//! The stream of bytes to the server, plain or in TLS, in the form that lapin takes.
//!
//! lapin has TLS of its own, with stores of keys and certificates that a node has no use for, and a thread that
//! nobody can end while it connects. So the stream is made here: with the TLS that the rest of the workspace has,
//! and a [`Socket`] by which a connection ends, whatever it is doing.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream as Ticks;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use crate::failure::Failure;

/// A stream to the server.
pub(crate) type Stream = Compat<Box<dyn Bytes>>;

/// What carries AMQP.
pub(crate) trait Bytes: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Bytes for T {}

/// The caller's tokio, as lapin calls it, with streams of ours.
pub(crate) type Kit = RuntimeParts<Tokio, Sockets>;

/// The runtime that the caller is in.
pub(crate) fn runtime() -> Runtime<Kit> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(tokio.clone(), Sockets(tokio)))
}

/// What waits for time and sockets. lapin asks for nothing but [`sleep`](Reactor::sleep): it gets its streams
/// from [`connect`].
#[derive(Clone, Debug)]
pub(crate) struct Sockets(Tokio);

impl Reactor for Sockets {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Stream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Ticks<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

/// By which a connection ends at once, also one that is about to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Socket(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
enum Held {
    #[default]
    NotYet,
    Open(std::net::TcpStream),
    Cut,
}

impl Socket {
    /// Ends the connection.
    pub(crate) fn cut(&self) {
        if let Held::Open(stream) = std::mem::replace(&mut *self.0.lock(), Held::Cut) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn hold(&self, stream: std::net::TcpStream) -> io::Result<()> {
        let mut held = self.0.lock();
        match *held {
            Held::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
            Held::NotYet | Held::Open(_) => {
                *held = Held::Open(stream);
                Ok(())
            }
        }
    }
}

/// Where the server is, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Connects, so that `socket` ends it.
pub(crate) async fn connect(destination: &Destination, socket: &Socket) -> io::Result<Stream> {
    let stream = TcpStream::connect((&*destination.host, destination.port)).await?;
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    socket.hold(stream.try_clone()?)?;
    let stream = TcpStream::from_std(stream)?;
    let stream: Box<dyn Bytes> = match &destination.tls {
        None => Box::new(stream),
        Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
    };
    Ok(stream.compat())
}

/// TLS that trusts the authorities in a file, or those that the system trusts. Reads the file.
pub(crate) fn tls(authorities: Option<&PathBuf>) -> Result<TlsConnector, Failure> {
    let roots = match authorities {
        Some(file) => authorities_in(file)
            .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?,
        None => {
            let mut roots = RootCertStore::empty();
            // Some of a system's may be strange; those that are not are enough.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    if roots.is_empty() {
        return Err(Failure::refused("there are no certificates to trust"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Failure::refused)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities_in(file: &Path) -> Result<RootCertStore, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    Ok(roots)
}
