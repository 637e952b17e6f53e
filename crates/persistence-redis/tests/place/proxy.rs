//! A way to Redis that breaks on demand: requests arrive, answers do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Forwards connections to a port; each breaks after so many pieces of answers, the last of which is
/// swallowed.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Pieces of answers that a connection brings before it breaks; 0 for never.
    pub(crate) pieces: Arc<AtomicU64>,
    /// How many connections have broken.
    pub(crate) broken: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            pieces: Arc::default(),
            broken: Arc::default(),
        };
        let (pieces, broken) = (Arc::clone(&proxy.pieces), Arc::clone(&proxy.broken));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::spawn(forward(
                    client,
                    server,
                    Arc::clone(&pieces),
                    Arc::clone(&broken),
                ));
            }
        });
        proxy
    }
}

async fn forward(
    client: TcpStream,
    server: TcpStream,
    pieces: Arc<AtomicU64>,
    broken: Arc<AtomicUsize>,
) {
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let requests = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut client_in, &mut server_out).await;
    });
    let mut buffer = vec![0; 65_536];
    let mut count = 0;
    while let Ok(length) = server_in.read(&mut buffer).await {
        count += 1;
        let limit = pieces.load(Ordering::SeqCst);
        if length == 0 {
            break;
        }
        if limit != 0 && count > limit {
            broken.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if client_out
            .write_all(buffer.get(..length).unwrap_or_default())
            .await
            .is_err()
        {
            break;
        }
    }
    requests.abort();
}
