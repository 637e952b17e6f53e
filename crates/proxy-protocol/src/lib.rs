//! The header in which a load balancer says who has connected to it: HAProxy's PROXY protocol, in its
//! versions 1 (a line of text) and 2 (binary).
//!
//! Nothing is read or kept here: [`decode`] looks at the bytes that have come, and says how many more
//! may be read without reading beyond the header, since what follows it is for somebody else.
//!
//! ```
//! use proxy_protocol::{Decoded, decode};
//!
//! let bytes = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 1883\r\n\x10\x0C";
//! let Ok(Decoded::Header(header)) = decode(bytes) else {
//!     panic!("a whole header");
//! };
//! assert_eq!(header.source, "192.0.2.7:40000".parse().ok());
//! assert_eq!(&bytes[header.size..], b"\x10\x0C");
//! ```

mod binary;
mod text;

use std::net::SocketAddr;

/// Bytes of the longest header that is taken: an address and the extensions of version 2, which may
/// carry a certificate's names.
pub const HEADER_BYTES_MAX: usize = 4_096;

/// What has come of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// It is not whole.
    Incomplete {
        /// At least so many bytes are missing, more than 0.
        missing: usize,
    },
    /// It is whole.
    Header(Header),
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who has connected to the load balancer. `None` where it does not say so: it speaks for itself
    /// then, to see whether we are there, or it knows no address of the Internet.
    pub source: Option<SocketAddr>,
    /// Bytes of the header.
    pub size: usize,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// They begin as no header does: who has connected does not speak the protocol.
    #[error("there is no header of the PROXY protocol")]
    None,
    /// They begin as a header, and go on as none.
    #[error("the header of the PROXY protocol is malformed")]
    Malformed,
    /// The header is longer than [`HEADER_BYTES_MAX`], or than a line of version 1 may be.
    #[error("the header of the PROXY protocol is too long")]
    TooLong,
}

/// What the first bytes of a connection are.
///
/// # Errors
/// When they are not, and cannot become, a header.
pub fn decode(bytes: &[u8]) -> Result<Decoded, HeaderError> {
    match bytes.first() {
        // The shortest header of all, of version 1, is one byte shorter than the start of version 2.
        None => Ok(Decoded::Incomplete {
            missing: text::BYTES_MIN,
        }),
        Some(b'P') => text::decode(bytes),
        Some(_) => binary::decode(bytes),
    }
}

/// Whether `bytes` begin as `start` does, as far as both go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests;
