//! Interfaces that serve files to browsers beside MQTT over WebSocket: what there is, and what a request
//! gets.
//!
//! ```text
//!   request ──► asks for a WebSocket? ──► the script /mqtt.js? ──► a file of the folder? ──► 404
//! ```
//!
//! Requests are read and answered by hyper; after an upgrade the stream is taken back from it, so that a
//! WebSocket costs as little here as on an interface for WebSockets alone.

mod bundle;
mod connection;
mod first_head;
mod folder;
mod paced;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use mqtt_websocket::{Refusal, Terms};
use tower_http::services::fs::ServeFileSystemResponseBody;

use self::bundle::Bundle;
pub(crate) use self::connection::{Visit, serve};
use self::folder::Folder;

/// Where browsers find the script.
const BUNDLE_PATH: &str = "/mqtt.js";

/// How long what was served may be used without asking again: ten minutes, as in mosca.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=600");

/// What a response carries.
type Body = Either<Full<Bytes>, ServeFileSystemResponseBody>;

/// What an interface serves besides WebSockets, and in which time.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    bundle: Option<Bundle>,
    folder: Option<Folder>,
    /// For the whole head of a request, from the end of the response before.
    pub(crate) request_timeout: Duration,
    /// For a client to take a part of a response.
    pub(crate) response_timeout: Duration,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            bundle: None,
            folder: None,
            request_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
        }
    }
}

/// What comes of a request.
enum Answer {
    /// The connection becomes a WebSocket behind this response.
    WebSocket(Response<()>),
    Plain(Response<Body>),
}

impl Site {
    pub(crate) fn set_bundle(&mut self, script: Bytes) {
        self.bundle = Some(Bundle::new(script));
    }

    pub(crate) fn set_folder(&mut self, path: PathBuf) {
        self.folder = Some(Folder::new(path));
    }

    /// The folder from which files are served.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(Folder::path)
    }

    /// The answer to a request. What it carries besides its head is not read.
    async fn answer<B: hyper::body::Body>(&self, terms: &Terms, request: &Request<B>) -> Answer {
        if !has_host(request) {
            return Answer::Plain(text(StatusCode::BAD_REQUEST, "Bad Request\n"));
        }
        // Who is at the path that is for WebSockets alone, and asks for none, is told that there is one.
        let path = request.uri().path();
        if wants_websocket(request) || terms.path.as_deref() == Some(path) {
            return match upgrade(terms, request) {
                Ok(response) => Answer::WebSocket(response),
                Err(refusal) => {
                    let response = refusal.response();
                    Answer::Plain(response.map(|text| Body::Left(Full::from(text))))
                }
            };
        }
        Answer::Plain(self.file(request).await)
    }

    async fn file<B>(&self, request: &Request<B>) -> Response<Body> {
        if self.bundle.is_none() && self.folder.is_none() {
            return not_found();
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let mut response = text(status, "Method Not Allowed\n");
            let headers = response.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let path = request.uri().path();
        let response = match (&self.bundle, &self.folder) {
            (Some(bundle), _) if path == BUNDLE_PATH => bundle.answer(request.headers()),
            (_, Some(folder)) => folder.answer(request).await,
            _ => not_found(),
        };
        as_served(response)
    }
}

/// What a page of this origin may keep, and how it is to be understood.
fn as_served(mut response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        headers.insert(CACHE_CONTROL, CACHED);
    }
    response
}

/// RFC 9112, section 3.2: one, and no more.
fn has_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11
}

fn wants_websocket<B>(request: &Request<B>) -> bool {
    let wanted = request.headers().get_all(UPGRADE).iter();
    let mut names = wanted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    names.any(|name| name.trim().eq_ignore_ascii_case("websocket"))
}

fn upgrade<B: hyper::body::Body>(
    terms: &Terms,
    request: &Request<B>,
) -> Result<Response<()>, Refusal> {
    let response = terms.answer(request)?;
    if !request.body().is_end_stream() {
        // It would have to be read before anything else.
        let why = "a request for a WebSocket carries nothing";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    }
    Ok(response)
}

fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "Not Found\n")
}

/// A response in plain words.
fn text(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Left(Full::from(words)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    as_served(response)
}
