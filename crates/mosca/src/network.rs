//! What a connection asks of the network besides reading and writing.
//!
//! The task of a connection is compiled for each kind of stream that there are many of, so that TCP
//! pays nothing for the others. All the others are of one kind, [`Boxed`].

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mqtt_websocket::WebSocket;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::peer::{Address, Peer, StreamPeer};

/// A stream of bytes of which can be said whether its other end takes any.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether the socket has taken any byte since this was asked the last time. Where nothing is gathered
    /// in between that is whether the stream has, which is what `took` says.
    fn has_moved(&mut self, took: bool) -> bool {
        took
    }
}

/// What carries a connection: a stream of bytes that ends in its own way.
pub(crate) trait Network: Stream {
    /// Who is at the other end.
    type Peer: Peer;

    /// Whether the client waits for a farewell although nothing more is read from it, since it has
    /// taken its leave or broken a rule below MQTT. `poll_shutdown` says it.
    fn owes_farewell(&self) -> bool;
}

impl Stream for TcpStream {}

/// The end of the stream is all that there is to say.
impl Network for TcpStream {
    type Peer = Address;

    fn owes_farewell(&self) -> bool {
        false
    }
}

impl<S: Stream> Stream for WebSocket<S> {
    fn has_moved(&mut self, took: bool) -> bool {
        self.get_mut().has_moved(took)
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
pub(crate) async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, limit: Duration) {
    let ending = async {
        stream.shutdown().await?;
        let mut rest = stream.take(PARTING_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ended = tokio::time::timeout(limit, ending).await;
}

/// A stream of which nobody knows here what it is: TLS, a Unix socket, whatever a program hands over.
pub(crate) type Boxed = Box<dyn Stream>;

impl Stream for Boxed {
    fn has_moved(&mut self, took: bool) -> bool {
        (**self).has_moved(took)
    }
}

/// Some streams say something at their end, and those that do not are shut down as fast as they are
/// dropped.
impl Network for Boxed {
    type Peer = StreamPeer;

    fn owes_farewell(&self) -> bool {
        true
    }
}

/// Any stream, with a note whether it has taken anything.
pub(crate) struct Noted<S> {
    stream: S,
    has_moved: bool,
}

impl<S> Noted<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            has_moved: false,
        }
    }

    fn note(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let written = ready!(result)?;
        self.has_moved |= written > 0;
        Poll::Ready(Ok(written))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for Noted<S> {
    fn has_moved(&mut self, _took: bool) -> bool {
        mem::take(&mut self.has_moved)
    }
}

/// TLS takes more than its socket does: some 64 KiB.
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for TlsStream<Noted<S>> {
    fn has_moved(&mut self, took: bool) -> bool {
        self.get_mut().0.has_moved(took)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.note(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
