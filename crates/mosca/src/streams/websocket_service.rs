//! WebSockets from somebody else's HTTP server: mosca's `attachHttpServer`.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use broker_core::Escaped;
use http::{Extensions, Request, Response, StatusCode, Version};
use hyper::body::Body;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use mqtt_websocket::{Refusal, Terms, WebSocket};
use tokio::time::timeout;
use tower_service::Service;

use super::{StreamRefused, Streams};
use crate::connection::Driver;
use crate::network::{Boxed, Noted};
use crate::peer::{Peer as _, StreamPeer};
use crate::shared::Counted;

/// Hands WebSockets of a program's own HTTP server to the broker: a service of `tower` to be mounted in an
/// application of axum, or of anything else that runs on hyper. Made by
/// [`Server::websocket_service`](crate::Server::websocket_service).
///
/// A request for MQTT over WebSocket is answered with 101, and its connection becomes one of the
/// server's [`streams`](crate::Server::streams): it is counted among them, has the server's time for CONNECT,
/// and ends when the server closes. Everything else is refused as by
/// [`Interface::websocket`](crate::Interface::websocket): 426 for what asks for no WebSocket, 405 for
/// methods other than GET, 400 for what does not offer the subprotocol `mqtt` or `mqttv3.1`. Where there is
/// no room ([`max_streams`](crate::ServerBuilder::max_streams) and the limits on connections) or the
/// server closes, the answer is 503, and 429 where connections come too fast from the address.
///
/// **Without a [path](Self::path)** any request that the application brings here is taken, whatever its
/// path is: the application's routes decide. mosca took all requests for upgrades of its HTTP server
/// then. **With one** only requests for just this path are taken, and others get 404; mosca left them
/// without an answer. A router that takes a prefix off, as axum's `nest_service` does, leaves `/`.
///
/// The HTTP server has to speak HTTP/1.1 and to let go of connections: `axum::serve` does, and hyper's
/// own `http1::Connection` once it is told to by `with_upgrades`. The log and the limits of addresses know a
/// client by the [`StreamPeer`] or the [`SocketAddr`] among the request's extensions; without either
/// it has no address.
///
/// ```
/// use http::{Request, StatusCode};
/// use mosca::Server;
/// use tower_service::Service as _;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let server = Server::builder().start().await?;
/// let mut service = server
///     .websocket_service()
///     .path("/mqtt")
///     .origins(["https://example.org"]);
/// // In axum: Router::new().route_service("/mqtt", service)
///
/// let request = Request::get("/mqtt").body(String::new())?;
/// let response = service.call(request).await?;
/// assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// `examples/axum.rs` of this crate is a whole application.
#[derive(Clone)]
pub struct WebSocketService {
    streams: Streams,
    terms: Arc<Terms>,
}

impl WebSocketService {
    pub(crate) fn new(streams: Streams) -> Self {
        Self {
            streams,
            terms: Arc::default(),
        }
    }

    /// The path that requests have to be for, such as `/mqtt`; default any. What stands behind `?` is not
    /// looked at.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.terms).path = Some(path.into());
        self
    }

    /// The origins whose pages may connect, as in
    /// [`Interface::websocket_origins`](crate::Interface::websocket_origins); default all.
    #[must_use]
    pub fn origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        let origins = origins.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.terms).origins = origins;
        self
    }

    /// Agrees to the upgrade, and waits elsewhere until it has happened.
    fn accept<B: Body>(&self, mut request: Request<B>) -> Result<Response<()>, Refusal> {
        if request.version() > Version::HTTP_11 {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Err(Refusal::new(status, "a WebSocket needs HTTP/1.1"));
        }
        let response = self.terms.answer(&request)?;
        if !request.body().is_end_stream() {
            let why = "a request for a WebSocket carries nothing";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
        }
        let peer = peer(request.extensions());
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            tracing::error!(
                %peer,
                "the program's HTTP server does not let connections be upgraded (hyper: `with_upgrades`)"
            );
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Refusal::new(status, "connections cannot be upgraded here"));
        };
        self.streams.check(&peer).map_err(refusal)?;
        self.streams.serve_upgraded(upgrade, peer);
        Ok(response)
    }
}

impl Streams {
    /// Serves what comes of an upgrade, if it comes in time.
    fn serve_upgraded(&self, upgrade: OnUpgrade, peer: StreamPeer) {
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        // It is a connection from now on.
        let counted = Counted::new(&shared, number, peer.ip());
        let runtime = self.runtime.clone();
        self.runtime.spawn(async move {
            let limit = shared.broker.options().connect_timeout;
            let upgraded = tokio::select! {
                upgraded = timeout(limit, upgrade) => upgraded,
                () = shared.wait_until_closing() => return,
            };
            let failure = match upgraded {
                Ok(Ok(upgraded)) => {
                    let stream: Boxed = Box::new(Noted::new(TokioIo::new(upgraded)));
                    // What was read behind the request is a part of it.
                    let stream = WebSocket::upgraded(stream, &[]);
                    runtime.spawn(Driver::new(stream, peer, Arc::clone(&shared), number));
                    drop(counted);
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it is not over after {limit:?}"),
            };
            shared.refused.note_handshake();
            tracing::debug!(%peer, "upgrade to a WebSocket failed: {}", Escaped(failure));
        });
    }
}

/// Who has asked, as far as the application has said it.
fn peer(extensions: &Extensions) -> StreamPeer {
    let named = extensions.get::<StreamPeer>().cloned();
    let address = || extensions.get::<SocketAddr>().map(|&it| it.into());
    let unknown = || "a client of the program's HTTP server".into();
    named.or_else(address).unwrap_or_else(unknown)
}

fn refusal(refused: StreamRefused) -> Refusal {
    match refused {
        StreamRefused::Closing => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is closing")
        }
        StreamRefused::TooFast => Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "connections come too fast from this address",
        ),
        StreamRefused::TooMany(_)
        | StreamRefused::ServerFull(_)
        | StreamRefused::AddressFull(_) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "there are too many connections",
        ),
    }
}

impl<B: Body> Service<Request<B>> for WebSocketService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    /// Always: who is one too many hears so.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = self.accept(request);
        ready(Ok(response.map_or_else(
            |refusal| refusal.response(),
            |response| response.map(|()| String::new()),
        )))
    }
}

impl fmt::Debug for WebSocketService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketService")
            .field("streams", &self.streams)
            .field("terms", &self.terms)
            .finish()
    }
}
