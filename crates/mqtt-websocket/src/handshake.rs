//! The request with which a WebSocket begins, and the answer to it: the upgrade, or what is wrong.
//! RFC 6455, section 4.2. What the answer is, `terms.rs` says.

use std::sync::Arc;

use http::StatusCode;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, write_response};

use crate::terms::{Refusal, Terms};

/// Bytes of the largest request.
const REQUEST_BYTES: usize = 8 << 10;

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

    pub(super) fn owned_bytes(&self) -> usize {
        let response = self
            .answer
            .as_ref()
            .map(|answer| answer.response.capacity());
        size_of::<Self>() + self.request.capacity() + response.unwrap_or_default()
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
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            self.answer = Some(refused(Refusal::new(status, "the request is too large")));
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
        Ok(Some((size, _))) if size < request.len() => {
            Err(Refusal::bad_request("more than a request came"))
        }
        Ok(Some((_, request))) => terms.answer(&request),
        Err(tungstenite::Error::Protocol(ProtocolError::WrongHttpMethod)) => {
            Err(Refusal::wrong_method())
        }
        Err(_) => Err(Refusal::bad_request("this is no request of HTTP/1.1")),
    };
    let answer = parsed.and_then(|response| {
        let mut bytes = Vec::new();
        match write_response(&mut bytes, &response) {
            Ok(()) => Ok(Answer {
                response: bytes,
                refused: None,
            }),
            Err(_) => Err(Refusal::bad_request("the request cannot be answered")),
        }
    });
    Some(answer.unwrap_or_else(refused))
}

fn refused(refusal: Refusal) -> Answer {
    Answer {
        response: refusal.bytes(),
        refused: Some(refusal.why()),
    }
}
