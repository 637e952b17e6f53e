//! The stream of bytes to the server, whatever carries it.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::address::{Address, Scheme};
use crate::connector::Connector;
use crate::error::ClientError;
use crate::tls::TlsError;

/// Room for what comes: a connection on which little comes takes little memory.
const ROOM: usize = 4 << 10;

/// Room for what comes where much has come.
const MUCH_ROOM: usize = 64 << 10;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What an exchange has come to.
pub(crate) enum Progress {
    /// The server has taken some of the output.
    Sent,
    /// Something has come.
    Received,
    /// Nothing more will come.
    Ended,
}

pub(crate) enum Transport {
    Stream(Box<dyn Stream>),
    WebSocket(Box<WebSocketStream<Box<dyn Stream>>>),
}

impl Transport {
    pub(crate) async fn open(
        connector: &Connector,
        address: &Address,
        subprotocol: &'static str,
    ) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(&*connector.addresses).await?;
        stream.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = Box::new(stream);
        if let Some(tls) = &connector.tls {
            let name = ServerName::try_from(address.host.clone())
                .map_err(|_| TlsError::Name(address.host.clone()))?;
            stream = Box::new(tls.connect(name, stream).await?);
        }
        match address.scheme {
            Scheme::Mqtt | Scheme::Mqtts => Ok(Self::Stream(stream)),
            Scheme::Ws | Scheme::Wss => upgraded(address, stream, subprotocol).await,
        }
    }

    /// Sends all of it. What is not sent yet stays in `output` if this is not waited for to the end.
    pub(crate) async fn send(&mut self, output: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Stream(stream) => {
                stream.write_all_buf(output).await?;
                stream.flush().await
            }
            Self::WebSocket(socket) => {
                poll_fn(|context| socket.poll_ready_unpin(context))
                    .await
                    .map_err(broken)?;
                // There is none if only the end of an earlier one is still to be sent.
                if !output.is_empty() {
                    let message = Message::Binary(output.split().freeze());
                    socket.start_send_unpin(message).map_err(broken)?;
                }
                socket.flush().await.map_err(broken)
            }
        }
    }

    /// Appends what comes next; `false` at the end of the stream. Nothing is lost if it is not waited for
    /// to the end.
    pub(crate) async fn receive(&mut self, input: &mut BytesMut) -> io::Result<bool> {
        match self {
            Self::Stream(stream) => {
                input.reserve(ROOM);
                let is_open = stream.read_buf(input).await? > 0;
                if input.len() == input.capacity() {
                    input.reserve(MUCH_ROOM);
                }
                Ok(is_open)
            }
            Self::WebSocket(socket) => loop {
                match socket.next().await.transpose().map_err(broken)? {
                    Some(Message::Binary(bytes)) => {
                        input.extend_from_slice(&bytes);
                        return Ok(true);
                    }
                    Some(Message::Text(_)) => {
                        let error = "text where MQTT has to be binary";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                    }
                    Some(Message::Close(_)) | None => return Ok(false),
                    Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                }
            },
        }
    }

    /// Sends and receives side by side, until the server has taken some of the output or some has come: neither
    /// waits for the other, so two ends that have much to say do not wait for each other. `is_sending` is whether
    /// something may still be on its way when there is no more output. Nothing is lost if this is not waited for
    /// to the end.
    pub(crate) async fn exchange(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
        is_sending: &mut bool,
    ) -> io::Result<Progress> {
        poll_fn(
            |context| match self.poll_send(output, is_sending, context) {
                Poll::Ready(sent) => Poll::Ready(sent.map(|()| Progress::Sent)),
                Poll::Pending => {
                    let received = pin!(self.receive(input)).poll(context);
                    received.map_ok(|is_open| match is_open {
                        true => Progress::Received,
                        false => Progress::Ended,
                    })
                }
            },
        )
        .await
    }

    /// Ready when some of the output, or the last of it, was taken.
    fn poll_send(
        &mut self,
        output: &mut BytesMut,
        is_sending: &mut bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !output.is_empty() {
            *is_sending = true;
            return match self {
                Self::Stream(stream) => {
                    let written = pin!(stream.write_buf(output)).poll(context);
                    written.map(|written| match written {
                        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                        other => other.map(|_| ()),
                    })
                }
                Self::WebSocket(socket) => {
                    let ready = socket.poll_ready_unpin(context).map_err(broken);
                    ready.map(|ready| {
                        ready?;
                        let message = Message::Binary(output.split().freeze());
                        socket.start_send_unpin(message).map_err(broken)
                    })
                }
            };
        }
        if !*is_sending {
            return Poll::Pending;
        }
        let flushed = match self {
            Self::Stream(stream) => Pin::new(stream).poll_flush(context),
            Self::WebSocket(socket) => socket.poll_flush_unpin(context).map_err(broken),
        };
        flushed.map_ok(|()| *is_sending = false)
    }

    /// Says that nothing more will come.
    pub(crate) async fn shut_down(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.shutdown().await,
            Self::WebSocket(socket) => (**socket).close(None).await.map_err(broken),
        }
    }
}

/// Asks for a WebSocket, and for MQTT on it (MQTT 5.0, section 6).
async fn upgraded(
    address: &Address,
    stream: Box<dyn Stream>,
    subprotocol: &'static str,
) -> Result<Transport, ClientError> {
    let refused = |error: tungstenite::Error| ClientError::WebSocket(error.to_string());
    let url = format!("ws://{}{}", address.authority(), address.path);
    let mut request = url.into_client_request().map_err(refused)?;
    let headers = request.headers_mut();
    headers.insert(
        "Sec-WebSocket-Protocol",
        HeaderValue::from_static(subprotocol),
    );
    let upgraded = tokio_tungstenite::client_async(request, stream).await;
    let (socket, _response) = upgraded.map_err(refused)?;
    Ok(Transport::WebSocket(Box::new(socket)))
}

fn broken(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
