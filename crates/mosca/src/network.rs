//! What a connection asks of the network besides reading and writing.
//!
//! The task of a connection is compiled for each kind of stream that there are many of, so that TCP
//! pays nothing for the others. All the others are of one kind, [`Boxed`].

use std::time::Duration;

use mqtt_websocket::WebSocket;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::peer::{Address, Peer, StreamPeer};

/// What carries a connection: a stream of bytes that ends in its own way.
pub(crate) trait Network: AsyncRead + AsyncWrite + Send + Unpin {
    /// Who is at the other end.
    type Peer: Peer;

    /// Whether the client waits for a farewell although nothing more is read from it, since it has
    /// taken its leave or broken a rule below MQTT. `poll_shutdown` says it.
    fn owes_farewell(&self) -> bool;
}

/// The end of the stream is all that there is to say.
impl Network for TcpStream {
    type Peer = Address;

    fn owes_farewell(&self) -> bool {
        false
    }
}

/// There is a close frame to send.
impl<S: Network> Network for WebSocket<S> {
    type Peer = S::Peer;

    fn owes_farewell(&self) -> bool {
        !self.is_gone()
    }
}

/// Bytes that a client may still send while [`part`] waits for it.
const PARTING_BYTES: u64 = 64 << 10;

/// Ends a connection before MQTT so that the client sees the last thing it was told: it may have sent more
/// already, and would not if that were left unread.
pub(crate) async fn part<S: Stream>(mut stream: S, limit: Duration) {
    let ending = async {
        stream.shutdown().await?;
        let mut rest = stream.take(PARTING_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ended = tokio::time::timeout(limit, ending).await;
}

/// Any stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream of which nobody knows here what it is: TLS, a Unix socket, whatever a program hands over.
pub(crate) type Boxed = Box<dyn Stream>;

/// Some streams say something at their end, and those that do not are shut down as fast as they are
/// dropped.
impl Network for Boxed {
    type Peer = StreamPeer;

    fn owes_farewell(&self) -> bool {
        true
    }
}
