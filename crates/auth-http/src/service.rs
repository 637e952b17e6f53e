//! The service as it is reached: how much it may take of our time, memory and connections.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use crate::HttpOptions;
use crate::answer::{Answer, AnswerError};

/// Why a service cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// It is no URL of http or https, or one with a password in it.
    #[error("{0:?} is no URL of http or https without user name and password")]
    Url(
        /// The URL, without a password.
        String,
    ),
    /// A header is none.
    #[error("the header {0:?} has a name or a value that cannot be sent")]
    Header(
        /// Its name.
        String,
    ),
    /// There is nobody to vouch for it.
    #[error("certificates of authorities for the service on HTTP: {0}")]
    Authorities(
        /// What is wrong with them.
        String,
    ),
}

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a connection is kept that nobody needs.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there was none within {0:?}")]
    Late(Duration),
    #[error("too many requests wait")]
    Busy,
    #[error("{}", shown(.0))]
    Request(#[from] hyper_util::client::legacy::Error),
    #[error("its body: {}", shown(.0.as_ref()))]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// With the reasons behind it, which is where the word is that matters.
fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let reasons = std::iter::successors(Some(error), |error| error.source());
    let reasons: Vec<_> = reasons.map(ToString::to_string).collect();
    reasons.join(": ")
}

/// A client of HTTP, and what it always says.
pub(crate) struct Service {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    headers: HeaderMap,
    /// One for each request that is under way or waits.
    places: Semaphore,
    /// One for each request that is under way.
    turns: Semaphore,
    timeout: Duration,
    response_bytes_max: usize,
}

impl Service {
    pub(crate) fn new(options: &HttpOptions, has_secure_url: bool) -> Result<Self, HttpError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(options.ca.as_deref(), has_secure_url)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let requests_max = options.requests_max.clamp(1, Semaphore::MAX_PERMITS / 2);
        let waiting_max = options.waiting_max.min(Semaphore::MAX_PERMITS / 2);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(requests_max)
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self {
            client,
            headers: headers(&options.headers)?,
            places: Semaphore::new(requests_max.saturating_add(waiting_max)),
            turns: Semaphore::new(requests_max),
            timeout: options.timeout,
            response_bytes_max: options.response_bytes_max,
        })
    }

    /// Asks, and says what is answered, or why nothing is.
    pub(crate) async fn ask(&self, url: &Uri, question: Bytes) -> Result<Answer, Failure> {
        let _place = self.places.try_acquire().map_err(|_| Failure::Busy)?;
        let asked = tokio::time::timeout(self.timeout, self.ask_in_turn(url, question));
        asked.await.map_err(|_| Failure::Late(self.timeout))?
    }

    async fn ask_in_turn(&self, url: &Uri, question: Bytes) -> Result<Answer, Failure> {
        let _turn = self.turns.acquire().await.map_err(|_| Failure::Busy)?;
        let mut request = Request::new(Full::new(question));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = self.headers.clone();
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = Limited::new(body, self.response_bytes_max).collect().await;
        let body = body.map_err(Failure::Body)?.to_bytes();
        Ok(Answer::new(head.status, &body)?)
    }
}

/// A URL that can be asked.
pub(crate) fn url(text: &str) -> Result<Uri, HttpError> {
    // What is in front of the @ is not shown.
    let wrong = || HttpError::Url(text.rsplit('@').next().unwrap_or_default().to_owned());
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|it| !it.host().is_empty());
    let is_plain = authority.is_some_and(|it| !it.as_str().contains('@'));
    (is_http && is_plain).then_some(uri).ok_or_else(wrong)
}

pub(crate) fn is_secure(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
}

fn headers(more: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json.clone());
    headers.insert(header::ACCEPT, json);
    for (name, value) in more {
        let wrong = || HttpError::Header(name.clone());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        // What says how long the question is is not to be had twice.
        if key == header::CONTENT_LENGTH || key == header::TRANSFER_ENCODING {
            return Err(wrong());
        }
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Trusts those in the file, or those whom the system trusts. Nobody is asked for where nothing is secure.
fn tls(ca: Option<&Path>, is_used: bool) -> Result<ClientConfig, HttpError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let wrong = |error: &dyn std::fmt::Display| {
                HttpError::Authorities(format!("{}: {error}", path.display()))
            };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(&error))?;
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
            if roots.is_empty() {
                return Err(wrong(&"there are none"));
            }
        }
        None if is_used => {
            // Some of a system's may be strange; those that are not are enough.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(HttpError::Authorities("this system has none".to_owned()));
            }
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Authorities(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl core::fmt::Debug for Service {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
