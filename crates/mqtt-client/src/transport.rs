//! The stream of bytes to the server, whatever carries it.

use std::future::poll_fn;
use std::io;

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
