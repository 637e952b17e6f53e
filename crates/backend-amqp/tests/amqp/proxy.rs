//! What stands between nodes and the server: cuts connections, refuses them, and holds back what comes.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::{SERVER, runtime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    /// Nothing comes from the server.
    Held,
    /// There are no connections.
    Cut,
}

/// A way to the server of this binary.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let server = SERVER.port();
        let listener = runtime().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        runtime().spawn(accept(listener, server, modes));
        Self { address, mode }
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://{}", self.address)
    }

    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(crate) fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    pub(crate) fn open(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

/// Carries connections until the proxy is dropped.
async fn accept(listener: TcpListener, server: u16, mut modes: watch::Receiver<Mode>) {
    loop {
        let node = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            is_gone = modes.changed() => match is_gone {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        if *modes.borrow() != Mode::Cut {
            tokio::spawn(carry(node, server, modes.clone()));
        }
    }
}

async fn carry(node: TcpStream, server: u16, mut modes: watch::Receiver<Mode>) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await;
    let (from_node, to_node) = node.into_split();
    let (from_server, to_server) = server.unwrap().into_split();
    let mut ways = modes.clone();
    tokio::select! {
        () = copy(from_node, to_server, None) => {}
        () = copy(from_server, to_node, Some(&mut ways)) => {}
        _ = modes.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut modes: Option<&mut watch::Receiver<Mode>>,
) {
    let mut buffer = [0; 8_192];
    loop {
        if let Some(modes) = &mut modes
            && modes.wait_for(|mode| *mode != Mode::Held).await.is_err()
        {
            return;
        }
        match from.read(&mut buffer).await {
            Ok(bytes) if bytes > 0 => {
                if to.write_all(&buffer[..bytes]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}
