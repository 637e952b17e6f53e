//! Version 1: `PROXY TCP4 source destination port port`, a line that ends with CR LF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Decoded, Header, HeaderError, begins};

const START: &[u8] = b"PROXY ";

/// Bytes of the shortest line: `PROXY UNKNOWN` and its end.
pub(crate) const BYTES_MIN: usize = 15;

/// Bytes of the longest line, with its end.
const BYTES_MAX: usize = 107;

pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, HeaderError> {
    if !begins(bytes, START) {
        return Err(HeaderError::None);
    }
    let seen = bytes.get(..BYTES_MAX).unwrap_or(bytes);
    let Some(end) = seen.windows(2).position(|two| two == b"\r\n") else {
        if bytes.len() >= BYTES_MAX {
            return Err(HeaderError::TooLong);
        }
        let missing = BYTES_MIN.saturating_sub(bytes.len());
        // Nothing but the end may follow on CR, and nothing is known of what may follow on the rest.
        let end = if bytes.ends_with(b"\r") { 1 } else { 2 };
        return Ok(Decoded::Incomplete {
            missing: missing.max(end),
        });
    };
    let line = bytes.get(START.len()..end).unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| HeaderError::Malformed)?;
    Ok(Decoded::Header(Header {
        source: source(line)?,
        size: end + 2,
    }))
}

/// The source in the line, without its start.
fn source(line: &str) -> Result<Option<SocketAddr>, HeaderError> {
    let mut words = line.split(' ');
    let family = words.next();
    // What follows is to be passed over.
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let words: Vec<&str> = words.collect();
    let [source, destination, port, destination_port] = words[..] else {
        return Err(HeaderError::Malformed);
    };
    let parse = |address: &str| -> Option<IpAddr> {
        match family {
            Some("TCP4") => address.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            Some("TCP6") => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let found = parse(destination)
        .and(parse_port(destination_port))
        .and(parse(source))
        .zip(parse_port(port));
    found
        .map(|(address, port)| Some(SocketAddr::new(address, port)))
        .ok_or(HeaderError::Malformed)
}

/// A port in decimal digits alone.
fn parse_port(port: &str) -> Option<u16> {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| port.parse().ok()).flatten()
}
