//! The request with which a WebSocket begins, and the answer to it: the upgrade, or what is wrong.
//! RFC 6455, section 4.2.
//!
//! Any path will do, unless the interface has one, and any web page may ask, unless the interface says
//! which ones may. The subprotocol has to be `mqtt` [MQTT-6.0.0-4], or `mqttv3.1`, which clients
//! from before MQTT 3.1.1 ask for. A client that offers none does not say that it speaks MQTT, which
//! it must [MQTT-6.0.0-3], and is refused. No extension is ever agreed on.

use std::sync::Arc;

use tungstenite::error::ProtocolError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderValue;
use tungstenite::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};

/// Bytes of the largest request.
const REQUEST_BYTES: usize = 8 << 10;

/// Names of MQTT among subprotocols, the best first.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Who may ask for a WebSocket, and where.
///
/// Requests for another path are refused with 404, pages of another origin with 403.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The path that requests have to be for, such as `/mqtt`, without what stands behind `?`. Any, if
    /// there is none.
    pub path: Option<String>,
    /// The origins whose pages may ask, as browsers write them: `https://example.org`. All may, if there
    /// are none; who names no origin is no browser, and always may.
    pub origins: Vec<String>,
}

/// A handshake under way.
pub(super) struct Handshake {
    terms: Arc<Terms>,
    request: Vec<u8>,
    answer: Option<Answer>,
    sent: usize,
}

struct Answer {
    response: Vec<u8>,
    refused: Option<&'static str>,
}

impl Handshake {
    pub(super) fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            request: Vec::new(),
            answer: None,
            sent: 0,
        }
    }

    /// Bytes that may still come.
    pub(super) fn room(&self) -> usize {
        REQUEST_BYTES.saturating_sub(self.request.len())
    }

    /// Takes a part of the request.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        // Who sends single bytes would otherwise have as many requests parsed.
        let is_news = self.request.is_empty() || bytes.contains(&b'\n');
        self.request.extend_from_slice(bytes);
        if is_news {
            self.answer = answer(&self.request, &self.terms);
        }
        if self.answer.is_none() && self.room() == 0 {
            self.answer = Some(refuse(
                "431 Request Header Fields Too Large",
                "",
                "the request is too large",
            ));
        }
    }

    /// What is to be written now, once the request has come.
    pub(super) fn unsent(&self) -> Option<&[u8]> {
        self.answer.as_ref()?.response.get(self.sent..)
    }

    /// So many bytes were written. Whether those were the last ones.
    pub(super) fn sent(&mut self, written: usize) -> bool {
        self.sent += written;
        self.unsent().is_none_or(<[u8]>::is_empty)
    }

    /// Why the client was refused, if it was.
    pub(super) fn refused(&self) -> Option<&'static str> {
        self.answer.as_ref()?.refused
    }
}

/// The answer to a request; none while its end has not come.
fn answer(request: &[u8], terms: &Terms) -> Option<Answer> {
    let parsed = match Request::try_parse(request) {
        Ok(None) => return None,
        Ok(Some((size, _))) if size < request.len() => Err(bad("more than a request came")),
        Ok(Some((_, request))) => terms.check(&request).and_then(|()| upgrade(&request)),
        Err(tungstenite::Error::Protocol(ProtocolError::WrongHttpMethod)) => Err(refuse(
            "405 Method Not Allowed",
            "Allow: GET\r\n",
            "the method is not GET",
        )),
        Err(_) => Err(bad("this is no request of HTTP/1.1")),
    };
    let answer = parsed.map(|response| Answer {
        response,
        refused: None,
    });
    Some(answer.unwrap_or_else(|refused| refused))
}

impl Terms {
    /// Whether this request is for what is here, and from somebody who may ask for it.
    fn check(&self, request: &Request) -> Result<(), Answer> {
        let path = self.path.as_ref();
        if path.is_some_and(|path| path != request.uri().path()) {
            return Err(refuse("404 Not Found", "", "there is nothing at this path"));
        }
        // Programs that are no browsers have none, and could have any.
        let origin = request.headers().get(ORIGIN);
        let is_known = |origin: &HeaderValue| {
            let known = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
            self.origins.iter().any(known)
        };
        if !self.origins.is_empty() && !origin.is_none_or(is_known) {
            return Err(refuse(
                "403 Forbidden",
                "",
                "pages of this origin may not connect",
            ));
        }
        Ok(())
    }
}

/// The response that agrees to a request.
fn upgrade(request: &Request) -> Result<Vec<u8>, Answer> {
    let mut response = create_response(request).map_err(|error| match error {
        tungstenite::Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => refuse(
            "426 Upgrade Required",
            "Upgrade: websocket\r\n",
            "there is nothing here but MQTT over WebSocket",
        ),
        tungstenite::Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => refuse(
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "the version of WebSocket is not 13",
        ),
        _ => bad("the key of WebSocket is missing or wrong"),
    })?;
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offered: Vec<&str> = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let chosen = SUBPROTOCOLS.into_iter().find(|name| offered.contains(name));
    let chosen = chosen.ok_or_else(|| bad("the subprotocol `mqtt` is not offered"))?;
    let headers = response.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen));
    let mut bytes = Vec::new();
    match write_response(&mut bytes, &response) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(bad("the request cannot be answered")),
    }
}

fn bad(why: &'static str) -> Answer {
    refuse("400 Bad Request", "", why)
}

fn refuse(status: &str, headers: &str, why: &'static str) -> Answer {
    // An upgrade that is required names itself in `Connection` as well.
    let upgrade = if headers.contains("Upgrade:") {
        "upgrade, "
    } else {
        ""
    };
    let length = why.len() + 1;
    let response = format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: {upgrade}close\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{why}\n"
    );
    Answer {
        response: response.into_bytes(),
        refused: Some(why),
    }
}
