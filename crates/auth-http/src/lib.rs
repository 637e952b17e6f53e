//! A service on HTTP that says who the clients of a broker are, and, if asked, what they may do.
//!
//! # What it is asked
//!
//! A POST with an object of JSON. About a client that wants to come in:
//!
//! ```json
//! {"action": "authenticate", "clientid": "phone", "protocol": "5.0", "username": "eve", "password": "pencil",
//!  "certified": "eve", "peerhost": "192.0.2.7"}
//! ```
//!
//! What CONNECT does not have is not there either. A password that is no UTF-8 is `password_base64` instead;
//! `certified` is who the client is by its certificate. With [`HttpOptions::authorize_url`] it is asked about
//! each message and each topic filter, too, of clients that have not brought rights with them:
//!
//! ```json
//! {"action": "publish", "clientid": "phone", "protocol": "5.0", "username": "eve", "peerhost": "192.0.2.7",
//!  "topic": "a/b", "qos": 1, "retain": false, "will": false}
//! {"action": "subscribe", "clientid": "phone", "protocol": "5.0", "username": "eve", "peerhost": "192.0.2.7",
//!  "topic": "a/#", "qos": 2, "held": false}
//! ```
//!
//! There `username` is the user as whom the client was let in. `held` is true for a subscription that it has
//! already: it has come back to its session, or [everybody is asked about
//! again](broker_core::Broker::reauthorize).
//!
//! # What it may answer
//!
//! | answer | authenticate | publish, subscribe |
//! | --- | --- | --- |
//! | 204, or 200 with nothing in it | let in | allowed |
//! | 200 with `{"result": "allow"}` | let in | allowed |
//! | 200 with `{"result": "deny"}`, or 403 | refused with 0x87, return code 5 | denied with 0x87 |
//! | 401 | refused with 0x86, return code 4 | denied with 0x87 |
//! | 200 with `{"result": "ignore"}` | left to other hooks, refused if there are none | left to other hooks, allowed if there are none |
//! | anything else, too long, too late, or nothing | the service has failed | the service has failed |
//!
//! Who is let in may be told more of, beside `"result": "allow"`:
//!
//! - `"user"`: who it is. Otherwise it is what its certificate says, or its user name.
//! - `"is_superuser"`: `true` for who may do everything, as `**` does in a users file.
//! - `"acl"`: what it may do ([`authorizer::Acl`]). Then it is held to that, and the service is not asked.
//! - `"expire_at"`: when it has to go, in seconds since 1970; see [`HttpHooks::due`].
//!
//! Other fields do not matter. Redirects are not followed.
//!
//! # When it has failed
//!
//! Nobody is let in (0x88, return code 3), nothing is published or subscribed to (0x83), and whoever has a
//! subscription that would have to be asked about is disconnected, so that the subscription outlives the
//! failure. It is counted ([`HttpCounters::failed`]), and logged once when it begins and once when it is over.
//!
//! # What it costs
//!
//! Up to [`HttpOptions::requests_max`] requests are under way, on as many connections, which are kept. More wait
//! for their turn, up to [`HttpOptions::waiting_max`]; for those beyond, and for whoever has waited for
//! [`HttpOptions::timeout`], the service has failed. While one client waits all others go on.

mod answer;
mod cache;
mod hooks;
mod question;
mod service;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use hooks::{HttpCounters, HttpHooks};
pub use service::HttpError;

/// Where the service is, and what is expected of it. `Debug` does not show what headers say.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Who comes in is asked here: a URL of `http` or `https`.
    pub authenticate_url: String,
    /// What clients may do is asked here, of the same or another service. `None` if it is not asked.
    pub authorize_url: Option<String>,
    /// Headers of each request, such as `Authorization`.
    pub headers: Vec<(String, String)>,
    /// A file with certificates (PEM) of those who may vouch for the service; those that the system
    /// trusts if there is none.
    pub ca: Option<PathBuf>,
    /// How long an answer may take, waiting for its turn included. It should be shorter than the broker's own
    /// [`connect_timeout`](broker_core::BrokerOptions::connect_timeout) and
    /// [`hook_timeout`](broker_core::BrokerOptions::hook_timeout).
    pub timeout: Duration,
    /// Requests under way, and connections that are kept, at least 1.
    pub requests_max: usize,
    /// Requests that wait for their turn.
    pub waiting_max: usize,
    /// The longest answer, in bytes, without its head.
    pub response_bytes_max: usize,
    /// How long answers about rights hold, for the same client and the same question. Zero to ask each
    /// time.
    pub cache_ttl: Duration,
    /// How many of them are kept; with more all are forgotten.
    pub cache_entries: usize,
}

impl HttpOptions {
    /// 5 s, 16 requests at once and 10,000 waiting, 64 KiB of answer, answers about rights kept for 10 s, and
    /// 10,000 of them.
    #[must_use]
    pub fn new(authenticate_url: impl Into<String>) -> Self {
        Self {
            authenticate_url: authenticate_url.into(),
            authorize_url: None,
            headers: Vec::new(),
            ca: None,
            timeout: Duration::from_secs(5),
            requests_max: 16,
            waiting_max: 10_000,
            response_bytes_max: 64 << 10,
            cache_ttl: Duration::from_secs(10),
            cache_entries: 10_000,
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpOptions")
            .field("authenticate_url", &self.authenticate_url)
            .field("authorize_url", &self.authorize_url)
            .field("headers", &headers)
            .field("ca", &self.ca)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The page of the crate compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
