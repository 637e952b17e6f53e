//! Who gets a WebSocket, and what the others are told. RFC 6455, section 4.2.
//!
//! Any path will do, unless there is one, and any web page may ask, unless it is said which ones may. The
//! subprotocol has to be `mqtt` [MQTT-6.0.0-4], or `mqttv3.1`, which clients from before MQTT 3.1.1
//! ask for. A client that offers none does not say that it speaks MQTT, which it must
//! [MQTT-6.0.0-3], and is refused. No extension is ever agreed on.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response, StatusCode};
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::create_response_with_body;

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

/// Why somebody gets no WebSocket, and how he is told so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    /// Besides those that every response has.
    headers: &'static [(&'static str, &'static str)],
    why: &'static str,
}

impl Terms {
    /// The answer to a request that some HTTP server has read: the response with which the connection
    /// becomes a [`WebSocket`](crate::WebSocket), of the status 101.
    ///
    /// ```
    /// use http::{Request, StatusCode};
    /// use mqtt_websocket::Terms;
    ///
    /// let request = Request::builder()
    ///     .header("Connection", "Upgrade")
    ///     .header("Upgrade", "websocket")
    ///     .header("Sec-WebSocket-Version", "13")
    ///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    ///     .header("Sec-WebSocket-Protocol", "mqttv3.1, mqtt");
    /// let response = Terms::default().answer(&request.body(()).unwrap()).unwrap();
    /// assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    /// assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "mqtt");
    ///
    /// let refusal = Terms::default().answer(&Request::new(())).unwrap_err();
    /// assert_eq!(refusal.response().status(), StatusCode::UPGRADE_REQUIRED);
    /// ```
    ///
    /// # Errors
    /// If the request is not for what is here, is from a page that may not connect, or asks for
    /// something else than MQTT over WebSocket.
    pub fn answer<B>(&self, request: &Request<B>) -> Result<Response<()>, Refusal> {
        self.check(request)?;
        let mut response = create_response_with_body(request, || ()).map_err(refusal)?;
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let offered: Vec<&str> = offered
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        let chosen = SUBPROTOCOLS.into_iter().find(|name| offered.contains(name));
        let not_offered = Refusal::bad_request("the subprotocol `mqtt` is not offered");
        let chosen = HeaderValue::from_static(chosen.ok_or(not_offered)?);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        Ok(response)
    }

    /// Whether this request is for what is here, and from somebody who may ask for it.
    fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let path = self.path.as_ref();
        if path.is_some_and(|path| path != request.uri().path()) {
            let why = "there is nothing at this path";
            return Err(Refusal::new(StatusCode::NOT_FOUND, why));
        }
        // Programs that are no browsers have none, and could have any.
        let origin = request.headers().get(ORIGIN);
        let is_known = |origin: &HeaderValue| {
            let known = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
            self.origins.iter().any(known)
        };
        if !self.origins.is_empty() && !origin.is_none_or(is_known) {
            let why = "pages of this origin may not connect";
            return Err(Refusal::new(StatusCode::FORBIDDEN, why));
        }
        Ok(())
    }
}

fn refusal(error: tungstenite::Error) -> Refusal {
    match error {
        tungstenite::Error::Protocol(ProtocolError::WrongHttpMethod) => Refusal::wrong_method(),
        tungstenite::Error::Protocol(ProtocolError::WrongHttpVersion) => {
            Refusal::bad_request("this is no request of HTTP/1.1")
        }
        tungstenite::Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => Refusal {
            status: StatusCode::UPGRADE_REQUIRED,
            headers: &[("Upgrade", "websocket")],
            why: "there is nothing here but MQTT over WebSocket",
        },
        tungstenite::Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => Refusal {
            status: StatusCode::UPGRADE_REQUIRED,
            headers: &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            why: "the version of WebSocket is not 13",
        },
        _ => Refusal::bad_request("the key of WebSocket is missing or wrong"),
    }
}

impl Refusal {
    /// A refusal for some other reason, which becomes the text of the response.
    pub const fn new(status: StatusCode, why: &'static str) -> Self {
        Self {
            status,
            headers: &[],
            why,
        }
    }

    pub(crate) const fn bad_request(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(crate) const fn wrong_method() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            headers: &[("Allow", "GET")],
            why: "the method is not GET",
        }
    }

    /// The reason in words.
    pub fn why(&self) -> &'static str {
        self.why
    }

    /// What the client is told: status, the headers that belong to it, and a line of text.
    pub fn response(&self) -> Response<String> {
        let mut response = Response::new(format!("{}\n", self.why));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        for &(name, value) in self.connection().iter().chain(self.headers) {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }

    /// An upgrade that is required names itself in `Connection` as well.
    fn connection(&self) -> &'static [(&'static str, &'static str)] {
        match self.status {
            StatusCode::UPGRADE_REQUIRED => &[("Connection", "upgrade")],
            _ => &[],
        }
    }

    /// The same with which the connection ends.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let upgrade = match self.status {
            StatusCode::UPGRADE_REQUIRED => "upgrade, ",
            _ => "",
        };
        let headers = self.headers.iter();
        let headers: String = headers
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let (status, why, length) = (self.status, self.why, self.why.len() + 1);
        let response = format!(
            "HTTP/1.1 {status}\r\n{headers}Connection: {upgrade}close\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{why}\n"
        );
        response.into_bytes()
    }
}
