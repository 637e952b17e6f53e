//! The server's side of MQTT over WebSocket (MQTT 3.1.1 and 5.0, section 6; RFC 6455): a stream of
//! bytes to whoever reads and writes it, an HTTP request and then frames to the network. It knows
//! nothing of packets.
//!
//! ```text
//!   request ──► Opening ──► Open ──► Over
//!                  │                  ▲
//!                  └──── refused ─────┘
//! ```
//!
//! Nothing is gathered on the way. What is read lands in the reader's own buffer and is unmasked
//! there; what is written goes to the network behind the head of a frame, without a copy. So frames
//! and messages may be of any size, the limits on packets hold as they do over TCP, and a connection
//! that is idle owns no buffer.
//!
//! Where requests and frames are read from is none of its business: TCP, TLS, a Unix socket, or
//! whatever an HTTP server hands over. Such a server may also read and answer the request itself
//! ([`Terms::answer`]), and hand over what comes then ([`WebSocket::upgraded`]).
//!
//! ```
//! use std::sync::Arc;
//! use mqtt_websocket::{Terms, WebSocket};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let (mut client, stream) = tokio::io::duplex(4096);
//! let mut socket = WebSocket::new(stream, &Arc::new(Terms::default()));
//! client
//!     .write_all(
//!         b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
//!           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!           Sec-WebSocket-Protocol: mqtt\r\n\r\n",
//!     )
//!     .await?;
//! // The request is answered by whoever reads. Then comes a frame, whose mask is 0.
//! let reading = async {
//!     let mut read = [0; 2];
//!     socket.read_exact(&mut read).await.map(|_| read)
//! };
//! let asking = async {
//!     let mut response = [0; 12];
//!     client.read_exact(&mut response).await?;
//!     assert_eq!(&response, b"HTTP/1.1 101");
//!     client.write_all(b"\x82\x82\0\0\0\0hi").await
//! };
//! let (read, asked) = tokio::join!(reading, asking);
//! asked?;
//! assert_eq!(&read?, b"hi");
//! # Ok(())
//! # }
//! ```

mod handshake;
mod incoming;
mod outgoing;
mod terms;

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::handshake::Handshake;
use self::incoming::{End, Incoming};
use self::outgoing::Outgoing;
pub use self::terms::{Refusal, Terms};

/// Reads in a row that may bring nothing but heads and control frames before other tasks get their
/// turn.
const FRUITLESS_READS: usize = 16;

/// The code of a close frame that says: all has been said. RFC 6455, section 7.4.1.
const NORMAL: u16 = 1000;

/// The server's side of a WebSocket connection, as a stream of bytes.
///
/// Pings are answered, and a close frame is, while somebody reads, writes, flushes or shuts down.
///
/// Who has had a part of his bytes taken by a write has to write the others before anything else:
/// they are announced in the head of their frame. Who was told that a write has to wait may come
/// back with more bytes, but not with fewer.
pub struct WebSocket<S> {
    stream: S,
    phase: Phase,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Why no more frames are read.
    end: Option<End>,
    /// The client has ended its direction, or the network has failed.
    gone: bool,
}

enum Phase {
    /// The request has not come, or the response is not out.
    Opening(Box<Handshake>),
    /// Frames go both ways; these bytes of the client's, from here on, come before what is read.
    Upgraded(Box<(Vec<u8>, usize)>),
    /// Frames go both ways.
    Open,
    /// Our last byte is out or about to be; what still comes is not looked at.
    Over,
}

impl<S> WebSocket<S> {
    /// A connection over which a client is about to ask for the upgrade, which it gets on these terms.
    /// Its request is read, and answered, by whoever reads the first bytes; until then nothing may be
    /// written.
    pub fn new(stream: S, terms: &Arc<Terms>) -> Self {
        let handshake = Handshake::new(Arc::clone(terms));
        Self::at(stream, Phase::Opening(Box::new(handshake)))
    }

    /// A connection whose request somebody else has answered ([`Terms::answer`]). What he has read
    /// behind the request is `read`.
    pub fn upgraded(stream: S, read: &[u8]) -> Self {
        let phase = match read {
            [] => Phase::Open,
            read => Phase::Upgraded(Box::new((read.to_vec(), 0))),
        };
        Self::at(stream, phase)
    }

    fn at(stream: S, phase: Phase) -> Self {
        Self {
            stream,
            phase,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            end: None,
            gone: false,
        }
    }

    /// Whether nobody is there any more who could be told anything: the client has ended its
    /// direction, or the network has failed. Otherwise `poll_shutdown` has a close frame to send,
    /// also after an error of reading.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// The stream beneath. To write to it or to read from it breaks the WebSocket.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Bytes of memory that it has besides its own: up to some 24 KiB until the request is answered, or
    /// what was read with the request until it is taken; then half a kilobyte for control frames, and
    /// none between frames when nothing waits to be sent.
    pub fn owned_bytes(&self) -> usize {
        let opening = match &self.phase {
            Phase::Opening(handshake) => handshake.owned_bytes(),
            Phase::Upgraded(kept) => size_of_val(&**kept) + kept.0.capacity(),
            Phase::Open | Phase::Over => 0,
        };
        opening + self.incoming.owned_bytes() + self.outgoing.owned_bytes()
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Upgraded(_))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Reads once. `None` when the client has ended its direction.
    fn poll_raw<'a>(
        &mut self,
        context: &mut Context<'_>,
        space: &'a mut [u8],
    ) -> Poll<io::Result<Option<&'a mut [u8]>>> {
        if let Phase::Upgraded(kept) = &mut self.phase {
            let (bytes, at) = &mut **kept;
            let rest = bytes.get(*at..).unwrap_or_default();
            let here = rest.len().min(space.len());
            for (to, from) in space.iter_mut().zip(rest) {
                *to = *from;
            }
            *at += here;
            if *at >= bytes.len() {
                self.phase = Phase::Open;
            }
            return Poll::Ready(Ok(space.get_mut(..here)));
        }
        let mut buffer = ReadBuf::new(space);
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
        let come = buffer.filled().len();
        self.gone |= come == 0;
        result?;
        Poll::Ready(Ok(space.get_mut(..come).filter(|come| !come.is_empty())))
    }

    /// Writes some of `bytes`, at least one.
    fn poll_write_raw(
        stream: &mut S,
        gone: &mut bool,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match ready!(Pin::new(stream).poll_write(context, bytes)) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            result => result,
        };
        *gone |= result.is_err();
        Poll::Ready(result)
    }

    /// Reads the request and answers it. `false` when the client has ended its direction instead.
    fn poll_open(&mut self, context: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<bool>> {
        while let Phase::Opening(handshake) = &mut self.phase {
            if let Some(response) = handshake.unsent() {
                let (stream, gone) = (&mut self.stream, &mut self.gone);
                let written = ready!(Self::poll_write_raw(stream, gone, context, response))?;
                if handshake.sent(written) {
                    let refused = handshake.refused();
                    self.phase = refused.map_or(Phase::Open, |_| Phase::Over);
                    if let Some(why) = refused {
                        return Poll::Ready(Err(ended(why)));
                    }
                }
                continue;
            }
            let room = handshake.room().min(space.len());
            let space = space.get_mut(..room).unwrap_or_default();
            let come = ready!(self.poll_raw(context, space))?;
            match (come, &mut self.phase) {
                (Some(come), Phase::Opening(handshake)) => handshake.receive(come),
                _ => return Poll::Ready(Ok(false)),
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Reads frames into `space` until some of what they carry is there, and says how much. 0 when
    /// the client has ended its direction.
    fn poll_frames(
        &mut self,
        context: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            for _ in 0..FRUITLESS_READS {
                if let Some(end) = self.end {
                    return Poll::Ready(Err(ended(end.why)));
                }
                // What does not go out now goes out when the network is ready for it.
                if let Poll::Ready(Err(error)) = self.poll_control(context) {
                    return Poll::Ready(Err(error));
                }
                let Some(come) = ready!(self.poll_raw(context, space))? else {
                    return Poll::Ready(Ok(0));
                };
                let decoded = self.incoming.decode(come);
                self.end = decoded.end;
                if let Some(ping) = decoded.ping {
                    self.outgoing.answer(&ping);
                }
                if decoded.payload > 0 {
                    return Poll::Ready(Ok(decoded.payload));
                }
            }
            ready!(pin!(tokio::task::yield_now()).poll(context));
        }
    }

    /// Sends the control frames that are due, unless a data frame is under way.
    fn poll_control(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.outgoing.control() {
            let (stream, gone) = (&mut self.stream, &mut self.gone);
            let written = ready!(Self::poll_write_raw(stream, gone, context, bytes))?;
            self.outgoing.control_sent(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The error that says why a client is not listened to any more.
fn ended(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    /// What the client's binary frames carry, however it is split into frames and messages
    /// [MQTT-6.0.0-2]. An error of the kind `InvalidData` when the client has broken a rule of
    /// WebSocket, sent text [MQTT-6.0.0-1], was refused, or has closed the WebSocket.
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.phase, Phase::Over) {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let space = buffer.initialize_unfilled();
        if !ready!(this.poll_open(context, space))? {
            return Poll::Ready(Ok(()));
        }
        let payload = ready!(this.poll_frames(context, space))?;
        buffer.advance(payload);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// All of `slices` in one binary frame [MQTT-6.0.0-1]. Nothing is kept: what is said to be
    /// written has been taken by the network.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.is_open() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        ready!(this.poll_control(context))?;
        let total = slices.iter().map(|slice| slice.len() as u64).sum();
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            let mut parts = [IoSlice::new(&[]); outgoing::PARTS];
            let parts = this.outgoing.frame(total, slices, &mut parts);
            let stream = Pin::new(&mut this.stream);
            let written = match ready!(stream.poll_write_vectored(context, parts)) {
                Ok(written) if written > 0 => written,
                failed => {
                    this.gone = true;
                    return Poll::Ready(failed);
                }
            };
            let payload = this.outgoing.frame_sent(written);
            if payload > 0 {
                return Poll::Ready(Ok(payload));
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_control(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    /// Sends a close frame, and ends our direction behind it.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_open() {
            this.outgoing
                .close(this.end.map_or(Some(NORMAL), |end| end.code));
        }
        this.phase = Phase::Over;
        ready!(this.poll_control(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// Says how far it has come.
impl<S> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Opening(_) => "opening",
            Phase::Open | Phase::Upgraded(_) => "open",
            Phase::Over => "over",
        };
        f.debug_struct("WebSocket")
            .field("phase", &phase)
            .field("end", &self.end.map(|end| end.why))
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
