//! The script with which pages speak MQTT, as it was handed over.

use std::fmt;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Response, StatusCode};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};

use super::Body;

/// Bytes of the hash that are told: enough to tell one version from the next.
const TAG_BYTES: usize = 16;

#[derive(Clone)]
pub(super) struct Bundle {
    script: Bytes,
    /// Without its quotation marks.
    tag: String,
}

impl Bundle {
    pub(super) fn new(script: Bytes) -> Self {
        let mut tag = String::with_capacity(2 * TAG_BYTES);
        for byte in Sha256::digest(&script).iter().take(TAG_BYTES) {
            // Writing to a string cannot fail.
            let _written = write!(tag, "{byte:02x}");
        }
        Self { script, tag }
    }

    /// The script, unless the client has it already.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response<Body> {
        let is_known = self.is_known(headers);
        let script = match is_known {
            true => Bytes::new(),
            false => self.script.clone(),
        };
        let mut response = Response::new(Body::Left(Full::new(script)));
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.tag)) {
            headers.insert(ETAG, tag);
        }
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
            headers.insert(CONTENT_TYPE, kind);
        }
        response
    }

    /// RFC 9110, section 13.1.2. A tag that is compared weakly is the same.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = headers.get_all(IF_NONE_MATCH).iter();
        let mut tags = known
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim);
        tags.any(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            let inside = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            tag == "*" || inside == Some(&self.tag)
        })
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("bytes", &self.script.len())
            .field("tag", &self.tag)
            .finish()
    }
}
